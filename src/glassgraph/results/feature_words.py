"""Names of features, one for each column of their scores: steps of a feature side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from glassgraph.errors import GraphError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.node_features import feature_name, may_read
from glassgraph.results.word_lists import listed, plain

#: Of homogeneous graphs a list, of others by node type.
FeatureNames: TypeAlias = "list[str] | dict[str, list[str]]"


def feature_words(graph: TypedGraph, arguments: Sequence[str] | None, names: Any) -> FeatureNames:
    """One name for each feature that the model may read, or for each step of it.

    Args:
        graph: the user's graph.
        arguments: of the model, see `may_read`.
        names: what is given.

    Raises:
        GraphError: if it is not that.
    """
    sizes, names = _sizes(graph, arguments), plain(names)
    if not sizes:
        raise GraphError(
            "feature_names name node features; the data have none that the model reads"
        )
    if not graph.is_heterogeneous:
        return _of_type(names, sizes[None], "feature_names")
    if not isinstance(names, Mapping) or not all(kind in sizes for kind in names):
        got = f"the keys {', '.join(map(repr, names))}" if isinstance(names, Mapping) else "a list"
        raise GraphError(
            "feature_names of a graph with types are a dictionary by node type "
            f"({', '.join(map(repr, sizes))}); got {got}"
        )
    return {
        kind: _of_type(own, sizes[kind], f"feature_names of {kind!r}")
        for kind, own in names.items()
    }


def with_steps(
    graph: TypedGraph, arguments: Sequence[str] | None, names: FeatureNames | None
) -> FeatureNames | None:
    """A name for each column of scores; of features ``[N, F, T]`` also where none are given."""
    found = {}
    for kind, size in _sizes(graph, arguments).items():
        own = names.get(str(kind)) if isinstance(names, dict) else names
        if own is not None or size[1] > 1:
            found[kind] = _columns(own, *size)
    if not graph.is_heterogeneous:
        return found.get(None)
    return {str(kind): own for kind, own in found.items()} or None


def _columns(names: Sequence[str] | None, features: int, steps: int) -> list[str]:
    if names is not None and (steps == 1 or len(names) == features * steps):
        return list(names)
    words = list(names or [""] * features)
    return [
        f"{word or f'feature {number}'}, step {step}"
        for number, word in enumerate(words)
        for step in range(steps)
    ]


def _of_type(names: Any, size: tuple[int, int], what: str) -> list[str]:
    features, steps = size
    is_of_columns = not isinstance(names, Mapping | str) and hasattr(names, "__len__")
    is_of_columns = is_of_columns and steps > 1 and len(names) == features * steps
    return listed(names, features * steps if is_of_columns else features, what)


def _sizes(graph: TypedGraph, arguments: Sequence[str] | None) -> dict[str | None, tuple[int, int]]:
    """Of each node type with features how many there are, and how many steps each has."""
    found = {}
    reads = may_read(arguments)
    for kind, store in zip(graph.node_types, graph.node_stores(graph.data), strict=True):
        name = feature_name(store, reads)
        if name is not None:
            shape = store[name].shape[1:]
            found[kind] = (shape[0] if shape else 1, math.prod(shape[1:]))
    return found
