"""Messages beside the known ones are found by their effect, on models of every make."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import (
    DenseGCNConv,
    GCNConv,
    GraphConv,
    GraphNorm,
    HeteroConv,
    LayerNorm,
    MetaLayer,
    MFConv,
    SAGEConv,
    TopKPooling,
    dense_diff_pool,
    global_mean_pool,
)
from torch_geometric.utils import degree, scatter, to_dense_adj

import glassgraph as gg
from glassgraph.core.told import FallbackWarning, UnseenWarning
from glassgraph.errors import UnseenMessagesError
from glassgraph.explainers.registry import METHODS
from glassgraph.metrics import fidelity
from glassgraph.testing.cases import Case

NUM_NODES = 12


def graph(seed: int = 3) -> Data:
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.randint(NUM_NODES, (2, 40), generator=generator).unique(dim=1)
    edge_index = pairs[:, pairs[0] != pairs[1]]
    return Data(x=torch.randn(NUM_NODES, 4, generator=generator), edge_index=edge_index)


def sent(h: Tensor, edge_index: Tensor) -> Tensor:
    """A sum over neighbors, written by hand."""
    return scatter(h[edge_index[0]], edge_index[1], 0, dim_size=h.size(0))


class Net(nn.Module):
    """One layer that is known, and something of one's own between it and the head."""

    def __init__(self, own: Callable[..., Tensor] | None = None) -> None:
        super().__init__()
        self.conv, self.head, self.lin = GraphConv(4, 8), nn.Linear(8, 3), nn.Linear(4, 8)
        self.mix, self.norm, self.count = nn.Linear(8, 8), GraphNorm(8), nn.Linear(1, 8)
        self.by_degree = MFConv(8, 8)
        self.register_buffer("kept", graph().edge_index)
        self.own = own

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = self.conv(x, edge_index).relu()
        return self.head(h if self.own is None else self.own(self, x, h, edge_index))


