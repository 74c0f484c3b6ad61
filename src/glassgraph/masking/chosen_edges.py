"""Sets of messages that a user picks: by a column of the edges, by a function, or one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassgraph.errors import GraphError, HyperParameterError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.masking.mask_shapes import Dense, as_mask, holds_masks
from glassgraph.masking.message_sets import Members, MessageSet, Scene
from glassgraph.results.aggregates.attributes import edge_attribute
from glassgraph.results.records import LocalExplanation
from glassgraph.results.type_names import edge_type_words


@dataclass(frozen=True, repr=False)
class Columns(MessageSet):
    """The edges that have given values in some columns, as `Explanations.aggregate` knows them.

    Attributes:
        wanted: names of columns, and for each the values that belong.
    """

    wanted: tuple[tuple[str, tuple[Any, ...]], ...]

    @staticmethod
    def of(columns: Mapping[str, Any]) -> Columns:
        """From what a user writes: one value, or a list, range, set, array or tensor of some.

        Raises:
            HyperParameterError: if nothing is asked for.
        """
        if not columns:
            raise HyperParameterError("name an attribute of the edges, such as edge_type=2")
        return Columns(tuple((name, _values(value)) for name, value in columns.items()))

    def bind(self, scene: Scene) -> Members:
        """Compare the columns."""
        belongs = np.ones(scene.table.position.numel(), dtype=bool)
        for name, values in self.wanted:
            belongs &= self._has(scene, name, values)
        return scene.spread(torch.from_numpy(belongs).unsqueeze(0))

    def _has(self, scene: Scene, name: str, values: tuple[Any, ...]) -> Any:
        column = scene.column(name, {})
        types = scene.graph.edge_types
        words = dict(zip(types, edge_type_words(types), strict=True))
        found = np.zeros(len(column), dtype=bool)
        for value in values:
            is_type = isinstance(value, tuple) and name == "edge_type"
            word = words.get(value) if is_type else value
            is_equal = _equal(column, word)
            if not is_equal.any() and not _is_in_data(scene.graph, name, word):
                there = list(dict.fromkeys(map(repr, column.tolist())))
                shown = ", ".join(there[:8]) + (", ..." if len(there) > 8 else "")
                raise HyperParameterError(
                    f"{self!r}: no explained edge has {name} {value!r}; there are "
                    f"{shown or 'no edges'}"
                )
            found |= is_equal
        return found

    def __repr__(self) -> str:
        said = (
            f"{name}={values[0] if len(values) == 1 else list(values)!r}"
            for name, values in self.wanted
        )
        return f"edges({', '.join(said)})"


def _equal(column: Any, value: Any) -> Any:
    """Where a column has a value; nowhere if they cannot be compared."""
    found = np.asarray(column == value)
    return found if found.shape == column.shape else np.zeros(len(column), dtype=bool)


def _is_in_data(graph: TypedGraph, name: str, value: Any) -> bool:
    """Whether an edge that no explanation speaks of has the value."""
    if graph.is_heterogeneous and name == "edge_type":
        return value in edge_type_words(graph.edge_types)
    try:
        column = edge_attribute(graph, name)
    except GraphError:
        return False
    return column is not None and bool(_equal(column, value).any())


def _values(value: Any) -> tuple[Any, ...]:
    if isinstance(value, Tensor | np.ndarray):
        return tuple(value.reshape(-1).tolist())
    if isinstance(value, list | set | frozenset | range):
        return tuple(value)
    return (value,)


@dataclass(frozen=True, repr=False)
class Where(MessageSet):
    """The messages for which a function of the explanation says so."""

    function: Callable[[LocalExplanation], Any]

    def bind(self, scene: Scene) -> Members:
        """Ask it about every explanation."""
        return _located(scene, lambda _, local: self.function(local), f"what {self!r} returned")

    def __repr__(self) -> str:
        return f"where({getattr(self.function, '__name__', type(self.function).__name__)})"


@dataclass(frozen=True, repr=False, eq=False)
class Mask(MessageSet):
    """Messages one by one: a mask for all predictions, or a list with one for each."""

    value: Any

    def bind(self, scene: Scene) -> Members:
        """Hold its shape against the edges."""
        value, number = self.value, len(scene.explanations)
        if holds_masks(value):
            if len(value) != number:
                raise HyperParameterError(
                    f"a list holds one mask for each of the {number} explanations; this one holds "
                    f"{len(value)}"
                )
            return _located(scene, lambda place, _: value[place], "the mask")
        if number == 1:
            return _located(scene, lambda *_: value, "the mask")
        dense = Dense.of_all(scene.graph)
        found = as_mask(value, dense, scene.num_layers, "the mask").to(scene.graph.device)
        return lambda piece: found[:, piece.batch.fields.edge]

    def __repr__(self) -> str:
        return "mask(...)"


def _located(scene: Scene, value_of: Callable[[int, LocalExplanation], Any], what: str) -> Members:
    """Members from one mask for each explanation.

    Raises:
        HyperParameterError: naming the first that has another shape.
    """
    found = []
    for place in range(len(scene.explanations)):
        local = scene.explanations.local(place)
        dense, name = Dense.of_one(scene.graph, local), f"{what} for explanation {place}"
        found.append(as_mask(value_of(place, local), dense, scene.num_layers, name))
    rows = max(len(each) for each in found)
    # The table's columns are ascending by instance and edge, as the edges of each explanation are.
    return scene.spread(torch.cat([each.expand(rows, -1) for each in found], dim=1))
