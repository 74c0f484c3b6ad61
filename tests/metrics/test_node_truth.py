"""Accuracy against true nodes, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.errors import UnknownMetricError
from glassgraph.metrics import node_scores, node_truth_accuracy
from tests.metrics.scenes import FEATURES, TwoLayers


def graph(truth: list[list[int]] | None, nodes: int = 5) -> Data:
    """A path of nodes; each list is an alternative."""
    ends = torch.stack([torch.arange(nodes - 1), torch.arange(1, nodes)])
    data = Data(x=torch.ones(nodes, FEATURES).double(), edge_index=ends)
    if truth is not None:
        data.node_truth = torch.zeros(nodes, 3, dtype=torch.bool)
        for column, alternative in enumerate(truth):
            data.node_truth[alternative, column] = True
    return data


def explained(graphs: list[Data], *scores: list[float], column: str = "node") -> gg.Explanations:
    """Explanations whose node (or edge) scores are these."""
    made = gg.Random(TwoLayers("gin", "graph"), "graph", progress=False).explain(graphs)
    (part,) = made.parts
    value = torch.tensor([each for own in scores for each in own], dtype=torch.float64)
    change = {"node_score": None, "edge_score": None, f"{column}_score": value}
    return replace(made, parts=[replace(part, **change)], _where=[], _bounds={})


def test_the_best_alternative_counts() -> None:
    # {0, 1} has 3 and 5, which beat 2 + 3 of three others: 5/6. {3} has 4: 3/4. Both have 3, 5, 4
    # against 1 and 2: 1. In the other graph 1 beats one of four.
    found = node_truth_accuracy(
        explained([graph([[0, 1], [3], [0, 1, 3]]), graph([[0]])], [3, 5, 1, 4, 2], [1, 2, 3, 4, 0])
    )
    assert found.instance_auc.tolist() == [1.0, 1 / 4]
    assert found.auc_mean == pytest.approx(5 / 8)
    assert (found.num_scored, found.num_without_truth, found.num_one_class) == (2, 0, 0)
    single = node_truth_accuracy(explained([graph([[0, 1], [3]])], [3, 5, 1, 4, 2]))
    assert single.instance_auc.tolist() == [pytest.approx(5 / 6)]


def test_what_cannot_be_scored_is_counted() -> None:
    graphs = [graph([]), graph([[0, 1, 2, 3, 4]]), graph([[0, 1, 2, 3, 4], [2]])]
    found = node_truth_accuracy(explained(graphs, *[[0.0, 1, 2, 3, 4]] * 3))
    assert (found.num_scored, found.num_without_truth, found.num_one_class) == (1, 1, 1)
    assert found.instance_auc.isnan().tolist() == [True, True, False]
    assert found.auc_mean == 0.5
    nothing = node_truth_accuracy(explained([graph(None)], [0.0, 1, 2, 3, 4]))
    assert (nothing.auc_mean, nothing.num_without_truth) == (None, 1)


def test_sign_and_size() -> None:
    made = explained([graph([[0]])], [-9.0, 1, 2, 3, 4])
    assert node_truth_accuracy(made).auc_mean == 0.0
    assert node_truth_accuracy(made, ranking="absolute").auc_mean == 1.0
    with pytest.raises(UnknownMetricError, match="ranking must be"):
        node_truth_accuracy(made, ranking="size")  # type: ignore[arg-type]


def test_edges_count_at_both_ends_without_their_sign() -> None:
    made = explained([graph([[1]])], [2.0, -3, 1, 0], column="edge")
    assert node_scores(made.local(0)).tolist() == [2, 5, 4, 1, 0]
    assert node_truth_accuracy(made).auc_mean == 1.0


def test_features_of_a_node_are_summed() -> None:
    made = explained([graph([[1]])], [0.0] * 5)
    (part,) = made.parts
    feature = torch.arange(5.0 * FEATURES).view(5, FEATURES)
    feature[2] = float("nan")  # another node type may have fewer
    part = replace(part, node_score=None, feature_score=feature)
    made = replace(made, parts=[part], _where=[], _bounds={})
    expected = [10.0, 35.0, 0.0, 85.0, 110.0]
    assert node_scores(made.local(0)).tolist() == expected


def test_scores_that_are_not_finite_are_refused() -> None:
    made = explained([graph([[1]])], [0.0, float("nan"), 1, 1, 1])
    with pytest.raises(UnknownMetricError, match="1 node scores are NaN or infinite"):
        node_truth_accuracy(made)


def test_one_alternative_may_be_a_plain_mask() -> None:
    data = graph(None)
    data.node_truth = torch.tensor([True, False, False, False, True])
    local = explained([data, data], *[[1.0] * 5] * 2).local(1)
    assert local.node_truth is not None
    assert local.node_truth.tolist() == [[True], [False], [False], [False], [True]]


def test_wrong_scores_are_rejected() -> None:
    truth: Tensor = torch.tensor([1.0, 0, 1, 0, 0])
    right = explained([graph([[0, 2]])], truth.tolist())
    wrong = explained([graph([[0, 2]])], (-truth).tolist())
    assert node_truth_accuracy(right).auc_mean == 1.0
    assert node_truth_accuracy(wrong).auc_mean == 0.0
