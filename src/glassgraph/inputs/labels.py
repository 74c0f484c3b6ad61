"""The labels of predictions: which attribute holds them, and what cannot be a class."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from glassgraph.errors import LabelsMissingError, TargetError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.task import Task

#: How labels that do not exist are written beside those that do.
_MISSING = -1


def labels_of(graph: TypedGraph, task: Task, chosen: Instances) -> Tensor:
    """The labels ``[B]`` of instances, for ``target="label"``.

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
        number = int(chosen.index[(label < 0).nonzero().view(-1)[0]])
        raise LabelsMissingError(
            f"target='label': {task.level} {number} has no label in data.{name} (negative or NaN); "
            "explain labeled ones, or give another target"
        )
    return label


def find_labels(graph: TypedGraph, task: Task, chosen: Instances) -> Tensor | None:
    """The labels ``[B]`` of instances, -1 where one is missing; None where the data have none."""
    value, num_rows = _stored(graph, task)[1], _num_rows(graph, task)
    if value is None:
        return None
    position = (chosen.graph if task.level == "graph" else chosen.index).to(value.device)
    if value.numel() == num_rows:
        return _classes(value.reshape(-1)[position], task)
    if task.mode == "multiclass_classification" and _num_columns(value, num_rows) > 1:
        return _from_one_hot(value[position])
    return None


def _stored(graph: TypedGraph, task: Task) -> tuple[str, Tensor | None]:
    """Name of the attribute that should hold the labels, and the attribute if it exists."""
    store: Any = graph.data
    names: tuple[str, ...] = ("y",)
    if task.level == "edge":
        names = ("edge_label", "edge_y", "y") if task.is_about_edges else ("edge_label",)
    elif graph.is_heterogeneous and task.level == "node":
        store = graph.data[task.node_type]
    found = [(name, store.get(name, None)) for name in names]
    fits = [(name, value) for name, value in found if isinstance(value, Tensor) and value.dim()]
    num_rows = _num_rows(graph, task)
    for name, value in fits:
        if value.size(0) == num_rows or value.numel() == num_rows:
            return name, value
    return fits[0] if fits else (names[0], None)


def _num_rows(graph: TypedGraph, task: Task) -> int:
    if task.is_about_edges:
        return graph.num_edges
    if task.level == "edge":
        return int(graph.data["edge_label_index"].size(1))
    if task.level == "graph":
        return graph.num_graphs
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
