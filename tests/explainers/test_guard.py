"""What `attribute` returns is held against its batch: wrong explainers, and the words for them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GCN, SAGEConv, to_hetero

import glassgraph as gg
from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import AttributionError, MethodDefinitionError
from glassgraph.results.records import Table

LAYERS, FEATURES, INDEX = 2, 3, [1, 3]


class Wrong(gg.Explainer):
    """Promises everything; what it returns is set by each test."""

    name = "wrong"
    traits = gg.Traits(family="gradient", scores=("edge", "layer edge", "node", "feature"))

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        return type(self).returned(batch)  # type: ignore[attr-defined,no-any-return]


def graph() -> Data:
    edges = [[0, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 2]]
    return Data(x=torch.rand(5, FEATURES), edge_index=torch.tensor(edges))


def explained(returned: object) -> gg.Explanations:
    method = type("Wrong", (Wrong,), {"returned": staticmethod(returned)})
    return method(GCN(FEATURES, 7, LAYERS, 2), progress=False).explain(graph(), INDEX)


def edge(batch: InstanceBatch) -> Tensor:
    return torch.rand(batch.num_edges)


def node(batch: InstanceBatch) -> Tensor:
    return torch.rand(batch.num_nodes)


def infinite(batch: InstanceBatch) -> Tensor:
    return edge(batch).index_fill(0, torch.tensor([1, 2]), float("inf"))


def walk(batch: InstanceBatch) -> Tensor:
    return torch.zeros(1, LAYERS + 1, dtype=torch.long)


def table(rows: int, **columns: Tensor) -> Table:
    return Table(torch.zeros(rows, dtype=torch.long), {"node": columns.pop("node")}, columns)


A = gg.Attribution
WRONG = {
    "too many edges": (lambda b: A(edge=torch.rand(b.num_edges + 1)), r"edge has shape \(\d+,\)"),
    "too few edges": (lambda b: A(edge=edge(b)[:-1]), r"expected \[edges\] = "),
    "one score for all": (lambda b: A(edge=torch.rand(1)), r"edge has shape \(1,\)"),
    "a scalar": (lambda b: A(edge=torch.tensor(1.0)), r"edge has shape \(\)"),
    "a row for each instance": (lambda b: A(edge=torch.rand(2, b.num_edges)), r"edge has shape"),
    "seven layers": (
        lambda b: A(layer_edge=torch.rand(7, b.num_edges)),
        r"layer_edge has shape \(7, \d+\); expected \[layers, edges\] = \(2, ",
    ),
    "no layers": (lambda b: A(layer_edge=edge(b)), r"expected \[layers, edges\]"),
    "nan": (lambda b: A(edge=edge(b).log().sub(torch.inf).mul(0)), r"edge holds (\d+) of \1 numb"),
    "infinity": (lambda b: A(edge=infinite(b)), r"edge holds 2 of \d+ numbers that are not finit"),
    "integers": (lambda b: A(edge=edge(b).long()), r"edge has type torch.int64; expected floating"),
    "booleans": (lambda b: A(node=node(b) > 0), r"node has type torch.bool"),
    "a list": (lambda b: A(edge=edge(b).tolist()), r"edge must be a tensor .*; got list"),
    "edges as nodes": (lambda b: A(node=torch.rand(b.num_nodes + 2)), r"expected \[nodes\] = "),
    "features without a type": (lambda b: A(feature=torch.rand(5, 3)), "one entry for each of 1 n"),
    "features of two types": (
        lambda b: A(feature=[torch.rand(b.num_nodes, 3)] * 2),
        r"got list with 2 entries",
    ),
    "one feature too many": (
        lambda b: A(feature=[torch.rand(b.num_nodes, FEATURES + 1)]),
        r"feature\[0\] has shape \(\d+, 4\); expected \[nodes, features\] = \(\d+, 3\)",
    ),
    "a total for each node": (lambda b: A(node=node(b), total=node(b)), r"expected \[instances\]"),
    "nothing": (lambda b: A(), "attribute returned no scores; expected edge, layer edge, node"),
    "none": (lambda b: None, "must return a glassgraph.Attribution; got NoneType"),
    "a tensor": (lambda b: edge(b), "must return a glassgraph.Attribution; got Tensor"),
    "walks without scores": (lambda b: A(edge=edge(b), walk=walk(b)), "belong together"),
    "short walks": (
        lambda b: A(walk=walk(b)[:, 1:], walk_score=torch.rand(1)),
        r"expected integers \[walks, 3\]",
    ),
    "walks elsewhere": (
        lambda b: A(walk=walk(b) + 99, walk_score=torch.rand(1)),
        "walk holds numbers from 99 to 99; expected 0 to",
    ),
    "walks out of order": (
        lambda b: A(walk=b.fields.seed.flip(0).expand(2, 3), walk_score=torch.rand(2)),
        "walk: rows must be sorted by instance",
    ),
    "a short column": (
        lambda b: A(
            edge=edge(b), tables={"t": table(3, node=torch.zeros(3).long(), size=torch.rand(2))}
        ),
        r"tables\['t'\]: column 'size' has shape \(2,\); expected 3 rows",
    ),
    "a table about nobody": (
        lambda b: A(edge=edge(b), tables={"t": table(1, node=torch.tensor([b.num_nodes]))}),
        r"tables\['t'\]: column 'node' holds numbers",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_attribution_is_refused(case: str) -> None:
    returned, words = WRONG[case]
    with pytest.raises(AttributionError, match=words) as error:
        explained(returned)
    assert str(error.value).startswith("wrong: ")


def test_a_right_one_is_not() -> None:
    def returned(batch: InstanceBatch) -> gg.Attribution:
        return A(
            edge=edge(batch),
            layer_edge=torch.rand(LAYERS, batch.num_edges),
            node=node(batch).double(),
            feature=[torch.rand(batch.num_nodes, FEATURES)],
            total=torch.rand(2),
            walk=walk(batch),
            walk_score=torch.rand(1),
            tables={"t": table(1, node=torch.tensor([-1]), size=torch.rand(1, 4))},
        )

    assert len(explained(returned)) == 2


def test_a_field_of_two_edges_is_not_spread_over() -> None:
    """One score for an instance of two edges used to be given to both."""

    class One(Wrong):
        def attribute(self, batch: InstanceBatch) -> gg.Attribution:
            return A(edge=torch.rand(1))

    data = Data(x=torch.rand(3, FEATURES), edge_index=torch.tensor([[0, 1], [1, 2]]))
    with pytest.raises(AttributionError, match=r"\[edges\] = \(2,\)"):
        One(GCN(FEATURES, 7, LAYERS, 2), progress=False).explain(data, [2])


def test_scores_that_nobody_promised() -> None:
    class Sly(Wrong):
        traits = gg.Traits(family="gradient", scores=("node",))

        def attribute(self, batch: InstanceBatch) -> gg.Attribution:
            return A(node=node(batch), edge=edge(batch))

    with pytest.raises(AttributionError, match=r"returned edge scores, but .* promises node"):
        Sly(GCN(FEATURES, 7, LAYERS, 2), progress=False).explain(graph(), INDEX)


def test_features_of_a_type_that_has_none() -> None:
    data = HeteroData()
    data["a"].x, data["b"].x = torch.rand(4, FEATURES), torch.arange(3)
    data["a", "to", "a"].edge_index = torch.tensor([[0, 1, 2], [1, 2, 3]])

    class Features(Wrong):
        def attribute(self, batch: InstanceBatch) -> gg.Attribution:
            return A(feature=[torch.rand(each.size(0), 3) for each in batch.packed.node_position])

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = to_hetero(Inner(), (["a"], [("a", "to", "a")]))

        def forward(self, x_dict: dict, edge_index_dict: dict) -> Tensor:
            return self.conv({"a": x_dict["a"]}, edge_index_dict)["a"]

    with pytest.raises(AttributionError, match=r"feature\[1\] must be None"):
        Features(Net(), gg.Task("node", node_type="a"), progress=False).explain(data, [3])


class Inner(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = SAGEConv(FEATURES, 2)

    def forward(self, x, edge_index):  # PyG 2.6 traces no annotations that are text
        return self.conv(x, edge_index)


TRAITS = gg.Traits(family="gradient", scores=("edge",))
CLASSES = {
    "no name": ({"traits": TRAITS}, r"Bad.name must be .*; got None"),
    "a name with spaces": ({"name": "My Method", "traits": TRAITS}, "got 'My Method'"),
    "no traits": ({"name": "bad"}, r"Bad.traits must be glassgraph.Traits.*; got None"),
    "words for traits": ({"name": "bad", "traits": {"family": "x"}}, "got {'family': 'x'}"),
    "unknown scores": (
        {"name": "bad", "traits": gg.Traits(family="x", scores=("links",))},
        r"got \('links',\)",
    ),
    "no scores": ({"name": "bad", "traits": gg.Traits(family="x", scores=())}, r"got \(\)"),
    "a word for scores": (
        {"name": "bad", "traits": gg.Traits(family="x", scores="edge")},  # type: ignore[arg-type]
        "must be a tuple",
    ),
}


@pytest.mark.parametrize("case", CLASSES)
def test_a_class_that_says_too_little_is_refused(case: str) -> None:
    body, words = CLASSES[case]
    body = {**body, "attribute": lambda self, batch: A(edge=edge(batch))}
    bad = type("Bad", (gg.Explainer,), body)
    with pytest.raises(MethodDefinitionError, match=words):
        bad(GCN(FEATURES, 7, LAYERS, 2))
