"""Folds, and what a protocol lets the trainer see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glassgraph.datasets.is_acyclic import is_acyclic
from glassgraph.errors import HyperParameterError
from glassgraph_studies.reproduce.xgnn import cross_validation as study


def test_folds_hold_every_item_once_and_every_class_evenly() -> None:
    labels = torch.tensor([0, 1, 1] * 17)
    parts = study.folds(labels, 5, seed=2)
    assert torch.cat(parts).sort().values.tolist() == list(range(51))
    assert sorted(len(part) for part in parts) == [10, 10, 10, 10, 11]
    assert {int(labels[part].sum()) for part in parts} <= {6, 7}
    assert {int((1 - labels[part]).sum()) for part in parts} <= {3, 4}
    assert all(torch.equal(a, b) for a, b in zip(parts, study.folds(labels, 5, 2), strict=True))
    assert not torch.equal(parts[0], study.folds(labels, 5, 3)[0])


def test_only_the_optimistic_protocol_looks_at_the_test_fold() -> None:
    parts = study.folds(torch.tensor([0, 1] * 11), 4, seed=0)
    for test in range(4):
        mine = set(parts[test].tolist())
        for protocol in study.PROTOCOLS:
            split = {name: set(ids.tolist()) for name, ids in _split(parts, test, protocol).items()}
            assert split["test"] == mine
            assert not split["train"] & mine
            assert bool(split["val"] & mine) == (protocol == "test")
            if protocol == "validation":
                assert split["val"] == set(parts[(test + 1) % 4].tolist())
                assert not split["train"] & split["val"]
            else:
                assert len(split["train"]) == 22 - len(mine)
        assert _split(parts, test, "training")["val"] is not parts[test]


def _split(parts: list[Tensor], test: int, protocol: Any) -> dict[str, Tensor]:
    return study.split_of(parts, test, protocol)


class Constant(nn.Module):
    """Always the same class; trained in vain."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.score = nn.Parameter(torch.tensor(5.0))

    def forward(self, x: Tensor, batch: Tensor) -> Tensor:
        rows = int(batch.max()) + 1
        return torch.stack([self.score.expand(rows), torch.zeros(rows)], dim=1)


def test_every_fold_is_tested_with_a_model_of_its_own() -> None:
    dataset = is_acyclic(0, 42, (3, 13))
    seeds: list[int] = []

    def make(seed: int) -> nn.Module:
        seeds.append(seed)
        return Constant(seed)

    training = {"epochs": 1, "learning_rate": 1e-6}
    found = study.cross_validate(dataset, make, training, number=6, seed=3)
    assert seeds == [18, 19, 20, 21, 22, 23]
    assert sum(found) / 6 == pytest.approx(0.5, abs=0.03)  # half of the graphs are of class 0
    assert all(0.4 < each < 0.6 for each in found)
    flipped = replace(dataset, graphs=[_as_first_class(graph) for graph in dataset.graphs])
    assert study.cross_validate(flipped, make, training, number=6) == [1.0] * 6


def _as_first_class(graph: Any) -> Any:
    copy = graph.clone()
    copy.y = torch.tensor([0])
    return copy


def test_summary_by_hand() -> None:
    found = study.summary([[1.0, 0.5], [0.75, 0.75]])
    assert found == {"mean": 0.75, "std": 0.125, "least": 0.75}


def test_what_is_not_there_is_told() -> None:
    labels = torch.tensor([0, 1] * 4)
    with pytest.raises(HyperParameterError, match="folds must be at least 3 and at most 8"):
        study.folds(labels, 9, 0)
    with pytest.raises(HyperParameterError, match="no protocol 'hope'"):
        _split(study.folds(labels, 4, 0), 0, "hope")
