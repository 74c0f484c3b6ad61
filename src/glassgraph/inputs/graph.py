"""The user's input as one flat, typed graph.

`TypedGraph` reads a ``Data``, a ``HeteroData``, a list of them, a ``Batch`` or a data set, checks
it once, and gives every node and edge a *flat* number: nodes of type 0 first, then type 1, and so
on; edges likewise. A homogeneous graph is the case of one node type and one edge type. The index
of incoming (and, where needed, outgoing) edges is built once, so that cutting out a receptive
field costs nothing that grows with the graph.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch, HeteroData
from torch_geometric.data.data import BaseData
from torch_geometric.edge_index import EdgeIndex

from glassgraph.data.checks import (
    EdgeTypeName,
    check_edges,
    check_features,
    edge_stores,
    num_nodes,
)
from glassgraph.data.store import GraphStore
from glassgraph.errors import GraphError
from glassgraph.inputs.collate import collate

#: A graph on disk with more edges is never read as a whole.
WHOLE_EDGES = 50_000


@dataclass(frozen=True)
class CompressedIndex:
    """Edges by one endpoint: those of node ``v`` are ``edge[pointer[v]:pointer[v + 1]]``.

    Attributes:
        pointer: ``[N + 1]``.
        edge: ``[E]`` numbers of edges.
        other: ``[E]`` the node at their other end, where it should not be looked up by the edge,
            because the edges are on disk.
    """

    pointer: Tensor
    edge: Tensor
    other: Tensor | None = None

    @staticmethod
    def build(endpoint: Tensor, num_nodes: int) -> CompressedIndex:
        """Group edges by ``endpoint [E]``; stable, so edges keep the user's order in a group."""
        edge = torch.argsort(endpoint, stable=True)
        count = torch.bincount(endpoint, minlength=num_nodes)
        pointer = torch.zeros(num_nodes + 1, dtype=torch.long, device=endpoint.device)
        torch.cumsum(count, dim=0, out=pointer[1:])
        return CompressedIndex(pointer, edge)


@dataclass(frozen=True)
class JoinedGraphs:
    """Graphs of one ``Data`` with edges between them, which only make sense together.

    Attributes:
        component: ``[G]`` which graphs belong together.
        rank: ``[G]`` the place of a graph within its component.
        size: ``[C]`` number of graphs of each component.
        first_node: ``[G]`` a node of each graph; -1 for a graph without any.
    """

    component: Tensor
    rank: Tensor
    size: Tensor
    first_node: Tensor

    @staticmethod
    def find(node_graph: Tensor, num_graphs: int, edges: Tensor) -> JoinedGraphs | None:
        """The graphs that edges join; None if no edge runs from one graph to another.

        Args:
            node_graph: ``[N]`` which graph a node belongs to.
            num_graphs: number of graphs.
            edges: ``[2, E]`` flat senders and receivers.
        """
        between = node_graph[edges]
        between = between[:, between[0] != between[1]].cpu()
        if not between.numel():
            return None
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        matrix = coo_array((np.ones(between.size(1)), tuple(between.numpy())), (num_graphs,) * 2)
        component = torch.from_numpy(connected_components(matrix, directed=False)[1]).long()
        component = component.to(node_graph.device)
        size = torch.bincount(component)
        order = torch.argsort(component, stable=True)
        rank = torch.empty_like(component)
        start = torch.repeat_interleave(size.cumsum(0) - size, size)
        rank[order] = torch.arange(num_graphs, device=size.device) - start
        first_node = torch.full_like(component, -1)
        nodes = torch.arange(node_graph.numel(), device=size.device)
        first_node[node_graph.flip(0)] = nodes.flip(0)
        return JoinedGraphs(component, rank, size, first_node)


