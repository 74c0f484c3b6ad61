"""Receptive fields -> one disjoint graph that the model can be called on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from glassgraph.calling.call import ModelCall
from glassgraph.calling.packed_batch import (
    PackedBatch,
    empty_batch,
    followed_in,
    kind_of,
    set_owner,
    take_rows,
)
from glassgraph.calling.sampled import set_edges, set_nodes
from glassgraph.inputs.graph import JoinedGraphs, TypedGraph
from glassgraph.inputs.links import (
    LINK_INDEX,
    ExplainedEdges,
    first_edge,
    link_keys,
    set_links,
)
from glassgraph.inputs.lists_of_nodes import lists_of_nodes
from glassgraph.inputs.receptive import Fields, expand
from glassgraph.inputs.task import Task


@dataclass(frozen=True)
class Candidates:
    """Edges that may appear at a site, with the endpoints they have there.

    Attributes:
        source: ``[K]`` sender as the site numbers it.
        destination: ``[K]`` receiver as the site numbers it.
        edge: ``[K]`` edge number, ascending among equal endpoints.
    """

    source: Tensor
    destination: Tensor
    edge: Tensor


@dataclass(frozen=True)
class EdgeView:
    """One edge type of a packed graph.

    Attributes:
        position: ``[r]`` where its edges stand among the e flat edges.
        source: ``[r]`` sender, numbered as the model sees it.
        destination: ``[r]`` receiver, numbered as the model sees it.
    """

    position: Tensor
    source: Tensor
    destination: Tensor


@dataclass(frozen=True)
class Packed:
    """Fields as one graph that the model can be called on."""

    data: Any
    views: list[EdgeView]
    node_position: list[Tensor]
    """For each node type, where its nodes stand among the n flat nodes."""
    edge_row: Tensor | None = None
    """``[B]`` of tasks about edges of the graph: where the explained ones stand among its edges, or
    among those of their type."""

    def candidates(self) -> Candidates:
        """The edges of a homogeneous graph, as every site may see them."""
        view = self.views[0]
        return Candidates(view.source, view.destination, view.position)


class CannotPack(RuntimeError):
    """The graph carries attributes that cannot be cut to a receptive field."""


def pack(
    graph: TypedGraph, fields: Fields, model_call: ModelCall, task: Task, index: Tensor
) -> Packed:
    """Build the disjoint union of receptive fields.

    Args:
        graph: the user's graph.
        fields: the receptive fields.
        model_call: how the model is called.
        task: the task.
        index: ``[B]`` the user's number of each prediction: for tasks about links or edges, whose
            attributes to take.

    Raises:
        CannotPack: if the model needs an attribute that cannot be cut (an index other than
            ``edge_index``, say).
    """
    pieces = _Pieces.of(graph, fields, task)
    if graph.is_heterogeneous:
        return _pack_heterogeneous(graph, fields, model_call, task, index, pieces)
    data: Any = Data()
    level, edge, edge_row = task.level, fields.edge, None
    edge_index = torch.stack([fields.source, fields.destination])
    if task.is_about_edges:
        explained = ExplainedEdges.find(graph, fields, index)
        edge, edge_index, edge_row = explained.edge, explained.ends, explained.row
    if _wants_batch(graph, model_call, level):
        data = empty_batch(kind_of(graph.data))
    links = link_keys(graph.data)
    for key, value in _attributes(graph.data, model_call):
        if not _is_of_links(key, links):
            data[key] = _cut(graph.data, key, value, fields.node, edge, graph, pieces)
    if graph.has_edge_index:
        data.edge_index = edge_index
    data.num_nodes = fields.node.numel()
    if isinstance(data, PackedBatch):
        set_owner(data, pieces.owner, pieces.graph.numel(), followed_in(graph.data))
    if carries_ids(graph, graph.data, model_call):
        data.n_id = fields.node
    if level != "graph":
        is_whole = _is_whole(graph, fields)
        count = fields.seed.size(0) if level == "edge" else fields.node.numel()
        set_nodes(data, graph.data, fields.node.numel(), count, is_whole=is_whole)
        set_edges(data, graph.data, edge, is_whole=is_whole)
    if task.is_about_links:
        set_links(data, graph, task, fields.seed, index)
    position = torch.arange(fields.edge.numel(), device=graph.device)
    node_position = torch.arange(fields.node.numel(), device=graph.device)
    view = EdgeView(position, fields.source, fields.destination)
    return Packed(data, [view], [node_position], edge_row)


@dataclass(frozen=True)
class _Pieces:
    """What lies side by side, as the model is told: an instance, or each of its graphs.

    Attributes:
        owner: ``[n]`` the piece of each packed node, ascending.
        graph: ``[P]`` which of the user's graphs each is (a part) of.
        is_whole: whether pieces are whole graphs, of which a graph task wants one row each.
        listing: the attribute that lists nodes whose rows are explained, see `Task`.
    """

    owner: Tensor
    graph: Tensor
    is_whole: bool
    listing: str | None

    @classmethod
    def of(cls, graph: TypedGraph, fields: Fields, task: Task) -> _Pieces:
        owner, is_whole = rows_of_nodes(graph, fields, task.level), task.level == "graph"
        if graph.node_graph is None:
            return cls(owner, owner.new_zeros(fields.num_instances), is_whole, task.rows)
        node_graph = graph.node_graph[fields.node]
        if is_whole:
            num_rows = max(fields.num_instances, int(owner.max()) + 1 if owner.numel() else 0)
            of_row = owner.new_zeros(num_rows)
            of_row[owner] = node_graph
            return cls(owner, of_row, is_whole, task.rows)
        key = owner * graph.num_graphs + node_graph  # edges may run between the graphs of a field
        found, owner = torch.unique(key, return_inverse=True)
        return cls(owner, found % graph.num_graphs, is_whole, task.rows)

    def have_all_nodes(self, graph: TypedGraph) -> bool:
        """Whether no node of these graphs is missing."""
        size = graph.by_graph[0].pointer.diff()
        return int(size[self.graph].sum()) == self.owner.numel()


def _is_whole(graph: TypedGraph, fields: Fields) -> bool:
    """Whether fields are one with all nodes of the graph."""
    return fields.num_instances == 1 and fields.node.numel() == graph.num_nodes


def _attributes(store: Any, model_call: ModelCall) -> list[tuple[str, Any]]:
    skip = {"edge_index", "batch", "ptr", "num_nodes"}
    return [
        (key, value) for key, value in store.items() if key not in skip and model_call.needs(key)
    ]


def _is_of_links(key: str, links: frozenset[str]) -> bool:
    """Whether an attribute lists links, which are cut in their own way.

    Raises:
        CannotPack: if it lists other pairs of nodes.
    """
    if key in links and "index" in key and key != LINK_INDEX:
        raise CannotPack(f"{key} lists nodes in a way that cannot be cut to a receptive field")
    return key in links


def _cut(
    store: Any,
    key: str,
    value: Any,
    node: Tensor,
    edge: Tensor,
    graph: TypedGraph,
    pieces: _Pieces,
) -> Any:
    """Cut one attribute of a store down to the packed nodes or edges."""
    if isinstance(value, Tensor) and value.dim() == 0:
        return value
    if store.is_node_attr(key):
        return take_rows(value, node)
    is_split = graph.node_graph is not None and len(value) == graph.num_graphs
    if store.is_edge_attr(key) and not (is_split and "edge" not in key):  # as many by chance
        return take_rows(value, edge)
    if not isinstance(value, Tensor):
        return _of_graphs(graph, None, key, value, pieces)
    if "index" in key or "face" in key:
        if pieces.have_all_nodes(graph):
            is_listing = key == pieces.listing
            found = lists_of_nodes(graph, store._key, key, pieces.graph, is_listing=is_listing)
            if found is not None:
                return found
        raise CannotPack(f"{key} lists nodes in a way that cannot be cut to a receptive field")
    if "edge" in key or "node" in key:  # of hyperedges, say: numbered by what edge_index holds
        raise CannotPack(f"{key} has one row neither for each node nor for each edge")
    return _of_graphs(graph, store._key, key, value, pieces)


def _of_graphs(graph: TypedGraph, node_type: Any, key: str, value: Any, pieces: _Pieces) -> Any:
    """What an attribute holds of the graphs that the pieces are of; all of it if they share it."""
    if graph.node_graph is not None:
        if isinstance(value, (Tensor, list)) and len(value) == graph.num_graphs:
            return take_rows(value, pieces.graph)
        pointer = graph.rows_of_graphs(node_type, key) if isinstance(value, Tensor) else None
        return value if pointer is None else value[expand(pointer, pieces.graph)[0]]
    if isinstance(value, Tensor) and pieces.is_whole and value.size(0) == 1:
        return value.expand(pieces.graph.numel(), *value.shape[1:])
    return value


def rows_of_nodes(graph: TypedGraph, fields: Fields, level: str) -> Tensor:
    """``[n]`` the graph a packed node belongs to: the ``batch`` vector that a model is given.

    That is its instance; a field of graphs that edges join holds several.
    """
    if level != "graph" or graph.joined is None or graph.node_graph is None:
        return fields.node_instance
    first = _first_rows(graph.joined, graph.node_graph, fields)
    return first[fields.node_instance] + graph.joined.rank[graph.node_graph[fields.node]]


def rows_of_graphs(graph: TypedGraph, fields: Fields) -> Tensor | None:
    """``[B]`` which row of a graph-level output is an instance's; None if it is the only one."""
    if graph.joined is None or graph.node_graph is None:
        return None
    own = graph.node_graph[fields.node[fields.seed[:, 0]]]
    return _first_rows(graph.joined, graph.node_graph, fields) + graph.joined.rank[own]


