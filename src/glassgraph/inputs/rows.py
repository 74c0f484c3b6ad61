"""Instances with several rows of output: a sentence with a role for each token, say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from glassgraph.errors import GraphError, InstanceError
from glassgraph.inputs.graph import CompressedIndex, TypedGraph
from glassgraph.inputs.index import as_numbers, as_pairs
from glassgraph.inputs.receptive import expand, pointer_of

#: The graph ``[B]`` of each instance, and its rows.
Chosen = tuple[Tensor, "Rows"]
#: Instances have a row for each node of their graph.
NODES = "nodes"


@dataclass(frozen=True)
class Rows:
    """Which rows of the output belong to which of B instances; each row is that of a node.

    Attributes:
        pointer: ``[B + 1]`` where the rows of an instance begin among the R rows.
        node: ``[R]`` flat node of the user's graph.
        number: ``[R]`` the row's number among those of its graph.
        listed: ``[R]`` the row's number among those of all graphs.
        num_listed: ``[B]`` how many rows the instance's graph has, explained or not.
    """

    pointer: Tensor
    node: Tensor
    number: Tensor
    listed: Tensor
    num_listed: Tensor

    @cached_property
    def instance(self) -> Tensor:
        """``[R]`` the instance of each row, ascending."""
        return torch.repeat_interleave(self.count)

    @property
    def count(self) -> Tensor:
        """``[B]`` number of rows."""
        return self.pointer.diff()

    def of(self, instances: Tensor) -> Tensor:
        """Where the rows of some instances stand among the R rows."""
        return expand(self.pointer, instances)[0]

    def take(self, instances: Tensor) -> Rows:
        """The rows of some instances, in the order given; an instance may come several times."""
        position = self.of(instances)
        return Rows(
            pointer_of(self.count[instances]),
            self.node[position],
            self.number[position],
            self.listed[position],
            self.num_listed[instances],
        )

    def sum(self, value: Tensor) -> Tensor:
        """Sums ``[B, ...]`` over the rows ``[R, ...]`` of each instance."""
        shape = (self.count.numel(), *value.shape[1:])
        return value.new_zeros(shape).index_add(0, self.instance, value)

    def mean(self, value: Tensor) -> Tensor:
        """Means ``[B, ...]`` over the rows ``[R, ...]`` of each instance."""
        return self.sum(value) / self.count.view(-1, *[1] * (value.dim() - 1))

    def all(self, value: Tensor) -> Tensor:
        """Whether something is true ``[R]`` of all rows of an instance, ``[B]``."""
        return self.sum(value.long()) == self.count


def sum_rows(rows: Rows | None, value: Tensor) -> Tensor:
    """Sums ``[B]`` of values ``[R]`` over the rows of each instance, who may have one each."""
    return value if rows is None else rows.sum(value)


def mean_rows(rows: Rows | None, value: Tensor) -> Tensor:
    """Means ``[B]`` of values ``[R]`` over the rows of each instance, who may have one each."""
    return value if rows is None else rows.mean(value)


def resolve_rows(graph: TypedGraph, name: str, node_type: str | None, index: Any) -> Chosen:
    """Graphs, or single rows of graphs, as the user names them.

    Args:
        graph: the user's graph(s).
        name: ``"nodes"``, or the attribute that lists nodes (or is a mask of them).
        node_type: whose rows, of a heterogeneous graph.
        index: graphs in any form of `as_numbers`, or pairs ``(graph, row)``.

    Returns:
        The graph ``[B]`` of each instance, and its rows.

    Raises:
        InstanceError: for a graph or row that does not exist, and graphs without any row.
        GraphError: if the attribute does not list nodes.
    """
    listing = _Listing.read(graph, name, node_type)
    pairs = as_pairs(index, graph.device)
    if pairs is not None:
        return pairs[:, 0], listing.single(*pairs.unbind(1))
    chosen = as_numbers(index, graph.num_graphs, "graph", graph.device)
    return chosen, listing.all_of(chosen)


def count_listed(graph: TypedGraph, name: str, node_type: str | None) -> int:
    """How many rows all graphs have together."""
    return int(_Listing.read(graph, name, node_type).node.numel())


@dataclass(frozen=True)
class _Listing:
    """All rows of all graphs.

    Attributes:
        name: where they are listed.
        node: ``[L]`` flat node of each row, in the user's order.
        by_graph: the rows of each graph.
    """

    name: str
    node: Tensor
    by_graph: CompressedIndex

    @classmethod
    def read(cls, graph: TypedGraph, name: str, node_type: str | None) -> _Listing:
        position = graph.type_position(node_type)
        first, stop = graph.node_offset[position], graph.node_offset[position + 1]
        if name == NODES:
            node = torch.arange(first, stop, device=graph.device)
        else:
            store = graph.data if node_type is None else graph.data[node_type]
            node = first + _listed_nodes(store, name, stop - first).to(graph.device)
        owner = torch.zeros_like(node) if graph.node_graph is None else graph.node_graph[node]
        return cls(name, node, CompressedIndex.build(owner, graph.num_graphs))

    def all_of(self, graphs: Tensor) -> Rows:
        """All rows of some graphs."""
        position, _ = expand(self.by_graph.pointer, graphs)
        count = self.by_graph.pointer.diff()[graphs]
        if bool((count == 0).any()):
            empty = int(graphs[(count == 0).nonzero()[0]])
            raise InstanceError(
                f"graph {empty} has no rows to explain: {self.name} names none of its nodes; leave "
                "it out of index"
            )
        return self._rows(position, count, graphs)

    def single(self, graphs: Tensor, number: Tensor) -> Rows:
        """One row of each of some graphs."""
        num_graphs = self.by_graph.pointer.numel() - 1
        for graph in graphs[(graphs < 0) | (graphs >= num_graphs)].tolist():
            raise InstanceError(f"graph {graph} is out of range: there are {num_graphs}")
        count = self.by_graph.pointer.diff()[graphs]
        for position in ((number < 0) | (number >= count)).nonzero().view(-1).tolist():
            raise InstanceError(
                f"row {int(number[position])} of graph {int(graphs[position])} is out of range: it "
                f"has {int(count[position])} rows, from 0"
            )
        return self._rows(self.by_graph.pointer[graphs] + number, torch.ones_like(graphs), graphs)

    def _rows(self, position: Tensor, count: Tensor, graphs: Tensor) -> Rows:
        listed, pointer = self.by_graph.edge[position], self.by_graph.pointer
        first = torch.repeat_interleave(pointer[graphs], count)
        return Rows(
            pointer=pointer_of(count),
            node=self.node[listed],
            number=position - first,
            listed=listed,
            num_listed=pointer.diff()[graphs],
        )


def _listed_nodes(store: Any, name: str, num_nodes: int) -> Tensor:
    """The nodes that an attribute names, numbered within their type."""
    value = store.get(name, None)
    if not isinstance(value, Tensor):
        found = "there is none" if value is None else f"it is a {type(value).__name__}"
        raise GraphError(
            f"Task(rows={name!r}) needs data.{name}, a tensor that names the nodes whose rows are "
            f"predicted; {found}"
        )
    if value.dtype == torch.bool:
        if value.shape != (num_nodes,):
            raise GraphError(
                f"data.{name} is a mask of shape {tuple(value.shape)}; expected one entry for each "
                f"of {num_nodes} nodes"
            )
        return value.nonzero().view(-1)
    if value.is_floating_point() or value.is_complex() or value.dim() != 1:
        raise GraphError(
            f"data.{name} is {value.dtype} of shape {tuple(value.shape)}; expected numbers of "
            "nodes [rows], or a mask with one entry for each node"
        )
    if "index" not in name:
        raise GraphError(
            f"data.{name} holds numbers of nodes; where graphs lie side by side PyG shifts these "
            f"only in attributes with 'index' in their name: rename it, to {name}_index for example"
        )
    outside = value[(value < 0) | (value >= num_nodes)]
    if outside.numel():
        raise GraphError(
            f"data.{name} names node {int(outside[0])}; there are {num_nodes} nodes, from 0"
        )
    return value.long()
