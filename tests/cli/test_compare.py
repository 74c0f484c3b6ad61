"""``glassgraph compare`` on saved explanations: numbers, report, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import glassgraph as gg
from tests.cli.helpers import explain, run, write_case
from tests.metrics.scenes import TwoLayers, random_graph

INDEX = [7, 2, 11]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three methods, as ``explain`` leaves them: two score layers."""
    model, data = TwoLayers("gin"), random_graph()
    for explainer in (
        gg.EdgeGradients(model),
        gg.Occlusion(model, layerwise=True),
        gg.Saliency(model),
    ):
        explainer.explain(data, INDEX, save_to=tmp_path / "run" / explainer.name)
    return tmp_path / "run"


def test_a_folder_of_methods(folder: Path, tmp_path: Path) -> None:
    report, record = tmp_path / "out" / "page.html", tmp_path / "out" / "numbers.json"
    result = run("compare", folder, "--html", report, "--json", record)
    assert result.exit_code == 0
    assert "cosine, edge scores: mean over 3 predictions" in result.stdout
    assert "all ones" in result.stdout
    found = json.loads(record.read_text(encoding="utf-8"))
    assert list(found["runs"]) == ["edge_gradients", "occlusion", "saliency"]
    assert found["references"] == ["random", "all ones"]
    loaded = {name: gg.Explanations.load(folder / name) for name in ("edge_gradients", "occlusion")}
    pair = gg.compare(*loaded.values())
    (row,) = (
        each
        for each in found["pairs"]
        if (each["a"], each["b"], each["measure"]) == (*loaded, "cosine")
    )
    assert row["mean"] == pytest.approx(float(pair.cosine.mean()))
    assert f"{float(pair.cosine.mean()):.3f}" in result.stdout
    assert "similarity-section" in report.read_text(encoding="utf-8")
    json.dumps(found, allow_nan=False)


def test_two_runs_show_every_measure(folder: Path) -> None:
    result = run(
        "compare", folder / "edge_gradients", folder / "occlusion",
        "--level", "layer", "--measure", "spearman", "--top-k", 3, "--ranking", "absolute",
    )  # fmt: skip
    assert result.exit_code == 0
    assert "spearman, layer scores" in result.stdout
    assert "jaccard, best 3" in result.stdout
    assert "cosine_layer_1" in result.stdout


def test_layers_leave_out_who_has_none(folder: Path) -> None:
    result = run("compare", folder, "--level", "layer")
    assert result.exit_code == 0
    assert "Left out, without scores for each layer: saliency" in result.stderr
    assert "saliency" not in result.stdout
    refused = run("compare", folder / "saliency", folder / "occlusion", "--level", "layer")
    assert refused.exit_code == 2
    assert "saliency has no scores for each layer" in refused.stderr


def test_runs_of_one_name_are_told_apart(folder: Path, tmp_path: Path) -> None:
    gg.Saliency(TwoLayers("gin")).explain(random_graph(), INDEX).save(tmp_path / "two" / "saliency")
    report = tmp_path / "page.html"
    result = run("compare", folder / "saliency", tmp_path / "two" / "saliency", "--html", report)
    assert result.exit_code == 0
    assert "run/saliency" in result.stdout
    assert "two/saliency" in result.stdout
    assert "1.000" in result.stdout
    assert '"two/saliency"' in report.read_text(encoding="utf-8")


def test_what_it_refuses(folder: Path, tmp_path: Path) -> None:
    def error(*words: object) -> str:
        result = run("compare", *words)
        assert result.exit_code == 2
        return result.stderr

    saliency, occlusion = folder / "saliency", folder / "occlusion"
    assert "at least two" in error(saliency)
    assert "nothing holds no explanations" in error(saliency, tmp_path / "nothing")
    assert "given twice" in error(saliency, occlusion, saliency)
    assert "is a folder" in error(saliency, occlusion, "--json", tmp_path)
    assert "--measure" in error(saliency, occlusion, "--measure", "angle")
    model = TwoLayers("gin")
    gg.Saliency(model).explain(random_graph(), [1]).save(tmp_path / "other")
    assert "3 predictions and other 1" in error(saliency, tmp_path / "other")
    gg.Saliency(model).explain(random_graph(edges=37), INDEX).save(tmp_path / "graph")
    assert "different graphs" in error(saliency, tmp_path / "graph")


def test_other_models_and_classes_are_told(folder: Path, tmp_path: Path) -> None:
    model = TwoLayers("gcn")
    gg.Saliency(model).explain(random_graph(), INDEX, target=0).save(tmp_path / "gcn")
    result = run("compare", folder / "saliency", tmp_path / "gcn")
    assert result.exit_code == 0
    assert "different models" in result.stdout
    assert "other classes of" in result.stdout


def test_explain_writes_heat_maps(tmp_path: Path) -> None:
    result = explain(write_case(tmp_path), "--quiet", method="edge_gradients,saliency")
    assert result.exit_code == 0
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert 'id="similarity-section"' in text
    single = explain(write_case(tmp_path), "--quiet", "--overwrite", method="saliency")
    assert single.exit_code == 0
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert 'id="similarity-section"' not in text
