"""Models that mix what lies side by side, where side by side it looks like the user's graph.

What is cut out is packed as one graph. A mean or a maximum over all of its nodes is right by chance
where the pieces together are the whole graph, or each is a copy of it; a gradient or a deleted edge
would then be felt by the other predictions.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GraphConv, GraphNorm, global_add_pool

import glassgraph as gg
from glassgraph.black_box.variants import Variants
from glassgraph.core.told import FallbackWarning

WIDTH = 3


class Mixes(nn.Module):
    """A layer, then something over all nodes there are."""

    def __init__(self, level: str) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.conv, self.head = GraphConv(WIDTH, WIDTH), nn.Linear(WIDTH, 2)
        self.norm, self.level = GraphNorm(WIDTH), level
        self.double()

    def over_all(self, h: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        h = self.head(self.over_all(self.conv(x, edge_index)).tanh())
        return h if self.level == "node" else global_add_pool(h, batch)


class Normalizes(Mixes):
    def over_all(self, h: Tensor) -> Tensor:
        return self.norm(h)  # without the batch, so over all graphs too


class SubtractsLargest(Mixes):
    def over_all(self, h: Tensor) -> Tensor:
        return h - h.amax(0)


class Apart(Mixes):
    def over_all(self, h: Tensor) -> Tensor:
        return h


def graph(pairs: list[tuple[int, int]], num_nodes: int) -> Data:
    x = torch.randn(num_nodes, WIDTH, generator=torch.Generator().manual_seed(2)).double()
    return Data(x=x, edge_index=torch.tensor(pairs).view(-1, 2).t().contiguous())


def masks(found: gg.Explanations) -> list[Tensor]:
    return [each[name] for each in found for name in ("edge_mask", "node_mask") if name in each]


#: Method -> settings; gradients, occlusions, learning, and a black box.
METHODS: dict[str, dict[str, Any]] = {
    "saliency": {},
    "edge_gradients": {},
    "occlusion": {},
    "gnn_explainer": {"epochs": 3},
    "causal_screening": {},
    "pgm_explainer": {"num_samples": 24},
}


@pytest.mark.parametrize("kind", [Normalizes, SubtractsLargest])
@pytest.mark.parametrize("method", METHODS)
def test_nodes_whose_fields_together_are_the_graph(method: str, kind: type[Mixes]) -> None:
    data, model = graph([(0, 0), (1, 1), (2, 2)], 3), kind("node")
    settings = {"progress": False, **METHODS[method]}
    with pytest.warns(FallbackWarning, match="the result is right"):
        together = masks(gg.explain(model, data, method, index=[0, 1, 2], **settings))
    alone: list[Tensor] = []
    for index in range(3):
        with pytest.warns(FallbackWarning):
            alone += masks(gg.explain(model, data, method, index=[index], **settings))
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)


def test_gradients_are_those_of_the_whole_graph() -> None:
    """By autograd on the user's own call."""
    data, model = graph([(0, 0), (1, 1)], 2), Normalizes("node")
    with pytest.warns(FallbackWarning):
        found = gg.Saliency(model, progress=False).explain(data, [0, 1], target=1)
    for index in (0, 1):
        x = data.x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model(x, data.edge_index)[index, 1], [x])
        assert bool(gradient[1 - index].any())  # the other node counts
        torch.testing.assert_close(found[index].node_mask, gradient.square())


def test_nodes_that_nothing_reaches_any_more_stay_in_the_mean() -> None:
    """A black box that looks at all nodes is shown all of them, whichever edges are deleted."""
    pairs = [(0, 1), (1, 2), (2, 3), (3, 0)]
    data, model = graph(pairs, 4), Normalizes("node")
    preparation = gg.CausalScreening(model, progress=False).prepare(data)
    ((_, batch),) = preparation.batches(preparation.instances([1]), None, None)
    assert not batch.is_whole
    found = Variants(batch, 1 << 20).on_edges(
        torch.tensor([0, 0]), torch.tensor([0, 1, 1]), torch.tensor([2, 0, 2])
    )
    for row, kept in zip(found, ([2], [0, 2]), strict=True):
        edges = data.edge_index[:, batch.fields.edge[kept]]
        torch.testing.assert_close(row, model(data.x, edges)[1])


def test_equal_graphs() -> None:
    """Copies of one graph have its mean."""
    data, model = graph([(0, 1), (1, 2), (2, 0)], 3), Normalizes("graph")
    explainer = gg.EdgeGradients(model, task="graph", progress=False)
    with pytest.warns(FallbackWarning, match="the result is right"):
        together = explainer.explain([data, data.clone()])
    alone = explainer.explain([data])[0].edge_mask
    for each in together:
        torch.testing.assert_close(each.edge_mask, alone)


@pytest.mark.parametrize("level", ["node", "graph"])
def test_a_model_that_does_not_mix_is_not_accused(level: str) -> None:
    data = graph([(0, 0), (1, 1), (2, 2)], 3)
    given = data if level == "node" else [data, data.clone()]
    gg.EdgeGradients(Apart(level), task=level, progress=False).explain(given)
    gg.CausalScreening(Apart(level), task=level, progress=False).explain(given)
