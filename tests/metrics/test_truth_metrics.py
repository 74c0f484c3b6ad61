"""Accuracy beside its interval and chance: by hand, by simulation, and as the plain metrics."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.errors import NoTruthError, UnknownMetricError
from glassgraph.metrics import (
    gea,
    ground_truth_accuracy,
    mask_entropy,
    node_truth_accuracy,
    sparsity,
    spread,
    truth_metrics,
)
from glassgraph.metrics.truth_metrics import _random_precision
from glassgraph.results.aggregates.aggregate import Bootstrap
from tests.metrics.scenes import Sum, TwoLayers, random_graph, uniform, with_scores


def graphs(number: int = 7) -> list[Data]:
    found = []
    for seed in range(number):
        data = random_graph(seed, nodes=7 + seed, edges=23 + seed)
        generator = torch.Generator().manual_seed(seed)
        data.ground_truth_edge_mask = torch.rand(23 + seed, generator=generator) < 0.3
        data.node_truth = torch.rand(7 + seed, 2, generator=generator) < 0.4
        data.y = data.y[:1]
        found.append(data)
    return found


def explained(number: int = 7, score: Any = None) -> gg.Explanations:
    return with_scores(
        TwoLayers("gin", "graph"), graphs(number), None, score or uniform(), task="graph"
    )


def by_name(found: list[Any]) -> dict[str, Any]:
    return {each.metric: each for each in found}


def test_the_same_numbers_as_the_plain_metric() -> None:
    run = explained()
    found, plain = by_name(truth_metrics(run)), ground_truth_accuracy(run)
    for name in ("auc", "auc_mean", "average_precision", "average_precision_mean"):
        assert found[name].estimate.value == pytest.approx(getattr(plain, name)), name
    for name in ("precision_at_k", "recall_at_k"):
        assert found[name].estimate.value == pytest.approx(getattr(plain, name)), name
        assert found[name].level == "truth"
    nodes = truth_metrics(run, over="node")[0]
    assert nodes.estimate.value == pytest.approx(node_truth_accuracy(run).auc_mean)
    assert by_name(truth_metrics(run, k=3))["recall_at_k"].level == "top3"


def test_the_interval_of_a_pooled_area_is_over_instances() -> None:
    run = explained(5)
    found = by_name(truth_metrics(run, bootstrap=Bootstrap(samples=100)))
    scores = [run.local(i).edge_score.double().numpy() for i in range(5)]  # type: ignore[union-attr]
    truths = [run.local(i).edge_truth.numpy() for i in range(5)]  # type: ignore[union-attr]
    rng, drawn = np.random.default_rng(0), []
    for _ in range(100):
        times = rng.multinomial(5, np.full(5, 0.2))
        picked = [i for i in range(5) for _ in range(times[i])]
        both = [np.concatenate([each[i] for i in picked]) for each in (truths, scores)]
        drawn.append((roc_auc_score(*both), average_precision_score(*both)))
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    for i, name in enumerate(("auc", "average_precision")):
        assert found[name].estimate.low == pytest.approx(low[i])
        assert found[name].estimate.high == pytest.approx(high[i])
        assert found[name].values is None


@pytest.mark.slow("by formula: test_expected_average_precision_of_a_random_order")
def test_chance_is_what_random_scores_get() -> None:
    data = graphs(40)
    many = [
        gg.Random(TwoLayers("gin", "graph"), "graph", seed=seed, progress=False).explain(data)
        for seed in range(5)
    ]
    edges = [by_name(truth_metrics(run, k=3)) for run in many]
    for name in edges[0]:
        value = np.mean([found[name].estimate.value for found in edges])
        assert value == pytest.approx(edges[0][name].floor.value, abs=0.03), name
    nodes = [truth_metrics(run, over="node")[0] for run in many]
    assert nodes[0].floor is not None
    value = np.mean([found.estimate.value for found in nodes])
    assert value == pytest.approx(nodes[0].floor.value, abs=0.03)
    assert nodes[0].floor.value > 0.52  # the better of two truths


@pytest.mark.parametrize(("size", "true"), [(5, 2), (7, 4), (2, 1)])
def test_expected_average_precision_of_a_random_order(size: int, true: int) -> None:
    every = [
        average_precision_score(np.isin(np.arange(size), chosen), -np.arange(size))
        for chosen in combinations(range(size), true)
    ]
    assert _random_precision(size, true) == pytest.approx(np.mean(every))


def test_the_truth_its_inverse_and_a_constant() -> None:
    def truth(local: gg.LocalExplanation) -> Tensor:
        assert local.edge_truth is not None
        return local.edge_truth.double()

    best = by_name(truth_metrics(explained(score=truth)))
    worst = by_name(truth_metrics(explained(score=lambda local: -truth(local))))
    flat = by_name(truth_metrics(explained(score=lambda local: truth(local) * 0)))
    assert all(each.estimate.value == 1 for each in best.values())
    assert worst["auc"].estimate.value == 0
    assert worst["precision_at_k"].estimate.value == 0
    assert flat["auc"].estimate.value == 0.5
    assert flat["precision_at_k"].estimate.value == pytest.approx(
        flat["precision_at_k"].floor.value
    )


def two_rings() -> Data:
    """Six nodes, the first two or the last two of which are the truth."""
    ends = torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]])
    truth = torch.zeros(6, 2, dtype=torch.bool)
    truth[:2, 0] = truth[4:, 1] = True
    return Data(x=torch.rand(6, 5).double(), edge_index=ends, node_truth=truth)


class Scored(gg.Explainer):
    name = "scored"
    traits = gg.Traits(family="baseline", scores=("node",), is_black_box=True)

    def attribute(self, batch: Any) -> gg.Attribution:
        return gg.Attribution(node=torch.tensor([0.0, 1, 2, 3, 5, 4], dtype=batch.dtype))


def test_gea_is_the_best_over_the_truths() -> None:
    run = Scored(TwoLayers("gin", "graph"), "graph", progress=False).explain([two_rings()])
    assert gea(run, over="node")[0].estimate.value == 1  # the second ring
    assert gea(run, over="node", top_k=3)[0].estimate.value == pytest.approx(2 / 3)
    assert gea(run, over="node", top_k=1)[0].estimate.value == pytest.approx(1 / 2)
    assert gea(run, over="node", threshold=1.5)[0].estimate.value == pytest.approx(2 / 4)
    assert gea(run, over="node", share=0.5)[0].estimate.value == pytest.approx(2 / 3)
    levels = [gea(run, over="node", **each)[0].level for each in ({}, {"top_k": 3}, {"share": 0.5})]
    assert levels == ["truth", "top3", "share0.5"]


def test_gea_of_edges_and_its_chance() -> None:
    data = random_graph()
    data.ground_truth_edge_mask = torch.arange(41) < 2
    model = TwoLayers("gin", "graph")
    run = with_scores(model, [data], [0], lambda local: -local.edge_id.double(), task="graph")
    found = gea(run)[0]
    assert found.estimate.value == 1
    # Two of 41 that meet two of 41: one in common is 1/3, both 1.
    one, both = 2 * 2 * 39 / (41 * 40), 2 / (41 * 40)
    assert found.floor is not None
    assert found.floor.value == pytest.approx(one / 3 + both, abs=0.05)
    assert gea(run, threshold=-0.5)[0].estimate.value == 0.5  # edge 0 of two
    tied = with_scores(model, [data], [0], lambda local: local.edge_id.double() * 0, task="graph")
    expected = 2 * 2 / 41
    assert gea(tied)[0].estimate.value == pytest.approx(expected / (4 - expected))


def test_node_tasks_have_truth_about_edges() -> None:
    data = random_graph()
    data.edge_motif = torch.where(torch.arange(41) % 3 == 0, 1, -1)
    data.node_motif = torch.ones(13, dtype=torch.long)
    run = gg.Saliency(TwoLayers("gcn"), progress=False).explain(data, [0, 5])
    assert by_name(truth_metrics(run))["auc"].estimate.n == 2


def test_without_truth_there_is_a_named_error() -> None:
    run = gg.Saliency(TwoLayers("gcn"), progress=False).explain(random_graph(), [0])
    for metric in (truth_metrics, gea):
        for over in ("edge", "node"):
            with pytest.raises(NoTruthError, match="no truth: the data say of none of 1 instances"):
                metric(run, over=over)
    data = Data(x=torch.ones(2, 1).double(), edge_index=torch.tensor([[1], [0]]))
    data.ground_truth_edge_mask = torch.tensor([True])
    one = gg.Random(Sum(), gg.Task("node", mode="regression")).explain(data, [0])
    if one.local(0).edge_truth is not None:
        with pytest.raises(NoTruthError, match="no truth that ranks"):
            truth_metrics(one)


def test_bad_input_is_named() -> None:
    run = explained(2)
    with pytest.raises(UnknownMetricError, match="over must be"):
        truth_metrics(run, over="walk")  # type: ignore[arg-type]
    with pytest.raises(UnknownMetricError, match="k must be"):
        truth_metrics(run, k=0)
    with pytest.raises(UnknownMetricError, match="one of top_k, share"):
        gea(run, top_k=3, share=0.5)
    with pytest.raises(UnknownMetricError, match="share must lie"):
        gea(run, share=0.0)


def test_spread_has_the_plain_numbers() -> None:
    run = gg.Saliency(TwoLayers("gcn"), progress=False).explain(random_graph(), [0, 5])
    few, nodes, features = spread(run, threshold=0.01)
    assert few.estimate.value == pytest.approx(sparsity(run, 0.01).mean)
    assert few.level == ">0.01"
    entropy = mask_entropy(run)
    assert nodes.estimate.value == pytest.approx(entropy.mean_nodes)
    assert features.estimate.value == pytest.approx(entropy.mean_features)
    assert few.floor is None
    assert not math.isnan(few.estimate.low)
