"""The model on the user's own graph: reference predictions, and what depends on the graph alone.

A `Context` is one run of the model without gates, on the full graph or, where that would cost too
much, on the surroundings of the receptive fields. Packed predictions are compared with its output;
its constant arguments (GCN's normalized weights, for one) stand in for those that a receptive field
would get wrong at its rim.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.core.batch import select_rows
from glassgraph.core.call import ModelCall
from glassgraph.core.edges import match_rows, row_key
from glassgraph.core.graph import TypedGraph
from glassgraph.core.instances import Instances
from glassgraph.core.pack import Packed, everything, pack, whole_node_positions, whole_views
from glassgraph.core.plan import Constants, run_observed, site_candidates
from glassgraph.core.receptive import Fields, receptive_fields
from glassgraph.core.sites import Record, Wiring
from glassgraph.core.task import Task
from glassgraph.errors import GlassgraphError, ModelCallError


@dataclass
class Context:
    """A run of the model on the user's graph, or on the surroundings of some fields.

    Attributes:
        output: ``[B, C]`` the predictions of the instances.
        constants: for each site its arguments that depend on the graph alone.
    """

    output: Tensor
    constants: Mapping[int, Constants]


def own_data(graph: TypedGraph, task: Task) -> Any:
    """The user's data with a plain edge_index, and a ``batch`` where a graph task needs one."""
    data = copy.copy(graph.data)
    if isinstance(data, Data):
        data.edge_index = torch.stack([graph.source, graph.destination])
        if task.level == "graph" and "batch" not in data:
            data.batch = torch.zeros(graph.num_nodes, dtype=torch.long, device=graph.device)
    return data


def full_context(
    graph: TypedGraph, wiring: Wiring, model_call: ModelCall, task: Task, instances: Instances
) -> Context:
    """Run the model on everything the user gave.

    Raises:
        ModelCallError: if it fails there.
    """
    data = own_data(graph, task)
    rows: Tensor | None = None
    if task.level == "edge":
        data.edge_label_index = instances.seeds.t().contiguous()
    elif task.level == "node":
        first = graph.node_offset[graph.type_position(task.node_type)]
        rows = instances.seeds[:, 0] - first
    try:
        result, records = run_observed(wiring.channels, model_call, data)
    except GlassgraphError:
        raise
    except Exception as error:
        raise ModelCallError(
            f"the model failed on the data: {type(error).__name__}: {error}"
        ) from error
    if task.level == "graph":  # nothing is cut, so nothing needs replacing
        return Context(select_rows(task, result, None, graph.num_graphs)[instances.graph], {})
    output = select_rows(task, result, rows, len(instances))
    fields = everything(graph, None)
    packed = Packed(data, whole_views(graph, fields), whole_node_positions(graph))
    return Context(output, _constants(graph, wiring, model_call, packed, records, fields))


def local_context(
    graph: TypedGraph, wiring: Wiring, model_call: ModelCall, task: Task, instances: Instances
) -> Context:
    """Run the model on the surroundings of the fields: one hop more, overlaps shared."""
    fields = receptive_fields(
        graph,
        instances.seeds.view(1, -1),
        wiring.num_hops + 1,
        both_directions=wiring.needs_both_directions,
    )
    packed = pack(graph, fields, model_call, task.level)
    seed = fields.seed.view(instances.seeds.shape)
    rows: Tensor | None = None
    if task.level == "edge":
        packed.data.edge_label_index = seed.t().contiguous()
    else:
        position = packed.node_position[graph.type_position(task.node_type)]
        rows = torch.searchsorted(position, seed[:, 0])
    result, records = run_observed(wiring.channels, model_call, packed.data)
    output = select_rows(task, result, rows, len(instances))
    return Context(output, _constants(graph, wiring, model_call, packed, records, fields))


def _constants(
    graph: TypedGraph,
    wiring: Wiring,
    model_call: ModelCall,
    packed: Packed,
    records: Sequence[Record],
    fields: Fields,
) -> dict[int, Constants]:
    """Constant arguments of each site, keyed by the user's edges."""
    wanted = [
        position
        for position, site in enumerate(wiring.sites)
        if site.constant_arguments and site.is_mapped
    ]
    if not wanted or len(records) != len(wiring.sites) or not fields.edge.numel():
        return {}
    candidates = site_candidates(graph, packed, wiring.channels, records, model_call)
    found: dict[int, Constants] = {}
    for position in wanted:
        rows, arguments = records[position].edge_index, records[position].arguments
        local = match_rows(rows, candidates[position]).edge
        key = torch.where(local >= 0, fields.edge[local.clamp_min(0)], -1)
        if not graph.is_heterogeneous:
            key = row_key(rows, key, graph.num_edges, fields.node)
        values = {
            name: value
            for name in wiring.sites[position].constant_arguments
            if isinstance(value := arguments.get(name), Tensor)
            and value.dim() > 0
            and value.size(0) == rows.size(1)
        }
        found[position] = Constants(key, values)
    return found
