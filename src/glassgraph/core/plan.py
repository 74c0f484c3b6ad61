"""What an intervention does at each site of a packed graph.

The packed graph is observed once; every site's rows are matched to edges, rows that cannot reach
the prediction are left out, and arguments that depend on the graph alone are replaced by those of
the user's full graph, so that degrees at the boundary of a receptive field are what they were.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from glassgraph.calling.call import ModelCall, refuse_chance
from glassgraph.calling.sampled import thin_edges
from glassgraph.core.derived_edges import is_coarse
from glassgraph.core.edges import (
    find_keys,
    match_rows,
    match_shifted,
    parallel_rank,
    row_key,
)
from glassgraph.core.intercept import PlanMismatch, SitePlan
from glassgraph.core.observe import observed
from glassgraph.core.shared_rows import find_shared
from glassgraph.core.sites import Channel, Record, Site, Wiring
from glassgraph.errors import GraphError, ModelCallError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.links import edge_attributes
from glassgraph.inputs.pack import Candidates, Packed
from glassgraph.inputs.receptive import Fields


@dataclass(frozen=True)
class SiteRows:
    """Rows of a site on a receptive field, for which arguments are wanted.

    Attributes:
        graph: the user's graph.
        fields: where its nodes and edges come from.
        rows: ``[2, M]`` ends, among the nodes of the fields.
        edge: ``[M]`` which edge of the fields each row is, -1 for one that the layer added.
        own: arguments that depend on the graph alone, as the run on the fields has them.
    """

    graph: TypedGraph
    fields: Fields
    rows: Tensor
    edge: Tensor
    own: Mapping[str, Tensor]

    @property
    def user_edge(self) -> Tensor:
        """``[M]`` the user's edge of each row, -1 for one that the layer added."""
        if not self.fields.edge.numel():
            return self.edge  # all -1
        return torch.where(self.edge >= 0, self.fields.edge[self.edge.clamp_min(0)], -1)

    @property
    def key(self) -> Tensor:
        """``[M]`` what each row is, see `glassgraph.core.edges.row_key`."""
        if self.graph.is_heterogeneous:
            return self.user_edge
        return row_key(self.rows, self.user_edge, self.graph.num_edges, self.fields.node)


class SiteConstants(Protocol):
    """Knows arguments of a site that depend on the graph alone."""

    def look_up(self, site: SiteRows) -> dict[str, Tensor]:
        """The arguments of some rows, as on the whole graph; none where they are not known."""


@dataclass
class Constants:
    """Arguments of a site that depend on the graph alone, computed once on a larger graph.

    Attributes:
        key: ``[M]`` what each row is (see `glassgraph.core.edges.row_key`); None where row k is
            that of key k.
        values: the arguments, one row per message.
        known: without keys, which rows there are.
    """

    key: Tensor | None
    values: dict[str, Tensor]
    known: Tensor | None = None

    def look_up(self, site: SiteRows) -> dict[str, Tensor]:
        """The arguments of some rows."""
        key = site.key
        position: Tensor | None = key
        if self.key is not None:
            position = find_keys(key, self.key)
        elif bool((key < 0).any()):
            return {}
        elif self.known is not None and not bool(self.known[key].all()):
            raise PlanMismatch("a layer has other rows on a receptive field than on the graph")
        if position is None:
            return {}
        return {name: value[position] for name, value in self.values.items()}


def plan_sites(
    graph: TypedGraph,
    fields: Fields,
    packed: Packed,
    wiring: Wiring,
    model_call: ModelCall,
    constants: Mapping[int, SiteConstants],
    *,
    can_trim: bool = True,
) -> tuple[tuple[SitePlan, ...], Any]:
    """Observe a packed graph once and plan what an intervention does at each site.

    Returns:
        The plans, and what the model returned; None if it was not called, for it has no sites.
    """
    if not wiring.sites:
        return (), None
    output, records = run_observed(wiring.channels, model_call, packed.data)
    check_matrices(graph, packed, wiring.channels, records)
    if len(records) != len(wiring.sites):
        raise PlanMismatch(f"{len(records)} sites ran, {len(wiring.sites)} were traced")
    set_directions(wiring, records)
    candidates = site_candidates(graph, packed, wiring.channels, records, model_call)
    plans = tuple(
        _plan_site(
            graph,
            fields,
            wiring,
            site,
            record,
            candidates[i],
            constants.get(i),
            can_trim,
            None if graph.is_heterogeneous else int(packed.data.num_nodes),
        )
        for i, (site, record) in enumerate(zip(wiring.sites, records, strict=True))
    )
    return plans, output


def run_observed(
    channels: Sequence[Channel], model_call: Callable[[Any], Any], data: Any
) -> tuple[Any, list[Record]]:
    """The model's output and records on data, without gradients."""
    with torch.no_grad(), observed(channels) as records:
        output = model_call(data)
    return output, records


