"""CAM against literal loops, on every way to pool; what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import (
    GCNConv,
    GraphConv,
    MeanAggregation,
    SumAggregation,
    global_add_pool,
    global_max_pool,
    global_mean_pool,
)
from torch_geometric.nn.aggr import AttentionalAggregation, MedianAggregation
from torch_geometric.utils import to_dense_batch

import glassgraph as gg
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import TaskError, UnsupportedModelError
from glassgraph.testing.cases import CASES, Case
from glassgraph.testing.networks import FEATURES
from tests.laws import literal
from tests.laws.cases import explained

GRAPHS = Case("gin", "graph").data()
HIDDEN = 7


def close(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)


class Net(nn.Module):
    """Two layers, functional activations, and whatever pooling and head are given."""

    def __init__(self, pool: Callable[..., Tensor], head: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.convs = nn.ModuleList([GCNConv(FEATURES, HIDDEN), GCNConv(HIDDEN, HIDDEN)])
        self.head = nn.Linear(HIDDEN, 3) if head is None else head
        self.pool = pool
        self.double().eval()

    def states(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x, edge_index).relu()
        return x

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        return self.head(self.pool(self.states(x, edge_index), batch))


def explain(model: nn.Module, target: Any = 1, graphs: Any = GRAPHS, **settings: Any) -> Any:
    settings = {"task": "graph", "relu": False, "progress": False, **settings}
    return gg.CAM(model, **settings).explain(graphs, target=target)


# The formula


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(
    "case",
    [
        each
        for each in CASES
        if each.level == "graph" and each.return_type == "raw" and each.rows is None
    ],
    ids=str,
)
def test_literal_loops(case: Case, relu: bool) -> None:
    """``S[n] = sum_k w_k H[n, k]`` with the head's own weights and the norm's own output."""
    model, data = case.model(), case.data()
    found = explained(gg.CAM(model, case.task(), relu=relu, progress=False), case, data)
    for position, explanation in enumerate(found):
        one, row = literal.one_graph(case, data, position)
        kept: list[Tensor] = []
        handle = model.norm.register_forward_hook(lambda _, __, out, kept=kept: kept.append(out))
        chosen, _ = literal.target(case, literal.predict_one(model, case, one), one, row)
        handle.remove()
        for n in range(one.num_nodes):
            score = sum(
                float(model.head.weight.detach()[chosen, k]) * float(kept[0].detach()[n, k])
                for k in range(kept[0].size(1))
            )
            score = max(score, 0.0) if relu else score
            assert float(explanation.node_score[n]) == pytest.approx(score, rel=1e-9, abs=1e-12)
        source, destination = one.edge_index
        ends = explanation.node_score[source], explanation.node_score[destination]
        close(explanation.edge_mask, (ends[0] + ends[1]) / 2)


def test_scores_add_up_to_the_logit() -> None:
    """``sum_n S[n] = N (y - b)`` for a mean, ``y - b`` for a sum, without the ReLU."""
    for pool in (global_mean_pool, global_add_pool):
        model = Net(pool)
        for data, found in zip(GRAPHS, explain(model), strict=True):
            logit = model(data.x, data.edge_index, torch.zeros(data.num_nodes).long())[0, 1]
            factor = data.num_nodes if pool is global_mean_pool else 1
            close(found.node_score.sum(), factor * (logit - model.head.bias[1]))


def test_a_pair_of_classes_has_the_difference_of_their_weights() -> None:
    model = Net(global_mean_pool)
    pairs, ones, zeros = explain(model, (1, 0)), explain(model, 1), explain(model, 0)
    for pair, one, zero in zip(pairs, ones, zeros, strict=True):
        close(pair.node_score, one.node_score - zero.node_score)


def test_a_pair_of_classes_is_linear_after_a_log_softmax() -> None:
    """``log p_a - log p_b = y^a - y^b``."""
    linear = Net(global_mean_pool)
    model = Net(global_mean_pool, nn.Sequential(linear.head, nn.LogSoftmax(dim=-1)))
    task = gg.Task("graph", "multiclass_classification", "log_probs")
    for one, other in zip(explain(linear, (1, 0)), explain(model, (1, 0), task=task), strict=True):
        close(one.node_score, other.node_score)


# Ways to pool


def in_place(h: Tensor, batch: Tensor) -> Tensor:
    out = h.new_zeros(int(batch.max()) + 1, h.size(1))
    out.index_add_(0, batch, h)
    return out


def dense_mean(h: Tensor, batch: Tensor) -> Tensor:
    padded, mask = to_dense_batch(h, batch)
    return padded.sum(dim=1) / mask.sum(dim=1, keepdim=True)


def product(h: Tensor, batch: Tensor) -> Tensor:
    return nn.functional.one_hot(batch).t().to(h) @ h


POOLS: dict[str, Callable[..., Tensor]] = {
    "global_mean_pool": global_mean_pool,
    "global_add_pool": global_add_pool,
    "MeanAggregation": MeanAggregation(),
    "SumAggregation": SumAggregation(),
    "written in place": in_place,
    "dense": dense_mean,
    "matrix product": product,
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("pool", POOLS)
def test_a_pooling_is_known_by_what_it_computes(pool: str, dtype: torch.dtype) -> None:
    model = Net(POOLS[pool]).to(dtype)
    graphs = [Data(x=each.x.to(dtype), edge_index=each.edge_index) for each in GRAPHS]
    for data, found in zip(graphs, explain(model, graphs=graphs), strict=True):
        expected = model.states(data.x, data.edge_index) @ model.head.weight[1]
        assert found.node_score.dtype == dtype
        torch.testing.assert_close(found.node_score, expected)


def test_a_mean_over_all_nodes_there_are() -> None:
    """A model for one graph at a time is explained one graph at a time."""
    model = Net(lambda h, batch: h.mean(dim=0, keepdim=True))
    with pytest.warns(FallbackWarning):
        found = explain(model)
    for data, each in zip(GRAPHS, found, strict=True):
        close(each.node_score, model.states(data.x, data.edge_index) @ model.head.weight[1])


def test_weighted_states_are_summed_states() -> None:
    """Attention pooling sums ``a_n h_n``: those are the states that the pooling reads."""
    gate = nn.Linear(HIDDEN, 1)
    model = Net(AttentionalAggregation(gate))
    for data, found in zip(GRAPHS, explain(model), strict=True):
        states = model.states(data.x, data.edge_index)
        states = gate(states).softmax(dim=0) * states
        torch.testing.assert_close(found.node_score, states @ model.head.weight[1])


def test_several_linear_layers_are_one() -> None:
    first, second = nn.Linear(HIDDEN, 5), nn.Linear(5, 3)
    model = Net(global_mean_pool, nn.Sequential(first, nn.Dropout(), nn.BatchNorm1d(5), second))
    scale = (1 + model.head[2].eps) ** -0.5
    for data, found in zip(GRAPHS, explain(model), strict=True):
        weight = scale * second.weight[1] @ first.weight
        close(found.node_score, model.states(data.x, data.edge_index) @ weight)


# What is refused


@pytest.mark.parametrize("level", ["node", "edge"])
def test_other_tasks(level: str) -> None:
    with pytest.raises(TaskError, match=f"CAM explains graph tasks.*got a {level} task; grad_cam"):
        gg.CAM(Net(global_mean_pool), level)


def first_node(h: Tensor, batch: Tensor) -> Tensor:
    return h[torch.searchsorted(batch, torch.arange(int(batch.max()) + 1))]


@pytest.mark.parametrize("pool", [global_max_pool, first_node, MedianAggregation()])
def test_no_mean_and_no_sum(pool: Any) -> None:
    with pytest.raises(UnsupportedModelError, match=r"by mean or sum.*; grad_cam explains any"):
        explain(Net(pool))


class Shortcut(Net):
    """The first layer's states reach the head as well."""

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        first = self.convs[0](x, edge_index).relu()
        pooled = global_mean_pool(self.convs[1](first, edge_index).relu(), batch)
        return self.head(pooled + global_add_pool(first, batch))


