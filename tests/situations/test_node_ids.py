"""Models that keep something for each node of the graph: embeddings, first weights, statistics."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import LINKX, PMLP, GraphConv, GraphNorm, HeteroConv, LightGCN

import glassgraph as gg
from glassgraph.black_box.variants import Variants
from glassgraph.core.told import FallbackWarning
from glassgraph.explainers.constant import ConstantScoresWarning
from glassgraph.inputs.node_tables import NodeTables
from glassgraph.metrics import fidelity

METHODS: dict[str, dict[str, Any]] = {
    "edge_gradients": {},
    "integrated_gradients": {"steps": 3},
    "occlusion": {},
    "causal_screening": {},
    "zorro": {},
    "gnn_explainer": {"epochs": 2},
}
NODES, EDGES, INDEX = 13, 23, [0, 3, 8]


def graph(**attributes: Any) -> Data:
    generator = torch.Generator().manual_seed(3)
    data = Data(
        x=torch.randn(NODES, 5, generator=generator).double(),
        edge_index=torch.randint(NODES, (2, EDGES), generator=generator),
    )
    for key, value in attributes.items():
        data[key] = value
    return data


class Embeds(nn.Module):
    """Adds an embedding of each node to what its neighbors send."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(4)
            self.emb = nn.Embedding(NODES, 4)
            self.one, self.two = GraphConv(9, 7), GraphConv(7, 2)
        self.double()

    def rows(self, x: Tensor, edge_index: Tensor, embedded: Tensor) -> Tensor:
        h = self.one(torch.cat([x, embedded], dim=1), edge_index).tanh()
        return self.two(h, edge_index)


class AsAttribute(Embeds):
    """The equivalent that has always been supported: embeddings among the data."""

    def forward(self, x: Tensor, edge_index: Tensor, embedded: Tensor) -> Tensor:
        return self.rows(x, edge_index, embedded)


class ByPosition(Embeds):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.rows(x, edge_index, self.emb(torch.arange(x.size(0))))


class Whole(Embeds):
    def forward(self, data: Data) -> Tensor:
        return self.rows(data.x, data.edge_index, self.emb.weight)


class Buffered(Embeds):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", self.emb.weight.detach().clone())
        del self.emb

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.rows(x, edge_index, self.table)


class ByArgument(Embeds):
    def forward(self, x: Tensor, edge_index: Tensor, n_id: Tensor) -> Tensor:
        return self.rows(x, edge_index, self.emb(n_id))


class ByField(Embeds):
    def forward(self, data: Data) -> Tensor:
        return self.rows(data.x, data.edge_index, self.emb(data.n_id))


def masks(
    model: Any, data: Any, method: str, task: Any = "node", index: Any = INDEX
) -> list[Tensor]:
    """Scores of every instance; nothing may have fallen back."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConstantScoresWarning)  # is none of the model's doing
        found = gg.explain(
            model, data, method, task=task, index=index, target=0, progress=False, **METHODS[method]
        )
    return [each[name] for each in found for name in ("edge_mask", "node_score") if name in each]


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    assert any(bool(each.any()) for each in expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", [ByPosition, Whole, Buffered, ByArgument, ByField])
@pytest.mark.parametrize("method", METHODS)
def test_an_embedding_of_each_node(method: str, kind: type[Embeds]) -> None:
    embedded = AsAttribute().emb.weight.detach()
    expected = masks(AsAttribute(), graph(embedded=embedded), method)
    model = kind()
    before = {name: (id(value), value.clone()) for name, value in model.state_dict().items()}
    held = dict(model.named_parameters())
    # The attribute is there in both, so that ties are broken alike.
    assert_same(masks(model, graph(embedded=embedded), method), expected)
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(value, before[name][1]) for name, value in model.state_dict().items())
    assert all(held[name] is value for name, value in model.named_parameters())
    assert all(value.requires_grad for value in model.parameters())


@pytest.mark.parametrize("kind", [ByArgument, ByField])
@pytest.mark.parametrize("method", ["edge_gradients", "causal_screening"])
def test_numbers_that_the_data_give(method: str, kind: type[Embeds]) -> None:
    """As in a `NeighborLoader`'s batch: numbers of another, larger graph."""
    order = torch.randperm(NODES, generator=torch.Generator().manual_seed(0))
    embedded = AsAttribute().emb.weight.detach()[order]
    expected = masks(AsAttribute(), graph(embedded=embedded, n_id=order), method)
    assert_same(masks(kind(), graph(embedded=embedded, n_id=order), method), expected)


@pytest.mark.parametrize("check", ["full", "local"])
def test_tables_are_cut_whatever_predictions_are_held_against(check: Any) -> None:
    embedded = AsAttribute().emb.weight.detach()
    expected = masks(AsAttribute(), graph(embedded=embedded), "edge_gradients")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConstantScoresWarning)  # is none of the model's doing
        explainer = gg.EdgeGradients(ByPosition(), progress=False, check=check)
        found = [each.edge_mask for each in explainer.explain(graph(), INDEX, 0)]
    assert_same(found, [each for each in expected if each.numel() == EDGES])


