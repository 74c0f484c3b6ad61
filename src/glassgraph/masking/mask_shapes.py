"""Masks as users have them, as ``[1, e]`` or ``[L, e]`` booleans.

A mask is a tensor, an array or lists of booleans (or of 0 and 1), for each edge, or for each layer
and edge. It is as long as the edges that an explanation speaks of (``local(i).edge_score``), or as
the edges of the graph (``explanations[i].edge_mask``); with edge types it may be a dictionary.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassgraph.errors import HyperParameterError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.records import LocalExplanation
from glassgraph.results.type_names import edge_type_words


@dataclass(frozen=True)
class Dense:
    """The edges that a mask may be about.

    Attributes:
        num_own: number e of edges that are asked about.
        own: their places among all edges of the graph, ``[e]``; by the word of their type where
            they have types, together with which of the own edges these are.
        sizes: number of all edges of the graph, by the word of their type ("" without types).
    """

    num_own: int
    own: Mapping[str, tuple[Tensor, Tensor]]
    sizes: Mapping[str, int]

    @staticmethod
    def of_all(graph: TypedGraph) -> Dense:
        """All edges of the user's graph(s), one type after the other."""
        words = edge_type_words(graph.edge_types)
        bounds = list(itertools.pairwise(graph.edge_offset))
        return Dense(
            num_own=graph.num_edges,
            own={
                word: (torch.arange(stop - start), torch.arange(start, stop))
                for word, (start, stop) in zip(words, bounds, strict=True)
            },
            sizes={word: stop - start for word, (start, stop) in zip(words, bounds, strict=True)},
        )

    @staticmethod
    def of_one(graph: TypedGraph, local: LocalExplanation) -> Dense:
        """The edges that one explanation speaks of, among those of its graph."""
        words = edge_type_words(graph.edge_types)
        names = local.edge_type or [""] * local.edge_id.numel()
        kind = np.array(names, dtype=object)
        own = {}
        for word in words:
            place = torch.from_numpy(np.flatnonzero(kind == word))
            own[word] = (local.edge_id[place], place)
        return Dense(local.edge_id.numel(), own, _sizes(graph, local.graph))


def _sizes(graph: TypedGraph, number: int) -> dict[str, int]:
    """How many edges of each type one of the user's graphs has."""
    words = edge_type_words(graph.edge_types)
    sizes = [stop - start for start, stop in itertools.pairwise(graph.edge_offset)]
    if graph.is_split:
        starts = graph.typed_starts[1]
        last = number + 1 == graph.num_graphs
        sizes = [
            (size if last else each[number + 1]) - each[number]
            for size, each in zip(sizes, starts, strict=True)
        ]
    return dict(zip(words, sizes, strict=True))


def as_mask(value: Any, dense: Dense, num_layers: int, what: str) -> Tensor:
    """A mask of the own edges, ``[1, e]`` or ``[L, e]`` bool, on the CPU.

    Args:
        value: what the user gave.
        dense: the edges it may be about.
        num_layers: number L of layers.
        what: what to call it in messages.

    Raises:
        HyperParameterError: if it is no mask, or is about other edges.
    """
    if isinstance(value, Mapping):
        return _by_type(value, dense, num_layers, what)
    rows = _checked(value, num_layers, what)
    if rows.size(1) == dense.num_own:
        return rows
    if list(dense.sizes) == [""] and rows.size(1) == dense.sizes[""]:
        return rows[:, dense.own[""][0]]
    lengths = dict.fromkeys([dense.num_own, *([dense.sizes[""]] if "" in dense.sizes else [])])
    raise HyperParameterError(
        f"{what} has {rows.size(1)} entries a row; expected one for each edge: "
        f"{' (those that can reach the prediction) or '.join(map(str, lengths))}"
    )


def _by_type(value: Mapping[Any, Any], dense: Dense, num_layers: int, what: str) -> Tensor:
    """A mask from one for each edge type."""
    given = {"__".join(key) if isinstance(key, tuple) else key: one for key, one in value.items()}
    if set(given) != set(dense.sizes) or "" in dense.sizes:
        types = ", ".join(dense.sizes) or "no types"
        raise HyperParameterError(
            f"{what} is a dictionary of {', '.join(map(repr, value)) or 'nothing'}; expected a "
            f"mask for each edge type: {types}"
        )
    masks = {word: _checked(one, num_layers, f"{what}[{word!r}]") for word, one in given.items()}
    rows = max(len(each) for each in masks.values())
    found = torch.zeros(rows, dense.num_own, dtype=torch.bool)
    for word, mask in masks.items():
        number, place = dense.own[word]
        if mask.size(1) != dense.sizes[word]:
            raise HyperParameterError(
                f"{what}[{word!r}] has {mask.size(1)} entries a row; expected one for each of the "
                f"{dense.sizes[word]} edges"
            )
        found[:, place] = mask[:, number]
    return found


def holds_masks(value: Any) -> bool:
    """Whether a list holds masks, instead of the entries of one."""
    return isinstance(value, list | tuple) and any(
        isinstance(each, list | tuple | Mapping)
        or (isinstance(each, Tensor | np.ndarray) and each.ndim > 0)
        for each in value
    )


def _checked(value: Any, num_layers: int, what: str) -> Tensor:
    rows = _rectangle(value)
    if rows is None:
        raise HyperParameterError(
            f"{what} is {_shown(value)}; expected booleans for each edge [e], or for each layer "
            f"and edge [{num_layers}, e]"
        )
    if rows.dtype != torch.bool and not bool(((rows == 0) | (rows == 1)).all()):
        raise HyperParameterError(
            f"{what} is {rows.dtype} with other values than 0 and 1; a message is open or shut, so "
            "say where to cut, for example mask > 0.5"
        )
    rows = rows.bool()
    rows = rows.unsqueeze(0) if rows.dim() == 1 else rows
    if len(rows) not in (1, num_layers):
        raise HyperParameterError(
            f"{what} has {len(rows)} rows; expected one that holds at every layer, or one for each "
            f"of the {num_layers} layers"
        )
    return rows


def _rectangle(value: Any) -> Tensor | None:
    """What a user gave as a tensor of one or two dimensions; None if it is anything else."""
    try:
        found = value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    except (TypeError, ValueError, RuntimeError):
        return None
    return found.detach().cpu() if 1 <= found.dim() <= 2 else None


def _shown(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray):
        return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"