class OfGraphs(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        return global_mean_pool(self.net(x, edge_index), batch)


def of_task(net: nn.Module, task: str) -> nn.Module:
    return (OfGraphs(net) if task == "graph" else net).eval()


MESSAGES: dict[str, Callable[..., Tensor]] = {
    "beside the layer": lambda net, x, h, e: h + sent(net.lin(x), e),
    "after the layer": lambda net, x, h, e: sent(net.mix(h), e),
    "against the edges": lambda net, x, h, e: h + sent(net.lin(x), e.flip(0)),
    "product with a matrix": lambda net, x, h, e: h + to_dense_adj(e, max_num_nodes=len(x))[0] @ h,
    "largest neighbor": lambda net, x, h, e: scatter(h[e[0]], e[1], 0, len(x), "max"),
}
EDGES: dict[str, Callable[..., Tensor]] = {
    "degree": lambda net, x, h, e: h + net.count(degree(e[1], len(x))[:, None]),
    "weights by degree": lambda net, x, h, e: net.by_degree(h, e),
}
NODES: dict[str, Callable[..., Tensor]] = {
    "normalization": lambda net, x, h, e: net.norm(h),
    "mean of all": lambda net, x, h, e: h + net.mix(h.mean(0, keepdim=True)),
    "edges of its own": lambda net, x, h, e: h + sent(net.lin(x), net.kept),
}


@pytest.mark.parametrize("task", ["node", "graph"])
@pytest.mark.parametrize("own", MESSAGES.values(), ids=MESSAGES)
@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
def test_messages_by_hand_are_refused_and_located(own: Callable[..., Tensor], task: str) -> None:
    model = of_task(Net(own), task)
    with pytest.raises(UnseenMessagesError) as caught:
        gg.explain(model, graph(), "occlusion", task)
    words = str(caught.value)
    assert "what other nodes send along edges in" in words
    assert ("in net (Net), before net." if task == "graph" else "in Net.forward, before ") in words
    assert all(way in words for way in ("MessageTap", "causal_screening", "on_unseen='warn'"))


@pytest.mark.parametrize("method", ["saliency", "edge_gradients", "gnn_explainer", "subgraphx"])
def test_every_method_that_opens_the_model_is_asked(method: str) -> None:
    model = Net(MESSAGES["beside the layer"]).eval()
    if issubclass(METHODS[method], gg.BlackBoxExplainer):
        gg.explain(model, graph(), method, index=[0], progress=False)
        return
    with pytest.raises(UnseenMessagesError):
        gg.explain(model, graph(), method, index=[0])


def test_an_amortized_method_is_told_before_it_learns() -> None:
    model = Net(MESSAGES["beside the layer"]).eval()
    with pytest.raises(UnseenMessagesError):
        gg.GraphMask(model, progress=False).fit(graph(), index=[0, 1, 2])


@pytest.mark.parametrize("task", ["node", "graph"])
@pytest.mark.parametrize("own", EDGES.values(), ids=EDGES)
def test_what_only_counts_edges_is_told(own: Callable[..., Tensor], task: str) -> None:
    with pytest.warns(UnseenWarning, match="still depends on the edges in") as told:
        gg.explain(of_task(Net(own), task), graph(), "occlusion", task)
    assert len(told) == 1


@pytest.mark.parametrize("own", NODES.values(), ids=NODES)
def test_nodes_that_are_mixed_are_the_reason_for_falling_back(own: Callable[..., Tensor]) -> None:
    with pytest.warns(FallbackWarning, match=r"still depends on other nodes in \w") as told:
        gg.explain(Net(own).eval(), graph(), "occlusion")
    assert len(told) == 1


def test_mixed_nodes_are_told_where_nothing_falls_back() -> None:
    """Within one field that is the whole graph, predictions are right all the same."""
    path = torch.arange(NUM_NODES - 1)
    data = graph()
    data.edge_index = torch.stack([torch.zeros(NUM_NODES - 1, dtype=torch.long), 1 + path]).flip(0)
    with pytest.warns(UnseenWarning, match=r"other nodes in norm \(GraphNorm\)"):
        gg.explain(Net(NODES["normalization"]).eval(), data, "occlusion", index=[0])


@pytest.mark.parametrize("task", ["node", "graph"])
def test_taps_make_them_known(task: str) -> None:
    class Tapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head, self.lin = GraphConv(4, 8), nn.Linear(8, 3), nn.Linear(4, 8)
            self.tap = gg.MessageTap()

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            h = self.conv(x, edge_index).relu()
            messages = self.tap(self.lin(x)[edge_index[0]], edge_index)
            return self.head(h.index_add(0, edge_index[1], messages))

    model, data = of_task(Tapped(), task), graph()
    explanation = gg.explain(model, data, "occlusion", task, index=[0])[0]
    arguments = (torch.zeros(NUM_NODES, dtype=torch.long),) if task == "graph" else ()
    with torch.no_grad():
        before = model(data.x, data.edge_index, *arguments)[0]
        chosen = int(before.argmax())
        for edge in range(data.num_edges):  # a sum loses the same whether shut or deleted
            kept = torch.arange(data.num_edges) != edge
            after = model(data.x, data.edge_index[:, kept], *arguments)[0]
            loss = before.log_softmax(0)[chosen] - after.log_softmax(0)[chosen]
            score = explanation.edge_mask[edge]
            assert (score - (before - after)[chosen]).abs() < 1e-5 or (score - loss).abs() < 1e-5


def test_warning_and_ignoring_give_the_scores_of_known_messages() -> None:
    model = Net(MESSAGES["beside the layer"]).eval()
    with pytest.warns(UnseenWarning, match="send along edges"):
        told = gg.explain(model, graph(), "occlusion", index=[0, 1], on_unseen="warn")
    silent = gg.explain(model, graph(), "occlusion", index=[0, 1], on_unseen="ignore")
    for one, other in zip(told, silent, strict=True):
        assert torch.equal(one.edge_mask, other.edge_mask)


def test_falling_back_promises_nothing_when_messages_are_unseen() -> None:
    model = Net(MESSAGES["after the layer"]).eval()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gg.explain(model, graph(), "occlusion", index=[0], on_unseen="warn")
    assert {each.category for each in caught} == {FallbackWarning, UnseenWarning}
    assert not any("the result is right" in str(each.message) for each in caught)


# Layers of PyG that send messages in a way of their own


class Meta(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = GraphConv(4, 4)
        self.meta = MetaLayer(node_model=_NodeModel())

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.meta(self.conv(x, edge_index), edge_index)[0]


class _NodeModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.message, self.update = nn.Linear(4, 4), nn.Linear(8, 3)

    def forward(self, x: Any, edge_index: Any, edge_attr: Any, u: Any, batch: Any) -> Tensor:
        received = scatter(self.message(x)[edge_index[0]], edge_index[1], 0, dim_size=len(x))
        return self.update(torch.cat([x, received], 1))


class Pooled(nn.Module):
    """One known layer, then a dense pooling with a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.assign = GraphConv(4, 8), nn.Linear(8, 3)
        self.dense, self.head = DenseGCNConv(8, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = self.conv(x, edge_index).relu()
        adjacency = to_dense_adj(edge_index, max_num_nodes=len(x))
        coarse, links, _, _ = dense_diff_pool(h, adjacency, self.assign(h))
        return self.head(self.dense(coarse, links).mean(1))


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
def test_a_meta_layer_is_located() -> None:
    with pytest.raises(UnseenMessagesError, match=r"in meta\.node_model \(_NodeModel\)"):
        gg.explain(Meta().eval(), graph(), "saliency")


def test_the_dense_part_of_a_pooling_is_seen() -> None:
    with pytest.raises(UnseenMessagesError, match="outputs move by up to"):
        gg.explain(Pooled().eval(), [graph(1), graph(2)], "saliency", "graph")


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
@pytest.mark.filterwarnings("ignore:There exist node types")
def test_messages_of_one_edge_type_by_hand() -> None:
    class Typed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = HeteroConv({("a", "to", "b"): SAGEConv((4, 4), 5)})
            self.back = nn.Linear(4, 5)

        def forward(self, x_dict: Any, edge_index_dict: Any) -> Tensor:
            known = self.conv(x_dict, edge_index_dict)["b"]
            sender, receiver = edge_index_dict["b", "near", "b"]
            return known.index_add(0, receiver, self.back(x_dict["b"])[sender])

    data = HeteroData()
    data["a"].x, data["b"].x = torch.randn(5, 4), torch.randn(4, 4)
    data["a", "to", "b"].edge_index = torch.tensor([[0, 1, 2, 3, 4], [0, 1, 2, 3, 0]])
    data["b", "near", "b"].edge_index = torch.tensor([[0, 1, 2], [1, 2, 3]])
    with pytest.raises(UnseenMessagesError):
        gg.explain(Typed().eval(), data, "saliency", gg.Task("node", node_type="b"))


# No false alarm (every layer of PyG is asked in tests/coverage, where no warning goes unnoticed)


class Weighted(nn.Module):
    """Edge weights from both ends, hidden states jumped over, features normalized by node."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh, self.one, self.two = nn.Linear(8, 1), GraphConv(4, 4), GCNConv(4, 4)
        self.norm, self.head = LayerNorm(4, mode="node"), nn.Linear(8, 3)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        weight = self.weigh(x[edge_index].transpose(0, 1).flatten(1)).sigmoid().view(-1)
        h = self.norm(self.one(x, edge_index, weight).relu())
        return self.head(torch.cat([h, self.two(h, edge_index)], 1))


class Chosen(nn.Module):
    """Pools by scores that depend on messages."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.pool, self.two = GCNConv(4, 8), TopKPooling(8, 0.5), GraphConv(8, 2)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        h = self.one(x, edge_index).relu()
        h, edge_index, _, batch, *_ = self.pool(h, edge_index, batch=batch)
        return global_mean_pool(self.two(h, edge_index), batch)


@pytest.mark.parametrize("make", [Net, Weighted], ids=lambda make: make.__name__)
def test_known_messages_alone_raise_no_alarm(make: type[nn.Module]) -> None:
    gg.explain(make().eval(), graph(), "saliency")


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
@pytest.mark.filterwarnings("ignore::glassgraph.core.told.PooledMessagesWarning")
def test_what_is_seen_and_chosen_by_messages_raises_no_alarm() -> None:
    gg.explain(Chosen().eval(), [graph(1), graph(2)], "saliency", "graph")


def test_the_model_is_left_as_it_was() -> None:
    model = Net(MESSAGES["beside the layer"]).train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    drawn = torch.random.get_rng_state()
    with pytest.raises(UnseenMessagesError):
        gg.explain(model, graph(), "saliency")
    assert model.training
    assert all(not module._forward_hooks for module in model.modules())
    assert torch.equal(drawn, torch.random.get_rng_state())
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("num_links", [1, 2, 3])
def test_links_are_no_features_of_nodes(num_links: int) -> None:
    """With as many links as nodes, links were altered like features, and the model was accused."""
    ends = torch.tensor([[1, 0, 1], [1, 0, 0]])[:, :num_links]
    x = torch.randn(2, 5, generator=torch.Generator().manual_seed(1)).double()
    data = Data(x=x, edge_index=torch.tensor([[0], [1]]), edge_label_index=ends)
    model = Case("gin", "edge", columns=3).model()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gg.Occlusion(model, "edge", progress=False).explain(data, [0])


def test_fidelity_by_shutting_says_what_it_leaves_open() -> None:
    model, data = Net(MESSAGES["beside the layer"]).eval(), graph()
    found = gg.explain(model, data, "occlusion", index=[0, 1], on_unseen="ignore")
    with pytest.warns(UnseenWarning, match="send along edges"):
        fidelity(found, model, data, removal="shut")
    fidelity(found, model, data, removal="delete")  # no warning: all of it is gone with an edge
