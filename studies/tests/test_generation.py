"""XGNN and GNNInterpreter side by side: what is counted, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import GINConv, global_mean_pool

from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.datasets.is_acyclic import is_acyclic
from glassgraph.errors import DatasetError, HyperParameterError
from glassgraph.models import TrainedModel
from glassgraph_studies.reproduce.generation import experiment as study
from glassgraph_studies.reproduce.xgnn import experiment as scenes
from tests.cli.helpers import run


class Degrees(nn.Module):
    """Class 0: many neighbors, and neighbors with many."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = GINConv(nn.Identity()), nn.Linear(1, 2)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[1.0], [-1.0]]))
            self.head.bias.copy_(torch.tensor([-6.0, 6.0]))

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        out: Tensor = self.head(global_mean_pool(self.conv(x, edge_index), batch))
        return out


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def few(name: str, root: Path | None = None, seed: int = 0) -> ExplanationDataset:
        return is_acyclic(seed, 22, (3, 9)) if name == "is-acyclic" else load_dataset(name, root)

    def known(*_: Any, **__: Any) -> TrainedModel:
        model: Any = Degrees()
        training: Any = None
        return TrainedModel(model, {"train": 1.0, "val": 1.0, "test": 1.0}, None, True, training)

    monkeypatch.setattr(scenes, "load_dataset", few)
    monkeypatch.setattr(scenes, "reference_model", known)
    monkeypatch.setattr(study, "RANDOM", 5)


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore::glassgraph.explainers.model_explainer.UnreachedClassWarning")
def test_all_methods_are_counted_alike() -> None:
    outcomes = list(study.run_generation(["is-acyclic"], max_nodes=[4], iterations=1))
    assert [(o.row["method"], o.row["target"]) for o in outcomes] == [
        (method, target) for target in study.NAMES["is-acyclic"] for method in study.METHODS
    ]
    for outcome in outcomes:
        row, found = outcome.row, outcome.generated
        assert row["graphs"] == len(found) == 10
        assert row["distinct"] == len(set(found.first_alike()))
        assert row["probability"] == pytest.approx(float(found.probability.mean()))
        assert row["valid"] == found.validity == 1.0
        assert row["refused"] == 0, "there are no rules"
    one, other = (o.row["random_probability"] for o in outcomes[:2])
    assert one == other, "the same random graphs for all methods"


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore::glassgraph.explainers.model_explainer.UnreachedClassWarning")
def test_the_command(tmp_path: Path) -> None:
    words = ["--dataset", "is-acyclic", "--max-nodes", "3", "--iterations", "1", "--target", "1"]
    file = tmp_path / "rows.json"
    result = run("reproduce", "generation", *words, "--json", str(file), "--html", str(tmp_path))
    assert "gnn_interpreter" in result.output
    rows = json.loads(file.read_text())
    assert {row["name"] for row in rows} == {"acyclic"}
    assert (tmp_path / "is-acyclic-acyclic-3-gnn_interpreter-examples.html").is_file()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"datasets": ["cora"]}, DatasetError, "no problem 'cora'"),
        ({"targets": [2]}, HyperParameterError, "classes 0 and 1; got 2"),
        ({"max_nodes": [2]}, HyperParameterError, "at least 3, got 2"),
        ({"methods": ["saliency"]}, HyperParameterError, "got 'saliency'"),
    ],
)
def test_what_does_not_exist(options: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        next(study.run_generation(**{"datasets": ["is-acyclic"], **options}))
