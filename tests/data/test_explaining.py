"""Explanations of a graph on disk are those of the same graph in memory, to the bit."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import GraphNorm
from torch_geometric.nn.conv.gcn_conv import gcn_norm

import glassgraph as gg
from glassgraph.core.told import FallbackWarning
from glassgraph.data import GraphStore
from glassgraph.errors import FieldTooLargeError, StoreError, WholeGraphError
from glassgraph.explainers.registry import find_method
from tests.data import graphs
from tests.hetero.link_models import LIKES, LINKS, link_set_up

INDEX = [2, 3, 40, 60, 17]
#: Those for other tasks or models; those that look at all nodes.
ELSEWHERE = {"cam", "attention", "xgnn", "graph_lime", "page_link"}
METHODS = [name for name in gg.methods().index if name not in {*ELSEWHERE, "gnn_interpreter"}]


def explained(source: Any, method: str, model: nn.Module, **settings: Any) -> gg.Explanations:
    """Explanations, of a method that learns first after learning."""
    kind = find_method(method)
    explainer: Any = kind(model, "node", progress=False, **kind.test_settings, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if explainer.needs_fit:
            explainer.fit(source, index=[0, 1, 4, 5, 6])
        found: gg.Explanations = explainer.explain(source, index=INDEX)
    return found


def is_same(one: Tensor, other: Tensor) -> bool:
    """To the bit; features that a node type lacks are NaN in both."""
    missing = one.isnan()
    return torch.equal(missing, other.isnan()) and torch.equal(one[~missing], other[~missing])


def assert_same(
    one: gg.Explanations, other: gg.Explanations, *, exact_prediction: bool = True
) -> None:
    assert len(one.parts) == len(other.parts)
    for part, again in zip(one.parts, other.parts, strict=True):
        for name, value in vars(part).items():
            found = getattr(again, name)
            if name == "prediction" and not exact_prediction:
                assert torch.allclose(value, found, rtol=1e-5, atol=1e-6)
            elif isinstance(value, Tensor):
                assert is_same(value, found), name
            elif name == "tables":
                assert value.keys() == found.keys()
                for key in value:
                    for column, numbers in value[key].values.items():
                        assert is_same(numbers, found[key].values[column]), (key, column)
            else:
                assert value == found, name
    sizes = [each.provenance["graph"] for each in (one, other)]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_a_store_is_explained_as_its_data(method: str, is_large: bool, tmp_path: Path) -> None:
    data = graphs.rich_graph()
    store = GraphStore.build(data, tmp_path / "graph")
    with graphs.every_graph_is_large() if is_large else warnings.catch_warnings():
        one, other = (explained(each, method, graphs.GCN()) for each in (data, store))
    assert_same(one, other)


@pytest.mark.parametrize("method", ["edge_gradients", "gnn_explainer", "occlusion"])
@pytest.mark.parametrize("kind", [graphs.GAT, graphs.SAGE, graphs.RGCN, graphs.EdgeNet])
def test_whatever_the_model_reads_of_edges(
    kind: type[graphs.Net], method: str, tmp_path: Path
) -> None:
    data = graphs.rich_graph()
    store = GraphStore.build(data, tmp_path / "graph")
    with graphs.every_graph_is_large():
        one, other = (explained(each, method, kind()) for each in (data, store))
    assert_same(one, other)


@pytest.mark.parametrize("method", ["edge_gradients", "gnn_explainer", "occlusion", "random"])
@pytest.mark.parametrize("is_large", [False, True])
def test_nodes_and_edges_with_types(method: str, is_large: bool, tmp_path: Path) -> None:
    data = graphs.typed_graph()
    store = GraphStore.build(data, tmp_path / "graph")
    task, kind = gg.Task("node", node_type="paper"), find_method(method)
    explainer = kind(graphs.TypedNet(), task, progress=False, **kind.test_settings)
    with graphs.every_graph_is_large() if is_large else warnings.catch_warnings():
        assert_same(explainer.explain(data, [0, 7, 30]), explainer.explain(store, [0, 7, 30]))


@pytest.mark.parametrize("is_first", [False, True])
@pytest.mark.parametrize("is_large", [False, True])
def test_links_of_a_type_without_edges(is_large: bool, is_first: bool, tmp_path: Path) -> None:
    model, data = link_set_up("hetero_conv")
    if is_first:
        given, data = data, HeteroData()
        data[LIKES].edge_label_index = LINKS
        data.update(given)
    store = GraphStore.build(data, tmp_path / "graph")
    assert torch.equal(store.to_data()[LIKES].edge_label_index, LINKS)
    explainer = gg.EdgeGradients(
        model, gg.Task("edge", mode="binary_classification", edge_type=LIKES), progress=False
    )
    with graphs.every_graph_is_large() if is_large else warnings.catch_warnings():
        assert_same(explainer.explain(data, [3, 1, 0]), explainer.explain(store, [3, 1, 0]))


@pytest.mark.parametrize("method", ["edge_gradients", "gnn_explainer", "occlusion", "random"])
@pytest.mark.parametrize("kind", [graphs.GCN, graphs.GAT, graphs.RGCN])
def test_fields_that_are_trusted_give_the_same(
    kind: type[nn.Module], method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = graphs.rich_graph()
    store = GraphStore.build(data, tmp_path / "graph")
    monkeypatch.setattr("glassgraph.core.trust.FIRST_CHECKS", 1)
    monkeypatch.setattr("glassgraph.core.constant_tables._FIRST", 7)
    found = []
    with graphs.every_graph_is_large():
        for source in (data, store):
            settings = {**find_method(method).test_settings, "progress": False}
            explainer: Any = find_method(method)(kind(), "node", **settings)
            explainer.tabulate(source)
            explainer.explain(source, INDEX)
            if source is store:  # from now on the surroundings are not asked
                graphs.forbid_surroundings(monkeypatch)
            found.append(explainer.explain(source, range(61)))
    assert_same(*found, exact_prediction=False)


def test_a_hub_that_sends_is_not_run_where_fields_are_enough(tmp_path: Path) -> None:
    data: Any = graphs.rich_graph()
    hub = torch.stack([torch.full((5000,), 60), torch.arange(5000) % 57])
    hub = torch.cat([hub, torch.tensor([[60], [59]])], dim=1)
    data = type(data)(x=data.x, edge_index=torch.cat([data.edge_index[:, :9], hub], dim=1))
    store = GraphStore.build(data, tmp_path / "graph")
    settings: Any = {"progress": False, "memory_budget": 1 << 20}
    with graphs.every_graph_is_large():
        explainer = gg.EdgeGradients(graphs.SAGE(), "node", **settings)
        explainer.explain(store, [58])  # which is checked
        assert explainer.explain(store, [59]).local(0).edge_id.tolist() == [5009]
        each = gg.EdgeGradients(graphs.SAGE(), "node", check="local", **settings)
        with pytest.raises(FieldTooLargeError, match="has 1 edges within 2 hops"):
            each.explain(store, [59])


def test_what_is_tabulated_is_what_the_layer_computes(tmp_path: Path) -> None:
    data: Any = graphs.rich_graph()
    store = GraphStore.build(data, tmp_path / "graph")
    model = graphs.GCN()
    with graphs.every_graph_is_large():
        gg.EdgeGradients(model, "node", progress=False).tabulate(store)
    (folder,) = (path for path in store.path.iterdir() if path.is_dir())
    file, _ = sorted(folder.glob("*.npy"))  # the same for both layers, and which rows there are
    edges, weight = gcn_norm(data.edge_index, data.edge_weight, 61)
    is_loop = data.edge_index[0] == data.edge_index[1]
    table = torch.from_numpy(np.load(file))
    assert torch.equal(table[:173][~is_loop], weight[: int((~is_loop).sum())])
    assert torch.equal(edges[0, -61:], torch.arange(61))
    is_own = torch.zeros(61, dtype=torch.bool)
    is_own[data.edge_index[0, is_loop]] = True
    assert torch.equal(table[173:][~is_own], weight[-61:][~is_own])


class Mixing(graphs.SAGE):
    """Its normalization looks at all nodes there are."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = GraphNorm(5)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return super().forward(self.norm(x), edge_index)


