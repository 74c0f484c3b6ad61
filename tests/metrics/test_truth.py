"""Accuracy against ground truth, by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.errors import UnknownMetricError
from glassgraph.metrics import evaluate, ground_truth_accuracy, sparsity
from tests.metrics.scenes import TwoLayers, random_graph, uniform, with_scores

#: Two stars around nodes 0 and 6, five edges each; edges 0, 1 and 5 are true.
TRUE = [0, 1, 5]


def two_stars() -> Data:
    edge_index = torch.tensor([[1, 2, 3, 4, 5, 7, 8, 9, 10, 11], [0] * 5 + [6] * 5])
    motif = torch.full((10,), -1)
    motif[[0, 1]], motif[5] = 0, 1
    node_motif = torch.full((12,), -1)
    node_motif[[0, 1, 2, 3]], node_motif[[6, 7]] = 0, 1
    x = torch.randn(12, 5, generator=torch.Generator().manual_seed(1)).double()
    return Data(
        x=x,
        edge_index=edge_index,
        edge_motif=motif,
        node_motif=node_motif,
        ground_truth_edge_mask=motif >= 0,
    )


def run(score: Callable[[gg.LocalExplanation], Tensor], index: list[int]) -> gg.Explanations:
    return with_scores(TwoLayers("gin"), two_stars(), index, score)


def fixed(local: gg.LocalExplanation) -> Tensor:
    """Node 0: true edges 5, 2 among 4, 1, 0. Node 6: the true edge 30 below 40, above the rest."""
    return torch.tensor([5.0, 2, 4, 1, 0, 30, 40, 20, 10, 15])[local.edge_id]


def test_auc_counts_pairs() -> None:
    found = ground_truth_accuracy(run(fixed, [0, 6]))
    # Node 0: 5 beats 3 others, 2 beats two of three. Node 6: 30 beats three of four.
    assert found.instance_auc.tolist() == pytest.approx([5 / 6, 3 / 4])
    assert found.auc_mean == pytest.approx((5 / 6 + 3 / 4) / 2)
    # Pooled, the others are 4 1 0 40 20 10 15: 5 beats three of them, 2 two, 30 six.
    assert found.auc == pytest.approx((3 + 2 + 6) / 21)
    # Node 0: found at ranks 1 and 3, 1/2 (1 + 2/3). Node 6: found at rank 2.
    assert found.average_precision_mean == pytest.approx((5 / 6 + 1 / 2) / 2)
    # Node 0: of its best two one is true; node 6: its best one is not.
    assert found.precision_at_k == pytest.approx((1 / 2 + 0) / 2)
    assert found.recall_at_k == pytest.approx((1 / 2 + 0) / 2)
    assert (found.num_scored, found.num_without_truth, found.num_one_class) == (2, 0, 0)


def test_precision_and_recall_at_a_given_k() -> None:
    found = ground_truth_accuracy(run(fixed, [0, 6]), k=3)
    assert found.precision_at_k == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert found.recall_at_k == pytest.approx(1.0)
    everything = ground_truth_accuracy(run(fixed, [0, 6]), k=99)
    assert everything.precision_at_k == pytest.approx((2 / 5 + 1 / 5) / 2)


def test_pooled_auc_asks_for_comparable_scores() -> None:
    """Each instance ranks perfectly, on scales of their own: the mean is 1, pooled is not."""

    def scaled(local: gg.LocalExplanation) -> Tensor:
        scale = 100.0 if local.index == 6 else 1.0
        truth = torch.isin(local.edge_id, torch.tensor(TRUE))
        return scale * (1 + truth.double())

    found = ground_truth_accuracy(run(scaled, [0, 6]))
    assert found.auc_mean == 1.0
    assert found.auc == pytest.approx((2 * 3 + 7) / 21)


def test_ties_share_the_last_places() -> None:
    """All scores equal: chance, whichever edge is listed first."""
    found = ground_truth_accuracy(run(lambda local: torch.ones(5), [0]))
    assert found.auc == 0.5
    assert found.precision_at_k == pytest.approx(2 / 5)
    assert found.recall_at_k == pytest.approx(2 / 5)
    one = ground_truth_accuracy(run(lambda local: torch.tensor([3.0, 1, 1, 1, 1]), [0]))
    assert one.precision_at_k == pytest.approx((1 + 1 / 4) / 2)


def test_signed_scores() -> None:
    """True edges with large negative scores come last, unless only size counts."""

    def negative(local: gg.LocalExplanation) -> Tensor:
        return torch.tensor([-5.0, -4, 1, 2, 3])[local.edge_id]

    assert ground_truth_accuracy(run(negative, [0])).auc == 0.0
    assert ground_truth_accuracy(run(negative, [0]), ranking="absolute").auc == 1.0


def test_left_out_instances_are_counted() -> None:
    """Node 3 has no edges (no class at all), node 9 no motif; node 0 is scored."""
    found = ground_truth_accuracy(run(lambda local: local.edge_id.double(), [3, 9, 0]))
    assert (found.num_scored, found.num_without_truth, found.num_one_class) == (1, 1, 1)
    assert found.instance_auc.isnan().tolist() == [True, True, False]
    none = ground_truth_accuracy(run(lambda local: local.edge_id.double(), [9]))
    assert none.auc is None
    assert none.precision_at_k is None


def test_a_field_that_is_all_true_is_one_class_too() -> None:
    data = two_stars()
    data.edge_motif[:5] = 0
    explained = with_scores(TwoLayers("gin"), data, [0], lambda local: local.edge_id.double())
    found = ground_truth_accuracy(explained)
    assert (found.num_scored, found.num_one_class, found.auc) == (0, 1, None)


def test_wrong_scores_are_rejected() -> None:
    """The truth scores 1, its reverse 0, and random scores lie between."""

    def truth(local: gg.LocalExplanation) -> Tensor:
        return torch.isin(local.edge_id, torch.tensor(TRUE)).double()

    assert ground_truth_accuracy(run(truth, [0, 6])).auc == 1.0
    assert ground_truth_accuracy(run(lambda local: -truth(local), [0, 6])).auc == 0.0
    assert 0.0 < ground_truth_accuracy(run(uniform(3), [0, 6])).auc < 1.0


def test_sparsity_by_hand() -> None:
    found = sparsity(run(fixed, [0, 6, 3]), threshold=4)
    assert found.sparsity[:2].tolist() == [4 / 5, 0.0]  # 4 itself is not above 4
    assert found.mean == pytest.approx(2 / 5)
    assert found.num_without_edges == 1
    assert sparsity(run(fixed, [3])).mean is None
    with pytest.raises(UnknownMetricError, match="threshold must be finite"):
        sparsity(run(fixed, [0]), threshold=float("inf"))


def test_k_must_be_positive() -> None:
    with pytest.raises(UnknownMetricError, match="positive number of edges; got 0"):
        ground_truth_accuracy(run(fixed, [0]), k=0)


def test_evaluate_gives_one_flat_row_for_each_method() -> None:
    data, model = two_stars(), TwoLayers("gin")
    runs = [gg.Random(model).explain(data, [0, 6]), gg.Occlusion(model).explain(data, [0, 6])]
    rows = evaluate(runs, model, data, sparsity=(0.5, 0.9), removal="delete")
    assert [row["method"] for row in rows] == ["random", "occlusion"]
    assert list(rows[0]) == list(rows[1])
    assert {"auc", "precision_at_k", "fidelity_plus@0.5", "fidelity_minus_acc@0.9"} <= set(rows[0])
    assert all(isinstance(value, str | int | float) for value in rows[0].values())
    assert rows[0]["removal"] == "delete"
    assert rows[0]["scored"] == 2
    assert evaluate([], model, data) == []


def test_evaluate_gives_both_rankings_of_signed_scores() -> None:
    def negative(local: gg.LocalExplanation) -> Tensor:
        return torch.tensor([-5.0, -4, 1, 2, 3])[local.edge_id]

    (row,) = evaluate([run(negative, [0])], TwoLayers("gin"), two_stars())
    assert (row["auc"], row["auc_absolute"]) == (0.0, 1.0)


def test_evaluate_leaves_truth_out_where_there_is_none() -> None:
    data, model = random_graph(), TwoLayers("gin")
    (row,) = evaluate([gg.Random(model).explain(data, [4])], model, data, top_k=2)
    assert "auc" not in row
    assert "fidelity_plus@top2" in row


def test_loaded_explanations_measure_the_same(tmp_path) -> None:
    data, model = two_stars(), TwoLayers("gin")
    made = gg.Occlusion(model).explain(data, [0, 6])
    made.save(tmp_path / "run")
    (before,) = evaluate([made], model, data)
    (after,) = evaluate([gg.Explanations.load(tmp_path / "run")], model, data)
    assert before == after
