"""The edge gradients study in small, where the answers are known by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

import glassgraph as gg
from glassgraph.errors import DatasetError, HyperParameterError
from glassgraph_studies.reproduce.edge_gradients import bars, models, scenes
from glassgraph_studies.reproduce.edge_gradients import experiment as study
from studies.tests.citations import citations
from studies.tests.test_edge_gradient_models import QUICK, SMALL, write_trees
from tests.cli.helpers import run

KEYS = {
    "dataset", "model", "layers", "seed", "instances", "edges", "accuracy", "epochs",
    "gnn_explainer", "edge", "layer", "flips_together", "flips_alone", "gap", "reverse",
    "published", "train_seconds", "explain_seconds",
}  # fmt: skip
INFECTED = {
    "num_graphs": 2, "num_nodes": 60, "edge_probability": 0.05, "num_infected": 5,
}  # fmt: skip


@pytest.fixture(scope="module")
def evidence() -> study.Outcome:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "EPOCHS", 200)
        (found,) = study.run_edge_gradients(
            ["negative-evidence"], instances=12, progress=False, **SMALL
        )
    return found


def test_negative_evidence_by_hand(evidence: study.Outcome) -> None:
    """One linear layer: gradients are weights, occlusion is the gradient, no sign ever changes."""
    row, data = evidence.row, evidence.scene.data
    assert set(row) == KEYS
    assert row["instances"] == 12
    assert row["flips_together"] == row["flips_alone"] == 0.0
    assert bars.value_of(row, "gradients_occlusion") == pytest.approx(1.0, abs=1e-5)
    assert bars.value_of(row, "learned_positive") > 0.9
    assert row["reverse"] > 0.9
    ones, shares = [], []
    for node in evidence.scene.index.tolist():
        source = data.edge_index[0, data.edge_index[1] == node]
        color = data.x[source].argmax(dim=1)
        wanted = 1 if data.y[node] == 1 else 2
        shares.append(int((color == wanted).sum()) / len(color))
        ones.append(math.sqrt(shares[-1]))
    mean = sum(ones) / len(ones)
    found = bars.cosine_of(row, "edge", "all ones", "positive gradients")
    assert found == pytest.approx(mean, abs=1e-6)
    # Half of the mask's logit moves as one: with one layer both levels are the same.
    for a, b in zip(row["edge"]["cosine"], row["layer"]["cosine"], strict=True):
        assert a[:4] == pytest.approx(b[:4], abs=1e-3)


def test_matrices_are_means_over_predictions(evidence: study.Outcome) -> None:
    names = list(evidence.runs)
    for one in names:
        for other in names:
            cosines = []
            for i in range(12):
                a, b = (evidence.runs[name].local(i).edge_score for name in (one, other))
                cosines.append(float(functional.cosine_similarity(a, b, dim=0)))
            found = bars.cosine_of(evidence.row, "edge", one, other)
            assert found == pytest.approx(sum(cosines) / 12, abs=1e-5)
    assert evidence.row["edge"]["names"] == [*names, "random", "all ones"]
    assert evidence.row["edge"]["defined"][0] == [12] * 6


def test_the_reverse_explanation_is_about_the_other_class(evidence: study.Outcome) -> None:
    scene, runs = evidence.scene, evidence.runs
    predicted = torch.tensor([runs[bars.LEARNED].local(i).target for i in range(12)])
    made = gg.GNNExplainer(
        scene.network.model, "node", **scene.shared, **scene.gnn_explainer
    ).explain(scene.data, scene.index, 1 - predicted)
    cosines = [
        functional.cosine_similarity(
            runs[bars.LEARNED].local(i).edge_score - made.local(i).edge_score,
            runs[bars.GRADIENTS].local(i).edge_score,
            dim=0,
        )
        for i in range(12)
    ]
    assert evidence.row["reverse"] == pytest.approx(float(torch.stack(cosines).mean()), abs=1e-6)


def test_linear_networks_on_papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "planetoid", lambda name, root: citations())
    (tmp_path / "planetoid").mkdir()
    outcomes = study.run_edge_gradients(
        ["cora"], ["sgc"], (1, 2), root=tmp_path, instances=4, recipe=QUICK, progress=False
    )
    rows = [outcome.row for outcome in outcomes]
    assert [(row["model"], row["layers"], row["instances"]) for row in rows] == [
        ("sgc", 1, 4), ("sgc", 2, 4),
    ]  # fmt: skip
    for row in rows:
        assert row["gap"] <= 1e-12
        assert bars.value_of(row, "layer_gradients_occlusion") == pytest.approx(1.0)
    assert rows[0]["flips_together"] == rows[0]["flips_alone"] == 0.0
    assert rows[1]["published"]["learned_positive"] == ".892"
    assert [bar.is_met for bar in bars.bars(rows)] == [True]


@pytest.mark.slow("rows of planted evidence: test_the_command")
def test_infection_and_sentences_have_their_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = study.run_edge_gradients(
        ["infection"], seeds=(0, 1), instances=6, explainer_epochs=7, progress=False, **INFECTED
    )
    rows = [outcome.row for outcome in outcomes]
    assert [(row["seed"], row["model"], row["layers"]) for row in rows] == [
        (0, "sage", 4), (1, "sage", 4),
    ]  # fmt: skip
    assert rows[0]["gap"] is None
    assert rows[0]["reverse"] is None
    assert rows[0]["gnn_explainer"]["epochs"] == 7
    assert rows[0]["edge"]["cosine"] != rows[1]["edge"]["cosine"]
    assert 0 <= rows[0]["flips_alone"] <= 1
    (outcome,) = study.run_edge_gradients(
        ["infection-pyg"], instances=6, explainer_epochs=7, progress=False, **INFECTED
    )
    row = outcome.row
    assert (row["dataset"], row["model"], row["layers"]) == ("infection-pyg", "sage", 4)
    assert row["published"]["learned_positive"] == ".8472"
    assert row["gnn_explainer"]["init_scale"] == pytest.approx(math.sqrt(2 / 60))
    monkeypatch.setattr(study, "_ALONE", 1)
    outcomes = study.run_edge_gradients(
        ["sentiment"], ["gat"], (2,), root=write_trees(tmp_path), recipe=QUICK, progress=False
    )
    rows = [outcome.row for outcome in outcomes]
    assert rows[0]["edge"]["names"][4] == "attention"
    assert "attention" not in rows[0]["layer"]["names"]
    assert rows[0]["published"] == {}
    assert rows[0]["flips_alone"] is None


def test_published_numbers() -> None:
    assert bars.published("negative-evidence", "sage", 1) == {
        "learned_positive": ".9979", "reverse": ".9741",
    }  # fmt: skip
    assert bars.published("cora", "sgc", 5)["flips"] == "5.5e-3"
    assert bars.published("cora", "sgc", 3)["layer_learned_occlusion"] == ".400"
    assert bars.published("cora", "gcn", 1) == {"learned_positive": "~.97"}
    assert bars.published("cora", "gcn", 5) == {"learned_positive": "~.77"}
    assert bars.published("cora", "gcn", 3) == {}


def fake(dataset: str, cosine: float | None, gap: float | None = None) -> dict[str, Any]:
    matrix = {
        "names": [bars.LEARNED, bars.POSITIVE],
        "cosine": [[1.0, cosine], [cosine, 1.0]],
    }
    return {"dataset": dataset, "edge": matrix, "gap": gap}


def test_bars_are_about_means_and_the_largest_gap() -> None:
    rows = [
        fake("infection", 0.80),
        fake("infection", 0.90),
        fake("infection", None),
        fake("negative-evidence", 0.98),
        fake("cora", 0.5, 1e-9),
        fake("cora", 0.5, 2e-6),
    ]
    evidence, infection, gap = bars.bars(rows)
    assert (infection.found, infection.is_met) == (pytest.approx(0.85), True)
    assert (evidence.found, evidence.is_met) == (0.98, False)
    assert (gap.found, gap.is_met) == (2e-6, False)
    assert bars.bars([fake("cora", 0.5)]) == []


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="unknown data set 'pubmed'; there are negative-evid"):
        list(study.run_edge_gradients(["pubmed"]))
    with pytest.raises(HyperParameterError, match="unknown network 'mlp'; there are"):
        list(study.run_edge_gradients(["cora"], ["mlp"]))
    with pytest.raises(HyperParameterError, match="no network to explain: mutag with sgc"):
        list(study.run_edge_gradients(["mutag"], ["sgc"], root=tmp_path))
    with pytest.raises(HyperParameterError, match=r"layers must be positive numbers; got \[0\]"):
        list(study.run_edge_gradients(["cora"], layers=(0,), root=tmp_path))


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "EPOCHS", 100)
    monkeypatch.setattr(scenes, "negative_evidence", lambda seed, **_: negative(seed))
    result = run(
        "reproduce", "edge-gradients", "--dataset", "negative-evidence", "--nodes", 5,
        "--json", tmp_path / "rows.json", "--figure", tmp_path / "maps.svg", "--html",
        tmp_path / "pages",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert set(row) == KEYS
    assert max(map(len, result.stdout.splitlines())) <= 80
    measured = bars.value_of(row, "learned_positive")
    lines = result.stdout.splitlines()
    summary = next(line for line in reversed(lines) if ".9979" in line)
    assert summary.split()[:6] == ["neg.", "evidence", "sage", "1", ".9979", f"{measured:.3f}"]
    reverse = next(line for line in lines if ".9741" in line)
    assert reverse.split()[-1] == f"{row['reverse']:.3f}"
    assert sum("all ones" in line for line in lines) == 2
    verdict = "reached" if measured >= 0.99 else "MISSED"
    assert f"{verdict}: negative-evidence: cosine of GNNExplainer and pos" in result.stderr
    assert f"{measured:.4g}, wanted >= 0.99" in result.stderr
    page = (tmp_path / "pages" / "negative-evidence-sage-1-seed-0.html").read_text()
    assert "heat-map" in page
    assert "negative-evidence, sage, layers 1, seed 0" in page
    assert (tmp_path / "maps.svg").stat().st_size > 10_000


def negative(seed: int) -> Any:
    from glassgraph.datasets.negative_evidence import negative_evidence

    return negative_evidence(seed, **SMALL)


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    result = run("reproduce", "edge-gradients", "--dataset", "cora", "--root", tmp_path)
    assert result.exit_code == 2
    assert "root must be a folder that holds planetoid" in result.stderr
    result = run("reproduce", "edge-gradients", "--dataset", "pubmed")
    assert result.exit_code == 2
    assert "unknown data set 'pubmed'" in result.stderr
    result = run("reproduce", "edge-gradients", "--figure", tmp_path / "maps.txt")
    assert result.exit_code == 2
    assert "the file must end in" in result.stderr