def _first_rows(joined: JoinedGraphs, node_graph: Tensor, fields: Fields) -> Tensor:
    """``[B]`` how many graphs stand before an instance."""
    own = node_graph[fields.node[fields.seed[:, 0]]]
    size = joined.size[joined.component[own]]
    return size.cumsum(0) - size


def _wants_batch(graph: TypedGraph, model_call: ModelCall, level: str) -> bool:
    is_split = level == "graph" or graph.node_graph is not None
    return model_call.wants_batch(graph.data, if_optional=is_split)


def carries_ids(graph: TypedGraph, store: Any, model_call: ModelCall) -> bool:
    """Whether nodes carry ``n_id``, the user's numbers of them, as in PyG's `NeighborLoader`."""
    return model_call.reads_ids and graph.node_graph is None and "n_id" not in store


def _pack_heterogeneous(
    graph: TypedGraph,
    fields: Fields,
    model_call: ModelCall,
    task: Task,
    index: Tensor,
    pieces: _Pieces,
) -> Packed:
    data: Any = HeteroData()
    device = graph.device
    edges, ends, edge_row = fields.edge, torch.stack([fields.source, fields.destination]), None
    if task.is_about_edges:
        explained = ExplainedEdges.find(graph, fields, index + first_edge(graph, task))
        edges, ends, edge_row = explained.edge, explained.ends, explained.row
    node_type = _type_of(fields.node, graph.node_offset)
    edge_type = _type_of(edges, graph.edge_offset)
    within = torch.empty_like(fields.node)
    node_position, views = [], []
    with_batch = _wants_batch(graph, model_call, "graph" if pieces.is_whole else "")
    if with_batch:
        data = empty_batch(kind_of(graph.data))
    is_whole = _is_whole(graph, fields)
    for number, name in enumerate(graph.node_types):
        position = (node_type == number).nonzero().view(-1)
        within[position] = torch.arange(position.numel(), device=device)
        node_position.append(position)
        store = graph.data[name]
        node = fields.node[position] - graph.node_offset[number]
        for key, value in _attributes(store, model_call):
            data[name][key] = _cut(store, key, value, node, node, graph, pieces)
        data[name].num_nodes = position.numel()
        if carries_ids(graph, store, model_call):
            data[name].n_id = node
        if not pieces.is_whole:
            count = position.numel()
            set_nodes(data[name], store, count, count, is_whole=is_whole)
        if with_batch:
            num_pieces = pieces.graph.numel()
            set_owner(data[name], pieces.owner[position], num_pieces, followed_in(store))
    for number, edge_name in enumerate(graph.edge_types):
        position = (edge_type == number).nonzero().view(-1)
        edge_index = within[ends[:, position]]
        data[edge_name].edge_index = edge_index
        store = graph.data[edge_name]
        links = link_keys(store)
        edge = edges[position] - graph.edge_offset[number]
        for key, value in _attributes(store, model_call):
            if not _is_of_links(key, links):
                data[edge_name][key] = _cut(store, key, value, edge, edge, graph, pieces)
        if not pieces.is_whole:
            set_edges(data[edge_name], store, edge, is_whole=is_whole)
        if edge_row is not None and edge_name == task.edge_type:
            edge_row = torch.searchsorted(position, edge_row)
        num_sent = int((position < fields.edge.numel()).sum())
        views.append(EdgeView(position[:num_sent], *edge_index[:, :num_sent]))
    if task.is_about_links:
        set_links(data, graph, task, within[fields.seed], index)
    for key, value in _attributes(graph.data.stores[0], model_call):
        data[key] = _of_graphs(graph, None, key, value, pieces)
    return Packed(data, views, node_position, edge_row)


