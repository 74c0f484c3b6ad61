"""Which messages stay open, for `Explainer.predict`: ``gg.messages.ALL - gg.messages.layer(1)``.

* ``ALL``, ``NONE``; ``KEPT``, what the explanations retain; ``DROPPED``, the others;
* ``layer(1)``, ``edges(edge_type=2)``, ``where(function)``, ``mask(tensor)``;
* joined as sets: ``a | b``, ``a & b``, ``a - b``, ``~a``;
* drawn at random: ``KEPT.share(0.75)``, ``DROPPED.as_many_as(KEPT)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from glassgraph.masking.chosen_edges import Columns, Mask, Where
from glassgraph.masking.message_sets import ALL, KEPT, NONE, Layers, MessageSet
from glassgraph.results.records import LocalExplanation

__all__ = ["ALL", "DROPPED", "KEPT", "NONE", "MessageSet", "edges", "layer", "mask", "where"]

#: What the explanations do not retain.
DROPPED: MessageSet = ~KEPT


def layer(*numbers: int) -> MessageSet:
    """The messages at some layers, counted from 0.

    Raises:
        HyperParameterError: when it is used, for a layer that the model lacks.

    Example:
        >>> ALL - layer(0)  # the lowest layer shut
        ALL - layer(0)
    """
    return Layers(numbers)


def edges(**columns: Any) -> MessageSet:
    """The messages along edges that have given values, at all layers.

    Args:
        **columns: names of columns as in `Explanations.aggregate` (attributes of the data with one
            entry for each edge, ``edge_type``, attributes of nodes after ``source_`` or
            ``destination_``), and the value or values that belong: one, or a list, range, set,
            array or tensor of some. An ``edge_type`` of typed graphs is a triple, or its three
            names joined by ``__``.

    Raises:
        HyperParameterError: without a name; when it is used, for a name or value that no explained
            edge has.

    Example:
        >>> ALL - (layer(0) & edges(edge_type=2))  # one relation shut in the lowest layer
        ALL - (layer(0) & edges(edge_type=2))
    """
    return Columns.of(columns)


def where(function: Callable[[LocalExplanation], Any]) -> MessageSet:
    """The messages for which a function of the explanation says so.

    Args:
        function: is given each `LocalExplanation` and returns booleans ``[e]`` for its edges (in
            the order of ``local.edge_id``), or ``[L, e]``. An attribute of the user's data is
            ``data.name[local.edge_id]`` there, or ``data[local.graph].name[local.edge_id]``.

    Raises:
        HyperParameterError: when it is used, for something else than that.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0], [1.0], [3.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2], [0, 0]]))
        >>> explainer = gg.Occlusion(SimpleConv(), gg.Task("node", mode="regression"))
        >>> best = where(lambda local: local.edge_score == local.edge_score.max())
        >>> explainer.predict(data, explainer.explain(data, [0]), keep=best).outputs
        tensor([[3.]])
    """
    return Where(function)


def mask(value: Any) -> MessageSet:
    """Messages one by one.

    Args:
        value: booleans for all edges of the data ``[E]``, or for each layer and edge ``[L, E]``; or
            a list with a mask for each explanation, as long as the edges it speaks of
            (``local(i).edge_score``) or those of its graph (``explanations[i].edge_mask``). With
            edge types also dictionaries of masks.

    Raises:
        HyperParameterError: when it is used, for another shape, or values between 0 and 1.

    Example:
        >>> import torch
        >>> mask(torch.tensor([True, False])) & KEPT
        mask(...) & KEPT
    """
    return Mask(value)
