"""Attributes that list nodes by number, of whole graphs that lie side by side in any order.

As PyG collates them: a graph says by how much the numbers of the graphs after it are shifted
(``__inc__``), and along which dimension lists are joined (``__cat_dim__``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glassgraph.inputs.graph import CompressedIndex, TypedGraph
from glassgraph.inputs.receptive import expand


def lists_of_nodes(
    graph: TypedGraph, store: Any, key: str, graphs: Tensor, *, is_listing: bool = False
) -> Tensor | None:
    """An attribute that lists nodes, of some graphs side by side.

    Args:
        graph: the user's graph(s).
        store: name of the node or edge type, None for an attribute of the graph.
        key: name of the attribute.
        graphs: ``[P]`` the graphs, in the order they lie in; one may come several times.
        is_listing: whether it surely lists nodes, one by one: then it can be told of graphs in one
            ``Data`` with a ``batch`` vector, too, which part is whose.

    Returns:
        The lists; None if it is not known which part belongs to which graph.
    """
    name = (store, key, is_listing)
    if name not in graph.lists:
        read = _Lists.read_listing if is_listing else _Lists.read
        graph.lists[name] = read(graph, store, key)
    found = graph.lists[name]
    return found.of(graphs) if isinstance(found, _Lists) else None


@dataclass(frozen=True)
class _Lists:
    """The lists of all graphs, one after the other, each numbered from its graph's first node.

    Attributes:
        value: the lists, joined along ``dim``.
        pointer: ``[G + 1]`` where each graph's begins.
        shift: ``[G]`` or ``[G, rows, 1]`` by how much the graphs after one are shifted.
        dim: the dimension they are joined along.
    """

    value: Tensor
    pointer: Tensor
    shift: Tensor
    dim: int

    @classmethod
    def read(cls, graph: TypedGraph, name: Any, key: str) -> _Lists | None:
        if graph.node_graph is not None and not graph.is_split:
            return None
        values, shifts, dims = [], [], set()
        for number in range(graph.num_graphs):
            own = graph.single(number)
            store = own._store if name is None else own[name]
            value = store.get(key, None)
            if not isinstance(value, Tensor) or value.dim() == 0:
                return None
            dims.add(own.__cat_dim__(key, value, store))
            shifts.append(torch.as_tensor(own.__inc__(key, value, store)).cpu())
            values.append(value)
        if len(dims) != 1 or not isinstance(dim := dims.pop(), int):
            return None
        count = torch.tensor([0, *(value.size(dim) for value in values)])
        device = graph.device
        return cls(
            torch.cat(values, dim=dim).to(device),
            count.cumsum(0).to(device),
            torch.stack(shifts).to(device),
            dim,
        )

    @classmethod
    def read_listing(cls, graph: TypedGraph, name: Any, key: str) -> _Lists | None:
        """Of nodes that are listed one by one."""
        owner = graph.node_graph
        if owner is None or graph.is_split or graph.is_heterogeneous:
            return cls.read(graph, name, key)
        if bool((owner.diff() < 0).any()):
            return None
        value = graph.data[key]
        lists = CompressedIndex.build(owner[value], graph.num_graphs)
        first, node = graph.by_graph[0].pointer[:-1], value[lists.edge]
        size = graph.by_graph[0].pointer.diff()
        return cls(node - first[owner[node]], lists.pointer, size, 0)

    def of(self, graphs: Tensor) -> Tensor:
        """The lists of some graphs, shifted as they lie side by side."""
        position, origin = expand(self.pointer, graphs)
        own = self.shift[graphs]
        shift = (own.cumsum(0) - own)[origin]
        if shift.dim() > 1:  # one for each row of the list
            shift = shift.flatten(1).t()
        elif self.dim == 0:
            shift = shift.view(-1, *[1] * (self.value.dim() - 1))
        return self.value.index_select(self.dim, position) + shift
