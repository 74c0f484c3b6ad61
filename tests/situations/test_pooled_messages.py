"""Models that pool: their own edges are none of the user's, whatever numbers their nodes have."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import (
    ASAPooling,
    EdgePooling,
    GCNConv,
    GraphConv,
    GraphUNet,
    SAGPooling,
    TopKPooling,
    global_add_pool,
)

import glassgraph as gg
from glassgraph.core.told import FallbackWarning, PooledMessagesWarning
from glassgraph.errors import UnsupportedModelError, WalkError
from glassgraph.explainers.registry import METHODS, find_method
from glassgraph.metrics import fidelity

WIDTH = 5


def graph(num_nodes: int, num_edges: int = 23, seed: int = 0) -> Data:
    """Without self-loops, so that the rows of GCN are the edges and then its own loops."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(num_nodes, WIDTH, generator=generator).double()
    source = torch.randint(num_nodes, (num_edges,), generator=generator)
    step = torch.randint(1, num_nodes, (num_edges,), generator=generator)
    ends = torch.stack([source, (source + step) % num_nodes])
    return Data(x=x, edge_index=ends, y=torch.tensor([seed % 2]))


def path(num_nodes: int) -> Data:
    """Whose first edges look like the edges of any shorter path."""
    node = torch.arange(num_nodes)
    x = torch.randn(num_nodes, WIDTH, generator=torch.Generator().manual_seed(3)).double()
    return Data(x=x, edge_index=torch.stack([node[:-1], node[1:]]), y=torch.tensor([0]))


class Pooled(nn.Module):
    """Two layers with a pooling between them."""

    def __init__(self, pool: nn.Module, layer: type[nn.Module] = GCNConv) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second = layer(WIDTH, 7), layer(7, 7)
        self.pool, self.head = pool, nn.Linear(7, 3)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        h = self.first(x, edge_index).tanh()
        h, edge_index, *rest = self.pool(h, edge_index, batch=batch)
        batch = next(each for each in rest if each is not None and each.dtype == torch.long)
        h = self.second(h, edge_index).tanh()
        return self.head(global_add_pool(h, batch))


def explain(model: nn.Module, data: Any, method: str, task: str = "graph", **more: Any) -> Any:
    kind = find_method(method)
    settings = {**kind.test_settings, **({"samples": 2} if method == "zorro" else {})}
    if not kind.traits.is_black_box:
        settings["on_unseen"] = "warn"  # EdgePooling carries states along edges by itself
    explainer = kind(model, task, progress=False, **settings)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        if hasattr(explainer, "fit"):
            explainer.fit(data)
        found = explainer.explain(data, **more)
    return found, [each for each in told if each.category is PooledMessagesWarning]


POOLINGS = {
    "top half": lambda: TopKPooling(7, 0.5),
    "all, in another order": lambda: TopKPooling(7, 1.0),
    "attention": lambda: SAGPooling(7, 0.5),
    "edges": lambda: EdgePooling(7),
}


@pytest.mark.parametrize("data", [path(11), graph(11)], ids=["path", "random"])
@pytest.mark.parametrize("layer", [GCNConv, GraphConv])
@pytest.mark.parametrize("name", POOLINGS)
def test_edges_of_the_pooled_graph_are_nobodys(
    name: str, layer: type[nn.Module], data: Data
) -> None:
    """GCN tells one size alone, and was taken for a layer on the user's graph."""
    torch.manual_seed(5)
    model = Pooled(POOLINGS[name](), layer)
    found, told = explain(model, [data], "edge_gradients", target=1)
    assert len(told) == 1
    assert "the messages of second run between nodes" in str(told[0].message)
    gates = torch.ones(data.num_edges).double().requires_grad_()
    on_users_edges = [model.first, *([model.pool.gnn] if name == "attention" else [])]
    handles = [
        each.register_message_forward_hook(
            lambda module, inputs, sent: torch.cat(
                [sent[: gates.numel()] * gates.view(-1, 1), sent[gates.numel() :]]
            )
        )
        for each in on_users_edges
    ]
    output = model(data.x, data.edge_index, torch.zeros(data.num_nodes).long())
    (expected,) = torch.autograd.grad(output[0, 1], gates)
    for handle in handles:
        handle.remove()
    assert not bool(found[0].layer_edge_mask[-1].any())
    torch.testing.assert_close(found[0].edge_mask, expected, rtol=1e-9, atol=1e-12)


NODE_METHODS = [
    name
    for name, method in METHODS.items()
    if "node" in method.scope.levels and name not in ("attention", "gnn_lrp")
]


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.unet = GraphUNet(WIDTH, 7, 3, depth=2, pool_ratios=0.5)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.unet(x, edge_index)


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("method", NODE_METHODS)
def test_a_u_net_is_explained_by_every_method(method: str) -> None:
    data = graph(5, 11)
    data.y = torch.zeros(5).long()
    found, _ = explain(UNet(), data, method, task="node", index=[0])
    scores = [found[0][name] for name in ("edge_mask", "node_mask") if name in found[0]]
    assert scores
    assert all(bool(torch.isfinite(each).all()) for each in scores)


@pytest.mark.filterwarnings("ignore:Sparse")
def test_walks_through_a_u_net_are_refused() -> None:
    with pytest.raises(WalkError, match="after a pooling layer"):
        explain(UNet(), graph(5, 11), "gnn_lrp", task="node", index=[0])