@dataclass
class TypedGraph:
    """The user's graph(s), flat.

    Attributes:
        data: the input as one ``Data``/``HeteroData`` (a ``Batch`` where several were given).
        graphs: the single graphs where a list was given, else None.
        node_types: names of the node types, ``[None]`` for a homogeneous graph.
        edge_types: names of the edge types, ``[None]`` for a homogeneous graph.
        node_offset: ``[T + 1]`` first flat number of each node type.
        edge_offset: ``[R + 1]`` first flat number of each edge type.
        source: ``[E]`` flat sender of each edge.
        destination: ``[E]`` flat receiver of each edge.
        node_graph: ``[N]`` which graph a node belongs to, None for a single graph.
        lists: attributes that list nodes, see `glassgraph.inputs.lists_of_nodes`.
        store: where the graph lies on disk; None for a graph in memory.
    """

    data: Any
    graphs: list[Any] | None
    node_types: list[str | None]
    edge_types: list[EdgeTypeName | None]
    node_offset: list[int]
    edge_offset: list[int]
    source: Tensor
    destination: Tensor
    node_graph: Tensor | None
    lists: dict[tuple[Any, str, bool], Any] = field(default_factory=dict, repr=False)
    store: GraphStore | None = None
    _incoming: CompressedIndex | None = field(default=None, repr=False)
    _outgoing: CompressedIndex | None = field(default=None, repr=False)
    _by_graph: tuple[CompressedIndex, CompressedIndex] | None = field(default=None, repr=False)
    _rows: dict[tuple[Any, str], Tensor | None] = field(default_factory=dict, repr=False)

    @cached_property
    def joined(self) -> JoinedGraphs | None:
        """Which graphs have edges between them; None if there are no such edges."""
        if self.node_graph is None:
            return None
        edges = torch.stack([self.source, self.destination])
        return JoinedGraphs.find(self.node_graph, self.num_graphs, edges)

    @cached_property
    def by_component(self) -> tuple[CompressedIndex, CompressedIndex]:
        """Nodes and edges grouped by the graphs that edges join."""
        if self.joined is None or self.node_graph is None:
            return self.by_graph
        component, size = self.joined.component[self.node_graph], self.joined.size.numel()
        return (
            CompressedIndex.build(component, size),
            CompressedIndex.build(component[self.source], size),
        )

    @staticmethod
    def read(data: Any) -> TypedGraph:
        """Read and check any input the library takes.

        Raises:
            GraphError: for a malformed graph.
            SparseAdjacencyError: for a sparse adjacency matrix.
        """
        if isinstance(data, GraphStore):
            return _read_store(data)
        graphs: list[Any] | None = None
        if not isinstance(data, BaseData):  # else one graph, or a Batch of them
            graphs = _read_list(data)
            data = collate(graphs)
        check_edges(data, "")
        check_features(data)
        return _flatten(data, graphs)

    @property
    def is_heterogeneous(self) -> bool:
        """Whether nodes or edges have types."""
        return self.node_types != [None]

    @property
    def link_types(self) -> list[EdgeTypeName]:
        """Edge types of the data that only list links to predict: nothing is sent along them."""
        if not self.is_heterogeneous:
            return []
        return [name for name in self.data.edge_types if name not in self.edge_types]

    @property
    def must_stay_cut(self) -> bool:
        """Whether the graph is read field by field alone, because it is on disk and large."""
        return self.store is not None and self.num_edges > WHOLE_EDGES

    @property
    def ends(self) -> Tensor:
        """``[2, E]`` flat sender and receiver of each edge."""
        if self.store is not None:
            return self.store.edges
        return torch.stack([self.source, self.destination])

    @cached_property
    def has_all_reverses(self) -> bool:
        """Whether there are edges, and the reverse of each of them."""
        source, destination = self.ends
        there, back = (
            torch.unique(one * self.num_nodes + other)
            for one, other in ((source, destination), (destination, source))
        )
        return bool(there.numel()) and torch.equal(there, back)

    @property
    def has_edge_index(self) -> bool:
        """Whether the user gave edges at all, be it none."""
        return self.is_heterogeneous or "edge_index" in self.data

    @property
    def num_nodes(self) -> int:
        """Number N of nodes over all types and graphs."""
        return self.node_offset[-1]

    @property
    def num_edges(self) -> int:
        """Number E of edges over all types and graphs."""
        return self.edge_offset[-1]

    @property
    def num_features(self) -> int:
        """Width of the widest node features."""
        found = (store["x"] for store in self.data.stores if "x" in store)
        widths = [math.prod(x.shape[1:]) for x in found if isinstance(x, Tensor)]
        return max(widths, default=1)

    @property
    def num_graphs(self) -> int:
        """Number of graphs."""
        if self.node_graph is None:
            return 1
        if isinstance(self.data, Batch):
            return int(cast(Any, self.data).num_graphs)
        return int(self.node_graph.max()) + 1

    @property
    def device(self) -> torch.device:
        """Where the graph lies."""
        return self.source.device

    @property
    def incoming(self) -> CompressedIndex:
        """Edges grouped by receiver, built on first use."""
        if self._incoming is None:
            self._incoming = CompressedIndex.build(self.destination, self.num_nodes)
        return self._incoming

    @property
    def outgoing(self) -> CompressedIndex:
        """Edges grouped by sender, built on first use."""
        if self._outgoing is None:
            self._outgoing = CompressedIndex.build(self.source, self.num_nodes)
        return self._outgoing

    @property
    def by_graph(self) -> tuple[CompressedIndex, CompressedIndex]:
        """Nodes and edges grouped by the graph they belong to."""
        if self._by_graph is None:
            node_graph = self.node_graph
            if node_graph is None:
                node_graph = torch.zeros(self.num_nodes, dtype=torch.long, device=self.device)
            edge_graph = node_graph[self.source]
            self._by_graph = (
                CompressedIndex.build(node_graph, self.num_graphs),
                CompressedIndex.build(edge_graph, self.num_graphs),
            )
        return self._by_graph

    def node_stores(self, data: Any) -> list[Any]:
        """Where data of the same kind as the user's keeps each node type's attributes."""
        return [data[name] for name in self.node_types] if self.is_heterogeneous else [data]

    def type_position(self, node_type: str | None) -> int:
        """Position of a node type.

        Raises:
            GraphError: if the graph has no such node type.
        """
        if node_type not in self.node_types:
            names = ", ".join(repr(name) for name in self.node_types)
            raise GraphError(f"there is no node type {node_type!r}; the graph has {names}")
        return self.node_types.index(node_type)

    def summary(self) -> dict[str, Any]:
        """Sizes, as plain numbers, for provenance and for reading saved explanations."""
        found: dict[str, Any] = {
            "num_nodes": self.num_nodes,
            "num_edges": self.num_edges,
            "num_graphs": self.num_graphs,
            "node_offset": self.node_offset,
            "edge_offset": self.edge_offset,
        }
        if self.link_types:
            found["link_types"] = self.link_types
        if self.is_split and not self.is_heterogeneous:
            nodes, edges = self.by_graph
            found["node_start"] = nodes.pointer.tolist()
            found["edge_start"] = edges.pointer.tolist()
        elif self.is_split:
            found["typed_node_start"], found["typed_edge_start"] = self.typed_starts
        return found

    @cached_property
    def typed_starts(self) -> tuple[list[list[int]], list[list[int]]]:
        """For each node type, and each edge type, how many belong to the graphs before each."""
        owner = self.node_graph
        if owner is None:
            owner = torch.zeros(self.num_nodes, dtype=torch.long, device=self.device)
        owners = ((owner, self.node_offset), (owner[self.source], self.edge_offset))
        nodes, edges = (
            [
                _offsets(torch.bincount(of[start:stop], minlength=self.num_graphs).tolist())[:-1]
                for start, stop in itertools.pairwise(offset)
            ]
            for of, offset in owners
        )
        return nodes, edges

    @property
    def is_split(self) -> bool:
        """Whether the input consists of several graphs that can be told apart."""
        return self.graphs is not None or isinstance(self.data, Batch)

    def single(self, graph: int) -> Any:
        """One of the user's graphs, as it was given."""
        if self.graphs is not None:
            return self.graphs[graph]
        if isinstance(self.data, Batch):
            return cast(Any, self.data).get_example(graph)
        return self.data

    def rows_of_graphs(self, store: Any, key: str) -> Tensor | None:
        """Where the rows of each graph begin in an attribute that has several for each.

        Args:
            store: name of the node or edge type, None for an attribute of the graph.
            key: name of a tensor that the graphs were collated with along its first dimension.

        Returns:
            ``[G + 1]`` pointers; None if the graphs do not account for its rows.
        """
        if not self.is_split:
            return None
        if (store, key) not in self._rows:
            sizes = []
            for number in range(self.num_graphs):
                own = self.single(number)
                value = (own if store is None else own[store]).get(key, None)
                is_tensor = isinstance(value, Tensor) and value.dim() > 0
                sizes.append(value.size(0) if is_tensor else 0)
            pointer = torch.tensor(_offsets(sizes), device=self.device)
            whole = (self.data if store is None else self.data[store])[key]
            self._rows[store, key] = pointer if int(pointer[-1]) == whole.size(0) else None
        return self._rows[store, key]

    def first_node(self, graph: int, node_type: int = 0) -> int:
        """First flat node of a graph within a node type."""
        start, stop = self.node_offset[node_type], self.node_offset[node_type + 1]
        if self.node_graph is None:
            return start
        return start + int(torch.searchsorted(self.node_graph[start:stop], graph))