def everything(graph: TypedGraph, seeds: Tensor | None) -> Fields:
    """The whole input as one field."""
    node = torch.arange(graph.num_nodes, device=graph.device)
    edge = torch.arange(graph.num_edges, device=graph.device)
    return Fields(
        num_instances=1,
        node_instance=torch.zeros_like(node),
        node=node,
        distance=torch.zeros_like(node),
        edge_instance=torch.zeros_like(edge),
        edge=edge,
        source=graph.source,
        destination=graph.destination,
        seed=node.new_empty((1, 0)) if seeds is None else seeds,
    )


def pack_whole(
    graph: TypedGraph, data: Any, fields: Fields, edge_row: Tensor | None = None
) -> Packed:
    """The user's own data (all of it, or one graph of a list) in the form of packed fields."""
    if not graph.is_heterogeneous:
        edge = torch.arange(fields.edge.numel(), device=graph.device)
        node = torch.arange(fields.node.numel(), device=graph.device)
        view = EdgeView(edge, fields.source, fields.destination)
        return Packed(data, [view], [node], edge_row)
    node_type = _type_of(fields.node, graph.node_offset)
    edge_type = _type_of(fields.edge, graph.edge_offset)
    views = [
        EdgeView((edge_type == number).nonzero().view(-1), *data[name].edge_index)
        for number, name in enumerate(graph.edge_types)
    ]
    nodes = [(node_type == number).nonzero().view(-1) for number in range(len(graph.node_types))]
    return Packed(data, views, nodes, edge_row)


def _type_of(flat: Tensor, offset: list[int]) -> Tensor:
    return torch.searchsorted(torch.tensor(offset[1:], device=flat.device), flat, right=True)
