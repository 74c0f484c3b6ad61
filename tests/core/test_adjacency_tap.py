"""Layers that multiply by dense adjacency matrices are explained as their sparse twins are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GATConv, GCNConv, RGCNConv, SimpleConv, global_add_pool
from torch_geometric.utils import coalesce, to_dense_adj, to_undirected

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.core.messages import read_messages
from glassgraph.errors import GraphError, ModelCallError, SparseAdjacencyError
from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch
from glassgraph.explainers.perturbation.message_gates.gates import MessageGates
from glassgraph.learn.bilinear_scorer import BilinearScorer
from glassgraph.testing.compare import scores

FEATURES, HIDDEN, CLASSES, NODES, RELATIONS = 5, 7, 3, 23, 2
METHODS: dict[type[gg.Explainer], dict[str, Any]] = {
    gg.Saliency: {},
    gg.EdgeGradients: {},
    gg.IntegratedGradients: {"steps": 5},
    gg.Occlusion: {},
    gg.GNNExplainer: {"epochs": 5},
    gg.ErasureSearch: {"exact_up_to": 6, "keep_effect": 0.8},
}


def dense_of(edge_index: Tensor, num_nodes: int, weight: Tensor | None = None) -> Tensor:
    """``[N, N]``, receivers first, as PyG aggregates."""
    return to_dense_adj(edge_index, edge_attr=weight, max_num_nodes=num_nodes)[0].t()


class Sum(nn.Module):
    """What `SimpleConv` does, as a product; ``reads_rows`` for A[source, destination] itself."""

    def __init__(self, reads_rows: bool = False) -> None:
        super().__init__()
        self.tap, self.reads_rows = gg.AdjacencyTap(), reads_rows

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        adjacency = dense_of(edge_index, x.size(0), edge_weight).to(x.dtype)
        return self.tap(adjacency.t() if self.reads_rows else adjacency, values=x)


class Normalized(GCNConv):
    """What `GCNConv` does, as a product."""

    def __init__(self) -> None:
        super().__init__(HIDDEN, HIDDEN)
        self.tap = gg.AdjacencyTap()

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        adjacency = dense_of(edge_index, x.size(0), edge_weight).to(x.dtype)
        adjacency = adjacency + torch.eye(x.size(0), dtype=x.dtype)
        scale = adjacency.sum(dim=1).rsqrt()
        return self.tap(scale.view(-1, 1) * adjacency * scale, self.lin(x), x) + self.bias


class Relations(RGCNConv):
    """What `RGCNConv` does (with sums), as one product; values differ or are mixed afterwards."""

    def __init__(self, mixes_after: bool = True, reads_rows: bool = False) -> None:
        super().__init__(HIDDEN, HIDDEN, RELATIONS, aggr="sum")
        self.reads_rows = reads_rows
        self.tap, self.mixes_after = gg.AdjacencyTap(), mixes_after

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        adjacency = torch.stack(
            [dense_of(edge_index[:, edge_type == r], x.size(0)) for r in range(RELATIONS)]
        ).to(x.dtype)
        if self.reads_rows:
            adjacency = adjacency.transpose(1, 2)
        if self.mixes_after:
            out = (self.tap(adjacency, x) @ self.weight).sum(dim=0)
        else:
            out = self.tap(adjacency, x @ self.weight).sum(dim=0)
        return out + x @ self.root + self.bias


class Attention(GATConv):
    """What `GATConv` does, as one product for all heads."""

    def __init__(self) -> None:
        super().__init__(HIDDEN, HIDDEN, heads=2, concat=False, add_self_loops=False)
        self.tap = gg.AdjacencyTap()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        values = self.lin(x).view(-1, 2, HIDDEN).transpose(0, 1)
        receiver, sender = (
            (values * weight.view(2, 1, HIDDEN)).sum(dim=-1)
            for weight in (self.att_dst, self.att_src)
        )
        pairs = nn.functional.leaky_relu(receiver.unsqueeze(2) + sender.unsqueeze(1), 0.2)
        is_open = dense_of(edge_index, x.size(0)) > 0
        adjacency = pairs.masked_fill(~is_open, -torch.inf).softmax(dim=2).where(is_open, 0.0)
        return self.tap(adjacency, values).mean(dim=0) + self.bias


class Net(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module, takes: str = "edge_weight") -> None:
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(FEATURES, HIDDEN), nn.Linear(HIDDEN, CLASSES)
        self.pass1, self.pass2 = first, second
        self.takes = takes

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        edge_type: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> Tensor:
        extra = {"edge_weight": edge_weight, "edge_type": edge_type, "": None}[self.takes]
        given = (edge_index,) if extra is None else (edge_index, extra)
        h = self.pass1(self.lin1(x), *given).tanh()
        h = self.lin2(self.pass2(h, *given).tanh())
        return h if batch is None else global_add_pool(h, batch)


def graph(seed: int = 3, *, undirected: bool = False, nodes: int = NODES) -> Data:
    """Simple edges, in a shuffled order; the last node is isolated."""
    torch.manual_seed(seed)
    edge_index = torch.randint(nodes - 1, (2, 2 * nodes))
    edge_index = coalesce(edge_index[:, edge_index[0] != edge_index[1]])
    if undirected:
        edge_index = to_undirected(edge_index)
    else:
        edge_index = edge_index[:, torch.randperm(edge_index.size(1))]
    return Data(x=torch.randn(nodes, FEATURES).double(), edge_index=edge_index)


def weighted(data: Data) -> Data:
    data.edge_weight = torch.rand(data.num_edges).double() + 0.5
    return data


def twins(dense: Any, sparse: Any, takes: str = "") -> tuple[Net, Net]:
    torch.manual_seed(0)
    one, other = Net(dense(), dense(), takes), Net(sparse(), sparse(), takes)
    one, other = one.double().eval(), other.double().eval()
    one.load_state_dict(other.state_dict())
    return one, other


def expect_same(
    method: type[gg.Explainer], one: nn.Module, other: nn.Module, data: Any, index: Any, **kw: Any
) -> None:
    settings = {**METHODS[method], **kw, "progress": False}
    found = method(one, **settings).explain(data, index)
    expected = method(other, **settings).explain(data, index)
    assert any(bool(value.any()) for each in expected for value in scores(each).values())
    for left, right in zip(found, expected, strict=True):
        for name, value in scores(left).items():
            torch.testing.assert_close(value, scores(right)[name], rtol=1e-8, atol=1e-11)


def sparse_sum() -> nn.Module:
    return SimpleConv(aggr="sum")


@pytest.mark.parametrize("method", METHODS)
def test_a_dense_model_is_explained_as_its_sparse_twin(method: type[gg.Explainer]) -> None:
    one, other = twins(Sum, sparse_sum, "edge_weight")
    expect_same(method, one, other, weighted(graph()), [4, 9])


@pytest.mark.parametrize("method", METHODS)
def test_weights_of_the_full_graph_are_used_at_the_rim(method: type[gg.Explainer]) -> None:
    one, other = twins(Normalized, lambda: GCNConv(HIDDEN, HIDDEN))
    expect_same(method, one, other, graph(), [4, 9])  # no FallbackWarning


@pytest.mark.parametrize("mixes_after", [True, False])
@pytest.mark.parametrize("reads_rows", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_relations_with_parallel_edges(
    method: type[gg.Explainer], reads_rows: bool, mixes_after: bool
) -> None:
    flow = "target_to_source" if reads_rows else "source_to_target"
    one, other = twins(
        lambda: Relations(mixes_after, reads_rows),
        lambda: RGCNConv(HIDDEN, HIDDEN, RELATIONS, aggr="sum", flow=flow),
        "edge_type",
    )
    data = graph(undirected=True)
    data.edge_type = torch.randint(RELATIONS, (data.num_edges,))
    # The first of two parallel edges has the higher relation.
    data.edge_index = torch.cat([data.edge_index, data.edge_index[:, ::3]], dim=1)
    data.edge_type[::3] = 1
    data.edge_type = torch.cat([data.edge_type, torch.zeros_like(data.edge_type[::3])])
    expect_same(method, one, other, data, [4, 9])


@pytest.mark.parametrize("method", METHODS)
def test_heads_of_attention_share_their_edges(method: type[gg.Explainer]) -> None:
    one, other = twins(
        Attention, lambda: GATConv(HIDDEN, HIDDEN, 2, concat=False, add_self_loops=False)
    )
    expect_same(method, one, other, graph(), [4, 9])


@pytest.mark.parametrize("method", [gg.EdgeGradients, gg.Occlusion])
@pytest.mark.parametrize("reads_rows", [False, True])
def test_on_an_undirected_graph_the_reading_direction_is_found(
    method: type[gg.Explainer], reads_rows: bool
) -> None:
    flow = "target_to_source" if reads_rows else "source_to_target"
    one, other = twins(lambda: Sum(reads_rows), lambda: SimpleConv(aggr="sum", flow=flow))
    expect_same(method, one, other, graph(undirected=True), [4, 9])


@pytest.mark.parametrize("method", [gg.EdgeGradients, gg.Occlusion])
def test_directed_edges_read_against_their_direction(method: type[gg.Explainer]) -> None:
    flow = "target_to_source"
    one, other = twins(lambda: Sum(True), lambda: SimpleConv(aggr="sum", flow=flow), "edge_weight")
    expect_same(method, one, other, weighted(graph()), [4, 9])


@pytest.mark.parametrize("method", METHODS)
def test_graphs_side_by_side_in_one_matrix(method: type[gg.Explainer]) -> None:
    one, other = twins(Sum, sparse_sum)
    graphs = [graph(seed, nodes=nodes) for seed, nodes in ((1, 5), (2, 7), (3, 11))]
    expect_same(method, one, other, graphs, None, task="graph")


# Gates and baselines, by hand


def batch_of(model: nn.Module, data: Data, index: list[int]) -> Any:
    explainer = gg.EdgeGradients(model, progress=False)
    preparation = explainer.prepare(data)
    with protected(model):
        ((_, batch),) = preparation.batches(preparation.instances(index), 0, 1 << 30)
    return batch


@pytest.mark.parametrize("per_row", [False, True])
def test_gates_and_baselines_against_a_loop(per_row: bool) -> None:
    torch.manual_seed(1)
    model = Net(Normalized(), Normalized(), "").double().eval()
    data = graph(undirected=True)
    batch = batch_of(model, data, [4])
    gates = torch.rand(2, batch.num_edges).double()
    rows = [each.num_rows for each in read_messages(batch)]
    width = [(rows[k] if per_row else 1, HIDDEN) for k in range(2)]
    baselines = [torch.randn(size).double() for size in width]
    given = baselines if per_row else [each.view(HIDDEN) for each in baselines]
    with torch.no_grad():
        found = batch.output(gates, baselines=given)
        expected = _by_hand(model, batch, data, gates, baselines)
    torch.testing.assert_close(found, expected[batch.output_rows], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(found, batch.output(gates))


def _by_hand(model: Net, batch: Any, data: Data, gates: Tensor, baselines: list[Tensor]) -> Tensor:
    """Entry by entry, on the packed graph with the weights of the full one."""
    own, num_nodes = batch.fields.node, batch.num_nodes
    full = dense_of(data.edge_index, NODES).double() + torch.eye(NODES).double()
    degree = full.sum(dim=1)
    edges = {
        (int(s), int(d)): number
        for number, (s, d) in enumerate(
            torch.stack([batch.fields.source, batch.fields.destination]).t()
        )
    }
    h = model.lin1(batch.packed.data.x)
    for layer, conv in enumerate((model.pass1, model.pass2)):
        values, out, row = conv.lin(h), torch.zeros(num_nodes, HIDDEN).double(), 0
        for i in range(num_nodes):
            for j in range(num_nodes):
                if i != j and (j, i) not in edges:
                    continue
                gate = gates[layer, edges[j, i]] if i != j else 1.0
                weight = (degree[own[i]] * degree[own[j]]).rsqrt()
                shut = baselines[layer][row if baselines[layer].size(0) > 1 else 0]
                out[i] += weight * (gate * values[j] + (1 - gate) * shut)
                row += 1
        h = (out + conv.bias).tanh()
    return model.lin2(h)


@pytest.mark.parametrize("transposed", [False, True])
def test_open_gates_change_no_bit(transposed: bool) -> None:
    torch.manual_seed(1)
    model = Net(Sum(transposed), Sum(transposed), "edge_weight").eval()
    data = weighted(graph(undirected=True))
    data.x, data.edge_weight = data.x.float(), data.edge_weight.float()
    batch = batch_of(model, data, [4, 9])
    with torch.no_grad():
        rows = batch.model_call(batch.packed.data)[batch.output_rows]
        baselines = [torch.randn(HIDDEN) for _ in range(2)]
        assert torch.equal(batch.output(), rows)
        assert torch.equal(batch.output(batch.ones(layerwise=True)), rows)
        assert torch.equal(batch.output(batch.ones(), baselines=baselines), rows)


def test_no_hook_stays() -> None:
    model, _ = twins(Sum, sparse_sum)
    gg.EdgeGradients(model, progress=False).explain(graph(), [4])
    assert not any(module._forward_hooks for module in model.modules())


# What gates look at


def test_learned_gates_read_node_states() -> None:
    torch.manual_seed(1)
    model = Net(Relations(), Relations(), "edge_type").double().eval()
    data = graph()
    data.edge_type = torch.randint(RELATIONS, (data.num_edges,))
    batch = batch_of(model, data, [4, 9])
    for each in read_messages(batch):
        assert each.matrix is not None
        assert each.widths == (HIDDEN, HIDDEN, HIDDEN)
        assert each.sender.numel() == each.receiver.numel() == each.message.numel() == 0
        fields = batch.fields
        assert torch.equal(each.matrix.sender, fields.source[each.edge])
        assert torch.equal(each.matrix.receiver, fields.destination[each.edge])
        if each.layer == 0:
            torch.testing.assert_close(each.matrix.states, model.lin1(batch.packed.data.x).detach())
    gated = GatedBatch.read(batch)
    gates = MessageGates(gated.groups).double()
    gates.start_baselines([gated])
    assert [len(group.sites) for group in gated.groups] == [RELATIONS, RELATIONS]
    flat = gated.scores(gates(gated))
    first = [each for each in read_messages(batch) if each.layer == 0]
    scorer = gates.scorers[gated.groups[1].name]
    assert isinstance(scorer, BilinearScorer)
    total, number = torch.zeros(HIDDEN).double(), 0
    for relation, each in enumerate(first):
        assert each.matrix is not None
        pairs = scorer(each.matrix.states)[relation]
        entries = zip(each.edge, each.matrix.sender, each.matrix.receiver, strict=True)
        for edge, j, i in entries:
            torch.testing.assert_close(flat[0, edge], pairs[i, j])
            total, number = total + each.matrix.values[j], number + 1
    # The last layer's matrix has entries that cannot reach the prediction: no gate reads them.
    assert gated.num_messages < sum(each.edge.numel() for each in read_messages(batch))
    torch.testing.assert_close(gates.baselines[gated.groups[1].name].data, total / number)
    output = batch.output(
        gated.gates(gates(gated).sigmoid()), baselines=gates.site_baselines(gated)
    )
    gradients = torch.autograd.grad(output.sum(), list(gates.parameters()))
    assert all(bool(gradient.abs().sum() > 0) for gradient in gradients)


# Mistakes


class Batched(nn.Module):
    """The layout that `DenseGCNConv` takes: one matrix for each graph."""

    def __init__(self) -> None:
        super().__init__()
        self.lin, self.tap = nn.Linear(FEATURES, CLASSES), gg.AdjacencyTap()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        size = int(batch.bincount().max())
        values = x.new_zeros(int(batch.max()) + 1, size, FEATURES)
        place = torch.arange(x.size(0)) - torch.searchsorted(batch, batch)
        values[batch, place] = x
        adjacency = to_dense_adj(edge_index, batch, max_num_nodes=size).to(x.dtype)
        return self.lin(self.tap(adjacency.transpose(1, 2), values).sum(dim=1))


def test_one_matrix_for_each_graph_is_refused() -> None:
    graphs = [graph(seed, nodes=nodes) for seed, nodes in ((1, 5), (2, 7))]
    explainer = gg.EdgeGradients(Batched().double().eval(), task="graph", progress=False)
    with pytest.raises(ModelCallError, match=r"use one \[N, N\] matrix"):
        explainer.explain(graphs)


class Typed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tap = gg.AdjacencyTap()

    def forward(self, x_dict: dict[str, Tensor], edge_index_dict: dict[Any, Tensor]) -> Any:
        x = x_dict["a"]
        return {"a": self.tap(dense_of(edge_index_dict["a", "to", "a"], x.size(0)).to(x.dtype), x)}


def test_heterogeneous_graphs_are_refused() -> None:
    data, typed = graph(), HeteroData()
    typed["a"].x, typed["a", "to", "a"].edge_index = data.x, data.edge_index
    explainer = gg.EdgeGradients(Typed(), task=gg.Task("node", node_type="a"), progress=False)
    with pytest.raises(ModelCallError, match="heterogeneous"):
        explainer.explain(typed, [4])


def test_parallel_edges_of_one_entry_are_refused() -> None:
    model, _ = twins(Sum, sparse_sum)
    data = graph()
    data.edge_index = torch.cat([data.edge_index, data.edge_index[:, :2]], dim=1)
    with pytest.raises(GraphError, match="parallel edges share one entry"):
        gg.EdgeGradients(model, progress=False).explain(data, [4])


@pytest.mark.parametrize(
    ("adjacency", "values", "x", "says"),
    [
        ((2, 3, 5, 5), (5, 7), None, r"\[N, N\]"),
        ((3, 5), (5, 7), None, r"\[N, N\]"),
        ((5, 5), (3, 7), None, "values"),
        ((5, 5), (2, 5, 7), None, "values"),
        ((2, 5, 5), (3, 5, 7), None, "values"),
        ((5, 5), (5,), None, "values"),
        ((5, 5), (5, 7), (3, 2), "x is"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(adjacency: Any, values: Any, x: Any, says: str) -> None:
    states = None if x is None else torch.ones(x)
    with pytest.raises(GraphError, match=says):
        gg.AdjacencyTap()(torch.ones(adjacency), torch.ones(values), states)


def test_a_sparse_matrix_is_refused() -> None:
    with pytest.raises(SparseAdjacencyError, match="MessageTap"):
        gg.AdjacencyTap()(torch.eye(3).to_sparse(), torch.ones(3, 2))
