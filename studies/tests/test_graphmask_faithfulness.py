"""The faithfulness study on a small budget: its halves, its areas, its bars, rows and table."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import glassgraph as gg
from glassgraph.core.reachability import near_messages
from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.models import GCN, TrainedModel, train
from glassgraph.models.training import accuracy
from glassgraph_studies.reproduce.graphmask_faithfulness import experiment as study
from tests.cli.helpers import run

KEYS = {
    "dataset", "seed", "fitted", "explained", "unchanged", "kept", "kept_by_layer", "drop_kept",
    "drop_shut", "drop_masked", "auc_own", "auc_union", "fit_seconds", "explain_seconds",
    "test_accuracy", "tolerance_met", "missed", "is_met", "free_unchanged", "free_kept",
}  # fmt: skip

GOOD = {
    "dataset": "ba-shapes", "unchanged": 0.97, "kept": 0.2, "drop_kept": 0.375, "drop_shut": 0.125,
    "auc_union": 0.95,
}  # fmt: skip

WIDEST = {
    "dataset": "tree-cycles", "seed": 12, "unchanged": 1.0, "kept": 1.0,
    "kept_by_layer": [0.21, 1.0, 1.0], "drop_kept": 0.392, "drop_shut": 0.123, "auc_own": 0.5,
    "auc_union": 1.0, "fit_seconds": 123.4, "explain_seconds": 5.6, "test_accuracy": 1.0,
    "is_met": True, "missed": [], "free_unchanged": 1.0, "free_kept": 0.123,
}  # fmt: skip


def quickly(dataset: ExplanationDataset, seed: int = 0, progress: bool = True) -> TrainedModel:
    """A small model that has hardly been trained."""
    torch.manual_seed(seed)
    model = GCN(dataset.num_features, 5, dataset.num_classes, dataset.level, normalize=False)
    training = train(model, dataset, epochs=20, seed=seed, progress=False)
    return TrainedModel(model, accuracy(model, dataset), None, True, training)


def test_halves_are_all_nodes_and_do_not_meet() -> None:
    dataset = load_dataset("tree-cycles", seed=3)
    fitted, explained = study.halves(dataset, seed=3)
    assert not set(fitted.tolist()) & set(explained.tolist())
    everything = torch.arange(dataset.graphs[0].num_nodes)
    assert torch.equal(torch.cat([fitted, explained]).sort().values, everything)
    assert abs(len(fitted) - len(explained)) <= 1
    assert not torch.equal(fitted, study.halves(dataset, seed=4)[0])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_explained_was_never_fitted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = load_dataset("tree-cycles", seed=0)
    seen: dict[str, Any] = {}

    class Spy(gg.GraphMask):
        def fit(self, data: Any, index: Any = None, *, validation: Any = None) -> Spy:
            assert validation is None
            seen["fit"] = index
            return super().fit(data, index)

        def explain(self, data: Any, index: Any = None, *rest: Any, **more: Any) -> Any:
            seen["explain"] = index
            return super().explain(data, index, *rest, **more)

    monkeypatch.setattr(study, "GraphMask", Spy)
    row = study.measure(dataset, quickly(dataset), seed=0, steps=5, repeats=1, progress=False)
    fitted, explained = study.halves(dataset, seed=0)
    assert torch.equal(seen["fit"], fitted)
    assert torch.equal(seen["explain"], explained)
    assert set(row) == KEYS
    assert (row["fitted"], row["explained"]) == (len(fitted), len(explained))


def test_the_kept_shares_of_layers_are_those_of_the_messages() -> None:
    dataset = load_dataset("tree-cycles", seed=1)
    trained = quickly(dataset)
    data = dataset.graphs[0]
    index = study.halves(dataset, seed=0)[0][:31]
    explainer = gg.GraphMask(trained.model, steps=30, progress=False, tolerance=10.0)
    explanations = explainer.fit(data, index).explain(data, index)
    found = study._faithfulness(explainer, data, explanations, 0, 1)
    sent = kept = torch.zeros(3)
    for batch_position, batch in explainer.prepare(data).batches(
        explainer.prepare(data).instances(index), None, explainer.memory_budget
    ):
        assert len(batch_position) == len(index)
        is_sent = near_messages(batch)
        sent = is_sent.sum(dim=1)
        score = explainer.attribute(batch).layer_edge
        kept = ((score > 0.5) & is_sent).sum(dim=1)
    assert found["kept_by_layer"] == pytest.approx((kept / sent).tolist())
    assert found["kept"] == pytest.approx(float(kept.sum() / sent.sum()))
    shares = study.decisions(explainer, data, explanations)
    assert shares == pytest.approx((found["unchanged"], found["kept"]))


def test_the_union_takes_the_highest_score_of_an_edge_and_leaves_out_unseen_ones() -> None:
    def area(truth: list[bool], *fields: tuple[list[int], list[float]]) -> float | None:
        parts = [
            SimpleNamespace(edge=torch.tensor(e), edge_score=torch.tensor(s)) for e, s in fields
        ]
        explanations: Any = SimpleNamespace(own_parts=lambda: parts)
        return study.union_auc(explanations, torch.tensor(truth))

    # Edge 1 has .2 and .8; edge 4 is in no field. True edges 0, 1 beat 2 and 3, but for .7 < .75.
    truth = [True, True, False, False, True]
    assert area(truth, ([0, 1, 2], [0.7, 0.2, 0.1]), ([1, 3], [0.8, 0.75])) == 0.75
    assert area([True, True, False, False, True], ([0, 1], [0.7, 0.2])) is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"unchanged": 0.969}, ["unchanged"]),
        ({"kept": 0.21}, ["kept"]),
        ({"drop_shut": 0.126}, ["drop"]),
        ({"drop_kept": 0.0, "drop_shut": 0.0}, ["drop"]),
        ({"auc_union": 0.949}, ["auc_union"]),
        ({"auc_union": None}, ["auc_union"]),
        ({"dataset": "tree-cycles", "auc_union": 0.6}, []),
    ],
)
def test_bars(change: dict[str, Any], expected: list[str]) -> None:
    assert study.missed({**GOOD, **change}, "node") == expected


def test_graphs_may_keep_more() -> None:
    assert study.missed({**GOOD, "kept": 0.5}, "graph") == []
    assert study.missed({**GOOD, "kept": 0.51}, "graph") == ["kept"]


@pytest.mark.slow("bars and shares by hand: test_bars and those before it")
def test_the_command_prints_a_row_for_each_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "reference_model", quickly)
    result = run(
        "reproduce", "graphmask-faithfulness", "--dataset", "tree-cycles", "--seeds", 2,
        "--steps", 3, "--free", "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [(row["dataset"], row["seed"]) for row in rows] == [
        ("tree-cycles", 0),
        ("tree-cycles", 1),
    ]
    lines = [line for line in result.stdout.splitlines() if "tree-cycles" in line]
    assert len(lines) == 4
    assert f"{100 * rows[0]['unchanged']:.1f}" in lines[0].split()
    assert lines[3].split()[2:] == [
        f"{100 * rows[1][key]:.1f}" for key in ("free_unchanged", "free_kept")
    ]
    assert "tree-cycles, seed 1: " in result.stderr


def test_the_widest_row_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "run_faithfulness", lambda **_: iter([WIDEST]))
    result = run("reproduce", "graphmask-faithfulness", "--dataset", "tree-cycles", "--quiet")
    assert result.exit_code == 0, result.output
    assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= 80
    words = [
        "tree-cycles",
        "12",
        "100.0",
        "100.0",
        "21/100/100",
        "39.2/12.3",
        "50.0",
        "100.0",
        "123",
        "yes",
    ]
    assert [line for line in result.stdout.splitlines() if line.split() == words]


def test_mutag_is_left_out_without_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(study, "load_dataset", lambda name, **_: seen.append(name))
    monkeypatch.setattr(study, "reference_model", lambda *_, **__: None)
    monkeypatch.setattr(study, "measure", lambda *_, **__: WIDEST)
    result = run("reproduce", "graphmask-faithfulness", "--seeds", 1)
    assert result.exit_code == 0, result.output
    assert seen == ["ba-shapes", "tree-cycles", "ba-2motifs"]
    assert "mutag is left out" in result.stderr