@pytest.mark.parametrize(
    "model",
    [
        Net(global_mean_pool, nn.Sequential(nn.Linear(HIDDEN, 11), nn.ReLU(), nn.Linear(11, 3))),
        Net(global_add_pool, nn.Sequential(nn.Tanh(), nn.Linear(HIDDEN, 3))),
        Net(lambda h, batch: global_mean_pool(h, batch) + global_max_pool(h, batch)),
        Net(lambda h, batch: nn.functional.normalize(global_mean_pool(h, batch))),
        Shortcut(global_mean_pool),
    ],
    ids=["mlp", "tanh", "mean and max", "norm", "shortcut"],
)
@pytest.mark.parametrize("number", [1, 3])
def test_a_head_that_is_not_linear(model: nn.Module, number: int) -> None:
    """Also where one graph alone has to show it."""
    with pytest.raises(UnsupportedModelError, match=r"no linear function.*; grad_cam explains any"):
        explain(model, graphs=GRAPHS[:number])


def test_probabilities() -> None:
    head = nn.Sequential(nn.Linear(HIDDEN, 3), nn.Softmax(dim=-1))
    task = gg.Task("graph", "multiclass_classification", "probs")
    with pytest.raises(UnsupportedModelError, match=r"returns probs.*explain a model that returns"):
        explain(Net(global_mean_pool, head), task=task)


class SideBySide(nn.Module):
    """Two modules read the same states: both are the last layer, and what is pooled is their sum.

    Args:
        width: of what lies between them, as that of what is pooled or not.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = GraphConv(5, 7), GraphConv(5, 7)
        self.between, self.back = nn.Linear(7, width), nn.Linear(width, 7)
        self.head = nn.Linear(7, 2)

    def states(self, x: Tensor, edge_index: Tensor) -> Tensor:
        first = self.back(self.between(self.first(x, edge_index)).relu())
        return first + self.second(x, edge_index)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        logits: Tensor = self.head(global_add_pool(self.states(x, edge_index), batch))
        return logits


@pytest.mark.parametrize("width", [3, 7])
def test_two_modules_of_the_last_layer(width: int) -> None:
    """What is replaced after the second of them was replaced after the first, too."""
    torch.manual_seed(0)
    model = SideBySide(width).double()
    draw = torch.Generator().manual_seed(1)
    edges = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
    x = torch.randn(4, 5, generator=draw, dtype=torch.float64)
    graph = Data(x=x, edge_index=edges)
    explanations = gg.CAM(model, task="graph", relu=False, progress=False).explain(
        [graph], target=1
    )
    expected = model.states(x, edges) @ model.head.weight[1]
    torch.testing.assert_close(explanations.local(0).node_score, expected.detach())
