"""Pooled accuracy: the numbers of scikit-learn, and an interval that draws instances."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from glassgraph.metrics.accuracy import accuracy, node_accuracy


class Scored(list[Any]):
    """Explanations with scores of our choosing."""

    method = "chosen"

    def local(self, i: int) -> Any:
        return self[i]


def scored(seed: int, count: int = 11, ties: bool = True) -> Scored:
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(count):
        size = int(torch.randint(3, 14, (1,), generator=generator))
        truth = torch.arange(size) < 2
        score = torch.rand(size, generator=generator, dtype=torch.float64) + 0.4 * truth
        if ties:
            score = (score * 5).round()
        found.append(local(truth, score))
    return Scored(found)


def local(truth: torch.Tensor | None, score: torch.Tensor) -> Any:
    return SimpleNamespace(
        edge_truth=truth,
        edge_score=score,
        layer_edge_score=None,
        node_score=None,
        feature_score=None,
        index=0,
        edge_index=torch.zeros(2, len(score), dtype=torch.long),
        node_truth=None,
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ties", [True, False])
def test_pooled_numbers_are_those_of_scikit_learn(seed: int, ties: bool) -> None:
    runs = scored(seed, ties=ties)
    truth = np.concatenate([each.edge_truth.numpy() for each in runs])
    score = np.concatenate([each.edge_score.numpy() for each in runs])
    auc, precision = accuracy(runs)  # type: ignore[arg-type]
    assert auc.estimate.value == pytest.approx(roc_auc_score(truth, score))
    assert precision.estimate.value == pytest.approx(average_precision_score(truth, score))
    assert auc.estimate.n == len(runs)


def test_the_interval_draws_instances() -> None:
    right = local(torch.tensor([True, False]), torch.tensor([2.0, 1.0]))
    auc, _ = accuracy(Scored([right] * 7))  # type: ignore[arg-type]
    assert (auc.estimate.value, auc.estimate.low, auc.estimate.high) == (1.0, 1.0, 1.0)
    wrong = local(torch.tensor([True, False]), torch.tensor([1.0, 2.0]))
    auc, _ = accuracy(Scored([right, wrong] * 4))  # type: ignore[arg-type]
    # Of pairs with the scores 2, 1 and 1, 2, half of the true ones lead: 1/2 in expectation.
    assert auc.estimate.value == 0.5
    assert auc.estimate.low < 0.3 < 0.7 < auc.estimate.high


def test_one_instance_has_no_interval_and_none_no_number() -> None:
    one = local(torch.tensor([True, False]), torch.tensor([2.0, 1.0]))
    auc, _ = accuracy(Scored([one]))  # type: ignore[arg-type]
    assert auc.estimate.value == 1.0
    assert np.isnan(auc.estimate.low)
    without = [
        local(None, torch.tensor([2.0, 1.0])),
        local(torch.tensor([True, True]), torch.tensor([2.0, 1.0])),
    ]
    auc, _ = accuracy(Scored(without))  # type: ignore[arg-type]
    assert np.isnan(auc.estimate.value)
    assert auc.estimate.n == 0


def test_the_best_of_several_true_sets_of_nodes_counts() -> None:
    truth = torch.tensor([[True, False], [False, True], [False, True]])
    score = torch.tensor([0.0, 1.0, 2.0])
    one = SimpleNamespace(
        node_truth=truth, node_score=score, feature_score=None, edge_score=None, index=0
    )
    (found,) = node_accuracy(Scored([one, one]))  # type: ignore[arg-type]
    assert (found.metric, found.estimate.value, found.estimate.n) == ("node_auc", 1.0, 2)
