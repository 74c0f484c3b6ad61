"""``glassgraph explain --dataset``: training, its bar, and saved weights."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import glassgraph as gg
from glassgraph.models import reference
from tests.cli.helpers import run


@pytest.fixture
def hasty(monkeypatch: Any) -> None:
    """Train three epochs instead of thousands."""
    monkeypatch.setattr(reference, "_DEFAULTS", {"node": {"epochs": 3}, "graph": {"epochs": 3}})
    monkeypatch.setattr(reference, "ATTEMPTS", 1)
    monkeypatch.setattr("glassgraph.cli.training._TRAINING", {"node": {"epochs": 3}})


def words(out: Path, *more: object) -> tuple[object, ...]:
    return ("explain", "--dataset", "tree-cycles", "--method", "saliency", "--out", out, *more)


@pytest.mark.usefixtures("hasty")
def test_a_missed_bar_is_said_and_recorded(tmp_path: Path) -> None:
    result = run(*words(tmp_path, "--quiet"))
    assert result.exit_code == 0
    assert "Warning: the model reaches a test accuracy of" in result.stderr
    assert "below the 0.95 that tree-cycles asks for" in result.stderr
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["model"]["accuracy_reached"] is False
    assert record["model"]["accuracy_required"] == 0.95
    assert record["methods"][0]["instances"] == 60, "the data set's default instances"
    assert record["methods"][0]["auc"] is not None


@pytest.mark.usefixtures("hasty")
def test_trained_weights_can_be_used_again(tmp_path: Path) -> None:
    assert run(*words(tmp_path / "a", "--model", "gin", "--index", "300:303")).exit_code == 0
    weights = tmp_path / "a" / "model.safetensors"
    result = run(*words(tmp_path / "b", "--weights", weights, "--index", "300:303"))
    assert result.exit_code == 0, result.output
    prints = [
        gg.Explanations.load(tmp_path / name / "saliency").provenance["model_fingerprint"]
        for name in ("a", "b")
    ]
    assert prints[0] == prints[1]
    assert not (tmp_path / "b" / "model.safetensors").exists()
    result = run(*words(tmp_path / "c", "--weights", weights, "--model", "gat"))
    assert result.exit_code == 2
    assert "--model gat" in result.stderr
    assert "holds a gin" in result.stderr
    result = run(
        "explain", "--dataset", "ba-2motifs", "--weights", weights, "--method", "saliency",
        "--out", tmp_path / "d",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "the model takes 10 features, 2 classes at the node level" in result.stderr


def test_options_that_do_not_fit_the_data_set(tmp_path: Path) -> None:
    for more, message in (
        (("--task", "graph"), "--task graph does not fit tree-cycles"),
        (("--root", tmp_path), "it takes no root"),
        (("--model", "rgcn"), "needs edge types, which tree-cycles lacks"),
    ):
        result = run(*words(tmp_path / "out", *more))
        assert result.exit_code == 2
        assert message in result.stderr
    result = run("explain", "--dataset", "nothing", "--method", "random", "--out", tmp_path / "o")
    assert "unknown data set 'nothing'" in result.stderr


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("model", [(), ("--model", "gin")])
def test_no_command_trains_twice(tmp_path: Path, model: tuple[str, ...]) -> None:
    folder = tmp_path / "cache"
    options = ("--index", "300", "--cache", folder, *model)
    first = run(*words(tmp_path / "a", *options))
    again = run(*words(tmp_path / "b", *options))
    assert "model: trained in" in first.stderr + first.stdout
    (file,) = folder.iterdir()
    told = "".join((again.stderr + again.stdout).split())
    assert f"model:readfrom{file}" in told
    saved = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert saved[0] == saved[1]
    without = run(*words(tmp_path / "c", "--index", "300", "--no-cache", *model))
    assert "not kept" in without.stderr + without.stdout
    assert not Path(os.environ["GLASSGRAPH_CACHE"]).exists()


@pytest.mark.usefixtures("hasty")
def test_the_cache_is_where_the_environment_says(tmp_path: Path) -> None:
    assert run(*words(tmp_path / "out", "--index", "300")).exit_code == 0
    assert len(list(Path(os.environ["GLASSGRAPH_CACHE"]).iterdir())) == 1


def test_a_cache_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    both = run(*words(tmp_path, "--cache", tmp_path, "--no-cache"))
    assert (both.exit_code, "--cache DIR or --no-cache" in both.stderr) == (2, True)
    taken = run(*words(tmp_path, "--cache", file))
    assert (taken.exit_code, "--cache:" in taken.stderr) == (2, True)
    monkeypatch.setenv("GLASSGRAPH_CACHE", str(file))
    taken = run(*words(tmp_path))
    assert (taken.exit_code, "GLASSGRAPH_CACHE:" in taken.stderr) == (2, True)


def test_datasets_lists_every_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = run("datasets", "--json", tmp_path / "datasets.json")
    assert result.exit_code == 0
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    rows = json.loads((tmp_path / "datasets.json").read_text())
    assert [row["name"] for row in rows] == list(gg.datasets.DATASETS)
    for row in rows:
        assert row["name"] in result.stdout
        assert f"{row['edges']:,}" in result.stdout, "no digit is cut"
        assert row["license"]
        assert (row["how_to_get"] == "generated") == row["generated"]
        assert row["generated"] or all(part in row["how_to_get"] for part in row["files"])


def test_one_data_set(tmp_path: Path) -> None:
    result = run("datasets", "Mutagenicity", "--json", tmp_path / "one.json")
    assert "Mutagenicity_edge_gt.txt" in result.stdout
    assert "PGExplainer" in result.stdout
    assert "1,015 explained by default" in result.stdout
    (row,) = json.loads((tmp_path / "one.json").read_text())
    assert row["truth"] == "edges"
    unknown = run("datasets", "pubmed")
    assert (unknown.exit_code, "known are ba-shapes" in unknown.stderr) == (2, True)


def test_files_that_are_not_there_have_an_origin(tmp_path: Path) -> None:
    for name in ("cora", "mutag"):
        result = run(
            "explain", "--dataset", name, "--root", tmp_path, "--method", "random",
            "--out", tmp_path / "out",
        )  # fmt: skip
        assert result.exit_code == 2
        assert "github.com/kimiyoung" in result.stderr or "TUDataset" in result.stderr
