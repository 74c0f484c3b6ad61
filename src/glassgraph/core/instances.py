"""The predictions to explain, and their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glassgraph.core.graph import TypedGraph
from glassgraph.core.task import Task
from glassgraph.errors import GraphError, InstanceError, LabelsMissingError, TaskError


@dataclass(frozen=True)
class Instances:
    """The predictions to explain.

    Attributes:
        index: ``[B]`` the user's number: node within its type and graph, graph, or link.
        graph: ``[B]`` which graph.
        seeds: ``[B, S]`` flat explained nodes.
    """

    index: Tensor
    graph: Tensor
    seeds: Tensor

    def take(self, position: Tensor) -> Instances:
        """Some of them."""
        return Instances(self.index[position], self.graph[position], self.seeds[position])

    def __len__(self) -> int:
        return int(self.index.numel())


def complete_task(task: Task, graph: TypedGraph) -> Task:
    """Name the explained node type of a heterogeneous graph.

    Raises:
        TaskError: if it cannot be told.
    """
    if not graph.is_heterogeneous:
        if task.node_type is not None:
            raise TaskError("node_type is for heterogeneous graphs; this graph has no types")
        return task
    if task.level == "edge":
        raise TaskError("link prediction on heterogeneous graphs is not supported yet")
    if task.level == "graph":
        return task
    if task.node_type is not None:
        graph.type_position(task.node_type)
        return task
    labeled = [name for name in graph.node_types if "y" in graph.data[name]]
    if len(labeled) != 1:
        names = ", ".join(repr(name) for name in graph.node_types)
        raise TaskError(
            f"the graph has node types {names}; say which one is predicted: "
            "task=glassgraph.Task('node', node_type=...)"
        )
    return Task.of(task, node_type=labeled[0])


def resolve_instances(graph: TypedGraph, task: Task, index: Any) -> Instances:
    """Check ``index`` and turn it into instances.

    Raises:
        InstanceError: if an entry is out of range or has the wrong form.
    """
    device = graph.device
    if task.level == "graph":
        chosen = _as_index(index, graph.num_graphs, "graph", device)
        if graph.joined is not None and bool((graph.joined.first_node[chosen] < 0).any()):
            empty = int(chosen[graph.joined.first_node[chosen] < 0][0])
            raise InstanceError(f"graph {empty} has no nodes; there is nothing to explain")
        return Instances(chosen, chosen, chosen.new_empty((chosen.numel(), 0)))
    if task.level == "edge":
        links = find_links(graph)
        chosen = _as_index(index, links.size(1), "link", device)
        seeds = links.t()[chosen]
        owner = torch.zeros_like(chosen)
        if graph.node_graph is not None:
            owner = graph.node_graph[seeds[:, 0]]
        return Instances(chosen, owner, seeds)
    first = 0
    number = 0 if task.node_type is None else graph.type_position(task.node_type)
    first, stop = graph.node_offset[number], graph.node_offset[number + 1]
    chosen = _as_index(index, stop - first, "node", device)
    seeds = chosen + first
    owner = torch.zeros_like(chosen)
    if graph.node_graph is not None:
        owner = graph.node_graph[seeds]
    return Instances(chosen, owner, seeds.view(-1, 1))


def find_links(graph: TypedGraph) -> Tensor:
    """The pairs of nodes ``[2, links]`` that a link task predicts.

    Raises:
        InstanceError: if they are missing or malformed.
    """
    if "edge_label_index" not in graph.data:
        raise InstanceError(
            "a link task needs data.edge_label_index [2, links], the pairs to predict"
        )
    links = graph.data["edge_label_index"]
    if not isinstance(links, Tensor) or links.dim() != 2 or links.size(0) != 2:
        shape = tuple(links.shape) if isinstance(links, Tensor) else type(links).__name__
        raise InstanceError(f"edge_label_index has shape {shape}; expected [2, links]")
    if links.is_floating_point() or links.dtype == torch.bool:
        raise InstanceError(f"edge_label_index is {links.dtype}; expected torch.long node ids")
    if links.numel() and (int(links.min()) < 0 or int(links.max()) >= graph.num_nodes):
        bad = int(links.min()) if int(links.min()) < 0 else int(links.max())
        raise InstanceError(
            f"edge_label_index names node {bad}, but there are {graph.num_nodes} nodes "
            f"(0 to {graph.num_nodes - 1})"
        )
    return links.long()


def _as_index(index: Any, size: int, what: str, device: torch.device) -> Tensor:
    if index is None:
        return torch.arange(size, device=device)
    if isinstance(index, Tensor) and index.dtype == torch.bool:
        if index.numel() != size:
            raise InstanceError(f"the index mask has {index.numel()} entries for {size} {what}s")
        return index.view(-1).nonzero().view(-1).to(device)
    try:
        chosen = torch.as_tensor(index, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InstanceError(
            f"index must be a number, a list of numbers, or a mask; got {index!r}"
        ) from error
    if chosen.numel() == 0:
        return chosen.long().view(-1)
    if chosen.is_floating_point() or chosen.is_complex() or chosen.dtype == torch.bool:
        raise InstanceError(f"index must hold integers; got {chosen.dtype}")
    chosen = chosen.long().view(-1)
    low, high = int(chosen.min()), int(chosen.max())
    if low < 0 or high >= size:
        bad = low if low < 0 else high
        raise InstanceError(f"{what} {bad} is out of range: there are {size} ({what}s from 0)")
    return chosen


def labels_of(graph: TypedGraph, task: Task, chosen: Instances) -> Tensor:
    """The labels ``[B]`` of instances.

    Raises:
        LabelsMissingError: if the data have none.
    """
    label = find_labels(graph, task, chosen)
    if label is None:
        name = "edge_label" if task.level == "edge" else "y"
        raise LabelsMissingError(
            f"target='label' needs data.{name}, one class for each {task.level}; the data have "
            "none that fits"
        )
    return label


def find_labels(graph: TypedGraph, task: Task, chosen: Instances) -> Tensor | None:
    """The labels ``[B]`` of instances, None where the data have none."""
    if task.level == "edge":
        store, key, size = graph.data, "edge_label", None
    elif graph.is_heterogeneous and task.level == "node":
        store, key, size = graph.data[task.node_type], "y", None
    else:
        store, key, size = graph.data, "y", None
    value = store.get(key, None)
    if not isinstance(value, Tensor) or value.is_floating_point():
        return None
    position = chosen.graph if task.level == "graph" else chosen.index
    if task.level == "edge":
        size = int(graph.data["edge_label_index"].size(1))
    elif task.level == "graph":
        size = graph.num_graphs
    else:
        size = int(store.num_nodes)
    if value.numel() != size:
        return None
    return value.view(-1)[position.to(value.device)]


def refuse_edges_between(graph: TypedGraph) -> None:
    """Graphs of a list or a ``Batch`` are graphs of their own: no edge may join them.

    In a ``Data`` with a ``batch`` vector some may; such graphs are explained together.

    Raises:
        GraphError: naming the first edge that does.
    """
    if graph.node_graph is None or (not graph.is_split and not graph.is_heterogeneous):
        return
    source, destination = graph.node_graph[graph.source], graph.node_graph[graph.destination]
    between = (source != destination).nonzero().view(-1)
    if between.numel():
        edge = int(between[0])
        raise GraphError(
            f"edge {edge} runs from node {int(graph.source[edge])} of graph {int(source[edge])} to "
            f"node {int(graph.destination[edge])} of graph {int(destination[edge])} "
            f"({between.numel()} such edges), but graphs of a batch are graphs of their own; mend "
            "edge_index, or give one Data with a batch vector to have them explained together"
        )