def set_directions(wiring: Wiring, records: Sequence[Record]) -> None:
    """Tell records of another run what tracing has found."""
    for record, is_flipped in zip(records, wiring.directions, strict=True):
        record.is_flipped = is_flipped


def check_matrices(
    graph: TypedGraph, packed: Packed, channels: Sequence[Channel], records: Sequence[Record]
) -> None:
    """Refuse adjacency matrices that do not run over the nodes of the graph.

    Raises:
        ModelCallError: for those, and on heterogeneous graphs.
    """
    for record in records:
        channel = channels[record.channel]
        if not channel.is_adjacency:
            continue
        if graph.is_heterogeneous:
            raise ModelCallError(
                f"{channel.name} is an AdjacencyTap, whose matrix cannot be read on heterogeneous "
                "graphs; call a MessageTap on the messages"
            )
        size, num_nodes = record.size[0], int(packed.data.num_nodes)
        if size != num_nodes:
            raise ModelCallError(
                f"{channel.name} got adjacency matrices of {size} nodes for a graph of "
                f"{num_nodes}; use one [N, N] matrix over all nodes, also of batched graphs, "
                "instead of [B, N, N]: torch_geometric.utils.to_dense_adj(edge_index, "
                "max_num_nodes=x.size(0))[0]"
            )


def site_candidates(
    graph: TypedGraph,
    packed: Packed,
    channels: Sequence[Channel],
    records: Sequence[Record],
    model_call: ModelCall,
) -> list[Candidates]:
    """For each site the edges that may appear there.

    Where endpoints alone identify an edge, that is every edge. Parallel edges and edge types are
    told apart by probe runs, each with a part of the edges in which no two look alike.

    Raises:
        GraphError: if parallel edges share an entry of an adjacency matrix.
    """
    found = _find_candidates(graph, packed, channels, records, model_call)
    for record, each in zip(records, found, strict=True):
        if not channels[record.channel].is_adjacency or not each.edge.numel():
            continue
        if bool(parallel_rank(each.source, each.destination).any()):
            raise GraphError(
                "parallel edges share one entry of a dense adjacency matrix, so they cannot be "
                "told apart; merge them (torch_geometric.utils.coalesce) or give each relation a "
                "matrix of its own"
            )
    return found


def _find_candidates(
    graph: TypedGraph,
    packed: Packed,
    channels: Sequence[Channel],
    records: Sequence[Record],
    model_call: ModelCall,
) -> list[Candidates]:
    everything = [packed.candidates()] * len(records)
    parts = _parts_without_twins(graph, packed, records)
    if parts is not None:
        return _probed_candidates(graph, packed, channels, records, model_call, parts)
    if not _has_twin_loops(graph, packed):
        return everything
    # A layer replaces loops by its own, or it leaves some of them to others: both look alike.
    parts = _parts_by_rank(packed)

    def probed() -> list[Candidates]:
        return _probed_candidates(graph, packed, channels, records, model_call, parts)

    try:
        return probed()
    except Exception as error:  # noqa: BLE001 - the parts are ours, and a model may refuse them
        refuse_chance(probed, error)
        return everything


def _probed_candidates(
    graph: TypedGraph,
    packed: Packed,
    channels: Sequence[Channel],
    records: Sequence[Record],
    model_call: ModelCall,
    parts: list[tuple[int, Tensor]],
) -> list[Candidates]:
    found: list[list[tuple[Tensor, Tensor]]] = [[] for _ in records]
    for number, kept in parts:
        probe = with_edges(graph, packed, number, kept)
        _, seen = run_observed(channels, model_call, probe)
        if len(seen) != len(records):
            raise PlanMismatch("the model takes another path where edges are missing")
        view = packed.views[number]
        ends = view.source[kept], view.destination[kept], view.position[kept]
        for pieces, shown, record in zip(found, seen, records, strict=True):
            if graph.is_heterogeneous:
                match = match_shifted(shown.edge_index, *ends)
            else:
                match = match_rows(shown.edge_index, Candidates(*ends), record.is_flipped)
            rows = (match.edge >= 0).nonzero().view(-1)
            known = shown.edge_index[:, rows]
            pieces.append((known.flip(0) if match.is_flipped else known, match.edge[rows]))
    nothing = packed.views[0].position[:0]  # where there are no edges at all, nothing was probed
    empty = (nothing.expand(2, 0), nothing)
    return [_collect_candidates(pieces or [empty]) for pieces in found]


def _parts_without_twins(
    graph: TypedGraph, packed: Packed, records: Sequence[Record]
) -> list[tuple[int, Tensor]] | None:
    """Edge types and some of their edges, in which no two look alike; None if none do at all."""
    if not graph.is_heterogeneous:
        view = packed.views[0]
        if not parallel_rank(view.source, view.destination).any():
            return None
        # Loops are not counted: a layer may add its own to a part of the edges.
        num_edges = int((view.source != view.destination).sum())
        sent = [record.edge_index for record in records]
        if all(int((rows[0] != rows[1]).sum()) >= num_edges for rows in sent):
            return None  # nothing is split: order tells copies apart
    return _parts_by_rank(packed)


