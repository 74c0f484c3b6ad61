"""The speed study on a small budget: its rows, its accuracy, and what it refuses."""

import pytest
import torch

import glassgraph as gg
from glassgraph.core.explanation import LocalExplanation
from glassgraph.studies.speed import pooled_auc, run_speed_bench

COLUMNS = {
    "dataset", "method", "instances", "ours_s_per_instance", "peer_s_per_instance", "ratio",
    "ours_auc", "peer_auc", "threads", "saliency_auc", "prepare_s", "test_accuracy",
}  # fmt: skip


def local(ends: list[tuple[int, int]], truth: list[bool]) -> LocalExplanation:
    empty = torch.zeros(0)
    return LocalExplanation(
        index=0, graph=0, target=0, prediction=empty, label=None, seeds=empty, node_id=empty,
        node_type=None, edge_id=torch.arange(len(ends)), edge_type=None,
        edge_index=torch.tensor(ends).t(), edge_score=None, layer_edge_score=None,
        node_score=None, feature_score=None, edge_truth=torch.tensor(truth),
    )  # fmt: skip


def test_directions_of_an_edge_are_averaged() -> None:
    # Pairs {0, 1}: mean 2, true; {1, 2}: 1.5, false; {2, 3}: 3, false. One of two is beaten.
    one = local([(0, 1), (1, 0), (1, 2), (2, 3)], [True, True, False, False])
    assert pooled_auc([one], [torch.tensor([1.0, 3.0, 1.5, 3.0])]) == 0.5


def test_scores_count_by_magnitude_and_instances_are_pooled() -> None:
    one, two = local([(0, 1)], [True]), local([(0, 1)], [False])
    assert pooled_auc([one, two], [torch.tensor([-2.0]), torch.tensor([1.0])]) == 1.0
    assert pooled_auc([one, two], [torch.tensor([0.5]), torch.tensor([1.0])]) == 0.0


def test_without_ground_truth_there_is_no_area() -> None:
    assert pooled_auc([local([(0, 1)], [True])], [torch.tensor([1.0])]) is None


def test_rows_on_tree_cycles() -> None:
    seen: list[dict[str, object]] = []
    rows = run_speed_bench(
        ["tree-cycles"], ["saliency", "edge_gradients"], instances=5, repeats=1, threads=1,
        progress=False, report=seen.append,
    )  # fmt: skip
    assert rows == seen
    assert [row["method"] for row in rows] == ["saliency", "edge_gradients"]
    for row in rows:
        assert set(row) == COLUMNS
        assert row["instances"] == 5
        assert row["ratio"] == pytest.approx(
            row["peer_s_per_instance"] / row["ours_s_per_instance"]
        )
        assert row["saliency_auc"] == rows[0]["ours_auc"]
    # The same gradient on the same edges: the two libraries must agree to the last digit.
    assert rows[1]["ours_auc"] == pytest.approx(rows[1]["peer_auc"], abs=1e-12)


def test_a_method_without_a_peer_is_refused() -> None:
    with pytest.raises(gg.errors.UnknownMethodError, match="random has no peer"):
        run_speed_bench(["tree-cycles"], ["random"])
