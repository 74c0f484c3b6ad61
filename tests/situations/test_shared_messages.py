"""One message for several of the user's edges: loops that a layer replaces, edges a model merges.

The reference is the graph in which each such group is a single edge: its score is what the group
has in all, and each of k edges that cannot be told apart has a k-th of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch_geometric.nn as pyg
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.utils import coalesce

import glassgraph as gg

WIDTH, CLASSES = 3, 2
#: Node 0 has three loops, node 1 two; 1 -> 0 comes twice.
ENDS = torch.tensor([[0, 1, 0, 2, 1, 0, 1, 1, 3], [0, 0, 0, 1, 1, 0, 0, 1, 2]])
LOOPS, PAIR = [0, 2, 5], [1, 6]
ORDER = torch.tensor([7, 5, 6, 0, 3, 2, 8, 4, 1])

Make = Callable[[int, int], nn.Module]
REPLACES_LOOPS: Mapping[str, Make] = {
    "gcn": pyg.GCNConv,
    "gat": pyg.GATConv,
    "gatv2": pyg.GATv2Conv,
    "cluster": pyg.ClusterGCNConv,
    "feast": pyg.FeaStConv,
}
METHODS: Mapping[str, dict[str, Any]] = {
    "edge_gradients": {},
    "occlusion": {},
    "saliency": {},
    "integrated_gradients": {"steps": 7},
    "lrp": {},
}


class Net(nn.Module):
    def __init__(self, make: Make, depth: int = 2) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(4)
            self.convs = nn.ModuleList(make(WIDTH, WIDTH) for _ in range(depth))
            self.head = nn.Linear(WIDTH, CLASSES)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x, edge_index).tanh()
        return self.head(x)


def graph(ends: Tensor, **attributes: Tensor) -> Data:
    x = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(9)).double()
    return Data(x=x, edge_index=ends, **attributes)


def scores(model: nn.Module, data: Data, method: str, **settings: Any) -> Tensor:
    return gg.explain(
        model,
        data,
        method,
        index=[0],
        target=0,
        progress=False,
        **METHODS.get(method, {}),
        **settings,
    )[0].edge_mask


def single_loops(ends: Tensor) -> tuple[Tensor, Tensor]:
    """The edges without all loops but the first at each node, and how many stand for each."""
    loops = ends[0] == ends[1]
    first = [
        edge
        for edge in range(ends.size(1))
        if not loops[edge] or not bool((loops[:edge] & (ends[0, :edge] == ends[0, edge])).any())
    ]
    kept = torch.tensor(first)
    count = [int((loops & (ends[0] == ends[0, e])).sum()) if loops[e] else 1 for e in first]
    return kept, torch.tensor(count)


@pytest.mark.parametrize("method", ["edge_gradients", "lrp", "integrated_gradients"])
@pytest.mark.parametrize("kind", REPLACES_LOOPS)
def test_loops_share_what_the_layers_own_loop_does(kind: str, method: str) -> None:
    model = Net(REPLACES_LOOPS[kind])
    kept, count = single_loops(ENDS)
    alone = scores(model, graph(ENDS[:, kept]), method)
    found = scores(model, graph(ENDS), method)
    assert abs(float(alone[0])) > 1e-4
    torch.testing.assert_close(found[kept] * count, alone, rtol=1e-9, atol=1e-12)
    for loops in (LOOPS, [4, 7]):
        torch.testing.assert_close(found[loops], found[loops[:1]].expand(len(loops)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", REPLACES_LOOPS)
def test_the_order_of_loops_means_nothing(kind: str, method: str) -> None:
    model = Net(REPLACES_LOOPS[kind])
    found = scores(model, graph(ENDS), method)
    moved = scores(model, graph(ENDS[:, ORDER]), method)
    torch.testing.assert_close(moved, found[ORDER], rtol=1e-9, atol=1e-12)


def test_open_gates_change_no_bit_and_shut_ones_shut_the_loop() -> None:
    model, data = Net(pyg.GCNConv, 1), graph(ENDS)
    preparation = gg.Random(model, progress=False).prepare(data)
    ((_, batch),) = preparation.batches(preparation.instances([0]), 0, None)
    assert torch.equal(batch.output(batch.ones()), batch.output())
    place = torch.isin(batch.fields.edge, torch.tensor(LOOPS))
    shut = batch.score(batch.ones().masked_fill(place, 0))

    def without_loop(_: nn.Module, __: Any, messages: Tensor) -> Tensor:
        row = int((ENDS[0] != ENDS[1]).sum())  # GCN appends its loops in order of nodes
        return messages.index_fill(0, torch.tensor([row]), 0.0)

    handle = model.convs[0].register_message_forward_hook(without_loop)
    expected = model(data.x, data.edge_index)[0, 0]
    handle.remove()
    torch.testing.assert_close(shut, expected.view(1))


class Weighted(nn.Module):
    """Reads weights twice: GCN keeps that of one loop at each node, GraphConv all of them."""

    def __init__(self, *, plain: bool) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(6)
            self.gcn = pyg.GCNConv(WIDTH, CLASSES)
            self.graph = pyg.GraphConv(WIDTH, CLASSES) if plain else None
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        result = self.gcn(x, edge_index, edge_weight)
        if self.graph is not None:
            result = result + self.graph(x, edge_index, edge_weight)
        return result


WEIGHT = torch.tensor([0.7, 1.3, 0.2, 2.0, 0.9, 0.4, 0.6, 1.1, 0.8]).double()


def test_of_several_weights_gcn_keeps_one() -> None:
    """Which one is the layer's choice; the loops share the message that carries it."""
    model, data = Weighted(plain=False), graph(ENDS, edge_weight=WEIGHT)
    found = scores(model, data, "edge_gradients")
    full = model(data.x, ENDS, WEIGHT)[0, 0]
    candidates = []
    for loop in LOOPS:
        is_left = [edge for edge in range(9) if edge == loop or edge not in LOOPS]
        alone = graph(ENDS[:, is_left], edge_weight=WEIGHT[is_left])
        if torch.allclose(model(alone.x, alone.edge_index, alone.edge_weight)[0, 0], full):
            candidates.append(scores(model, alone, "edge_gradients")[is_left.index(loop)])
    assert len(candidates) == 1
    torch.testing.assert_close(found[LOOPS], (candidates[0] / 3).expand(3))