@pytest.mark.filterwarnings("ignore:Sparse")
def test_deleting_a_message_of_a_u_net() -> None:
    """Occlusion by hand: the messages of the first and the last layer, with the choice re-made."""
    data, model = graph(7, 17), UNet()
    found, told = explain(model, data, "occlusion", task="node", index=[4], target=2)
    assert len(told) == 1
    outer = (model.unet.down_convs[0], model.unet.up_convs[-1])
    is_loop = data.edge_index[0] == data.edge_index[1]
    place = torch.cumsum(~is_loop, 0) - 1

    def output(edge: int | None) -> Tensor:
        def shut(module: nn.Module, inputs: Any, sent: Tensor) -> Tensor:
            gates = torch.ones(sent.size(0), 1).double()
            if edge is not None:
                gates[place[edge]] = 0
            return sent * gates

        handles = [layer.register_message_forward_hook(shut) for layer in outer]
        with torch.no_grad():
            result = model(data.x, data.edge_index)[4, 2]
        for handle in handles:
            handle.remove()
        return result

    edges = (~is_loop).nonzero().view(-1).tolist()
    expected = torch.stack([output(None) - output(edge) for edge in edges])
    assert bool(expected.any())
    torch.testing.assert_close(found[0].edge_mask[edges], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Sparse")
def test_nodes_that_are_pooled_across_the_graph_are_not_explained_side_by_side() -> None:
    data = graph(11)
    model, index = UNet(), [0, 3, 4]
    together, _ = explain(model, data, "gnn_explainer", task="node", index=index)
    for number, each in zip(index, together, strict=True):
        alone, _ = explain(model, data, "gnn_explainer", task="node", index=[number])
        torch.testing.assert_close(each.edge_mask, alone[0].edge_mask)


@pytest.mark.filterwarnings("ignore:Sparse")
def test_the_fall_back_of_a_u_net_is_told_with_its_reason() -> None:
    with (
        pytest.warns(PooledMessagesWarning),
        pytest.warns(FallbackWarning, match="the nodes or edges that the model makes"),
    ):
        gg.Saliency(UNet(), progress=False).explain(graph(11), [0, 3])


def test_metrics_of_a_pooling_model() -> None:
    model, data = Pooled(TopKPooling(7, 0.5), GraphConv), [graph(11), graph(7, seed=1)]
    explanations, _ = explain(model, data, "edge_gradients")
    with pytest.warns(PooledMessagesWarning):
        result = fidelity(explanations, model, data)
    assert all(math.isfinite(row["fidelity_plus"]) for row in result.means())


@pytest.mark.filterwarnings("ignore:Sparse")
def test_as_pooling_is_told() -> None:
    """Its attention runs on the user's graph; what comes after does not."""
    data = graph(11)
    data.x = data.x.float()
    found, told = explain(Pooled(ASAPooling(7, 0.5)).float(), [data], "saliency")
    assert len(told) == 1
    assert bool(torch.isfinite(found[0].edge_mask).all())


class DropsSilent(nn.Module):
    """Drops nodes that nothing was sent to: none, as long as no message is shut."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = GCNConv(WIDTH, 7, add_self_loops=False, bias=False)
        self.second = GraphConv(7, 3)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        h = self.first(x, edge_index)
        kept = h.abs().sum(1).nonzero().view(-1)
        place = torch.full((x.size(0),), -1)
        place[kept] = torch.arange(kept.numel())
        ends = place[edge_index]
        ends = ends[:, (ends >= 0).all(0)]
        return global_add_pool(self.second(h[kept], ends), batch[kept], batch.max() + 1)


def test_a_choice_that_only_shut_messages_change_is_named() -> None:
    """It used to be a raw error about plans."""
    data = path(11)
    data.edge_index = torch.cat([data.edge_index, torch.tensor([[10], [0]])], dim=1)
    with pytest.raises(UnsupportedModelError, match=r"sends other messages .*expected"):
        explain(DropsSilent(), [data], "occlusion")
    found, _ = explain(DropsSilent(), [data], "edge_gradients")
    assert bool(found[0].edge_mask.any())
    found, _ = explain(DropsSilent(), [data], "causal_screening")
    assert bool(found[0].edge_mask.any())


class ByState(nn.Module):
    """Finds neighbors among hidden states, as DynamicEdgeConv does."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second = GraphConv(WIDTH, 4), GraphConv(4, 3)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = self.first(x, edge_index).tanh()
        distance = torch.cdist(h, h)
        source = distance.topk(3, largest=False).indices.flatten()
        target = torch.arange(x.size(0)).repeat_interleave(3)
        return self.second(h, torch.stack([source, target]))


def test_neighbors_by_states_are_derived_too() -> None:
    """They number nodes as the user does, but no gate could follow them."""
    found, told = explain(ByState(), graph(11, 41), "edge_gradients", task="node", index=[0])
    assert len(told) == 1
    assert not bool(found[0].layer_edge_mask[-1].any())
    assert bool(found[0].edge_mask.any())


class Tapped(Pooled):
    """A layer of one's own behind the pooling, with a tap that shows its states."""

    def __init__(self) -> None:
        super().__init__(TopKPooling(7, 0.5), GraphConv)
        self.tap = gg.MessageTap()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        h = self.first(x, edge_index).tanh()
        h, edge_index, _, batch, *_ = self.pool(h, edge_index, batch=batch)
        sent = self.tap(h[edge_index[0]], edge_index, h)
        h = torch.zeros_like(h).index_add(0, edge_index[1], sent)
        return self.head(global_add_pool(h, batch))


def test_a_tap_behind_a_pooling() -> None:
    """It tells no size; the states that it shows do."""
    found, told = explain(Tapped(), [path(11)], "edge_gradients")
    assert len(told) == 1
    assert "the messages of tap" in str(told[0].message)
    assert not bool(found[0].layer_edge_mask[-1].any())
    assert bool(found[0].layer_edge_mask[0].any())
