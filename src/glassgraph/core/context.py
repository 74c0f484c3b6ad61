"""The model on the user's own graph: reference predictions, and what depends on the graph alone.

A `Context` is one run of the model without gates, on the full graph or, where that would cost too
much, on the surroundings of the receptive fields. Packed predictions are compared with its output;
its constant arguments (GCN's normalized weights, for one) stand in for those that a receptive field
would get wrong at its boundary.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from glassgraph.calling.call import ModelCall
from glassgraph.calling.out_of_memory import let_through
from glassgraph.calling.packed_batch import as_batch
from glassgraph.calling.sampled import num_seeds, seed_everything
from glassgraph.calling.user_code import where_raised
from glassgraph.core.edges import match_rows, row_key
from glassgraph.core.output_rows import select_rows
from glassgraph.core.plan import Constants, run_observed, set_directions, site_candidates
from glassgraph.core.sites import Record, Wiring, tensors_in
from glassgraph.errors import (
    GlassgraphError,
    GraphError,
    ModelCallError,
    ModelOutputError,
    UnsupportedModelError,
    WholeGraphError,
)
from glassgraph.inputs.graph import WHOLE_EDGES, TypedGraph
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.links import explained_store, first_ends, num_explained_edges, set_links
from glassgraph.inputs.pack import (
    Candidates,
    CannotPack,
    Packed,
    carries_ids,
    everything,
    pack,
    pack_whole,
)
from glassgraph.inputs.receptive import Fields, receptive_fields, whole_graphs
from glassgraph.inputs.task import Task

#: How a packed prediction is checked: against the user's full graph, against the surroundings of
#: the receptive fields (one hop more), or as is affordable: in full, or a sample of them.
Check = Literal["auto", "full", "local"]
#: Graphs up to this many edges are always checked in full.
FULL_CHECK_EDGES = WHOLE_EDGES

T = TypeVar("T")


@dataclass
class Context:
    """A run of the model on the user's graph, or on the surroundings of some fields.

    Attributes:
        output: ``[B, C]`` the predictions of the instances.
        constants: for each site its arguments that depend on the graph alone.
        num_nodes, num_edges: size of the graph it ran on.
    """

    output: Tensor
    constants: Mapping[int, Constants]
    num_nodes: int
    num_edges: int


def is_checked_in_full(graph: TypedGraph, task: Task, check: Check) -> bool:
    """Whether packed predictions are compared with those on the full graph."""
    if task.level == "graph" or check == "local":
        return False
    return check == "full" or graph.num_edges <= FULL_CHECK_EDGES


def run_on(model_call: Callable[[Any], T], data: Any) -> T:
    """Call the model on the user's own data.

    Raises:
        ModelCallError: if it fails there.
    """
    try:
        return model_call(data)
    except GlassgraphError:
        raise
    except Exception as error:
        let_through(error)
        raise ModelCallError(
            f"the model failed on the data: {type(error).__name__}: {error}{where_raised(error)}"
        ) from error


def every_row(
    model_call: ModelCall,
    data: Any,
    num_nodes: int,
    task: Task,
    run: Callable[[ModelCall, Any], Any] = ModelCall.__call__,
) -> Tensor:
    """What the model returns for all nodes of the explained type, ``[n, C]``.

    A model that returns rows of a sampler's seed nodes alone is asked with all nodes as seeds.

    Args:
        model_call: how the model is called.
        data: what it is called on.
        num_nodes: number of nodes of the explained type.
        task: the task.
        run: calls it, and says what failed.

    Raises:
        UnsupportedModelError: if the seed nodes then have other rows.
        ModelOutputError: if some nodes have no row anyhow.
    """
    few = select_rows(task, run(model_call, data), None, None)
    if few.size(0) >= num_nodes:
        return few
    rows = select_rows(task, run(model_call, seed_everything(data)), None, num_nodes)
    count = num_seeds(data if task.node_type is None else data[task.node_type]) or few.size(0)
    if not bool(rows_agree(rows[:count], few[:count], model_call).all()):
        raise UnsupportedModelError(
            f"the model returned rows for {few.size(0)} of {num_nodes} nodes, and others for these "
            "where nothing is trimmed; a method that needs a prediction for each node cannot "
            "explain it: leave num_sampled_nodes and num_sampled_edges out of forward"
        )
    return rows


def own_data(graph: TypedGraph, task: Task, model_call: ModelCall) -> Any:
    """A copy of the user's data as the model is to see them: a plain ``edge_index``, what it needs.

    That is ``n_id``, the numbers of nodes, if it reads them, and a ``Batch`` where there are
    several graphs or the task is about graphs.

    Raises:
        WholeGraphError: if the graph lies on disk and is too large.
    """
    refuse_whole(graph, "this is computed on the whole graph")
    data = _copied(graph.data)
    if isinstance(data, Data) and graph.has_edge_index:
        data.edge_index = torch.stack([graph.source, graph.destination])
    for number, store in enumerate(graph.node_stores(data)):
        if carries_ids(graph, store, model_call):
            count = graph.node_offset[number + 1] - graph.node_offset[number]
            store["n_id"] = torch.arange(count, device=graph.device)
    is_split = task.level == "graph" or graph.node_graph is not None
    if model_call.wants_batch(data, if_optional=is_split):
        data = as_batch(data, graph.device)
    return data


def refuse_whole(graph: TypedGraph, why: str) -> None:
    """Refuse to run a model on all of a large graph on disk.

    Raises:
        WholeGraphError: saying why that would have been needed.
    """
    if graph.must_stay_cut:
        raise WholeGraphError(
            f"{why}, and the graph on disk has {graph.num_edges:,} edges, of which only receptive "
            f"fields are read (beyond {WHOLE_EDGES:,}). If memory holds the graph, explain "
            "store.to_data()"
        )


def _copied(data: Any) -> Any:
    """Data with tensors of their own, whatever a model may write into them."""
    data = copy.copy(data)
    for store in data.stores:
        for name, value in list(store.items()):
            if isinstance(value, Tensor) and value.layout == torch.strided:
                store[name] = value.clone()
    return data


def data_about(graph: TypedGraph, task: Task, model_call: ModelCall, instances: Instances) -> Any:
    """`own_data`; of a link task with the links of some instances alone."""
    data = own_data(graph, task, model_call)
    if task.is_about_links:
        ends = instances.seeds - first_ends(graph, task)
        set_links(data, graph, task, ends, instances.index)
    return data


def full_context(
    graph: TypedGraph, wiring: Wiring, model_call: ModelCall, task: Task, instances: Instances
) -> Context:
    """Run the model on everything the user gave.

    Raises:
        ModelCallError: if it fails there.
    """
    data = data_about(graph, task, model_call, instances)
    rows: Tensor | None = None
    num_rows: int | None = None
    if task.is_about_edges:
        rows, num_rows = instances.index, num_explained_edges(graph, task)
    elif task.level == "node":
        number = graph.type_position(task.node_type)
        rows = instances.seeds[:, 0] - graph.node_offset[number]
        if num_seeds(graph.node_stores(data)[number]) is None:  # else it may return those alone
            num_rows = graph.node_offset[number + 1] - graph.node_offset[number]
    result, records = run_observed(wiring.channels, lambda given: run_on(model_call, given), data)
    output = without_nan(select_rows(task, result, rows, len(instances), num_rows))
    fields = everything(graph, None)
    packed = pack_whole(graph, data, fields)
    constants = constants_of(graph, wiring, model_call, packed, records, fields)
    return Context(output, constants, graph.num_nodes, graph.num_edges)


def single_graph(graph: TypedGraph, number: int, model_call: ModelCall, task: Task) -> Any:
    """One of the user's graphs, as a ``Batch`` of one where the model wants to know of graphs.

    Raises:
        GraphError: if it cannot be told which part of an attribute is the graph's.
    """
    if graph.is_split:
        data = _copied(graph.single(number))
        if model_call.is_collating:
            return Batch.from_data_list([data])
    elif graph.node_graph is None:
        return own_data(graph, task, model_call)
    else:  # graphs side by side in one Data
        index = torch.tensor([number], device=graph.device)
        try:
            return pack(graph, whole_graphs(graph, index), model_call, task, index).data
        except CannotPack as error:
            raise GraphError(
                f"a single graph cannot be taken out of the Data with a batch vector: {error}; "
                "give a list of graphs, or torch_geometric.data.Batch.from_data_list(graphs)"
            ) from error
    if model_call.wants_batch(data, if_optional=True):
        return as_batch(data, graph.device, like=graph.data)
    return data


def local_context(
    graph: TypedGraph, wiring: Wiring, model_call: ModelCall, task: Task, instances: Instances
) -> Context:
    """Run the model on the surroundings of the fields: one hop more, overlaps shared."""
    fields = receptive_fields(
        graph,
        instances.seeds.view(1, -1),
        wiring.num_hops,
        wiring.needs_both_directions,
        with_surroundings=True,
    )
    fields = replace(fields, seed=fields.seed.view(instances.seeds.shape))
    packed = pack(graph, fields, model_call, task, instances.index)
    rows: Tensor | None = None
    num_rows: int | None = None
    if task.is_about_edges:
        store = explained_store(graph, task, packed.data)
        rows, num_rows = packed.edge_row, store.edge_index.size(1)
    elif task.level == "node":
        position = packed.node_position[graph.type_position(task.node_type)]
        rows, num_rows = torch.searchsorted(position, fields.seed[:, 0]), position.numel()
    result, records = run_observed(wiring.channels, model_call, packed.data)
    output = without_nan(select_rows(task, result, rows, len(instances), num_rows))
    constants = constants_of(graph, wiring, model_call, packed, records, fields)
    return Context(output, constants, fields.node.numel(), fields.edge.numel())


def rows_agree(output: Tensor, reference: Tensor, model_call: ModelCall) -> Tensor:
    """Which rows ``[B]`` of two outputs of a model are equal up to rounding.

    None where they have another number of columns, as with a model whose tensors were cut wrongly.
    """
    if output.shape != reference.shape:
        return torch.zeros(reference.size(0), dtype=torch.bool, device=reference.device)
    precise = reference.dtype == torch.float64
    relative, absolute = (1e-9, 1e-10) if precise else (2e-4, 1e-5)
    relative = max(relative, 4 * model_call.half_rounding)
    scale = reference.abs().amax(dim=1) if reference.size(1) else reference.new_zeros(0)
    distance = (output - reference).abs().amax(dim=1)
    return distance <= absolute + relative * scale


def outputs_agree(one: Any, other: Any, model_call: ModelCall) -> bool:
    """Whether all tensors in what a model returned are equal up to rounding."""
    ones, others = list(tensors_in(one)), list(tensors_in(other))
    if [each.shape for each in ones] != [each.shape for each in others]:
        return False
    pairs = zip(ones, others, strict=True)
    return all(
        bool(rows_agree(a.view(1, -1), b.view(1, -1), model_call)) for a, b in pairs if a.numel()
    )


def without_nan(output: Tensor) -> Tensor:
    """The output, if it can be explained.

    Raises:
        ModelOutputError: if it holds NaN.
    """
    if bool(torch.isnan(output).any()):
        bad = int(torch.isnan(output).any(dim=1).sum())
        raise ModelOutputError(
            f"the model's output is NaN for {bad} of {output.size(0)} instances, so every score "
            "would be; check its weights and the features"
        )
    return output


#: Rows of a site, the edges that may be there, and whether it is flipped.
_Rows = tuple[Tensor, Candidates, bool | None]


def _is_as_before(last: _Rows, given: _Rows) -> bool:
    """Whether a site has the rows that another one had."""
    same = last[1] is given[1] and last[2] == given[2]
    return same and torch.equal(last[0], given[0])


def constants_of(
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
    set_directions(wiring, records)
    candidates = site_candidates(graph, packed, wiring.channels, records, model_call)
    found: dict[int, Constants] = {}
    last: tuple[_Rows, Tensor] | None = None
    for position in wanted:
        rows, arguments = records[position].edge_index, records[position].arguments
        given = (rows, candidates[position], records[position].is_flipped)
        if last is None or not _is_as_before(last[0], given):
            local = match_rows(*given).edge
            key = torch.where(local >= 0, fields.edge[local.clamp_min(0)], -1)
            if not graph.is_heterogeneous:
                key = row_key(rows, key, graph.num_edges, fields.node)
            last = given, key
        key = last[1]
        values = {
            name: value
            for name in wiring.sites[position].constant_arguments
            if isinstance(value := arguments.get(name), Tensor)
            and value.dim() > 0
            and value.size(0) == rows.size(1)
        }
        found[position] = Constants(key, values)
    return found
