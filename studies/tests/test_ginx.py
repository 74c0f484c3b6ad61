"""The GInX study on few graphs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.errors import UnknownMethodError
from glassgraph.models import GIN, Body, TrainedModel, train
from glassgraph.models.training import accuracy
from glassgraph_studies.reproduce.ginx import experiment as study
from tests.cli.helpers import run


def few(name: str, seed: int) -> ExplanationDataset:
    """Sixty graphs of the data set, every fifth for validation and as many for test."""
    whole = load_dataset(name, seed=seed)
    number = torch.arange(60)
    part = {"train": number[number % 5 > 1], "val": number[number % 5 == 0],
            "test": number[number % 5 == 1]}  # fmt: skip
    order = torch.arange(0, len(whole.graphs), len(whole.graphs) // 60)[:60]
    return replace(
        whole,
        graphs=[whole.graphs[i] for i in order.tolist()],
        split=part,
        explained=part["test"],
    )


def quickly(dataset: ExplanationDataset, seed: int, progress: bool) -> TrainedModel:
    torch.manual_seed(seed)
    model = GIN(10, 8, 2, "graph", body=Body(num_layers=2, pool=("add", "max")))
    training = train(model, dataset, epochs=15, learning_rate=0.02, seed=seed, progress=False)
    return TrainedModel(model, accuracy(model, dataset), None, True, training)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "load_dataset", few)
    monkeypatch.setattr(study, "reference_model", quickly)


def test_truth_and_its_inverse_stand_beside_methods(tmp_path: Path) -> None:
    result = run(
        "reproduce", "ginx", "--seeds", 1, "--epochs", 2, "--share", 0.3, "--share", 0.6,
        "--method", "truth", "--method", "inverse_truth", "--method", "edge_gradients",
        "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads((tmp_path / "rows.json").read_text())
    assert list(dict.fromkeys(row["method"] for row in rows)) == [
        "truth", "inverse_truth", "edge_gradients",
    ]  # fmt: skip
    assert [row["level"] for row in rows[:4]] == ["0", "0.3", "0.6", ""]
    assert all(row["floor"] is not None and row["n"] == 12 for row in rows)
    assert "EdgeRank" in result.stdout
    assert "seed 0: test accuracy" in result.stderr


def test_the_truth_is_the_motif() -> None:
    dataset = few("ba-2motifs", 0)
    trained: Any = None
    truth = study.scores_of("truth", dataset, trained, 0)
    inverse = study.scores_of("inverse_truth", dataset, trained, 0)
    for graph, one, other in zip(dataset.graphs, truth, inverse, strict=True):
        assert torch.equal(one, graph.ground_truth_edge_mask.float())
        assert torch.equal(one, -other)


def test_unknown_methods_are_refused_before_anything_is_made() -> None:
    with pytest.raises(UnknownMethodError, match="there is no method 'truht'"):
        list(study.run_ginx(methods=["truht"]))