class Global(graphs.SAGE):
    """It adds the mean of all nodes."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return super().forward(x, edge_index) + x.mean()


class Position(graphs.SAGE):
    """It goes by the place of a node among all."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return super().forward(x + torch.arange(x.size(0)).view(-1, 1), edge_index)


class ByNumber(graphs.SAGE):
    """It looks nodes up by their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(graphs.NUM_NODES, 5)

    def forward(self, n_id: Tensor, edge_index: Tensor) -> Tensor:
        return super().forward(self.table(n_id), edge_index)


class ByPlace(ByNumber):
    """It adds a table as it is."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return graphs.SAGE.forward(self, x + self.table.weight, edge_index)


class OnDisk(graphs.SAGE):
    """Its table is an attribute of the store."""

    def __init__(self, store: GraphStore) -> None:
        super().__init__()
        self.table = store.embedding("table")

    def forward(self, n_id: Tensor, edge_index: Tensor) -> Tensor:
        return super().forward(self.table(n_id), edge_index)


@pytest.mark.parametrize("kind", [ByNumber, ByPlace])
@pytest.mark.parametrize("method", ["edge_gradients", "occlusion"])
def test_tables_of_nodes(kind: type[nn.Module], method: str, tmp_path: Path) -> None:
    data = graphs.rich_graph()
    store = GraphStore.build(data, tmp_path / "graph")
    with graphs.every_graph_is_large():
        assert_same(*(explained(each, method, kind()) for each in (data, store)))


