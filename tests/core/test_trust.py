"""Fields of large graphs are trusted after a few were held against what lies around them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, LGConv, MessagePassing, SAGEConv
from torch_geometric.utils import add_self_loops, degree

import glassgraph as gg
from glassgraph.core.told import UncheckedFieldsWarning
from glassgraph.data import GraphStore
from glassgraph.errors import WholeGraphError
from tests.data import graphs


@pytest.fixture(autouse=True)
def large() -> Iterator[None]:
    with graphs.every_graph_is_large():
        yield


class CubeRoot(MessagePassing):
    """Its normalization is none that is known: ``1 / cbrt(d_u d_v)``, by what leaves a node."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        leaving = degree(edge_index[0], x.size(0), dtype=x.dtype).clamp_min(1)
        norm = (leaving[edge_index[0]] * leaving[edge_index[1]]) ** (-1 / 3)
        return self.propagate(edge_index, x=x, norm=norm) + x  # type: ignore[no-any-return]

    def message(self, x_j: Tensor, norm: Tensor) -> Tensor:
        return norm.view(-1, 1) * x_j


class Reversed(MessagePassing):
    """Weights by what leaves a node; it adds a self-loop beside those that are there."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        edges, _ = add_self_loops(edge_index, num_nodes=x.size(0))
        root = degree(edges[0], x.size(0), dtype=x.dtype).pow(-0.5)
        return self.propagate(edges, x=x, norm=root[edges[0]] * root[edges[1]])  # type: ignore[no-any-return]

    def message(self, x_j: Tensor, norm: Tensor) -> Tensor:
        return norm.view(-1, 1) * x_j


class Two(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.kind = kind
        first, second = nn.Linear(5, 6), nn.Linear(6, 3)
        self.around = nn.ModuleList([first, second])
        self.layers = nn.ModuleList([_layer(kind, 6), _layer(kind, 3)])
        self.double()

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        for lin, layer in zip(self.around, self.layers, strict=True):
            x = lin(x).tanh()
            given = (edge_weight,) if self.kind.startswith("weighted") else ()
            x = layer(x, edge_index, *given)
        return x


def _layer(kind: str, width: int) -> nn.Module:
    made = {
        "gcn": lambda: GCNConv(width, width),
        "weighted gcn": lambda: GCNConv(width, width),
        "weighted improved": lambda: GCNConv(width, width, improved=True),
        "gcn without loops": lambda: GCNConv(width, width, add_self_loops=False),
        "against the edges": lambda: GCNConv(width, width, flow="target_to_source"),
        "weighted light": LGConv,
        "sage": lambda: SAGEConv(width, width),
        "cube root": CubeRoot,
        "reversed": Reversed,
    }
    return made[kind]()  # type: ignore[no-any-return, operator]


KINDS = [
    "gcn",
    "weighted gcn",
    "weighted improved",
    "gcn without loops",
    "against the edges",
    "weighted light",
    "sage",
    "cube root",
    "reversed",
]
#: Of these no formula is known, so that each field is held against what lies around it.
UNKNOWN = {"cube root"}


def make(num_edges: int = 173) -> Data:
    data: Any = graphs.rich_graph()
    kept = slice(0, num_edges)
    return Data(
        x=data.x.double(),
        edge_index=data.edge_index[:, kept],
        edge_weight=data.edge_weight[kept].double() + 0.1,
    )


def explainer(kind: str, **settings: Any) -> gg.EdgeGradients:
    return gg.EdgeGradients(Two(kind), "node", progress=False, **settings)


def assert_equal(one: gg.Explanations, other: gg.Explanations) -> None:
    for found, expected in zip(one, other, strict=True):
        torch.testing.assert_close(
            found.layer_edge_mask, expected.layer_edge_mask, rtol=1e-12, atol=1e-15
        )
        torch.testing.assert_close(found.prediction, expected.prediction, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_trusted_is_what_a_check_of_each_gives(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make()
    expected = explainer(kind, check="local").explain(data, range(61))
    store = GraphStore.build(data, tmp_path / "graph")
    for source in (data, store):
        learning = explainer(kind, memory_budget=100_000)
        learning.explain(source, range(30))
        if kind not in UNKNOWN:
            monkeypatch.setattr("glassgraph.core.trust.ONE_IN", sys.maxsize)
            graphs.forbid_surroundings(monkeypatch)
        assert_equal(learning.explain(source, range(61)), expected)
        monkeypatch.undo()


@pytest.mark.parametrize("kind", KINDS)
def test_formulas_that_are_not_told_apart_decide_nothing(kind: str) -> None:
    """First come nodes without edges, of which every formula says the same, then nodes in pairs."""
    data = make(9)
    lonely = torch.arange(57, 61)  # those of the graph that have no edges
    learning = explainer(kind)
    learning.explain(data, lonely)
    learning.explain(data, [58, 59])
    expected = explainer(kind, check="local").explain(data, range(57))
    assert_equal(learning.explain(data, range(57)), expected)


def test_a_formula_that_holds_for_a_time_is_dropped(tmp_path: Path) -> None:
    """Weights are all one among the first nodes, and others later."""
    data: Any = make()
    far = data.edge_index + 61
    weight = torch.ones(173).double()
    both = Data(
        x=torch.cat([data.x, data.x]),
        edge_index=torch.cat([data.edge_index, far], dim=1),
        edge_weight=torch.cat([weight, data.edge_weight]),
    )
    store = GraphStore.build(both, tmp_path / "graph")
    learning = explainer("weighted gcn")
    for start in (0, 20, 40):
        learning.explain(store, range(start, start + 20))
    expected = explainer("weighted gcn", check="local").explain(both, range(61, 122))
    assert_equal(learning.explain(store, range(61, 122)), expected)


class AtTimes(Two):
    """It looks four hops far where a node has large features."""

    def __init__(self) -> None:
        super().__init__("gcn")

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        far = x[:, :3]
        for _ in range(4):
            far = torch.zeros_like(far).index_add(0, edge_index[1], far[edge_index[0]])
        return super().forward(x, edge_index, edge_weight) + far * (x[:, :1] > 50)


def test_a_model_that_looks_farther_at_times_is_found_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data: Any = make()
    both = Data(
        x=torch.cat([data.x, data.x]),
        edge_index=torch.cat([data.edge_index, data.edge_index + 61], dim=1),
        edge_weight=torch.cat([data.edge_weight] * 2),
    )
    both.x[61:] = 100.0
    store = GraphStore.build(both, tmp_path / "graph")
    explainer = gg.EdgeGradients(AtTimes(), "node", progress=False, on_unseen="ignore")
    monkeypatch.setattr("glassgraph.core.trust.ONE_IN", 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in (0, 10, 20):
            explainer.explain(store, range(start, start + 10))
    with (
        pytest.warns(UncheckedFieldsWarning, match="the 30 explained so far may be wrong"),
        pytest.raises(WholeGraphError, match="30 were explained before"),
    ):
        explainer.explain(store, range(61, 120))


def test_what_follows_no_formula_may_be_tabulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make()
    expected = explainer("cube root", check="local").explain(data, range(61))
    store = GraphStore.build(data, tmp_path / "graph")
    learning = explainer("cube root")
    learning.tabulate(store)
    for _ in range(2):
        learning.explain(store, range(61))
    monkeypatch.setattr("glassgraph.core.trust.ONE_IN", sys.maxsize)
    graphs.forbid_surroundings(monkeypatch)
    assert_equal(learning.explain(store, range(61)), expected)
