"""Features of nodes: read from data, replaced in data.

The features of a node type are its ``x``, or where the model reads none its positions ``pos``, or
its ``z``. Methods see them as a matrix with one row per node: numbers without columns as one
column, time steps ``[N, F, T]`` side by side. Half precision comes as float32. What is put into
data again has the shape and the type that the data had.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from glassgraph.calling.precision import at_least_single
from glassgraph.inputs.graph import TypedGraph

#: Where features are looked for, in this order.
_ATTRIBUTES = ("x", "pos", "z")
#: How many times the largest features those are that lie far off.
_FAR = 10


def feature_name(store: Any, reads: Callable[[str], bool]) -> str | None:
    """Under which name a node type has its features; None if it has none.

    Args:
        store: where its attributes are.
        reads: whether the model may read an attribute.
    """
    names = (name for name in _ATTRIBUTES if isinstance(store.get(name, None), Tensor))
    return next((name for name in names if store[name].dim() > 0 and reads(name)), None)


def may_read(arguments: Sequence[str] | None) -> Callable[[str], bool]:
    """Whether a model with such arguments may read an attribute; without arguments any."""
    return lambda name: not arguments or name in arguments or f"{name}_dict" in arguments


def feature_names(graph: TypedGraph, reads: Callable[[str], bool]) -> list[str | None]:
    """The `feature_name` of each node type of the user's graph."""
    return [feature_name(store, reads) for store in graph.node_stores(graph.data)]


def all_features(graph: TypedGraph, data: Any, names: Sequence[str | None]) -> list[Tensor | None]:
    """For each node type its features ``[n_t, F_t]`` of whatever type, None where there are none.

    Args:
        graph: the user's graph.
        data: its own data, or a packed part of it.
        names: of the features of each node type.
    """
    stores = zip(graph.node_stores(data), names, strict=True)
    return [None if name is None else _matrix(store[name]) for store, name in stores]


def float_features(
    graph: TypedGraph, data: Any, names: Sequence[str | None]
) -> list[Tensor | None]:
    """The same of floating features alone; None where features are integers, too."""
    found = all_features(graph, data, names)
    return [x if x is not None and x.is_floating_point() else None for x in found]


def why_no_floats(graph: TypedGraph, names: Sequence[str | None]) -> str:
    """Why no node type has floating features, for messages."""
    stores = zip(graph.node_stores(graph.data), names, strict=True)
    found = [
        f"{name} is {str(store[name].dtype).removeprefix('torch.')} {list(store[name].shape)}"
        for store, name in stores
        if name is not None
    ]
    if not found:
        return "the graph has no node features (neither x nor pos nor z that the model reads)"
    return f"its node features are no floating numbers ({'; '.join(found)})"


def with_others(
    features: Sequence[Tensor | None],
    is_changed: Tensor,
    position: Sequence[Tensor],
    side: int,
    *,
    is_scaled: bool,
) -> list[Tensor | None]:
    """Features in which some nodes have others.

    Scaled ones lie far off, those of side 1 and -1 opposite to each other, so that whatever is
    computed of them comes to lie above and below what it was. Those that are not scaled, and
    integers, are those of the first or the last node: a model that looks numbers up takes them.

    Args:
        features: for each node type ``[n_t, F_t]``.
        is_changed: ``[n]`` which nodes get others.
        position: for each node type ``[n_t]`` where its nodes stand among the n.
        side: 1 or -1.
        is_scaled: whether floating features are to lie far off.
    """
    found: list[Tensor | None] = []
    for x, own in zip(features, position, strict=True):
        if x is None or not x.numel():
            found.append(x)
            continue
        other = x[:1] if side > 0 else x[-1:]
        if is_scaled and x.is_floating_point():
            other = side * _FAR * x[x.abs().sum(dim=1).argmax()]
        found.append(torch.where(is_changed[own].view(-1, 1), other, x))
    return found


def with_features(
    graph: TypedGraph,
    data: Any,
    names: Sequence[str | None],
    features: Sequence[Tensor | None] | None,
) -> Any:
    """The data with other features.

    Args:
        graph: the user's graph.
        data: its own data, or a packed part of it.
        names: of the features of each node type.
        features: for each node type, None to leave it alone; None to leave all alone.
    """
    if features is None:
        return data
    data = copy.copy(data)
    for store, name, x in zip(graph.node_stores(data), names, features, strict=True):
        if x is not None and name is not None:
            before = store[name]
            x = x if before.dim() == 2 else x.reshape(x.size(0), *before.shape[1:])
            store[name] = x.to(before.dtype)
    return data


def exchanged(x: Tensor) -> Tensor:
    """Features ``[n, F]`` in which each row is another one of the rows; as it was if all are alike.

    Integers stay among those that the model knows, where any other number might be out of range.
    """
    different: Tensor
    different, number = torch.unique(x, dim=0, return_inverse=True)
    return different[(number + 1) % max(1, different.size(0))]


def _matrix(x: Tensor) -> Tensor:
    x = x if x.dim() == 2 else x.reshape(x.size(0), math.prod(x.shape[1:]))
    return at_least_single(x)
