"""A part of a large graph on disk on which it is found out how far a model looks.

The surroundings of a few nodes are a graph of their own: what holds there of the model, whose reach
does not depend on the graph, holds everywhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.calling.call import ModelCall
from glassgraph.core.context import refuse_whole
from glassgraph.inputs.field_sizes import field_sizes
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.pack import pack
from glassgraph.inputs.receptive import Fields, receptive_fields
from glassgraph.inputs.task import Task

#: Edges that the part may have, about; predictions that are looked at, and at least so many.
_EDGES, _MOST, _LEAST = 1_000_000, 16, 2
#: How far the part reaches at best.
_HOPS = 8


def part_to_probe(
    graph: TypedGraph, candidates: Instances, model_call: ModelCall, task: Task
) -> tuple[TypedGraph, Instances]:
    """The part as a graph in memory, and predictions in its midst.

    Args:
        graph: the user's graph.
        candidates: predictions about nodes, of which some are taken.
        model_call: how the model is called.
        task: a task about nodes.

    Raises:
        WholeGraphError: for tasks about links or edges, and where all nodes have too many edges.
    """
    if task.level != "node":
        refuse_whole(graph, f"how far the model looks is found for nodes, not for {task.level}s")
    chosen, hops = _with_small_surroundings(graph, candidates)
    if not len(chosen):
        refuse_whole(graph, "every node that was looked at has too many edges around it")
    fields = receptive_fields(graph, chosen.seeds.view(1, -1), hops, both_directions=True)
    packed = pack(graph, fields, model_call, task, chosen.index)
    found = TypedGraph.read(packed.data)
    number = found.type_position(task.node_type)
    place = _place(graph, fields, fields.seed.view(-1), number)
    first = found.node_offset[number]
    return found, Instances(place, torch.zeros_like(place), (place + first).view(-1, 1))


def _with_small_surroundings(graph: TypedGraph, candidates: Instances) -> tuple[Instances, int]:
    """As many predictions as can be had, as far around them as can be had."""
    for count, most_hops in ((_MOST, _HOPS), (_LEAST, _HOPS)):
        for hops in range(most_hops, 0, -1):
            most = _EDGES // count
            sizes = field_sizes(graph, candidates.seeds, hops, True, most)
            small = sizes.is_exact.nonzero().view(-1)[:count]
            enough = hops >= _HOPS // 2 or count == _LEAST
            if small.numel() >= min(_LEAST, len(candidates)) and enough:
                return candidates.take(small), hops
    return candidates.take(candidates.index.new_empty(0)), 0


def _place(graph: TypedGraph, fields: Fields, position: Tensor, number: int) -> Tensor:
    """Numbers within their type of some nodes of a field."""
    start, stop = graph.node_offset[number], graph.node_offset[number + 1]
    is_own = (fields.node >= start) & (fields.node < stop)
    return is_own.cumsum(0)[position] - 1
