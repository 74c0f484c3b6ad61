"""Graphs that edges or nodes are deleted from: cut, packed side by side, or whole and alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.calling.call import refuse_chance
from glassgraph.calling.out_of_memory import let_through
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import rows_agree
from glassgraph.core.copies import rows_at_once
from glassgraph.core.output_rows import output_rows, select_rows
from glassgraph.core.prepare import Preparation
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.pack import CannotPack, everything, pack
from glassgraph.inputs.receptive import Fields, receptive_fields, whole_graphs
from glassgraph.inputs.task import Targets
from glassgraph.metrics.removal import Of, Removal


@dataclass(frozen=True)
class Asker:
    """What all batches of states share."""

    preparation: Preparation
    instances: Instances
    targets: Targets
    of: Of
    removal: Removal
    budget: int


@dataclass(frozen=True)
class Piece:
    """Instances whose graphs may be reduced side by side.

    Attributes:
        rows: ``[r]`` which of a batch.
        fields: what can be deleted, and its surroundings.
        is_alone: whether the model gets one state at a time.
    """

    rows: Tensor
    fields: Fields
    is_alone: bool

    def parts(
        self, number: Tensor, owner: Tensor, batch: InstanceBatch, budget: int
    ) -> Iterator[Tensor]:
        """States ``[m]`` of the instances ``owner`` ``[m]``, in parts for one pass each."""
        if self.is_alone:
            yield from number.split(1)
            return
        count = self.rows.numel()
        rows = torch.bincount(self.fields.node_instance, minlength=count)
        rows = rows + torch.bincount(self.fields.edge_instance, minlength=count)
        # The piece itself is within the budget.
        most = max(rows_at_once(batch, budget), int(rows.sum()))
        filled = rows[owner].cumsum(0)
        first = 0
        while first < number.numel():
            before = int(filled[first - 1]) if first else 0
            last = int(torch.searchsorted(filled, before + most, right=True))
            last = max(first + 1, last)
            yield number[first:last]
            first = last


def surroundings(shared: Asker, position: Tensor) -> Iterator[tuple[Tensor, Fields]]:
    """Receptive fields with one hop more, in pieces within the budget; rows number the position."""
    graph, wiring = shared.preparation.graph, shared.preparation.wiring
    pieces = [torch.arange(position.numel(), device=position.device)]
    while pieces:
        rows = pieces.pop()
        chosen = shared.instances.take(position[rows])
        if shared.preparation.task.level == "graph":
            fields = whole_graphs(graph, chosen.graph)
        else:
            hops = wiring.num_hops + 1
            fields = receptive_fields(graph, chosen.seeds, hops, wiring.needs_both_directions)
        num_bytes = 8 * (fields.edge.numel() + fields.node.numel()) * (wiring.width + 8)
        if num_bytes > shared.budget and rows.numel() > 1:
            half = rows.numel() // 2
            pieces += [rows[half:], rows[:half]]
        else:
            yield rows, fields


def full(shared: Asker, position: Tensor) -> Fields:
    """The whole graph of each instance."""
    graph, chosen = shared.preparation.graph, shared.instances.take(position)
    if shared.preparation.task.level == "graph":
        return whole_graphs(graph, chosen.graph)
    return everything(graph, chosen.seeds)


def run(shared: Asker, fields: Fields, position: Tensor) -> Tensor:
    """The model's plain output ``[R, C]`` on fields as they are."""
    preparation, chosen = shared.preparation, shared.instances.take(position)
    graph, task = preparation.graph, preparation.task
    packed = pack(graph, fields, preparation.model_call, task, chosen.index)
    result = preparation.model_call(packed.data)
    rows = output_rows(graph, fields, packed, task, chosen.rows)
    return select_rows(task, result, rows, fields.num_instances)


def is_reproduced(shared: Asker, fields: Fields, position: Tensor, reference: Tensor) -> bool:
    """Whether fields with all their edges give the predictions of the user's own graph."""
    try:
        output = run(shared, fields, position)
    except (CannotPack, RuntimeError, IndexError, ValueError) as error:
        let_through(error)
        # The cut graph is ours: what fails there may still run on the full graph.
        refuse_chance(lambda: run(shared, fields, position), error)
        return False
    return bool(rows_agree(output, reference, shared.preparation.model_call).all())
