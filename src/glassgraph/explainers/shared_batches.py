"""Many predictions on one shared field, for methods that learn over a data set.

What an amortized method learns about a message does not depend on whose prediction it serves, so
the receptive fields of many nodes or links need not lie side by side: their union, with each node
once, gives all predictions in one run. A fitting step then costs about as much as a training step
of the model itself. Graphs of a graph task share nothing; they are packed as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from glassgraph.calling.call import refuse_chance
from glassgraph.calling.out_of_memory import let_through
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import Context, full_context, local_context, rows_agree
from glassgraph.core.packer import Packer, Packing
from glassgraph.core.prepare import Preparation
from glassgraph.core.told import DIFFERENT, UNCUT
from glassgraph.errors import ModelCallError, TargetError
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.receptive import receptive_fields
from glassgraph.inputs.task import Target

#: Instances of the first batch where the size of their union is not known yet.
_FIRST = 64
#: Copies of each message that a fitting step keeps, roughly.
_COPIES = 12


def shared_batches(
    preparation: Preparation,
    instances: Instances,
    target: Target,
    budget: int | None,
    size: int | None = None,
) -> Iterator[tuple[Tensor, InstanceBatch]]:
    """Batches of predictions for fitting.

    Args:
        preparation: model and graph.
        instances: the predictions.
        target: the explained class.
        budget: bytes that a batch may take; None for all in one batch whatever it takes.
        size: predictions in a batch, None for as many as fit.

    Yields:
        Positions among the instances, and a batch whose `num_predictions` is their number. At node
        and link level all of them share one field: `edge_instance` says nothing.
    """
    if preparation.task.level == "graph":
        yield from _graphs(preparation, instances, target, budget, size)
        return
    full = None
    if preparation.checks_in_full():
        full = full_context(
            preparation.graph,
            preparation.wiring,
            preparation.model_call,
            preparation.task,
            instances,
        )
    graph = preparation.graph
    limit = sys.maxsize if budget is None else budget
    fits = preparation.costs.of_run(graph.num_nodes, graph.num_edges, _COPIES) <= limit
    group = size or (len(instances) if fits else _FIRST)
    start = 0
    while start < len(instances):
        stop = min(start + group, len(instances))
        position = torch.arange(start, stop, device=graph.device)
        batch = _union(preparation, instances.take(position), position, target, full)
        yield position, batch
        cost = (
            preparation.costs.of_run(batch.num_nodes, batch.num_edges, _COPIES) // position.numel()
        )
        if not fits:
            group = max(1, min(size or 4 * group, 4 * group, limit // max(1, cost)))
        start = stop


def packed_batches(
    preparation: Preparation, instances: Instances, target: Target, size: int | None
) -> Iterator[tuple[Tensor, InstanceBatch]]:
    """Batches for methods that see each prediction on a field of its own: ``size`` in each.

    What falls back to the full graph has a batch to itself. See `shared_batches` for the arguments;
    without a ``size`` all are in one batch.
    """
    if size is None:
        yield from preparation.batches(instances, target, None)
        return
    for start in range(0, len(instances), size):
        stop = min(start + size, len(instances))
        own = torch.arange(start, stop, device=preparation.graph.device)
        for position, batch in preparation.batches(instances.take(own), target, sys.maxsize):
            yield own[position], batch


def _graphs(
    preparation: Preparation,
    instances: Instances,
    target: Target,
    budget: int | None,
    size: int | None,
) -> Iterator[tuple[Tensor, InstanceBatch]]:
    for position, batch in preparation.batches(instances, target, budget):
        if size is None or position.numel() <= size:
            yield position, batch
            continue
        everything = torch.arange(position.numel(), device=position.device)
        for part in everything.tensor_split(-(-position.numel() // size)):  # of even sizes
            yield position[part], batch.take(part)


def _union(
    preparation: Preparation,
    chosen: Instances,
    position: Tensor,
    target: Target,
    full: Context | None,
) -> InstanceBatch:
    """All instances on the union of their fields, or on the user's graph if that is not right."""
    failures: list[tuple[str, Exception | None]] = []
    if preparation.graph.node_graph is None:  # else rows of a ``batch`` vector would be mixed

        def on_union() -> Packing:
            return preparation.packer.on_fields(
                lambda way: _on_union(way, chosen, position, target, full)
            )

        try:
            batch, is_right = on_union()
        except (TargetError, ModelCallError):
            raise
        except Exception as error:  # noqa: BLE001 - the cut graph is ours
            let_through(error)
            refuse_chance(on_union, error)
            failures.append((UNCUT, error))
        else:
            if bool(is_right.all()):
                preparation.told.search_unseen(batch)
                return batch
            failures.append((DIFFERENT, None))
    whole = preparation.packer.whole(chosen, position, target)
    preparation.told.search_unseen(whole)
    for failure in failures:
        preparation.told.fall_back(preparation.model_call, *failure)
    return whole


def _on_union(
    packer: Packer,
    chosen: Instances,
    position: Tensor,
    target: Target,
    full: Context | None,
) -> Packing:
    graph, wiring = packer.graph, packer.wiring
    context, reference = full, None if full is None else full.output[position]
    if context is None or reference is None:
        context = local_context(graph, wiring, packer.model_call, packer.task, chosen)
        reference = context.output
    fields = receptive_fields(
        graph, chosen.seeds.reshape(1, -1), wiring.num_hops, wiring.needs_both_directions
    )
    fields = replace(fields, seed=fields.seed.view(chosen.seeds.shape))
    targets = packer.targets(chosen, position, target, reference)
    batch = packer.assemble(chosen, fields, targets, reference, context.constants)
    with torch.no_grad():
        return batch, rows_agree(batch.output(gates=batch.ones()), reference, batch.model_call)
