"""Attributes of whole graphs travel with the graphs, whatever their form.

Each model reads an attribute of its graph. It is held against one that has always been supported
and computes the same: there every node carries its graph's row, among the features of nodes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.nn import GraphConv, HeteroConv, global_add_pool

import glassgraph as gg

METHODS: dict[str, dict[str, Any]] = {
    "edge_gradients": {},
    "integrated_gradients": {"steps": 3},
    "occlusion": {},
    "causal_screening": {},
    "gnn_explainer": {"epochs": 2},
}
SIZES, EDGES = (5, 7, 4), (11, 13, 9)


def carried(seed: int) -> Tensor:
    return torch.tensor([[2.0 + seed, 3.0 - 2 * seed]]).double()


def masks(model: nn.Module, data: Any, method: str, task: Any, index: Any = None) -> list[Tensor]:
    """Edge scores of every instance; nothing may have fallen back."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = gg.explain(
            model, data, method, task=task, index=index, target=1, progress=False, **METHODS[method]
        )
    each = [found[position].local for position in range(len(found))]
    return [torch.as_tensor(local.edge_score) for local in each]


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    assert any(bool(each.any()) for each in expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


# Heterogeneous graphs

TYPES = [("a", "to", "b"), ("b", "back", "a")]


def typed(seed: int) -> HeteroData:
    """Graphs of two types of nodes, with a row ``u`` for the graph and for each node of type b."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {"a": SIZES[seed], "b": SIZES[seed] + 2}
    data = HeteroData()
    for name, size in sizes.items():
        data[name].x = torch.randn(size, 3, generator=generator).double()
    for source, relation, destination in TYPES:
        ends = [
            torch.randint(sizes[name], (EDGES[seed],), generator=generator)
            for name in (source, destination)
        ]
        data[source, relation, destination].edge_index = torch.stack(ends)
    data.u = carried(seed)
    data["b"].row = data.u.expand(sizes["b"], -1)
    return data


class Typed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.one = HeteroConv({kind: GraphConv(3, 4) for kind in TYPES})
            self.two = HeteroConv({kind: GraphConv(4, 2) for kind in TYPES})
        self.double()

    def rows(self, x: Any, edge_index: Any, row: Tensor) -> Tensor:
        h = {name: value.tanh() for name, value in self.one(x, edge_index).items()}
        return (self.two(h, edge_index)["b"] * row).tanh()


class ByRows(Typed):
    def forward(self, x_dict: Any, edge_index_dict: Any, batch_dict: Any, row_dict: Any) -> Tensor:
        row = self.rows(x_dict, edge_index_dict, row_dict["b"])
        return global_add_pool(row, batch_dict["b"], size=int(batch_dict["b"].max()) + 1)


class ByName(Typed):
    def forward(
        self, x_dict: Any, edge_index_dict: Any, batch_dict: Any, u: Tensor, row_dict: Any
    ) -> Tensor:
        del row_dict  # there so that ties, broken by what nodes look like, are broken alike
        row = self.rows(x_dict, edge_index_dict, u[batch_dict["b"]])
        return global_add_pool(row, batch_dict["b"], size=u.size(0))


class ByObject(Typed):
    def forward(self, data: Any) -> Tensor:
        batch = data["b"].batch
        row = self.rows(data.x_dict, data.edge_index_dict, data.u[batch])
        return global_add_pool(row, batch, size=data.num_graphs)


@pytest.mark.parametrize("kind", [ByName, ByObject])
@pytest.mark.parametrize("method", METHODS)
def test_typed_graphs_with_a_row_each(method: str, kind: type[Typed]) -> None:
    graphs = [typed(seed) for seed in range(3)]
    expected = masks(ByRows(), graphs, method, "graph")
    assert_same(masks(kind(), graphs, method, "graph"), expected)
    assert_same(masks(kind(), Batch.from_data_list(graphs), method, "graph"), expected)
    alone = masks(ByRows(), graphs[1], method, "graph")  # random numbers go by the graph's number
    assert_same(masks(kind(), graphs[1], method, "graph"), alone)


class OfNodes(Typed):
    def forward(self, x_dict: Any, edge_index_dict: Any, u: Tensor) -> Tensor:
        return self.rows(x_dict, edge_index_dict, u)


class OfNodesByRows(Typed):
    def forward(self, x_dict: Any, edge_index_dict: Any, row_dict: Any) -> Tensor:
        return self.rows(x_dict, edge_index_dict, row_dict["b"])


@pytest.mark.parametrize("method", METHODS)
def test_one_typed_graph_with_a_row(method: str) -> None:
    task = gg.Task("node", node_type="b")
    expected = masks(OfNodesByRows(), typed(1), method, task, [0, 3, 8])
    assert_same(masks(OfNodes(), typed(1), method, task, [0, 3, 8]), expected)


def test_explanations_of_typed_graphs_are_numbered_within_each() -> None:
    """Reading the second one used to raise an ``IndexError``."""
    graphs = [typed(seed) for seed in range(3)]
    found = gg.EdgeGradients(ByName(), "graph", progress=False).explain(graphs, [2, 0], 1)
    for number, explanation in zip((2, 0), found, strict=True):
        alone = gg.EdgeGradients(ByName(), "graph", progress=False).explain(graphs[number], 0, 1)[0]
        for kind in TYPES:
            expected = alone[kind].edge_mask
            assert expected.shape == (EDGES[number],)
            torch.testing.assert_close(explanation[kind].edge_mask, expected)


# Homogeneous graphs: forms of attributes


def plain(seed: int, **attributes: Any) -> Data:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(SIZES[seed], 3, generator=generator).double()
    ends = torch.randint(SIZES[seed], (2, EDGES[seed]), generator=generator)
    data = Data(x=x, edge_index=ends, row=carried(seed).expand(SIZES[seed], -1))
    for key, value in attributes.items():
        data[key] = value
    return data


class Plain(nn.Module):
    """Reads a row of two numbers for each graph out of the data, by `read`."""

    def __init__(self, read: Callable[[Any], Tensor]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(6)
            self.one, self.two = GraphConv(3, 4), GraphConv(4, 2)
        self.double()
        self.read = read

    def forward(self, data: Any) -> Tensor:
        h = self.two(self.one(data.x, data.edge_index).tanh(), data.edge_index)
        row = self.read(data)
        row = row if row.size(0) == h.size(0) else row[data.batch]
        return global_add_pool((h * row).tanh(), data.batch)


WORDS = ("even", "odd", "third")


def of_words(data: Any) -> Tensor:
    return torch.cat([carried(WORDS.index(word)) for word in data.word])


FORMS: dict[str, tuple[Callable[[int], Any], Callable[[Any], Tensor]]] = {
    "a matrix": (
        lambda seed: carried(seed).view(1, 2, 1) * torch.tensor([1.0, 3.0, 5.0]).double(),
        lambda data: data.value[:, :, 1] / 3,
    ),
    "a row without a dimension for graphs": (
        lambda seed: carried(seed)[0],
        lambda data: data.value.view(-1, 2),
    ),
    "a number": (
        float,
        lambda data: torch.stack([2.0 + data.value, 3.0 - 2 * data.value], dim=1).double(),
    ),
    "a tensor without dimensions": (
        lambda seed: torch.tensor(float(seed)),
        lambda data: torch.stack([2.0 + data.value, 3.0 - 2 * data.value], dim=1).double(),
    ),
    "several rows, not as many in each": (
        lambda seed: carried(seed).expand(2 + seed, -1),
        lambda data: data.value[torch.tensor([0, *_ends(data)[:-1]])],
    ),
}


def _ends(data: Any) -> list[int]:
    """Where the rows of each graph end: they have 2, 3 and 4, which the first column tells."""
    count = {2.0: 2, 3.0: 3, 4.0: 4}
    found = [0]
    while found[-1] < data.value.size(0):
        found.append(found[-1] + count[float(data.value[found[-1], 0])])
    return found[1:]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", ["edge_gradients", "occlusion", "causal_screening"])
def test_forms_of_attributes(method: str, form: str) -> None:
    give, read = FORMS[form]
    graphs = [plain(seed, value=give(seed)) for seed in range(3)]
    expected = masks(Plain(lambda data: data.row), graphs, method, "graph")
    assert_same(masks(Plain(read), graphs, method, "graph"), expected)
    assert_same(masks(Plain(read), graphs[1:], method, "graph"), expected[1:])
    assert_same(masks(Plain(read), Batch.from_data_list(graphs), method, "graph"), expected)


@pytest.mark.parametrize("method", ["edge_gradients", "occlusion", "causal_screening"])
def test_words_of_graphs(method: str) -> None:
    graphs = [plain(seed, word=WORDS[seed]) for seed in range(3)]
    expected = masks(Plain(lambda data: data.row), graphs, method, "graph")
    assert_same(masks(Plain(of_words), graphs, method, "graph"), expected)
    (alone,) = masks(Plain(of_words), Batch.from_data_list(graphs[1:2]), method, "graph")
    torch.testing.assert_close(alone, expected[1])


@pytest.mark.parametrize("method", ["edge_gradients", "causal_screening"])
def test_a_number_by_name(method: str) -> None:
    class ByNumber(Plain):
        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor, value: Tensor) -> Tensor:
            data = Data(x=x, edge_index=edge_index, batch=batch, value=value)
            return super().forward(data)

    graphs = [plain(seed, value=seed) for seed in range(3)]
    read = FORMS["a number"][1]
    expected = masks(Plain(lambda data: data.row), graphs, method, "graph")
    assert_same(masks(ByNumber(read), graphs, method, "graph"), expected)
    assert_same(masks(ByNumber(read), graphs[2], method, "graph"), expected[2:])


@pytest.mark.parametrize("method", ["edge_gradients", "occlusion", "causal_screening"])
def test_nodes_of_several_graphs_see_their_own_graph(method: str) -> None:
    class OfNodes(Plain):
        def forward(self, data: Any) -> Tensor:
            h = self.two(self.one(data.x, data.edge_index).tanh(), data.edge_index)
            return (h * self.read(data)).tanh()

    graphs = [plain(seed, u=carried(seed)) for seed in range(3)]
    expected = masks(OfNodes(lambda data: data.row), graphs, method, "node", [1, 7, 15])
    model = OfNodes(lambda data: data.u[data.batch])
    assert_same(masks(model, graphs, method, "node", [1, 7, 15]), expected)


def test_lists_and_arrays_of_nodes_are_cut_with_the_nodes() -> None:
    class ByList(Plain):
        def forward(self, data: Any) -> Tensor:
            row = torch.tensor(data.names).double() + torch.from_numpy(data.array)
            h = self.two(self.one(data.x, data.edge_index).tanh(), data.edge_index)
            return h * row.view(-1, 1)

    class ByTensor(Plain):
        def forward(self, data: Any) -> Tensor:
            h = self.two(self.one(data.x, data.edge_index).tanh(), data.edge_index)
            return h * data.value.view(-1, 1)

    size = SIZES[1]
    value = torch.arange(size).double()
    data = plain(1, names=list(range(size)), array=2 * value.numpy(), value=3 * value)
    expected = masks(ByTensor(lambda _: value), data, "edge_gradients", "node", [1, 4])
    assert_same(masks(ByList(lambda _: value), data, "edge_gradients", "node", [1, 4]), expected)