def _read_store(store: GraphStore) -> TypedGraph:
    """A graph on disk, which was checked when it was written."""
    manifest = store.manifest
    incoming, outgoing = (
        CompressedIndex(pointer, edge, other)
        for pointer, other, edge in map(store.index, ("in", "out"))
    )
    return TypedGraph(
        data=store.mapped,
        graphs=None,
        node_types=list(manifest.node_types),
        edge_types=list(manifest.edge_types),
        node_offset=list(manifest.node_offset),
        edge_offset=list(manifest.edge_offset),
        source=store.edges[0],
        destination=store.edges[1],
        node_graph=None,
        store=store,
        _incoming=incoming,
        _outgoing=outgoing,
    )


def _read_list(data: Any) -> list[Any]:
    """The graphs of a list or a data set, each checked."""
    is_list = isinstance(data, Sequence) or (
        hasattr(data, "__len__") and hasattr(data, "__getitem__")
    )
    if isinstance(data, Mapping) or not is_list:
        raise GraphError(
            f"data is a {type(data).__name__}; expected a torch_geometric Data, HeteroData, "
            "a list of them, a Batch, or a dataset"
        )
    graphs = [data[i] for i in range(len(data))]
    if not graphs:
        raise GraphError("the list of graphs is empty; give at least one graph")
    for position, graph in enumerate(graphs):
        if not isinstance(graph, BaseData):
            raise GraphError(
                f"graph {position} is a {type(graph).__name__}; expected a "
                "torch_geometric.data.Data or HeteroData"
            )
        if int(graph.num_nodes or 0) == 0:
            raise GraphError(
                f"graph {position} has no nodes; there is nothing to explain, leave it out"
            )
        check_edges(graph, f"graph {position}: ")
    return graphs


