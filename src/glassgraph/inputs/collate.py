"""Several graphs as one ``Batch``, or the reason why they do not fit together."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch_geometric.data import Batch

from glassgraph.calling.out_of_memory import let_through
from glassgraph.errors import GraphError


def collate(graphs: list[Any]) -> Any:
    """A ``Batch`` of graphs, as a loader makes it.

    Raises:
        GraphError: for graphs of which one lacks what another has.
    """
    for number, graph in enumerate(graphs[1:], start=1):
        misfit = _other_types(graphs[0], graph)
        if misfit:
            raise GraphError(f"graph {number} has {misfit}; explain such graphs apart")
    try:
        return Batch.from_data_list(graphs)
    except Exception as error:
        let_through(error)
        reasons = (_misfit(graphs[0], graph, number) for number, graph in enumerate(graphs))
        reason = next(filter(None, reasons), f"{type(error).__name__}: {error}")
        raise GraphError(
            f"the graphs cannot be put side by side: {reason}. Give all of them the same attributes"
        ) from error


def _other_types(first: Any, graph: Any) -> str:
    """What kinds of nodes or edges a graph has and the first has not, or the other way round."""
    kinds = [
        {store._key for store in each.stores if store._key is not None} for each in (first, graph)
    ]
    if kinds[0] == kinds[1]:
        return ""
    words = ", ".join(map(str, sorted(kinds[0] ^ kinds[1], key=str)))
    return f"other types of nodes and edges than graph 0 ({words})"


def _misfit(first: Any, graph: Any, number: int) -> str:
    """The first attribute in which a graph differs from the first graph; empty if there is none."""
    for store, own in zip(first.stores, graph.stores, strict=True):
        for key, value in store.items():
            where = key if store._key is None else f"{key} of {store._key}"
            if key not in own:
                return f"graph {number} has no {where}, graph 0 has one"
            shapes = [tuple(each.shape[1:]) for each in (value, own[key]) if _is_dense(each)]
            if "index" not in key and shapes[1:] and shapes[0] != shapes[1]:
                return (
                    f"rows of {where} have shape {shapes[1]} in graph {number}, and {shapes[0]} in "
                    "graph 0"
                )
    return ""


def _is_dense(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() > 0
