"""Trace a model once on a small piece of the user's graph, to learn its wiring."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.calling.call import ModelCall, refuse_chance
from glassgraph.calling.out_of_memory import let_through
from glassgraph.calling.recompute import RecomputationFound, refusing_recomputation
from glassgraph.calling.sampled import seed_everything
from glassgraph.calling.user_code import where_raised
from glassgraph.core.context import own_data, refuse_whole, run_on
from glassgraph.core.derived_edges import derived_sites
from glassgraph.core.detached import detached_sites
from glassgraph.core.observe import traced
from glassgraph.core.own_edges import edge_uses
from glassgraph.core.plan import check_matrices, run_observed, site_candidates, with_edges
from glassgraph.core.sites import Record, Wiring, find_channels
from glassgraph.core.wiring import build_wiring
from glassgraph.errors import GlassgraphError
from glassgraph.inputs.field_sizes import field_sizes
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.instances import resolve_instances
from glassgraph.inputs.node_features import feature_names
from glassgraph.inputs.pack import Packed, everything, pack, pack_whole
from glassgraph.inputs.receptive import receptive_fields, whole_graphs
from glassgraph.inputs.task import Task

#: Graphs up to this many edges are traced whole.
_SMALL_GRAPH_EDGES = 50_000
#: A piece with more edges is passed over if one of so many others has fewer.
_LARGE_PIECE, _LOOKED_AT = 20_000, 64


def trace_wiring(model: nn.Module, model_call: ModelCall, graph: TypedGraph, task: Task) -> Wiring:
    """Trace a model on a small piece of the graph, or on all of it if the piece will not run.

    Raises:
        NoMessagePassingError: if no message was seen.
        ModelCallError: if the model fails on the user's own graph.
        WholeGraphError: if it fails on a piece of a large graph on disk.
    """
    channels = find_channels(model)

    def on_piece() -> Wiring | None:
        packed = trace_piece(graph, model_call, task)
        return None if packed is None else _trace_on(channels, model_call, graph, packed)

    try:
        found = on_piece()
    except GlassgraphError:
        raise
    except Exception as error:  # noqa: BLE001
        let_through(error)
        refuse_chance(on_piece, error)
        _refuse_without_whole(graph, error)
        found = None  # the piece is ours; the user's own graph decides
    if found is not None:
        return found
    packed = pack_whole(graph, own_data(graph, task, model_call), everything(graph, None))
    return run_on(lambda whole: _trace_on(channels, model_call, graph, whole), packed)


def _refuse_without_whole(graph: TypedGraph, error: Exception) -> None:
    """Of a large graph on disk nothing but pieces is there to decide.

    Raises:
        WholeGraphError: saying how the model failed on one.
    """
    where = where_raised(error)
    refuse_whole(
        graph,
        f"the model failed on a part of the graph ({type(error).__name__}: {error}{where}); a "
        "model that needs all of it would be run on the whole graph",
    )


def trace_piece(graph: TypedGraph, model_call: ModelCall, task: Task) -> Packed | None:
    """A small part of the graph that has edges; None if the whole graph is small already."""
    if graph.node_graph is None and graph.num_edges <= _SMALL_GRAPH_EDGES:
        return None
    number = torch.zeros(1, dtype=torch.long, device=graph.device)
    if graph.node_graph is not None and graph.num_edges:
        number = graph.node_graph[graph.source[:1]]
    if task.level == "edge":
        return _piece_with_one(graph, model_call, task, number)
    if graph.node_graph is not None:
        return pack(graph, whole_graphs(graph, number), model_call, Task("graph"), number)
    fields = receptive_fields(graph, _receiver(graph).view(1, 1), 2, both_directions=False)
    return pack(graph, fields, model_call, Task("node"), number)


def _receiver(graph: TypedGraph) -> Tensor:
    """``[1]`` a node that some edge enters: the first edge's, or one with fewer edges behind it."""
    found = graph.destination[:1]
    for count in (1, _LOOKED_AT):
        edges = torch.linspace(0, graph.num_edges - 1, count, device=graph.device).long()
        nodes = graph.destination[edges]
        sizes = field_sizes(graph, nodes.view(-1, 1), 2, both_directions=False, most=_LARGE_PIECE)
        found = nodes[sizes.edges.argmin().view(1)]
        if int(sizes.edges.min()) <= _LARGE_PIECE:
            break
    return found


def _piece_with_one(
    graph: TypedGraph, model_call: ModelCall, task: Task, number: Tensor
) -> Packed | None:
    """The same with one of the links or edges that a task is about; None if none lies there."""
    everyone = resolve_instances(graph, task, None)
    one = everyone.take((everyone.graph == number).nonzero().view(-1)[:1])
    if not len(one):
        return None
    if graph.node_graph is not None:
        fields = whole_graphs(graph, number, one.seeds)
    else:
        seeds = torch.cat([_receiver(graph).view(1, 1), one.seeds], dim=1)
        fields = receptive_fields(graph, seeds, 2, both_directions=False)
        fields = replace(fields, seed=fields.seed[:, 1:])
    return pack(graph, fields, model_call, task, one.index)


def _trace_on(channels: Any, model_call: ModelCall, graph: TypedGraph, packed: Packed) -> Wiring:
    packed = replace(packed, data=seed_everything(packed.data))
    data = copy.copy(packed.data)
    names = feature_names(graph, model_call.needs)
    for store, name in zip(graph.node_stores(data), names, strict=True):
        if name is not None and store[name].is_floating_point():
            store[name] = store[name].detach().clone().requires_grad_()
    output, records = _traced_run(channels, model_call, data)
    detached = detached_sites(channels, model_call, packed.data, output, records)
    check_matrices(graph, packed, channels, records)
    if any(channels[record.channel].is_adjacency for record in records):
        _find_directions(channels, model_call, graph, packed, records)
    candidates = site_candidates(graph, packed, channels, records, model_call) if records else []
    uses = edge_uses(graph, packed, channels, records, candidates, model_call)
    derived = derived_sites(graph, packed, channels, model_call, records) if records else []
    return build_wiring(channels, records, candidates, uses, derived, detached)


def _traced_run(channels: Any, model_call: ModelCall, data: Any) -> tuple[Any, list[Record]]:
    """Output and records of a traced run; what would be computed again is kept from now on."""
    if not model_call.recomputes:
        try:
            with refusing_recomputation(), traced(channels) as records:
                return model_call(data), records
        except RecomputationFound:
            model_call.recomputes = True
    with traced(channels) as records:
        return model_call(data), records


def _find_directions(
    channels: Any, model_call: ModelCall, graph: TypedGraph, packed: Packed, records: list[Record]
) -> None:
    """Learn which way adjacency matrices are read.

    On an undirected graph each entry fits two edges. It is told whose it is by runs with half of
    the edges: those that lead to a higher number, and those that lead to a lower one.
    """
    view = packed.views[0]
    votes = [0] * len(records)
    for sign in (1, -1):
        kept = (sign * (view.destination - view.source) > 0).nonzero().view(-1)
        _, seen = run_observed(channels, model_call, with_edges(graph, packed, 0, kept))
        if len(seen) != len(records):
            return  # the number of relations depends on the edges; matching has to do without
        for site, (sender, receiver) in enumerate(record.edge_index for record in seen):
            votes[site] += sign * int((receiver - sender).sign().sum())
    for record, vote in zip(records, votes, strict=True):
        if channels[record.channel].is_adjacency:
            record.is_flipped = vote < 0