def _plain(edge_index: Tensor) -> Tensor:
    """Strip PyG's ``EdgeIndex`` (whose fused path skips messages) down to a plain tensor."""
    if isinstance(edge_index, EdgeIndex):
        edge_index = edge_index.as_tensor()
    return edge_index.long()


def _flatten(data: Any, graphs: list[Any] | None) -> TypedGraph:
    stores = edge_stores(data)
    node_types: list[str | None] = [None]
    if isinstance(data, HeteroData):
        node_types = list(data.node_types)
        if not stores:
            raise GraphError("the heterogeneous graph has no edge types; no message can pass")
    node_offset = _offsets([num_nodes(data, name) for name in node_types])
    sources, destinations = [], []
    for edge_type, store in stores:
        source, destination = _plain(store.get("edge_index", _no_edges(data)))
        if edge_type is not None:
            source = source + node_offset[node_types.index(edge_type[0])]
            destination = destination + node_offset[node_types.index(edge_type[2])]
        sources.append(source)
        destinations.append(destination)
    return TypedGraph(
        data=data,
        graphs=graphs,
        node_types=node_types,
        edge_types=[edge_type for edge_type, _ in stores],
        node_offset=node_offset,
        edge_offset=_offsets([source.numel() for source in sources]),
        source=sources[0] if len(sources) == 1 else torch.cat(sources),
        destination=destinations[0] if len(destinations) == 1 else torch.cat(destinations),
        node_graph=_node_graph(data),
    )


def _no_edges(data: Any) -> Tensor:
    """An ``edge_index`` of no edges, where the data's tensors lie."""
    tensors = (each for store in data.stores for each in store.values())
    device = next((each.device for each in tensors if isinstance(each, Tensor)), None)
    return torch.empty(2, 0, dtype=torch.long, device=device)


def _offsets(sizes: list[int]) -> list[int]:
    """Where pieces of such sizes begin, and where the last one ends."""
    return list(itertools.accumulate(sizes, initial=0))


def _node_graph(data: Any) -> Tensor | None:
    """Which graph each flat node belongs to; None for a single graph."""
    if isinstance(data, HeteroData):
        if not isinstance(data, Batch):
            return None
        return torch.cat([data[name].batch for name in data.node_types])
    batch = data.batch if "batch" in data else None
    return cast("Tensor | None", batch)
