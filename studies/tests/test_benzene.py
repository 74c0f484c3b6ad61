"""The benzene study on a file of a few molecules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.errors import DatasetError, UnknownMethodError
from glassgraph.models import RGCN, Body, TrainedModel, train
from glassgraph.models.training import accuracy
from glassgraph_studies.reproduce.benzene import experiment as study
from tests.cli.helpers import run
from tests.datasets.benzene_file import write

BODY = Body(num_layers=2, concat=False, pool=("mean",), activate_last=True)
KEYS = {
    "method", "seed", "auc", "molecules", "scored", "seconds_per_molecule", "test_accuracy",
}  # fmt: skip


def quickly(dataset: ExplanationDataset, seed: int = 0, progress: bool = True) -> TrainedModel:
    """A small network, good enough for rings and chains."""
    torch.manual_seed(seed)
    model = RGCN(14, 8, 2, 5, "graph", aggr="add", body=BODY)
    training = train(model, dataset, epochs=15, learning_rate=0.02, seed=seed, progress=False)
    return TrainedModel(model, accuracy(model, dataset), 0.95, True, training)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(study, "reference_model", quickly)
    return write(tmp_path, copies=4)


def test_every_method_of_the_table_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {
        "gnn_explainer": {"epochs": 3, "feature_mask": "none"},
        "integrated_gradients": {"steps": 5},
    }
    monkeypatch.setattr(study, "SETTINGS", quick)
    ((_, rows),) = study.run_benzene(root, range(1), progress=False)
    assert [row["method"] for row in rows] == list(study.METHODS)
    for row in rows:
        assert set(row) == KEYS
        assert (row["molecules"], row["scored"]) == (8, 8)
        assert 0 <= row["auc"] <= 1


def test_the_sample_is_right_molecules_of_the_explained(root: Path) -> None:
    dataset = load_dataset("benzene", root)
    assert len(dataset.explained) == 8
    wrong = set(dataset.explained[:3].tolist())

    class Oracle(torch.nn.Module):
        def forward(
            self, x: Tensor, edge_index: Tensor, edge_type: Tensor, batch: Tensor
        ) -> Tensor:
            classes = [0 if number in wrong else 1 for number in dataset.explained.tolist()]
            return torch.nn.functional.one_hot(torch.tensor(classes), 2).float()

    trained: Any = TrainedModel(Oracle(), {}, None, True, None)  # type: ignore[arg-type]
    everything = study.draw_sample(dataset, trained, 99, seed=0)
    assert everything.tolist() == dataset.explained[3:].tolist()
    some = study.draw_sample(dataset, trained, 3, seed=0)
    assert torch.equal(some, study.draw_sample(dataset, trained, 3, seed=0))
    assert torch.equal(some, some.sort().values)
    assert set(some.tolist()) < set(everything.tolist())
    drawn = {tuple(study.draw_sample(dataset, trained, 3, seed).tolist()) for seed in range(5)}
    assert len(drawn) > 1
    wrong |= set(dataset.explained.tolist())
    with pytest.raises(DatasetError, match="finds no ring"):
        study.draw_sample(dataset, trained, 3, seed=0)


def test_unknown_methods_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UnknownMethodError, match="there is no method 'gradcams'"):
        list(study.run_benzene(tmp_path / "nowhere", methods=["random", "gradcams"]))


def test_the_command_prints_each_seed(root: Path, tmp_path: Path) -> None:
    result = run(
        "reproduce", "benzene", "--root", root, "--seeds", 2, "--molecules", 5, "--method", "lrp",
        "--method", "random", "--json", tmp_path / "rows.json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [(row["method"], row["seed"]) for row in rows] == [
        ("lrp", 0), ("random", 0), ("lrp", 1), ("random", 1),
    ]  # fmt: skip
    line = next(line for line in result.stdout.splitlines() if "lrp" in line)
    mean = (rows[0]["auc"] + rows[2]["auc"]) / 2
    areas = [f"{rows[0]['auc']:.4f}", f"{rows[2]['auc']:.4f}"]
    assert line.split()[:5] == ["lrp", f"{mean:.4f}", *areas, "10"]
    assert "seed 1: test accuracy" in result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    result = run("reproduce", "benzene", "--root", tmp_path)
    assert result.exit_code == 2
    assert "no benzene_graphs.npz in" in result.stderr
