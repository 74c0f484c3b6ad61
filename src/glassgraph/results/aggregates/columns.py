"""Columns that tell messages apart: of the instance, of the edge, of its ends, or of the user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassgraph.errors import ExplanationFileError, GraphError, HyperParameterError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.aggregates.attributes import (
    attribute_names,
    edge_attribute,
    flat_values,
    node_attribute,
)
from glassgraph.results.aggregates.messages import Messages, ScoredSet
from glassgraph.results.records import LocalExplanation, Part

Values = np.ndarray[Any, Any]

#: Of the instance: from a part ``[b]``.
OF_INSTANCE: Mapping[str, Callable[[Part, str | None], list[Any]]] = {
    "position": lambda part, _: part.position.tolist(),
    "index": lambda part, _: part.index.tolist(),
    "graph": lambda part, _: part.graph.tolist(),
    "target": lambda part, _: [
        (None if target < 0 else target) if contrast < 0 else f"{target} rather than {contrast}"
        for target, contrast in zip(part.target.tolist(), part.contrast.tolist(), strict=True)
    ],
    "label": lambda part, _: [None if label < 0 else label for label in part.label.tolist()],
    "predicted": lambda part, mode: _predicted(part.prediction, mode),
    "correct": lambda part, mode: [
        None if label < 0 else label == predicted
        for label, predicted in zip(
            part.label.tolist(), _predicted(part.prediction, mode), strict=True
        )
    ],
}
#: Of the edge: from one explanation ``[e]``; None where there is none.
OF_EDGE: Mapping[str, Callable[[LocalExplanation], Any]] = {
    "source": lambda local: local.node_id[local.edge_index[0]],
    "destination": lambda local: local.node_id[local.edge_index[1]],
    "edge_id": lambda local: local.edge_id,
    "edge_type": lambda local: local.edge_type,
    "source_type": lambda local: _types_of_ends(local, 0),
    "destination_type": lambda local: _types_of_ends(local, 1),
    "source_name": lambda local: _names_of_ends(local, 0),
    "destination_name": lambda local: _names_of_ends(local, 1),
    "edge_name": lambda local: local.edge_names,
    "truth": lambda local: local.edge_truth,
}


def column(
    explanations: ScoredSet, messages: Messages, name: str, given: Mapping[str, Any]
) -> Values:
    """``[n]`` the value of each of the table's edges.

    Args:
        explanations: what the table was read from.
        messages: the table.
        name: of the column.
        given: the user's columns: values for the edges of the data, or functions of an explanation.

    Raises:
        HyperParameterError: if there is no such column.
        GraphError: if an attribute, or what the user gives, has not one value for each edge.
    """
    if name in given:
        values = given[name]
        if callable(values):
            return _of_locals(explanations, messages, values, name)
        graph = _graph(explanations, name)
        return _at(flat_values(graph, values, f"the column {name!r}"), messages.edge)
    if name in OF_INSTANCE:
        return _at(of_instances(explanations, name), messages.instance)
    if name in OF_EDGE and _exists(explanations, messages, OF_EDGE[name]):
        return _of_locals(explanations, messages, OF_EDGE[name], name)
    graph = _graph(explanations, name)
    found = edge_attribute(graph, name)
    if found is not None:
        return _at(found, messages.edge)
    for prefix, ends in (("source_", messages.source), ("destination_", messages.destination)):
        is_meant = name.startswith(prefix)
        values = node_attribute(graph, name.removeprefix(prefix)) if is_meant else None
        if values is not None:
            return _at(values, ends)
    raise _unknown(graph, name)


def _at(values: Values, place: Tensor) -> Values:
    found: Values = values[place.numpy()]
    return found


def _unknown(graph: TypedGraph, name: str) -> HyperParameterError:
    edges = attribute_names(graph, of_nodes=False)
    nodes = attribute_names(graph, of_nodes=True)
    return HyperParameterError(
        f"there is no column {name!r} for these explanations. Columns are layer, "
        f"{', '.join([*OF_INSTANCE, *OF_EDGE])}; attributes of edges ({', '.join(edges) or 'none'}"
        f"); attributes of the nodes at their ends after source_ and destination_ "
        f"({', '.join(nodes) or 'none'}); and what you give as columns={{{name!r}: ...}}"
    )


def _graph(explanations: ScoredSet, name: str) -> TypedGraph:
    if explanations.graph is None:
        raise ExplanationFileError(
            f"the column {name!r} is read from the data, which were not stored; pass them to load: "
            "Explanations.load(folder, data=data)"
        )
    return explanations.graph


def _exists(
    explanations: ScoredSet, messages: Messages, read: Callable[[LocalExplanation], Any]
) -> bool:
    each = range(messages.num_instances)
    return not each or any(read(explanations.local(number)) is not None for number in each)


def of_instances(explanations: ScoredSet, name: str) -> Values:
    """``[B]`` a value for each instance, in their order.

    Args:
        explanations: the instances.
        name: a key of `OF_INSTANCE`.

    Raises:
        HyperParameterError: if no instance has such a value.
    """
    task = explanations.provenance.get("task")
    mode = task.get("mode") if isinstance(task, Mapping) else None
    found: dict[int, Any] = {}
    for part in explanations.own_parts():
        values = OF_INSTANCE[name](part, mode)
        found |= zip(part.position.tolist(), values, strict=True)
    listed = [found[position] for position in sorted(found)]
    if listed and all(value is None for value in listed):
        what = "one class to explain" if name == "target" else "a label"
        raise HyperParameterError(f"{name!r}: no explained prediction has {what}")
    return _objects(listed)


def _of_locals(
    explanations: ScoredSet, messages: Messages, read: Callable[[LocalExplanation], Any], name: str
) -> Values:
    """``[n]`` what a function says of each explanation's edges, in the table's order."""
    bounds = torch.searchsorted(messages.instance, torch.arange(messages.num_instances + 1))
    found = []
    for number in range(messages.num_instances):
        local = explanations.local(number)
        values, size = read(local), local.edge_id.numel()
        plain = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
        if plain is None:
            plain = [None] * size
        if not hasattr(plain, "__len__") or len(plain) != size or isinstance(plain, str):
            what = f"{len(plain)} values" if hasattr(plain, "__len__") else repr(plain)
            raise GraphError(
                f"the column {name!r} has {what} for instance {local.index}; expected one for each "
                f"of its {size} edges"
            )
        own = messages.place[bounds[number] : bounds[number + 1]].numpy()
        found.append(_objects(list(plain))[own])
    return np.concatenate(found) if found else _objects([])


def _predicted(prediction: Tensor, mode: str | None) -> list[int]:
    """The class of each prediction ``[b, C]``."""
    if mode == "regression":
        raise HyperParameterError("a regression predicts values, which are neither right nor wrong")
    if prediction.size(1) == 0:
        raise HyperParameterError(
            "an instance with several rows of output predicts a class for each; give a column of "
            "your own, from local.rows"
        )
    if prediction.size(1) == 1:
        return [int(value) for value in (prediction[:, 0] > 0.5).tolist()]
    if mode == "binary_classification":
        raise HyperParameterError(
            "predictions of several independent outputs are no class; give a column of your own"
        )
    found: list[int] = prediction.argmax(dim=1).tolist()
    return found


def _types_of_ends(local: LocalExplanation, end: int) -> list[str] | None:
    if local.node_type is None:
        return None
    return [local.node_type[node] for node in local.edge_index[end].tolist()]


def _names_of_ends(local: LocalExplanation, end: int) -> list[str] | None:
    if local.node_names is None:
        return None
    return [local.node_names[node] for node in local.edge_index[end].tolist()]


def _objects(values: list[Any]) -> Values:
    return np.fromiter(values, dtype=object, count=len(values))
