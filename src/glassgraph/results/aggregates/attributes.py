"""Attributes of the user's data as columns: one value for each node or edge, whatever holds them.

A tensor, an array or a list, of one graph or of several, of one type or of many: the column has an
entry for each flat node or edge, None where a type lacks the attribute.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch_geometric.utils import is_sparse

from glassgraph.data.checks import LABEL_KEYS
from glassgraph.errors import GraphError
from glassgraph.inputs.graph import TypedGraph

#: What is known to be about nodes, or about connections, also where there are as many edges.
_NODE_KEYS = frozenset({"x", "pos", "z", "batch", "ptr", *LABEL_KEYS})


def edge_attribute(graph: TypedGraph, name: str) -> np.ndarray[Any, Any] | None:
    """``[E]`` values of an attribute; None if no edge has it.

    Raises:
        GraphError: if it has not one value for each edge.
    """
    stores = [graph.data[kind] if kind else graph.data for kind in graph.edge_types]
    if name in _NODE_KEYS and not graph.is_heterogeneous:
        return None
    return _column(graph, stores, name, "edge")


def node_attribute(graph: TypedGraph, name: str) -> np.ndarray[Any, Any] | None:
    """``[N]`` values of an attribute; None if no node has it.

    Raises:
        GraphError: if it has not one value for each node.
    """
    stores = graph.node_stores(graph.data)
    return _column(graph, stores, name, "node")


def attribute_names(graph: TypedGraph, *, of_nodes: bool) -> list[str]:
    """The attributes with one value for each node, or for each edge."""
    stores = graph.node_stores(graph.data)
    if not of_nodes:
        stores = [graph.data[kind] if kind else graph.data for kind in graph.edge_types]
    names = dict.fromkeys(str(key) for store in stores for key in store.keys())  # noqa: SIM118
    return [name for name in names if _is_column(graph, name, of_nodes=of_nodes)]


def flat_values(
    graph: TypedGraph, values: Any, what: str, *, of_nodes: bool = False
) -> np.ndarray[Any, Any]:
    """``[E]`` values that a user gives for edges: flat, for each graph, or for each edge type.

    Args:
        graph: the data.
        values: what is given.
        what: its name in messages.
        of_nodes: for nodes instead, ``[N]``.

    Raises:
        GraphError: if there is not one value for each edge, or each node.
    """
    offset = graph.node_offset if of_nodes else graph.edge_offset
    if isinstance(values, Mapping):
        kinds: Sequence[Any] = graph.node_types if of_nodes else graph.edge_types
        given = [values.get(kind) for kind in kinds]
        every = _sizes(graph, of_nodes=of_nodes)
        pieces = [
            _missing(sum(sizes)) if value is None else _entries(value, sizes)
            for value, sizes in zip(given, every, strict=True)
        ]
        whole = [piece for piece in pieces if piece is not None]
        found = np.concatenate(whole) if len(whole) == len(pieces) else None
    else:
        found = _entries(
            values, [sum(each) for each in zip(*_sizes(graph, of_nodes=of_nodes), strict=True)]
        )
    if found is None:
        size = f"{len(values)} entries" if hasattr(values, "__len__") else type(values).__name__
        raise GraphError(
            f"{what} has {size}; expected one value for each of the {offset[-1]} "
            f"{'nodes' if of_nodes else 'edges'}, in the order of the data (for several graphs a "
            "list of such lists, for types a dictionary of them)"
        )
    return found


def _is_column(graph: TypedGraph, name: str, *, of_nodes: bool) -> bool:
    read = node_attribute if of_nodes else edge_attribute
    try:
        return read(graph, name) is not None
    except GraphError:
        return False


def _column(
    graph: TypedGraph, stores: Sequence[Any], name: str, what: str
) -> np.ndarray[Any, Any] | None:
    pieces: list[np.ndarray[Any, Any]] = []
    is_there = False
    every = _sizes(graph, of_nodes=what == "node")
    for store, sizes in zip(stores, every, strict=True):
        value = store.get(name, None)
        if value is None:
            pieces.append(_missing(sum(sizes)))
            continue
        piece = _entries(value, sizes)
        if piece is None:
            raise GraphError(
                f"{name} of the data has {_shape(value)}; a column of {what}s needs one value for "
                f"each of the {sum(sizes)} {what}s"
            )
        pieces.append(piece)
        is_there = True
    return np.concatenate(pieces) if is_there else None


def _sizes(graph: TypedGraph, *, of_nodes: bool) -> list[list[int]]:
    """For each type how many nodes or edges each graph has."""
    starts = graph.typed_starts[0 if of_nodes else 1]
    offset = graph.node_offset if of_nodes else graph.edge_offset
    totals = [stop - start for start, stop in itertools.pairwise(offset)]
    return [
        [stop - start for start, stop in itertools.pairwise([*own, total])]
        for own, total in zip(starts, totals, strict=True)
    ]


def _entries(value: Any, sizes: Sequence[int]) -> np.ndarray[Any, Any] | None:
    """One value for each node or edge, of which each graph has so many; None if it is not that."""
    if isinstance(value, Tensor):
        if is_sparse(value):
            return None
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        flat = value.reshape(-1) if value.ndim == 2 and value.shape[1] == 1 else value
        return flat if flat.shape == (sum(sizes),) else None
    if not isinstance(value, list | tuple):
        return None
    listed = list(value)
    if len(listed) == len(sizes) and all(_is_list(each) for each in listed):  # one of each graph
        if [len(each) for each in listed] != list(sizes):
            return None
        listed = [entry for each in listed for entry in _plain(each)]
    if len(listed) != sum(sizes):
        return None
    return np.fromiter(listed, dtype=object, count=len(listed))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) or getattr(value, "ndim", 0) == 1


def _plain(values: Any) -> list[Any]:
    """As a list, of numbers if they lie in a tensor."""
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _missing(size: int) -> np.ndarray[Any, Any]:
    return np.full(size, None, dtype=object)


def _shape(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"shape {list(value.shape)}"
    return f"{len(value)} entries" if isinstance(value, Sequence) else f"a {type(value).__name__}"
