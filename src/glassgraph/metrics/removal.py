"""What "without these edges" means, and the model's answer to it.

For an explanation's best edges ``S`` of a graph ``G`` two states are asked for: ``G without S`` and
``S alone`` (every node stays in both, and so do self-loops that a layer adds by itself).

* ``"shut"``: the messages along a missing edge are replaced by zero, at every layer. Everything
  else of the layer stays: GCN still divides by the degrees of the whole graph, a softmax or mean
  still counts the edge. It isolates what the edge *sends*.
* ``"delete"``: the edge is taken out of the user's graph and the model runs on what is left.
  Degrees, softmaxes and means change with it. It is what a user gets who removes the edge. An edge
  that is itself explained (one row per edge) stays: without it there is no prediction.

On a layer that normalizes by degree the two differ, and neither is wrong; a number without the name
of its removal says little.

``shut`` costs one forward pass for each state over a batch of receptive fields. ``delete`` cuts one
hop more than the receptive field, so that the degrees at its rim are the graph's own, and runs on
the reduced fields side by side; where the uncut prediction does not come out there (global
operations), the instance runs on the full graph, alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from glassgraph.calling.call import refuse_chance
from glassgraph.calling.out_of_memory import let_through
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import rows_agree
from glassgraph.core.output_rows import output_rows, select_rows
from glassgraph.core.prepare import Preparation
from glassgraph.errors import UnknownMetricError
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.pack import CannotPack, everything, pack
from glassgraph.inputs.receptive import Fields, receptive_fields, whole_graphs
from glassgraph.metrics.scores import Level, RankedEdges

#: What removing an edge means; see the module's docstring.
Removal = Literal["shut", "delete"]


@dataclass(frozen=True)
class Selection:
    """The best edges of B instances at K levels.

    Attributes:
        ranked: the edges by rank.
        num_kept: ``[K, B]`` how many are selected.
    """

    ranked: RankedEdges
    num_kept: Tensor

    @staticmethod
    def of(ranked: RankedEdges, levels: Sequence[Level]) -> Selection:
        """Select at each level."""
        return Selection(ranked, torch.stack([level.num_kept(ranked.count) for level in levels]))

    def states(self, position: Tensor, fields: Fields) -> list[Tensor]:
        """Which of a batch's edges are there, ``[e]`` bool: all K of "without S", then "S alone".

        Args:
            position: ``[b]`` which instance each of the batch is.
            fields: the batch's edges.
        """
        instance = position[fields.edge_instance]
        rank = self.ranked.find(instance, fields.edge)
        chosen = [rank < kept[instance] for kept in self.num_kept]
        return [~selected for selected in chosen] + chosen


def check_removal(removal: str) -> None:
    """Refuse an unknown kind of removal.

    Raises:
        UnknownMetricError: if it is neither of the two.
    """
    if removal not in get_args(Removal):
        raise UnknownMetricError(f"removal must be 'shut' or 'delete'; got {removal!r}")


def shut(batch: InstanceBatch, position: Tensor, selection: Selection) -> Tensor:
    """Outputs ``[2K, b, C]`` of a batch with messages shut, in the order of `Selection.states`."""
    states = selection.states(position, batch.fields)
    return torch.stack([batch.output(gates=present.to(batch.dtype)) for present in states])


def delete(
    preparation: Preparation,
    instances: Instances,
    batch: InstanceBatch,
    position: Tensor,
    selection: Selection,
    budget: int,
) -> Tensor:
    """Outputs ``[2K, R, C]`` of the model on graphs without the missing edges.

    Args:
        preparation: model and graph.
        instances: all instances.
        batch: some of them.
        position: ``[b]`` which ones.
        selection: the edges.
        budget: bytes that the reduced graphs may take at once.

    Raises:
        UnknownMetricError: if the graph cannot be rebuilt without an edge.
    """
    found = batch.reference.new_empty(2 * selection.num_kept.size(0), *batch.reference.shape)
    done = torch.zeros(position.numel(), dtype=torch.bool, device=position.device)
    if not batch.is_whole:
        for rows, fields in _surroundings(preparation, instances, position, budget):
            chosen = instances.take(position[rows])
            if not _is_reproduced(preparation, fields, chosen, batch.reference_of(rows)):
                continue
            at = batch.targets.rows_of(rows)
            for state, present in enumerate(selection.states(position[rows], fields)):
                found[state, at] = _run(preparation, _keep(fields, present), chosen)
            done[rows] = True
    for row in (~done).nonzero().view(-1):
        rows = row.view(1)
        chosen = instances.take(position[rows])
        fields = _full(preparation, chosen)
        if not _is_reproduced(preparation, fields, chosen, batch.reference_of(rows)):
            raise UnknownMetricError(
                "removal='delete' cannot rebuild the graph for this model (it reads something that "
                "does not follow edge_index); use removal='shut'"
            )
        at = batch.targets.rows_of(rows)
        for state, present in enumerate(selection.states(position[rows], fields)):
            found[state, at] = _run(preparation, _keep(fields, present), chosen)
    return found


def _surroundings(
    preparation: Preparation, instances: Instances, position: Tensor, budget: int
) -> Iterator[tuple[Tensor, Fields]]:
    """Receptive fields with one hop more, in pieces within the budget; rows number the position."""
    graph, wiring = preparation.graph, preparation.wiring
    pieces = [torch.arange(position.numel(), device=position.device)]
    while pieces:
        rows = pieces.pop()
        chosen = instances.take(position[rows])
        if preparation.task.level == "graph":
            fields = whole_graphs(graph, chosen.graph)
        else:
            hops = wiring.num_hops + 1
            fields = receptive_fields(graph, chosen.seeds, hops, wiring.needs_both_directions)
        num_bytes = 8 * (fields.edge.numel() + fields.node.numel()) * (wiring.width + 8)
        if num_bytes > budget and rows.numel() > 1:
            half = rows.numel() // 2
            pieces += [rows[half:], rows[:half]]
        else:
            yield rows, fields


def _full(preparation: Preparation, chosen: Instances) -> Fields:
    if preparation.task.level == "graph":
        return whole_graphs(preparation.graph, chosen.graph)
    return everything(preparation.graph, chosen.seeds)


def _keep(fields: Fields, present: Tensor) -> Fields:
    """The same nodes with some of the edges."""
    return replace(
        fields,
        edge_instance=fields.edge_instance[present],
        edge=fields.edge[present],
        source=fields.source[present],
        destination=fields.destination[present],
    )


def _run(preparation: Preparation, fields: Fields, chosen: Instances) -> Tensor:
    """The model's plain output ``[R, C]`` on fields as they are."""
    graph, task = preparation.graph, preparation.task
    packed = pack(graph, fields, preparation.model_call, task, chosen.index)
    result = preparation.model_call(packed.data)
    rows = output_rows(graph, fields, packed, task, chosen.rows)
    return select_rows(task, result, rows, fields.num_instances)


def _is_reproduced(
    preparation: Preparation, fields: Fields, chosen: Instances, reference: Tensor
) -> bool:
    """Whether fields with all their edges give the predictions of the user's own graph."""
    try:
        output = _run(preparation, fields, chosen)
    except (CannotPack, RuntimeError, IndexError, ValueError) as error:
        let_through(error)
        # The cut graph is ours: what fails there may still run on the full graph.
        refuse_chance(lambda: _run(preparation, fields, chosen), error)
        return False
    return bool(rows_agree(output, reference, preparation.model_call).all())
