"""Attributes of the user's data as columns: one value for each node or edge, whatever holds them.

A tensor, an array or a list, of one graph or of several, of one type or of many: the column has an
entry for each flat node or edge, None where a type lacks the attribute.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch_geometric.utils import is_sparse

from glassgraph.errors import GraphError
from glassgraph.inputs.graph import LABEL_KEYS, TypedGraph

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
    return _column(graph, stores, graph.edge_offset, name, "edge")


def node_attribute(graph: TypedGraph, name: str) -> np.ndarray[Any, Any] | None:
    """``[N]`` values of an attribute; None if no node has it.

    Raises:
        GraphError: if it has not one value for each node.
    """
    stores = graph.node_stores(graph.data)
    return _column(graph, stores, graph.node_offset, name, "node")


def attribute_names(graph: TypedGraph, *, of_nodes: bool) -> list[str]:
    """The attributes with one value for each node, or for each edge."""
    stores = graph.node_stores(graph.data)
    if not of_nodes:
        stores = [graph.data[kind] if kind else graph.data for kind in graph.edge_types]
    names = dict.fromkeys(str(key) for store in stores for key in store.keys())  # noqa: SIM118
    return [name for name in names if _is_column(graph, name, of_nodes=of_nodes)]


def flat_values(graph: TypedGraph, values: Any, what: str) -> np.ndarray[Any, Any]:
    """``[E]`` values that a user gives for edges: flat, for each graph, or for each edge type.

    Raises:
        GraphError: if there is not one value for each edge.
    """
    if isinstance(values, Mapping):
        given = [values.get(kind) for kind in graph.edge_types]
        sizes = [stop - start for start, stop in itertools.pairwise(graph.edge_offset)]
        pieces = [
            _missing(size) if value is None else _entries(value, size, graph.is_split)
            for value, size in zip(given, sizes, strict=True)
        ]
        whole = [piece for piece in pieces if piece is not None]
        found = np.concatenate(whole) if len(whole) == len(pieces) else None
    else:
        found = _entries(values, graph.num_edges, graph.is_split)
    if found is None:
        size = f"{len(values)} entries" if hasattr(values, "__len__") else type(values).__name__
        raise GraphError(
            f"{what} has {size}; expected one value for each of the {graph.num_edges} edges, in "
            "the order of edge_index (for several graphs a list of such lists, for edge types a "
            "dictionary of them)"
        )
    return found


def _is_column(graph: TypedGraph, name: str, *, of_nodes: bool) -> bool:
    read = node_attribute if of_nodes else edge_attribute
    try:
        return read(graph, name) is not None
    except GraphError:
        return False


def _column(
    graph: TypedGraph, stores: Sequence[Any], offset: Sequence[int], name: str, what: str
) -> np.ndarray[Any, Any] | None:
    pieces: list[np.ndarray[Any, Any]] = []
    is_there = False
    for store, (start, stop) in zip(stores, itertools.pairwise(offset), strict=True):
        value = store.get(name, None)
        if value is None:
            pieces.append(_missing(stop - start))
            continue
        piece = _entries(value, stop - start, graph.is_split)
        if piece is None:
            raise GraphError(
                f"{name} of the data has {_shape(value)}; a column of {what}s needs one value for "
                f"each of the {stop - start} {what}s"
            )
        pieces.append(piece)
        is_there = True
    return np.concatenate(pieces) if is_there else None


def _entries(value: Any, size: int, is_split: bool) -> np.ndarray[Any, Any] | None:
    """One value for each of ``size`` things; None if it is anything else."""
    if isinstance(value, Tensor):
        if is_sparse(value):
            return None
        plain = value.detach().cpu()
        plain = plain.squeeze(1) if plain.dim() == 2 and plain.size(1) == 1 else plain
        return plain.numpy() if plain.dim() == 1 and plain.numel() == size else None
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
        return None
    listed = list(_flat(value)) if is_split else list(value)
    if len(listed) != size:
        return None
    if isinstance(value, np.ndarray):
        return value if value.ndim == 1 else None
    found = np.empty(size, dtype=object)
    found[:] = listed
    return found


def _flat(values: Sequence[Any] | np.ndarray[Any, Any]) -> Iterator[Any]:
    """The entries of a list, or of one list for each graph."""
    for value in values:
        if isinstance(value, Tensor):
            yield from value.detach().cpu().view(-1).tolist()
        elif isinstance(value, list | tuple | np.ndarray):
            yield from value
        else:
            yield value


def _missing(size: int) -> np.ndarray[Any, Any]:
    return np.full(size, None, dtype=object)


def _shape(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"shape {list(value.shape)}"
    return f"{len(value)} entries" if isinstance(value, Sequence) else f"a {type(value).__name__}"
