"""Floating features of nodes: read from data, replaced in data, and scores of them by node."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from glassgraph.core.graph import TypedGraph


def float_features(graph: TypedGraph, data: Any) -> list[Tensor | None]:
    """For each node type its floating features ``[n_t, F_t]``, None where there are none.

    Args:
        graph: the user's graph.
        data: its own data, or a packed part of it.
    """
    found: list[Tensor | None] = []
    for store in graph.node_stores(data):
        x = store.get("x", None)
        is_float = isinstance(x, Tensor) and x.is_floating_point() and x.dim() == 2
        found.append(x if is_float else None)
    return found


def replaced_in_every_second(
    features: Sequence[Tensor | None], node_instance: Tensor, position: Sequence[Tensor]
) -> list[Tensor | None]:
    """Features in which all nodes of every second instance have those of the first node.

    Such features exist in the graph, so a model that looks numbers up takes them.

    Args:
        features: for each node type ``[n_t, F_t]``.
        node_instance: ``[n]`` whose a node is.
        position: for each node type ``[n_t]`` where its nodes stand among the n.
    """
    found: list[Tensor | None] = []
    for x, own in zip(features, position, strict=True):
        is_kept = (node_instance[own] % 2 == 0).view(-1, 1)
        found.append(None if x is None else x.where(is_kept, x[:1]))
    return found


def with_features(graph: TypedGraph, data: Any, features: Sequence[Tensor | None] | None) -> Any:
    """The data with other features.

    Args:
        graph: the user's graph.
        data: its own data, or a packed part of it.
        features: for each node type, None to leave it alone; None to leave all alone.
    """
    if features is None:
        return data
    data = copy.copy(data)
    for store, x in zip(graph.node_stores(data), features, strict=True):
        if x is not None:
            store["x"] = x
    return data
