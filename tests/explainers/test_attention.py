"""Attention scores against PyG's explainer, against weights computed by hand, and refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.explain import AttentionExplainer, Explainer
from torch_geometric.nn import (
    FAConv,
    GATConv,
    GATv2Conv,
    GCNConv,
    GINConv,
    MessagePassing,
    RGATConv,
    SuperGATConv,
    TransformerConv,
    global_add_pool,
)
from torch_geometric.utils import softmax

import glassgraph as gg
from glassgraph.errors import HyperParameterError, UnsupportedModelError
from glassgraph.testing.cases import CASES, Case, graph
from glassgraph.testing.laws.evidence import within_reach
from glassgraph.testing.networks import FEATURES
from tests.laws.cases import explained


def close(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)


def loopless(num_nodes: int = 11, num_edges: int = 29) -> Data:
    """A graph without self-loops and parallel edges, on which PyG's explainer is right."""
    torch.manual_seed(3)
    pairs = torch.randperm(num_nodes * (num_nodes - 1))[:num_edges]
    source, destination = pairs // (num_nodes - 1), pairs % (num_nodes - 1)
    destination = destination + (destination >= source)
    return Data(
        x=torch.randn(num_nodes, FEATURES).double(), edge_index=torch.stack([source, destination])
    )


class Net(nn.Module):
    """Layers in a row; node rows, or their sum over graphs."""

    def __init__(self, *convs: nn.Module, pools: bool = True) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.convs, self.pools = nn.ModuleList(convs), pools
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        for conv in self.convs:
            x = conv(x, edge_index).tanh()
        return global_add_pool(x, batch) if self.pools else x


@pytest.mark.parametrize("reduce", ["max", "mean"])
@pytest.mark.parametrize(
    "convs",
    [
        [GATConv(FEATURES, 3, heads=2), GATConv(6, 3, heads=5, concat=False)],
        [GATv2Conv(FEATURES, 3, heads=2), GATv2Conv(6, 3)],
        [TransformerConv(FEATURES, 3, heads=2), TransformerConv(6, 3, heads=3, concat=False)],
        [GCNConv(FEATURES, 3), GATConv(3, 3, heads=2), GINConv(nn.Linear(6, 3))],
    ],
    ids=["gat", "gatv2", "transformer", "mixed"],
)
def test_what_pyg_finds(convs: list[nn.Module], reduce: Any) -> None:
    """On a graph task every message counts, and both reduce the same weights."""
    model, data = Net(*convs), loopless()
    theirs = Explainer(
        model,
        AttentionExplainer(reduce=reduce),
        explanation_type="model",
        edge_mask_type="object",
        model_config={
            "mode": "multiclass_classification",
            "task_level": "graph",
            "return_type": "raw",
        },
    )(data.x, data.edge_index, batch=torch.zeros(11).long())
    found = gg.Attention(model, "graph", reduce=reduce, progress=False).explain([data])[0]
    assert theirs.edge_mask.min() > 0
    close(found.edge_mask, theirs.edge_mask)
    if len(convs) == 3:
        assert not found.layer_edge_mask[[0, 2]].any()
        close(found.layer_edge_mask[1], found.edge_mask)


@pytest.mark.parametrize("case", [each for each in CASES if each.kind == "gat"], ids=str)
def test_weights_that_layers_return(case: Case) -> None:
    """GAT's own ``return_attention_weights`` on the user's whole graph, edge by edge.

    GAT drops self-loops and appends one for each node: a user's self-loop has that one's weight.
    """
    model, data = case.model(), case.data()
    found = explained(gg.Attention(model, case.task(), progress=False), case, data)
    for position, explanation in enumerate(found):
        one = data[case.index[position]] if case.level == "graph" else data
        shown: list[Tensor] = []
        h = one.x
        for conv in model.convs:
            out, (_, alpha) = conv(h, one.edge_index, one.edge_attr, return_attention_weights=True)
            shown.append(alpha.amax(dim=1))
            h = out.tanh()
        reached = [torch.ones(one.num_edges, dtype=torch.bool)] * 2
        if case.level != "graph":
            number = case.index[position]
            seeds = [number] if case.level == "node" else one.edge_label_index[:, number].tolist()
            reached = within_reach(one.edge_index, seeds, num_layers=2)
        source, destination = one.edge_index
        num_kept = int((source != destination).sum())
        for layer in range(2):
            for edge in range(one.num_edges):
                row = int((source[:edge] != destination[:edge]).sum())
                if source[edge] == destination[edge]:
                    row = num_kept + int(source[edge])
                expected = shown[layer][row] * reached[layer][edge]
                close(explanation.layer_edge_mask[layer, edge], expected.detach())
        close(explanation.edge_mask, explanation.layer_edge_mask.amax(dim=0))