def test_a_layer_that_tells_loops_apart_keeps_its_own_part() -> None:
    data = graph(ENDS, edge_weight=WEIGHT)
    shared = scores(Weighted(plain=False), data, "edge_gradients")
    model = Weighted(plain=True)
    assert model.graph is not None
    own = WEIGHT * model.graph.lin_rel(data.x)[ENDS[0], 0] - WEIGHT * model.graph.lin_rel.bias[0]
    expected = shared + own.where(ENDS[1] == 0, 0)
    torch.testing.assert_close(scores(model, data, "edge_gradients"), expected)


def test_attention_to_the_loop_is_shared() -> None:
    model = Net(pyg.GATConv, 1)
    kept, count = single_loops(ENDS)
    alone = gg.Attention(model, progress=False).explain(graph(ENDS[:, kept]), [0])[0].edge_mask
    found = gg.Attention(model, progress=False).explain(graph(ENDS), [0])[0].edge_mask
    torch.testing.assert_close(found[kept] * count, alone)
    torch.testing.assert_close(found[LOOPS].sum() + found[PAIR].sum(), torch.ones(()).double())


def test_walks_along_a_shared_loop() -> None:
    class Linear(Net):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.head(self.convs[1](self.convs[0](x, edge_index), edge_index))

    model = Linear(pyg.GCNConv)
    kept, count = single_loops(ENDS)
    alone = scores(model, graph(ENDS[:, kept]), "gnn_lrp")
    found = scores(model, graph(ENDS), "gnn_lrp")
    torch.testing.assert_close(found[kept] * count, alone, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found[LOOPS], found[:1].expand(3))


@pytest.mark.parametrize("method", METHODS)
def test_parallel_edges_that_a_model_merges(method: str) -> None:
    class Merges(Net):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return super().forward(x, coalesce(edge_index))

    ends = ENDS[:, ENDS[0] != ENDS[1]]
    kept = torch.tensor([0, 1, 3])
    model = Merges(pyg.GraphConv)
    alone = scores(model, graph(ends[:, kept]), method)
    found = scores(model, graph(ends), method)
    assert abs(float(alone[0])) > 1e-4
    torch.testing.assert_close(found[[0, 2]], found[[2, 0]], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found[[1, 3]], alone[[1, 2]], rtol=1e-9, atol=1e-12)
    if method not in ("occlusion", "saliency"):  # of halves, and of squares
        torch.testing.assert_close(2 * found[0], alone[0], rtol=1e-9, atol=1e-12)


def test_loops_of_other_relations_are_told_apart() -> None:
    """No other edge shows that the layer splits them."""

    class Relations(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            with torch.random.fork_rng():
                torch.manual_seed(8)
                self.conv = pyg.RGCNConv(WIDTH, CLASSES, 2, aggr="add").double()

        def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
            return self.conv(x, edge_index, edge_type)

    model = Relations()
    data = graph(torch.zeros(2, 3, dtype=torch.long), edge_type=torch.tensor([1, 0, 1]))
    found = scores(model, data, "edge_gradients")
    expected = [float((data.x[0] @ model.conv.weight[kind].detach())[0]) for kind in (1, 0, 1)]
    assert abs(expected[0] - expected[1]) > 1e-3
    torch.testing.assert_close(found, torch.tensor(expected).double())


def test_loops_of_graphs_side_by_side() -> None:
    class Pooled(Net):
        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            return pyg.global_mean_pool(super().forward(x, edge_index), batch)

    model, graphs = Pooled(pyg.GCNConv), [graph(ENDS), graph(ENDS[:, ORDER])]
    one, other = gg.EdgeGradients(model, task="graph", progress=False).explain(graphs, target=0)
    torch.testing.assert_close(other.edge_mask, one.edge_mask[ORDER], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(one.edge_mask[LOOPS], one.edge_mask[:1].expand(3))
