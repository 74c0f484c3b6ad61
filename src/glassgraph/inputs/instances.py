"""The predictions to explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glassgraph.calling.call import ModelCall
from glassgraph.calling.sampled import num_seeds
from glassgraph.errors import GraphError, InstanceError, TargetError, TaskError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.index import as_edge_numbers, as_numbers, of_type
from glassgraph.inputs.links import (
    LINK_INDEX,
    complete_edge_type,
    find_ends,
    first_ends,
    link_types,
)
from glassgraph.inputs.rows import Rows, resolve_rows
from glassgraph.inputs.task import Target, Targets, Task


@dataclass(frozen=True)
class Instances:
    """The predictions to explain.

    Attributes:
        index: ``[B]`` the user's number: node within its type and graph, graph, link or edge of
            its type.
        graph: ``[B]`` which graph.
        seeds: ``[B, S]`` flat explained nodes.
        rows: the rows of each, where an instance may have several.
    """

    index: Tensor
    graph: Tensor
    seeds: Tensor
    rows: Rows | None = None

    @staticmethod
    def of_nodes(graph: TypedGraph, task: Task, node: Tensor) -> Instances:
        """Predictions about nodes ``[B]``, by their flat numbers, all of the explained type."""
        index = node - graph.node_offset[graph.type_position(task.node_type)]
        return Instances(index, torch.zeros_like(index), node.view(-1, 1))

    def take(self, position: Tensor) -> Instances:
        """Some of them."""
        rows = None if self.rows is None else self.rows.take(position)
        return Instances(self.index[position], self.graph[position], self.seeds[position], rows)

    def __len__(self) -> int:
        return int(self.index.numel())


def complete_task(task: Task, graph: TypedGraph, model_call: ModelCall) -> Task:
    """Name the explained type of a heterogeneous graph, and whether links or edges are meant.

    Args:
        task: the task.
        graph: the user's graph.
        model_call: how the model is called.

    Raises:
        TaskError: if it cannot be told.
        InstanceError: if links are meant, and the data have none.
    """
    if not graph.is_heterogeneous:
        for name in ("node_type", "edge_type"):
            if getattr(task, name) is not None:
                raise TaskError(f"{name} is for heterogeneous graphs; this graph has no types")
        if task.level != "edge" or task.predicts is not None:
            return task
        return _links_or_edges(task, LINK_INDEX in graph.data, model_call)
    if task.level == "edge":
        if task.node_type is not None:
            raise TaskError(
                "node_type is for tasks about nodes; links and edges have an edge_type: "
                "glassgraph.Task('edge', edge_type=(source, relation, destination))"
            )
        if task.predicts is None:
            task = _links_or_edges(task, bool(link_types(graph)), model_call)
        return complete_edge_type(task, graph)
    if task.level == "graph" and task.rows is None:
        return task
    if task.node_type is not None:
        graph.type_position(task.node_type)
        return task
    labeled = [name for name in graph.node_types if "y" in graph.data[name]]
    if len(labeled) != 1:
        names = ", ".join(repr(name) for name in graph.node_types)
        raise TaskError(
            f"the graph has node types {names}; say which one is predicted: "
            f"task=glassgraph.Task({task.level!r}, node_type=...)"
        )
    return Task.of(task, node_type=labeled[0])


def _links_or_edges(task: Task, has_links: bool, model_call: ModelCall) -> Task:
    has_links |= model_call.requires(LINK_INDEX) or model_call.requires(f"{LINK_INDEX}_dict")
    return Task.of(task, predicts="links" if has_links else "edges")


def resolve_instances(graph: TypedGraph, task: Task, index: Any) -> Instances:
    """Check ``index`` and turn it into instances; None is all, of a sampler's batch its seeds.

    Raises:
        InstanceError: if an entry is out of range or has the wrong form.
    """
    device = graph.device
    if task.level == "graph":
        rows = None
        if task.rows is None:
            chosen = as_numbers(of_type(index, None), graph.num_graphs, "graph", device)
        else:
            chosen, rows = resolve_rows(graph, task.rows, task.node_type, of_type(index, None))
        if graph.joined is not None and bool((graph.joined.first_node[chosen] < 0).any()):
            empty = int(chosen[graph.joined.first_node[chosen] < 0][0])
            raise InstanceError(f"graph {empty} has no nodes; there is nothing to explain")
        return Instances(chosen, chosen, chosen.new_empty((chosen.numel(), 0)), rows)
    if task.level == "edge":
        ends = find_ends(graph, task)
        what = "edge" if task.is_about_edges else "link"
        chosen = as_edge_numbers(of_type(index, task.edge_type), ends, what)
        seeds = ends.t()[chosen] + first_ends(graph, task)
        owner = torch.zeros_like(chosen)
        if graph.node_graph is not None:
            owner = graph.node_graph[seeds[:, 0]]
        return Instances(chosen, owner, seeds)
    number = 0 if task.node_type is None else graph.type_position(task.node_type)
    first, stop = graph.node_offset[number], graph.node_offset[number + 1]
    seeds_first = num_seeds(graph.node_stores(graph.data)[number])
    if index is None and seeds_first is not None:
        index = torch.arange(seeds_first)
    chosen = as_numbers(of_type(index, task.node_type), stop - first, "node", device)
    seeds = chosen + first
    owner = torch.zeros_like(chosen)
    if graph.node_graph is not None:
        owner = graph.node_graph[seeds]
    return Instances(chosen, owner, seeds.view(-1, 1))


def one_for_each(target: Target, instances: Instances) -> Target | Targets:
    """A tensor of targets as one for each row; other targets as they are.

    Raises:
        TargetError: if a tensor has neither one entry for each instance nor for each row.
    """
    if not isinstance(target, Tensor) or target.numel() == 1:
        return target
    count, rows = len(instances), instances.rows
    num_rows = count if rows is None else rows.node.numel()
    chosen = target.to(instances.index.device).reshape(-1)
    if chosen.numel() == num_rows:
        return Targets(chosen, rows=rows)
    if rows is not None and chosen.numel() == count:
        return Targets(chosen[rows.instance], rows=rows)
    or_rows = "" if rows is None else f", or for each of their {num_rows} rows"
    raise TargetError(
        f"a target tensor holds one integer class for each of {count} instances{or_rows}; "
        f"got {target.dtype} of shape {tuple(target.shape)}"
    )


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
