"""What a model is given is what a loader would give it: a ``Batch``, with all that belongs to it.

Every model here computes what `Plain` computes, which takes tensors by name and has always been
supported; only how it comes by them differs.
"""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GraphConv, global_add_pool

import glassgraph as gg
from glassgraph.calling.packed_batch import PackedBatch, as_batch
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import GraphError, ModelCallError

METHODS: dict[str, dict[str, Any]] = {
    "edge_gradients": {},
    "integrated_gradients": {"steps": 3},
    "occlusion": {},
    "causal_screening": {},
    "gnn_explainer": {"epochs": 2},
}
SIZES, EDGES = (5, 7, 4), (11, 13, 9)


def graph(seed: int) -> Data:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(SIZES[seed], 3, generator=generator).double()
    ends = torch.randint(SIZES[seed], (2, EDGES[seed]), generator=generator)
    return Data(x=x, edge_index=ends)


GRAPHS = [graph(seed) for seed in range(3)]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(6)
            self.one, self.two = GraphConv(3, 4), GraphConv(4, 2)
        self.double()

    def rows(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.one(x, edge_index).tanh(), edge_index)


class Plain(Net):
    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        return global_add_pool(self.rows(x, edge_index), batch)


class NumGraphs(Net):
    def forward(self, data: Any) -> Tensor:
        return global_add_pool(self.rows(data.x, data.edge_index), data.batch, data.num_graphs)


class BatchSize(Net):
    def forward(self, data: Any) -> Tensor:
        return global_add_pool(self.rows(data.x, data.edge_index), data.batch, data.batch_size)


class Pointers(Net):
    def forward(self, data: Any) -> Tensor:
        h = self.rows(data.x, data.edge_index)
        return torch.stack([h[i:j].sum(0) for i, j in itertools.pairwise(data.ptr.tolist())])


class ByArguments(Net):
    def forward(
        self, x: Tensor, edge_index: Tensor, ptr: Tensor, batch_size: int, num_nodes: int
    ) -> Tensor:
        assert num_nodes == x.size(0)
        batch = torch.repeat_interleave(torch.arange(batch_size), ptr.diff())
        return global_add_pool(self.rows(x, edge_index), batch)


class Lightning(Net):
    def forward(self, batch):
        return global_add_pool(self.rows(batch.x, batch.edge_index), batch.batch)


class Annotated(Net):
    def forward(self, sample: Data | Batch, is_long: bool = False) -> Tensor:
        return global_add_pool(self.rows(sample.x, sample.edge_index), sample.batch)


class AnyName(Net):
    def forward(self, molecule: Any) -> Tensor:
        return global_add_pool(self.rows(molecule.x, molecule.edge_index), molecule.batch)


class AsBatch(Net):
    def forward(self, data: Any) -> Tensor:
        assert isinstance(data, Batch)
        assert data.validate()
        assert len(data) == data.num_graphs
        assert data.num_edges == data.edge_index.size(1)
        data.is_undirected()
        return global_add_pool(self.rows(data.x, data.edge_index), data.batch)


class Mixed(Net):
    def forward(self, x: Tensor, edge_index: Tensor, data: Any) -> Tensor:
        return global_add_pool(self.rows(x, edge_index), data.batch)


class PositionalOnly(Net):
    def forward(self, x: Tensor, edge_index: Tensor, /, batch: Tensor) -> Tensor:
        return global_add_pool(self.rows(x, edge_index), batch)


class MoreWords(Net):
    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor, **others: Any) -> Tensor:
        assert not others
        return global_add_pool(self.rows(x, edge_index), batch)


class Wrapper(nn.Module):
    """As frameworks for training wrap a model."""

    def __init__(self) -> None:
        super().__init__()
        self.module = ByArguments()

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.module(*args, **kwargs)


class PositionalWrapper(Wrapper):
    def forward(self, *args: Any) -> Tensor:
        return self.module(*args)


KINDS = [
    Wrapper,
    PositionalWrapper,
    NumGraphs,
    BatchSize,
    Pointers,
    ByArguments,
    Lightning,
    Annotated,
    AnyName,
    AsBatch,
    Mixed,
    PositionalOnly,
    MoreWords,
]