@pytest.mark.parametrize("reduce", ["max", "mean"])
def test_by_hand(reduce: Any) -> None:
    """Without attention parameters a node with d neighbors (itself one) gives each ``1 / d``.

    Edges 0, 1, 2 into node 3 and edge 3 from 3 to 4; node 4 is explained. In the first layer all
    count, in the second edge 3 alone, and layers at which an edge does not count are left out.
    """
    model = Net(GATConv(FEATURES, 3, heads=2), GATConv(6, 3), pools=False)
    with torch.no_grad():
        for conv in model.convs:
            conv.att_src.zero_()
            conv.att_dst.zero_()
    data = Data(x=torch.randn(6, FEATURES).double())
    data.edge_index = torch.tensor([[0, 1, 2, 3, 4], [3, 3, 3, 4, 5]])
    found = gg.Attention(model, reduce=reduce, progress=False).explain(data, [4])[0]
    layers = [[1 / 4, 1 / 4, 1 / 4, 1 / 2, 0.0], [0.0, 0.0, 0.0, 1 / 2, 0.0]]
    close(found.layer_edge_mask, torch.tensor(layers, dtype=torch.float64))
    close(found.edge_mask, torch.tensor(layers[0], dtype=torch.float64))


def test_heads_and_layers_are_reduced_apart() -> None:
    data, found = loopless(), {}
    model = Net(GATConv(FEATURES, 3, heads=2), GATConv(6, 3, heads=3))
    for reduce in ("max", "mean"):
        explainer = gg.Attention(model, "graph", reduce=reduce, progress=False)  # type: ignore[arg-type]
        found[reduce] = explainer.explain([data])[0]
    close(found["mean"].edge_mask, found["mean"].layer_edge_mask.mean(dim=0))
    close(found["max"].edge_mask, found["max"].layer_edge_mask.amax(dim=0))
    assert (found["max"].layer_edge_mask >= found["mean"].layer_edge_mask).all()


class Typed(nn.Module):
    """Relational attention, which is only shown on request."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.conv = RGATConv(FEATURES, 3, num_relations=3, heads=2, concat=False)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        return self.conv(x, edge_index, edge_type)


def test_a_layer_that_shows_its_weights_on_request() -> None:
    model, data = Typed(), graph(11, 29)
    data.edge_type = torch.arange(29) % 3
    _, (_, alpha) = model.conv(
        data.x, data.edge_index, data.edge_type, return_attention_weights=True
    )
    found = gg.Attention(model, progress=False).explain(data, [0, 4])
    for each, node in zip(found, (0, 4), strict=True):
        close(each.edge_mask, alpha.amax(dim=1).detach() * (data.edge_index[1] == node))


def test_weights_with_a_sign() -> None:
    """FAConv's are in (-1, 1), and a layer that is asked twice in a run answers twice."""

    class Adaptive(Net):
        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
            for _ in range(2):
                x, shown = self.convs[0](x, x, edge_index, return_attention_weights=True)
                self.shown.append(shown[1].detach())
            return global_add_pool(x, batch)

    model, data = Adaptive(FAConv(FEATURES, dropout=0.0, add_self_loops=False)), loopless()
    model.shown = []
    found = gg.Attention(model, "graph", progress=False).explain([data])[0]
    close(found.layer_edge_mask, torch.stack(model.shown[-2:]))
    assert (found.edge_mask < 0).any()
    close(found.edge_mask, found.layer_edge_mask.amax(dim=0))


class Own(MessagePassing):
    """A layer of the user's own: weights are an argument ``alpha`` of its messages."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        weight = softmax(x[edge_index[0], 0], edge_index[1], num_nodes=x.size(0))
        return self.propagate(edge_index, x=x, alpha=weight)

    def message(self, x_j: Tensor, alpha: Tensor) -> Tensor:
        return alpha.view(-1, 1) * x_j


def test_a_layer_of_the_users_own() -> None:
    data = loopless()
    found = gg.Attention(Net(Own()), "graph", progress=False).explain([data])[0]
    source, destination = data.edge_index
    weight = data.x[source, 0].exp()
    total = torch.zeros(11).double().index_add(0, destination, weight)
    close(found.edge_mask, weight / total[destination])


def test_parallel_layers_are_reduced_like_heads() -> None:
    class Branches(Net):
        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
            return global_add_pool(sum(conv(x, edge_index) for conv in self.convs), batch)

    data, convs = loopless(), [GATConv(FEATURES, 3), GATConv(FEATURES, 3)]
    model = Branches(*convs)
    parts = [
        gg.Attention(Net(conv), "graph", progress=False).explain([data])[0].edge_mask
        for conv in convs
    ]
    found = gg.Attention(model, "graph", progress=False).explain([data])[0]
    assert found.layer_edge_mask.shape == (1, 29)
    close(found.edge_mask, torch.maximum(*parts))


# What is refused


def test_no_attention() -> None:
    model = Net(GCNConv(FEATURES, 3), SuperGATConv(3, 3))
    with pytest.raises(
        UnsupportedModelError,
        match=r"found convs.0 \(GCNConv\), convs.1 \(SuperGATConv\).*'alpha'.*return_attention",
    ):
        gg.Attention(model, "graph", progress=False).explain([loopless()])


def test_no_attention_on_messages_of_taps() -> None:
    class Tapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tap = gg.MessageTap()

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            sent = self.tap(x[edge_index[0]], edge_index)
            return torch.zeros_like(x).index_add(0, edge_index[1], sent)

    with pytest.raises(UnsupportedModelError, match=r"found tap \(MessageTap\)"):
        gg.Attention(Tapped(), progress=False).explain(loopless(), [0])


def test_an_unknown_reduction() -> None:
    with pytest.raises(HyperParameterError, match="'max' or 'mean'; got 'sum'"):
        gg.Attention(Net(GATConv(FEATURES, 3)), reduce="sum")  # type: ignore[arg-type]
