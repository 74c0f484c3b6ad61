"""The labels of predictions: which attribute holds them, and what cannot be a class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from glassgraph.errors import LabelsMissingError, TargetError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.links import LINK_INDEX, explained_store, num_explained_edges
from glassgraph.inputs.rows import count_listed
from glassgraph.inputs.task import Task

#: How labels that do not exist are written beside those that do.
_MISSING = -1


def labels_of(graph: TypedGraph, task: Task, chosen: Instances) -> Tensor:
    """The labels ``[R]`` of the rows of instances, for ``target="label"``.

    Raises:
        LabelsMissingError: if the data have none, or an instance has none.
        TargetError: if each instance has several.
    """
    label = find_labels(graph, task, chosen)
    name, value = _stored(graph, task)
    if label is None:
        one = f"target='label' needs data.{name}, one class for each {task.level}; "
        num_rows = _num_rows(graph, task)
        if value is not None and _num_columns(value, num_rows) > 1:
            last = _num_columns(value, num_rows) - 1
            raise TargetError(
                f"{one}{name} has {last + 1} labels for each: name the column to explain with "
                f"target=0..{last}"
            )
        raise LabelsMissingError(one + "the data have none that fits" + _why_not(value))
    if bool((label < 0).any()):
        what = _words_for(task, chosen, int((label < 0).nonzero()[0]))
        raise LabelsMissingError(
            f"target='label': {what} has no label in data.{name} (negative or NaN); "
            "explain labeled ones, or give another target"
        )
    return label


def _words_for(task: Task, chosen: Instances, position: int) -> str:
    """An instance or a row, as the user knows it."""
    rows = chosen.rows
    if rows is None:
        return f"{task.level} {int(chosen.index[position])}"
    graph = int(chosen.graph[rows.instance[position]])
    return f"row {int(rows.number[position])} of graph {graph}"


def find_labels(graph: TypedGraph, task: Task, chosen: Instances) -> Tensor | None:
    """The labels ``[R]`` of instances, -1 where one is missing; None where the data have none.

    Of graphs with several rows there is one for each row, or one for each node.
    """
    value = _stored(graph, task)[1]
    if value is None:
        return None
    for num_rows, position in _ways(graph, task, chosen):
        position = position.to(value.device)
        if value.numel() == num_rows:
            return _classes(value.reshape(-1)[position], task)
        if task.mode == "multiclass_classification" and _num_columns(value, num_rows) > 1:
            return _from_one_hot(value[position])
    return None


def _ways(graph: TypedGraph, task: Task, chosen: Instances) -> Iterator[tuple[int, Tensor]]:
    """How many labels there may be, and which of them are the instances' then."""
    if chosen.rows is None:
        yield _num_rows(graph, task), chosen.graph if task.level == "graph" else chosen.index
        return
    yield _num_rows(graph, task), chosen.rows.listed
    first = graph.node_offset[graph.type_position(task.node_type)]
    yield _num_nodes(graph, task), chosen.rows.node - first


def _stored(graph: TypedGraph, task: Task) -> tuple[str, Tensor | None]:
    """Name of the attribute that should hold the labels, and the attribute if it exists."""
    store: Any = graph.data
    names: tuple[str, ...] = ("y",)
    if task.level == "edge":
        names = ("edge_label", "edge_y", "y") if task.is_about_edges else ("edge_label",)
        store = explained_store(graph, task)
    elif graph.is_heterogeneous and (task.level == "node" or task.rows is not None):
        store = graph.data[task.node_type]
    found = [(name, store.get(name, None)) for name in names]
    fits = [(name, value) for name, value in found if isinstance(value, Tensor) and value.dim()]
    sizes = {_num_rows(graph, task)}
    if task.rows is not None:
        sizes.add(_num_nodes(graph, task))
    for name, value in fits:
        if value.size(0) in sizes or value.numel() in sizes:
            return name, value
    return fits[0] if fits else (names[0], None)


def _num_rows(graph: TypedGraph, task: Task) -> int:
    if task.is_about_edges:
        return num_explained_edges(graph, task)
    if task.level == "edge":
        return int(explained_store(graph, task)[LINK_INDEX].size(1))
    if task.rows is not None:
        return count_listed(graph, task.rows, task.node_type)
    if task.level == "graph":
        return graph.num_graphs
    return _num_nodes(graph, task)


def _num_nodes(graph: TypedGraph, task: Task) -> int:
    number = graph.type_position(task.node_type)
    return graph.node_offset[number + 1] - graph.node_offset[number]


def _num_columns(value: Tensor, num_rows: int) -> int:
    is_matrix = value.dim() == 2 and value.size(0) == num_rows
    return value.size(1) if is_matrix else 1


def _classes(label: Tensor, task: Task) -> Tensor | None:
    """Integer labels; floating ones where two classes are meant, -1 for NaN."""
    if not label.is_floating_point():
        return label
    if task.mode != "binary_classification":
        return None
    is_missing = label.isnan()
    if not bool((is_missing | (label == 0) | (label == 1)).all()):
        return None
    return torch.where(is_missing, _MISSING, label.nan_to_num()).long()


def _from_one_hot(value: Tensor) -> Tensor | None:
    """Classes ``[B]`` from ``[B, C]``, -1 for rows without one; None if some row has several."""
    value = value.float().nan_to_num(nan=0.0)
    count = value.sum(dim=1)
    if not bool((((value == 0) | (value == 1)).all(dim=1) & (count <= 1)).all()):
        return None
    return torch.where(count == 1, value.argmax(dim=1), _MISSING)


def _why_not(value: Tensor | None) -> str:
    if value is None:
        return ""
    found = f": it is {value.dtype} of shape {tuple(value.shape)}"
    if value.is_floating_point():
        found += "; classes are integers, or 0. and 1. where mode='binary_classification'"
    return found