def masks(model: Any, data: Any, method: str, task: Any = "graph", index: Any = None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = gg.explain(
            model, data, method, task=task, index=index, target=1, progress=False, **METHODS[method]
        )
    return [each.edge_mask for each in found]


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    assert any(bool(each.any()) for each in expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


@pytest.fixture(scope="module")
def expected() -> dict[str, list[Tensor]]:
    return {method: masks(Plain(), GRAPHS, method) for method in METHODS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_graphs(method: str, kind: type[nn.Module], expected: dict[str, list[Tensor]]) -> None:
    assert_same(masks(kind(), GRAPHS, method), expected[method])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["edge_gradients", "causal_screening"])
def test_other_inputs(
    method: str, kind: type[nn.Module], expected: dict[str, list[Tensor]]
) -> None:
    assert_same(masks(kind(), Batch.from_data_list(GRAPHS), method), expected[method])
    assert_same(masks(kind(), GRAPHS[0], method), expected[method][:1])
    beside = Data.from_dict(Batch.from_data_list(GRAPHS).to_dict())
    for key in ("ptr", "edge_index"):
        del beside[key]
    beside.edge_index = Batch.from_data_list(GRAPHS).edge_index
    together = masks(Plain(), beside, method)  # graphs side by side in one Data
    assert_same(masks(kind(), beside, method), together)


# Nodes


class OfNodes(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.rows(x, edge_index)


class NodesOfBatch(Net):
    """For a graph of its own, though it was written for a loader's batches."""

    def forward(self, batch: Any) -> Tensor:
        assert batch.num_graphs == int(batch.batch.max()) + 1
        return self.rows(batch.x, batch.edge_index)


class NeedlessBatch(Net):
    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        assert batch.shape == x.shape[:1]
        return self.rows(x, edge_index)


class Validates(Net):
    def forward(self, g: Any) -> Tensor:
        assert g.validate()
        assert g.num_nodes == g.x.size(0)
        g.is_undirected()
        return self.rows(g.x, g.edge_index)


@pytest.mark.parametrize("kind", [NodesOfBatch, NeedlessBatch, Validates])
@pytest.mark.parametrize("method", METHODS)
def test_nodes(method: str, kind: type[nn.Module]) -> None:
    for data in (GRAPHS[1], GRAPHS):
        plain = masks(OfNodes(), data, method, "node", [2, 3])
        assert_same(masks(kind(), data, method, "node", [2, 3]), plain)


class Followed(Net):
    def forward(self, data: Any) -> Tensor:
        assert data.x_ptr.numel() == data.num_graphs + 1
        return global_add_pool(self.rows(data.x, data.edge_index), data.x_batch)


@pytest.mark.parametrize("method", METHODS)
def test_attributes_that_a_loader_follows(method: str, expected: dict[str, list[Tensor]]) -> None:
    batch = next(iter(DataLoader(GRAPHS, batch_size=3, follow_batch=["x"])))
    assert_same(masks(Followed(), batch, method), expected[method])


class Special(Data):
    """Data with a word of their own, as some data sets have them."""

    def pooled(self, rows: Tensor) -> Tensor:
        return global_add_pool(rows, self.batch)


class AsksData(Net):
    def forward(self, data: Any) -> Tensor:
        return data.pooled(self.rows(data.x, data.edge_index))


@pytest.mark.parametrize("method", METHODS)
def test_classes_of_the_users_own(method: str, expected: dict[str, list[Tensor]]) -> None:
    graphs = [Special(x=each.x, edge_index=each.edge_index) for each in GRAPHS]
    assert_same(masks(AsksData(), graphs, method), expected[method])
    assert_same(masks(AsksData(), graphs[0], method), expected[method][:1])


MISFITS = [
    (Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2), "graph 1 has no x, graph 0 has one"),
    (
        Data(x=torch.zeros(2, 4), edge_index=torch.tensor([[0], [1]])),
        r"rows of x have shape \(4,\) in graph 1, and \(3,\) in graph 0",
    ),
    (HeteroData(a={"x": torch.zeros(2, 3)}), "other types of nodes and edges than graph 0"),
]


@pytest.mark.parametrize(("other", "words"), MISFITS)
def test_graphs_that_do_not_fit_together(other: Any, words: str) -> None:
    if isinstance(other, HeteroData):
        other["a", "to", "a"].edge_index = torch.tensor([[0], [1]])
    with pytest.raises(GraphError, match=words):
        gg.Saliency(Plain(), "graph", progress=False).explain([GRAPHS[0], other])


@pytest.mark.parametrize("kind", [Lightning, AnyName, NumGraphs])
def test_models_that_are_explained_by_generated_graphs(kind: type[Net]) -> None:
    one, other = (
        gg.XGNN(model.eval(), 3, 4, progress=False).random(5, target_class=0)
        for model in (Plain(), kind())
    )
    torch.testing.assert_close(one.probability, other.probability)


# Ambiguity


def test_a_single_argument_that_is_the_vector_after_all() -> None:
    """Tried as the data object first, which this model cannot take."""
    inner = OfNodes()

    class Vector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, batch):
            h = self.inner(GRAPHS[0].x, GRAPHS[0].edge_index)
            return global_add_pool(h, batch.long())

    (expected,) = masks(Plain(), GRAPHS[0], "edge_gradients")
    (found,) = masks(Vector(), GRAPHS[0], "edge_gradients")
    torch.testing.assert_close(found, expected)


def test_a_failure_that_comes_and_goes_chooses_nothing() -> None:
    class AtTimes(Lightning):
        calls = 0

        def forward(self, batch):
            self.calls += 1
            if self.calls == 1:
                raise ConnectionError("the server is busy")
            return super().forward(batch)

    with pytest.raises(ModelCallError, match=r"failed once .*ConnectionError: the server is busy"):
        gg.CausalScreening(AtTimes(), "graph", progress=False).explain(GRAPHS)


def test_the_first_reason_is_told_where_nothing_runs() -> None:
    class Fails(Net):
        def forward(self, batch: Any) -> Tensor:
            return self.rows(batch.position, batch.edge_index)

    with pytest.raises(ModelCallError, match="no attribute 'position'"):
        gg.Saliency(Fails(), "graph", progress=False).explain(GRAPHS)


def test_arguments_without_names_are_refused_at_once() -> None:
    def service(*args: Any) -> Tensor:
        return OfNodes()(*args)

    with pytest.raises(ModelCallError, match="names no arguments; pass call=lambda"):
        gg.CausalScreening(service, progress=False)


# Single graphs again


class Loops(Net):
    """Takes the graphs of a batch apart, and treats each by itself."""

    def forward(self, data: Any) -> Tensor:
        graphs = data.to_data_list()
        return torch.stack([self.rows(each.x, each.edge_index).sum(0) for each in graphs])


def test_a_model_that_takes_batches_apart() -> None:
    """Several graphs are so many more messages than one: explained one by one, and told."""
    for method in ("edge_gradients", "occlusion"):
        plain = masks(Plain(), GRAPHS, method)
        with pytest.warns(FallbackWarning, match="could not run on several graphs at once"):
            found = gg.explain(
                Loops(), GRAPHS, method, task="graph", target=1, progress=False, **METHODS[method]
            )
        assert_same([each.edge_mask for each in found], plain)
        assert_same(masks(Loops(), GRAPHS[0], method), plain[:1])
    assert_same(
        masks(Loops(), GRAPHS, "causal_screening"), masks(Plain(), GRAPHS, "causal_screening")
    )


def test_packed_graphs_come_apart_as_they_were() -> None:
    """As PyG's own batches do."""
    graphs = [graph(seed) for seed in range(3)]
    for number, each in enumerate(graphs):
        each.edge_attr = torch.rand(EDGES[number], 2)
        each.u, each.word = torch.tensor([[float(number)]]), "abc"[number]
    collated = Batch.from_data_list(graphs)
    plain = Data.from_dict({k: v for k, v in collated.to_dict().items() if k != "ptr"})
    packed = as_batch(plain, torch.device("cpu"))
    assert isinstance(packed, PackedBatch)
    assert packed.num_graphs == packed.batch_size == len(packed) == 3
    assert torch.equal(packed.ptr, collated.ptr)
    for one, other in zip(packed.to_data_list(), collated.to_data_list(), strict=True):
        assert one.to_dict().keys() == other.to_dict().keys()
        assert type(one) is Data
        for key, value in other.to_dict().items():
            same = torch.equal(one[key], value) if isinstance(value, Tensor) else one[key] == value
            assert same, key
    assert packed[-1].num_nodes == SIZES[2]
    with pytest.raises(IndexError):
        packed[3]


def test_packed_heterogeneous_graphs_come_apart_as_they_were() -> None:
    graphs = []
    for seed in range(2):
        data = HeteroData(u=torch.full((1, 2), float(seed)))
        data["a"].x, data["b"].x = torch.rand(2 + seed, 3), torch.rand(5 - seed, 1)
        data["a", "to", "b"].edge_index = torch.tensor([[0, 1, 1], [3, 2, 0]])
        data["a", "to", "b"].weight = torch.rand(3)
        graphs.append(data)
    collated = Batch.from_data_list(graphs)
    packed = PackedBatch(_base_cls=HeteroData).stores_as(collated)
    for store, own in zip(collated.stores, packed.stores, strict=True):
        for key, value in store.items():
            own[key] = value
    for one, other in zip(packed.to_data_list(), graphs, strict=True):
        assert one.to_dict().keys() == other.to_dict().keys()
        assert torch.equal(one.u, other.u)
        for name in (*other.node_types, *other.edge_types):
            for key, value in other[name].items():
                assert torch.equal(one[name][key], value), (name, key)