def test_a_table_of_nodes_on_disk(tmp_path: Path) -> None:
    data, model = graphs.rich_graph(), ByNumber()
    data.table = model.table.weight.detach()
    store = GraphStore.build(data, tmp_path / "graph")
    on_disk = OnDisk(store)
    assert [*on_disk.state_dict()] == [*graphs.SAGE().state_dict()]
    with graphs.every_graph_is_large():
        one = explained(data, "edge_gradients", model)
        other = explained(store, "edge_gradients", on_disk)
    assert_same(one, other)
    with pytest.raises(StoreError, match="no attribute 'nothing'; it has edge_attr, "):
        store.embedding("nothing")


@pytest.mark.parametrize("kind", [Mixing, Global, Position])
@pytest.mark.parametrize("index", [[2, 3], [3], [60]])
def test_a_model_that_looks_farther_than_its_messages_is_refused(
    kind: type[nn.Module], index: list[int], tmp_path: Path
) -> None:
    store = GraphStore.build(graphs.rich_graph(), tmp_path / "graph")
    explainer = gg.EdgeGradients(kind(), "node", progress=False)
    with graphs.every_graph_is_large(), pytest.raises(WholeGraphError, match="to_data"):
        explainer.explain(store, index)


def test_such_a_model_is_explained_on_a_small_graph(tmp_path: Path) -> None:
    data = graphs.rich_graph()
    store = GraphStore.build(data, tmp_path / "graph")
    explainer = gg.EdgeGradients(Mixing(), "node", progress=False)
    with pytest.warns(FallbackWarning):
        one = explainer.explain(data, INDEX)
    with pytest.warns(FallbackWarning):
        other = explainer.explain(store, INDEX)
    assert_same(one, other)


def test_a_field_beyond_the_budget_is_counted_and_not_read(tmp_path: Path) -> None:
    data = graphs.rich_graph()
    hub = torch.stack([torch.arange(5000) % 57, torch.full((5000,), 60)])
    data = type(data)(x=data.x, edge_index=torch.cat([data.edge_index, hub], dim=1))
    store = GraphStore.build(data, tmp_path / "graph")
    explainer = gg.EdgeGradients(graphs.SAGE(), "node", progress=False, memory_budget=1 << 20)
    with graphs.every_graph_is_large():
        assert len(explainer.explain(store, [2])) == 1
        with pytest.raises(
            FieldTooLargeError, match=r"60 depends on has at least 5,000 edges"
        ) as caught:
            explainer.explain(store, [60])
        explainer = gg.EdgeGradients(graphs.SAGE(), "node", progress=False)
        assert len(explainer.explain(store, [60])) == 1
    assert caught.value.index == 60
    assert caught.value.num_edges == 5000
    assert caught.value.num_bytes > 1 << 20
