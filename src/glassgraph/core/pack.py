"""Receptive fields -> one disjoint graph that the model can be called on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from glassgraph.core.call import ModelCall
from glassgraph.core.edges import Candidates
from glassgraph.core.graph import JoinedGraphs, TypedGraph
from glassgraph.core.links import LINK_INDEX, ExplainedEdges, link_keys, set_links
from glassgraph.core.receptive import Fields
from glassgraph.core.sampled import set_edges, set_nodes
from glassgraph.core.task import Task


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
    """``[B]`` of tasks about edges of the graph: where the explained ones stand among its edges."""

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
    if graph.is_heterogeneous:
        return _pack_heterogeneous(graph, fields, model_call, task.level)
    data: Any = Data()
    level, edge, edge_row = task.level, fields.edge, None
    edge_index = torch.stack([fields.source, fields.destination])
    if task.is_about_edges:
        explained = ExplainedEdges.find(graph, fields, index)
        edge, edge_index, edge_row = explained.edge, explained.ends, explained.row
    links = link_keys(graph.data)
    for key, value in _attributes(graph.data, model_call):
        if key in links and "index" in key and key != LINK_INDEX:
            raise CannotPack(f"{key} lists nodes in a way that cannot be cut to a receptive field")
        if key not in links:
            data[key] = _cut(graph.data, key, value, fields.node, edge, graph, fields, level)
    if graph.has_edge_index:
        data.edge_index = edge_index
    data.num_nodes = fields.node.numel()
    if _wants_batch(graph, model_call, level):
        data.batch = rows_of_nodes(graph, fields, level)
    if level != "graph":
        is_whole = _is_whole(graph, fields)
        count = fields.seed.size(0) if level == "edge" else fields.node.numel()
        set_nodes(data, graph.data, fields.node.numel(), count, is_whole=is_whole)
        set_edges(data, graph.data, edge, is_whole=is_whole)
    if task.is_about_links:
        set_links(data, graph, fields.seed, index)
    position = torch.arange(fields.edge.numel(), device=graph.device)
    node_position = torch.arange(fields.node.numel(), device=graph.device)
    view = EdgeView(position, fields.source, fields.destination)
    return Packed(data, [view], [node_position], edge_row)


def _is_whole(graph: TypedGraph, fields: Fields) -> bool:
    """Whether fields are one with all nodes of the graph."""
    return fields.num_instances == 1 and fields.node.numel() == graph.num_nodes


def _attributes(store: Any, model_call: ModelCall) -> list[tuple[str, Any]]:
    skip = {"edge_index", "batch", "ptr", "num_nodes"}
    return [
        (key, value) for key, value in store.items() if key not in skip and model_call.needs(key)
    ]


def _cut(
    store: Any,
    key: str,
    value: Any,
    node: Tensor,
    edge: Tensor,
    graph: TypedGraph,
    fields: Fields,
    level: str,
) -> Any:
    """Cut one attribute of a store down to the packed nodes or edges."""
    if not isinstance(value, Tensor) or value.dim() == 0:
        return value
    if store.is_node_attr(key):
        return value.index_select(0, node)
    if store.is_edge_attr(key):
        return value.index_select(0, edge)
    if "index" in key or "face" in key:
        raise CannotPack(f"{key} lists nodes in a way that cannot be cut to a receptive field")
    if "edge" in key or "node" in key:  # of hyperedges, say: numbered by what edge_index holds
        raise CannotPack(f"{key} has one row neither for each node nor for each edge")
    if value.size(0) == graph.num_graphs and graph.node_graph is not None:
        row = rows_of_nodes(graph, fields, level)
        num_rows = max(fields.num_instances, int(row.max()) + 1 if row.numel() else 0)
        owner = torch.zeros(num_rows, dtype=torch.long, device=graph.device)
        owner[row] = graph.node_graph[fields.node]
        return value.index_select(0, owner)
    if level == "graph" and value.size(0) == 1:
        return value.expand(fields.num_instances, *value.shape[1:])
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
    return model_call.needs("batch") and (level == "graph" or graph.node_graph is not None)


def _pack_heterogeneous(
    graph: TypedGraph, fields: Fields, model_call: ModelCall, level: str
) -> Packed:
    data: Any = HeteroData()
    device = graph.device
    node_type = _type_of(fields.node, graph.node_offset)
    edge_type = _type_of(fields.edge, graph.edge_offset)
    within = torch.empty_like(fields.node)
    node_position, views = [], []
    with_batch = _wants_batch(graph, model_call, level)
    is_whole = _is_whole(graph, fields)
    for number, name in enumerate(graph.node_types):
        position = (node_type == number).nonzero().view(-1)
        within[position] = torch.arange(position.numel(), device=device)
        node_position.append(position)
        store = graph.data[name]
        node = fields.node[position] - graph.node_offset[number]
        for key, value in _attributes(store, model_call):
            data[name][key] = _cut(store, key, value, node, node, graph, fields, level)
        data[name].num_nodes = position.numel()
        if level != "graph":
            count = position.numel()
            set_nodes(data[name], store, count, count, is_whole=is_whole)
        if with_batch:
            data[name].batch = fields.node_instance[position]
    for number, edge_name in enumerate(graph.edge_types):
        position = (edge_type == number).nonzero().view(-1)
        source = within[fields.source[position]]
        destination = within[fields.destination[position]]
        data[edge_name].edge_index = torch.stack([source, destination])
        store = graph.data[edge_name]
        links = link_keys(store)
        edge = fields.edge[position] - graph.edge_offset[number]
        for key, value in _attributes(store, model_call):
            if key not in links:
                data[edge_name][key] = _cut(store, key, value, edge, edge, graph, fields, level)
        if level != "graph":
            set_edges(data[edge_name], store, edge, is_whole=is_whole)
        views.append(EdgeView(position, source, destination))
    for key, value in graph.data.stores[0].items():
        if not isinstance(value, Tensor) and key not in ("batch", "ptr"):
            data[key] = value
    return Packed(data, views, node_position)


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
    return Packed(data, views, nodes)


def _type_of(flat: Tensor, offset: list[int]) -> Tensor:
    return torch.searchsorted(torch.tensor(offset[1:], device=flat.device), flat, right=True)
