"""Which rows of a model's output belong to the explained instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glassgraph.errors import ModelOutputError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.pack import Packed, rows_of_graphs
from glassgraph.inputs.receptive import Fields
from glassgraph.inputs.rows import NODES, Rows
from glassgraph.inputs.task import Task, as_matrix


@dataclass(frozen=True)
class OutputRows:
    """Rows of graphs that have several, see `glassgraph.inputs.rows`.

    Attributes:
        packed: ``[R]`` the packed nodes whose rows they are.
        of_nodes: ``[R]`` where they stand in an output with a row for each node.
        num_nodes: how many rows that has.
        listed: ``[R]`` where they stand in an output with rows of the listed nodes alone; None
            where no such list is cut.
        num_listed: how many rows that has.
    """

    packed: Tensor
    of_nodes: Tensor
    num_nodes: int
    listed: Tensor | None
    num_listed: int

    def take(self, output: Tensor, task: Task) -> Tensor:
        """Pick them out of an output ``[rows, C]``.

        Raises:
            ModelOutputError: if it has neither form, or has both and they differ.
        """
        count, listed = output.size(0), self.listed
        is_listed = count == self.num_listed
        if count == self.num_nodes:
            if listed is not None and is_listed and not torch.equal(self.of_nodes, listed):
                raise ModelOutputError(
                    f"the model returned {count} rows: as many as there are nodes, and as many as "
                    f"data.{task.rows} lists in another order, so that it cannot be told whose "
                    "they are; list the nodes in ascending order"
                )
            return output.index_select(0, self.of_nodes)
        if listed is not None and is_listed:
            return output.index_select(0, listed)
        or_listed = "" if listed is None else f", or {self.num_listed}, one for each listed one"
        raise ModelOutputError(
            f"the model returned {count} rows; a task with rows={task.rows!r} needs "
            f"{self.num_nodes}, one for each node of the graphs{or_listed}"
        )


def select_rows(
    task: Task,
    result: Any,
    rows: Tensor | OutputRows | None,
    num_instances: int | None,
    num_rows: int | None = None,
) -> Tensor:
    """Pick the explained rows ``[R, C]`` out of what a model returned.

    Raises:
        ModelOutputError: if it does not have one row per instance, or (where ``rows`` and
            ``num_rows`` are given) one row per node or edge, or not the rows that are asked for.
    """
    explained = task.edge_type if task.level == "edge" else task.node_type
    if isinstance(result, dict) and explained in result:
        result = result[explained]
    if rows is None:
        return as_matrix(result, num_instances, task.level)
    output = as_matrix(result, num_rows, task.level, task.predicts)
    if isinstance(rows, OutputRows):
        return rows.take(output, task)
    if rows.numel() and int(rows.max()) >= output.size(0):
        raise ModelOutputError(
            f"the model returned {output.size(0)} rows, and none for node {int(rows.max())}; of a "
            "model that returns rows of a sampler's seed nodes alone, set data.batch_size to their "
            "number and explain these (index=None)"
        )
    return output.index_select(0, rows)


def output_rows(
    graph: TypedGraph, fields: Fields, packed: Packed, task: Task, rows: Rows | None
) -> Tensor | OutputRows | None:
    """Rows of the model's output that belong to the instances; None for one row each.

    Args:
        graph: the user's graph.
        fields: the nodes and edges of the instances.
        packed: the same as the model sees them.
        task: the task.
        rows: the rows of each instance, where it may have several.
    """
    if rows is not None:
        return _rows_of_nodes(graph, fields, packed, task, rows)
    if task.level == "graph":
        return rows_of_graphs(graph, fields)
    if task.is_about_edges:
        return packed.edge_row
    if task.level != "node":
        return None
    return _within_type(graph, packed, task, fields.seed[:, 0])


def _within_type(graph: TypedGraph, packed: Packed, task: Task, node: Tensor) -> Tensor:
    """Rows of packed nodes among those of the explained type."""
    if not graph.is_heterogeneous:
        return node
    position = packed.node_position[graph.type_position(task.node_type)]
    return torch.searchsorted(position, node)


def _rows_of_nodes(
    graph: TypedGraph, fields: Fields, packed: Packed, task: Task, rows: Rows
) -> OutputRows:
    span = max(graph.num_nodes, 1)
    key = fields.node_instance * span + fields.node
    wanted = rows.instance * span + rows.node
    place = torch.searchsorted(key, wanted).clamp_max(max(key.numel() - 1, 0))
    missing = (key[place] != wanted).nonzero().view(-1)
    if missing.numel():
        node = int(rows.node[missing[0]])
        raise ModelOutputError(
            f"node {node} was taken out of the graph, and with it a row that is explained"
        )
    listed, num_listed = None, 0
    if task.rows != NODES and graph.joined is None:
        start = rows.num_listed.cumsum(0) - rows.num_listed
        listed, num_listed = start[rows.instance] + rows.number, int(rows.num_listed.sum())
    position = packed.node_position[graph.type_position(task.node_type)]
    of_nodes = _within_type(graph, packed, task, place)
    return OutputRows(place, of_nodes, position.numel(), listed, num_listed)