def _has_twin_loops(graph: TypedGraph, packed: Packed) -> bool:
    """Whether a node of a graph with one type of edges has several self-loops."""
    if graph.is_heterogeneous:
        return False
    loop = packed.views[0].source[packed.views[0].source == packed.views[0].destination]
    return int(loop.unique().numel()) < int(loop.numel())


def _parts_by_rank(packed: Packed) -> list[tuple[int, Tensor]]:
    ranks = [parallel_rank(view.source, view.destination) for view in packed.views]
    return [
        (number, (rank == r).nonzero().view(-1))
        for number, rank in enumerate(ranks)
        for r in range(int(rank.max()) + 1 if rank.numel() else 0)
    ]


def _collect_candidates(pieces: list[tuple[Tensor, Tensor]]) -> Candidates:
    rows = torch.cat([piece[0] for piece in pieces], dim=1)
    edge = torch.cat([piece[1] for piece in pieces])
    order = torch.argsort(edge)
    return Candidates(rows[0, order], rows[1, order], edge[order])


def with_edges(graph: TypedGraph, packed: Packed, number: int, kept: Tensor) -> Any:
    """The packed graph with only some edges of one edge type."""
    data = copy.copy(packed.data)
    for other, name in enumerate(graph.edge_types):
        store, own = (data, graph.data) if name is None else (data[name], graph.data[name])
        chosen = kept if other == number else kept.new_empty(0)
        num_edges = packed.views[other].position.numel()
        thin_edges(store, chosen)
        if "edge_index" in store:
            num_edges = store["edge_index"].size(1)  # explained ones stand there without messages
            store["edge_index"] = store["edge_index"][:, chosen]
        for key in edge_attributes(own):
            if key in store and store[key].size(0) == num_edges:
                store[key] = store[key][chosen]
    return data


def _plan_site(
    graph: TypedGraph,
    fields: Fields,
    wiring: Wiring,
    site: Site,
    record: Record,
    candidates: Candidates,
    constants: SiteConstants | None,
    can_trim: bool,
    num_nodes: int | None,
) -> SitePlan:
    rows = record.edge_index
    num_rows, num_edges = rows.size(1), int(fields.edge.numel())
    if not site.is_mapped or (is_coarse(record, num_nodes) and not site.num_added):
        return SitePlan(num_rows, None)
    match = match_rows(rows, candidates, record.is_flipped)
    edge_arguments = [
        name for name in site.edge_arguments if isinstance(record.arguments.get(name), Tensor)
    ]
    is_cuttable = all(
        record.arguments[name].dim() > 0 and record.arguments[name].size(0) == num_rows
        for name in edge_arguments
    )
    keep = None
    if can_trim and site.can_trim and is_cuttable:
        keep = _reachable_rows(graph, fields, wiring, site, rows, match.edge)
    replaced: dict[str, Tensor] = {}
    if constants is not None and is_cuttable:
        kept = slice(None) if keep is None else keep
        own = {name: record.arguments[name][kept] for name in _constant_names(site, record)}
        kept_rows = SiteRows(graph, fields, rows[:, kept], match.edge[kept], own)
        replaced = constants.look_up(kept_rows)
    edge = match.edge if keep is None else match.edge[keep]
    shared = find_shared(rows.flip(0) if match.is_flipped else rows, match.edge, candidates)
    identity = torch.arange(num_edges, device=edge.device)
    return SitePlan(
        num_rows=num_rows,
        row_edge=torch.where(edge >= 0, edge, num_edges),
        is_identity=shared is None and torch.equal(edge, identity),
        keep=keep,
        edge_index=None if keep is None else rows[:, keep],
        constants=replaced,
        sliced=tuple(name for name in edge_arguments if name not in replaced),
        shared=shared if shared is None or keep is None else shared.kept(keep),
    )


def _reachable_rows(
    graph: TypedGraph,
    fields: Fields,
    wiring: Wiring,
    site: Site,
    rows: Tensor,
    edge: Tensor,
) -> Tensor | None:
    """Rows whose message can still reach the prediction; None if that is all of them."""
    receiver = wiring.channels[site.channel].receiver
    if graph.is_heterogeneous:  # rows are numbered by type: go through the edges
        is_reversed = site.is_flipped != (receiver == 0)
        end = fields.source if is_reversed else fields.destination
        far = torch.zeros(edge.numel(), dtype=torch.bool, device=edge.device)
        known = edge >= 0
        far[known] = fields.distance[end[edge[known]]] > site.height
    else:
        end, last = rows[receiver], fields.distance.numel() - 1
        far = (fields.distance[end.clamp_max(last)] > site.height) & (end <= last)
    return (~far).nonzero().view(-1) if bool(far.any()) else None


def _constant_names(site: Site, record: Record) -> list[str]:
    return [
        name
        for name in sorted(site.constant_arguments)
        if isinstance(record.arguments.get(name), Tensor)
    ]