def test_learning_over_many_nodes_and_metrics() -> None:
    embedded = AsAttribute().emb.weight.detach()
    pairs = []
    for model, data in (
        (AsAttribute(), graph(embedded=embedded)),
        (ByPosition(), graph(embedded=embedded)),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ConstantScoresWarning)  # is none of the model's doing
            explainer = gg.PGExplainer(model, epochs=3, progress=False).fit(data, INDEX)
            found = explainer.explain(data, INDEX)
            for removal in ("shut", "delete"):
                pairs.append(fidelity(found, model, data, removal=removal).means())
    for one, other in zip(pairs[:2], pairs[2:], strict=True):
        for row, other_row in zip(one, other, strict=True):
            assert row == pytest.approx(other_row)


class Typed(nn.Module):
    """Without any features: an embedding for each node of each type."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(4)
            kinds = [("a", "to", "b"), ("b", "back", "a")]
            self.emb = nn.ModuleDict({"a": nn.Embedding(7, 3), "b": nn.Embedding(7, 3)})
            self.one = HeteroConv({kind: GraphConv(3, 4) for kind in kinds})
            self.two = HeteroConv({kind: GraphConv(4, 2) for kind in kinds})
        self.double()

    def forward(self, edge_index_dict: Any) -> Any:
        x = {name: each.weight for name, each in self.emb.items()}
        h = {name: each.tanh() for name, each in self.one(x, edge_index_dict).items()}
        return self.two(h, edge_index_dict)


class TypedByAttribute(Typed):
    def forward(self, edge_index_dict: Any, row_dict: Any) -> Any:
        h = {name: each.tanh() for name, each in self.one(row_dict, edge_index_dict).items()}
        return self.two(h, edge_index_dict)


class TypedByArgument(Typed):
    def forward(self, edge_index_dict: Any, n_id_dict: Any) -> Any:
        x = {name: each(n_id_dict[name]) for name, each in self.emb.items()}
        h = {name: each.tanh() for name, each in self.one(x, edge_index_dict).items()}
        return self.two(h, edge_index_dict)


@pytest.mark.parametrize("kind", [Typed, TypedByArgument])
def test_embeddings_of_typed_nodes(kind: type[Typed]) -> None:
    """As many nodes of each type: whose an embedding is, its name says."""
    generator = torch.Generator().manual_seed(1)
    data = HeteroData()
    for name, each in Typed().emb.items():
        data[name].num_nodes, data[name].row = 7, each.weight.detach()
    for ends in (("a", "to", "b"), ("b", "back", "a")):
        data[ends].edge_index = torch.randint(7, (2, 11), generator=generator)
    task = gg.Task("node", node_type="b")
    found = {}
    for model in (TypedByAttribute(), kind()):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ConstantScoresWarning)  # is none of the model's doing
            found[type(model)] = gg.EdgeGradients(model, task, progress=False).explain(
                data, [1, 4], 0
            )
    for one, other in zip(found[TypedByAttribute], found[kind], strict=True):
        for ends in data.edge_types:
            torch.testing.assert_close(other[ends].edge_mask, one[ends].edge_mask)
    assert any(bool(each["a", "to", "b"].edge_mask.any()) for each in found[kind])


# Models of PyG


@pytest.mark.parametrize("method", ["edge_gradients", "occlusion", "gnn_explainer"])
def test_light_gcn(method: str) -> None:
    """Held against its explanation on the whole graph, one link at a time."""
    torch.manual_seed(0)
    model = LightGCN(NODES, 4, 2).double()
    data = graph(edge_label_index=torch.tensor([[0, 1, 2], [3, 4, 5]]))
    task = gg.Task("edge", mode="regression")
    found = masks(model, data, method, task, None)
    for number, each in enumerate(found):
        assert_same([each], _literal(model, data, method, number))


def _literal(model: LightGCN, data: Data, method: str, number: int) -> list[Tensor]:
    """Scores through a model whose embedding is closed over, on the whole graph alone."""
    weight = model.embedding.weight.detach()

    class Closed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs, self.alpha = model.convs, model.alpha

        def forward(self, edge_index: Tensor, edge_label_index: Tensor, row: Tensor) -> Tensor:
            x = row
            out = x * self.alpha[0]
            for conv, share in zip(self.convs, self.alpha[1:], strict=True):
                x = conv(x, edge_index)
                out = out + x * share
            return (out[edge_label_index[0]] * out[edge_label_index[1]]).sum(dim=-1)

    own = data.clone()
    own.row = weight
    return masks(Closed(), own, method, gg.Task("edge", mode="regression"), [number])


def test_linkx() -> None:
    torch.manual_seed(0)
    model = LINKX(NODES, 5, 6, 2, 2).double().eval()
    gates = torch.ones(EDGES).double().requires_grad_()
    handle = model.edge_lin.register_message_forward_hook(
        lambda _module, _inputs, messages: messages * gates.view(-1, 1)
    )
    data = graph()
    expected = [
        torch.autograd.grad(model(data.x, data.edge_index)[node, 0], gates, retain_graph=True)[0]
        for node in INDEX
    ]
    handle.remove()
    assert_same(masks(model, data, "edge_gradients"), expected)


def test_statistics_over_all_nodes_need_all_nodes() -> None:
    """PMLP normalizes by the nodes in the call: the whole graph is explained, and told."""
    torch.manual_seed(0)
    model, data = PMLP(5, 6, 2, 2).double().eval(), graph()
    with pytest.warns(FallbackWarning):
        found = gg.Occlusion(model, progress=False).explain(data, [3], 0)
    before = model(data.x, data.edge_index)[3].detach()
    torch.testing.assert_close(found[0].prediction, before.softmax(-1))
    with pytest.warns(FallbackWarning, match="depend on what lies beside them"):
        gg.explain(model, data, "causal_screening", index=[0, 3], progress=False)  # used to raise


class Centered(Embeds):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = self.one(torch.cat([x, x[:, :4]], dim=1), edge_index)
        return self.two(h - h.mean(0), edge_index)


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
def test_deletions_keep_nodes_that_a_black_box_looks_at() -> None:
    """On a small graph its reach cannot be told from a long one; unreached nodes were left out."""
    model, data = Centered(), graph()
    data.edge_index = torch.randint(NODES, (2, 41), generator=torch.Generator().manual_seed(1))
    preparation = gg.CausalScreening(model, progress=False).prepare(data)
    for _, batch in preparation.batches(preparation.instances(INDEX), None, None):
        edge = torch.arange(batch.num_edges)[::3]
        each = torch.arange(batch.num_instances)
        found = Variants(batch, 2**30).on_edges(each, batch.edge_instance[edge], edge)
        for number in each.tolist():
            own = batch.fields.edge[edge[batch.edge_instance[edge] == number]]
            node = batch.fields.node[batch.fields.seed[number, 0]]
            expected = model(data.x, data.edge_index[:, own])[node]
            torch.testing.assert_close(found[number], expected)


# What is not a table


def test_layers_as_wide_as_the_graph_are_no_tables() -> None:
    """Cut like tables they would be wrong: such a model falls back as before, and is right."""

    class Wide(Embeds):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = GraphConv(9, NODES).double(), GraphConv(NODES, 2).double()

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.rows(x, edge_index, self.emb.weight)

    model = Wide()
    held = dict(model.named_parameters())
    with pytest.warns(FallbackWarning, match=r"emb\.weight.*let forward take n_id"):
        found = gg.EdgeGradients(model, progress=False).explain(graph(), INDEX, 0)
    assert all(held[name] is value for name, value in model.named_parameters())
    expected = masks(AsTable(model), graph(embedded=model.emb.weight.detach()), "edge_gradients")
    assert_same([each.edge_mask for each in found], [e for e in expected if e.numel() == EDGES])


class AsTable(nn.Module):
    """Another model's layers, with its embedding among the data."""

    def __init__(self, model: Embeds) -> None:
        super().__init__()
        self.one, self.two, self.rows = model.one, model.two, model.rows

    def forward(self, x: Tensor, edge_index: Tensor, embedded: Tensor) -> Tensor:
        return self.rows(x, edge_index, embedded)


def test_tables_of_several_graphs_are_nobodys() -> None:
    from glassgraph.inputs.graph import TypedGraph

    assert NodeTables.of(Embeds(), TypedGraph.read([graph(), graph()])) is None
    assert NodeTables.of(Embeds(), TypedGraph.read(graph(n_id=torch.arange(NODES)))) is None
    tables = NodeTables.of(Embeds(), TypedGraph.read(graph()))
    assert tables is not None
    assert [table.path for table in tables.tables] == ["emb.weight"]


@pytest.mark.parametrize("method", ["zorro", "graph_lime", "pgm_explainer"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_head_with_as_many_rows_as_nodes_by_chance(method: str) -> None:
    """Its rows are classes: cut like those of nodes, the output has other columns."""

    class Normalized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.norm, self.head = GraphNorm(2), nn.Linear(2, 3)
            self.double().eval()

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.head(self.norm(x))

    data = Data(x=torch.randn(3, 2).double(), edge_index=torch.empty(2, 0).long())
    model = Normalized()
    (found,) = gg.explain(model, data, method, index=[0], progress=False)
    torch.testing.assert_close(found.prediction, model(data.x, data.edge_index)[0].softmax(0))
