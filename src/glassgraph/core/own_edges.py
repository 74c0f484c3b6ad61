"""Edges that a model builds itself: neighbors in space, two hops in one, a virtual node.

Messages are told apart by the edges that they run along, and edges by their ends. Where a site has
messages along other pairs of nodes than the user's edges, or works on more nodes than the graph
has, ends alone prove nothing: a nearest neighbor may happen to be a neighbor in the graph, too. So
the model is run with a part of the edges: messages along the user's edges go with them, and the
others stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glassgraph.calling.call import attempted
from glassgraph.core.edges import match_rows
from glassgraph.core.plan import run_observed, with_edges
from glassgraph.core.sites import Channel, OpaqueWiring, Record, Wiring
from glassgraph.errors import GlassgraphError, ModelCallError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.pack import Candidates, Packed


@dataclass(frozen=True)
class EdgeUse:
    """How a site uses the user's edges, where it does not use them alone.

    Attributes:
        follows: whether the messages that fit user edges come and go with them.
        num_added: how many others there are, self-loops not counted.
        reverses: whether some of these run against user edges, and come and go with them.
    """

    follows: bool
    num_added: int
    reverses: bool = False


#: What can be done where edges cannot be scored.
INSTEAD = (
    "give the edges as data.edge_index to a forward that takes them, or take a method that scores "
    "nodes or features: saliency, integrated_gradients, gnn_explainer, or zorro and pgm_explainer, "
    "which only call the model"
)


def why_no_edges(graph: TypedGraph, wiring: Wiring) -> str | None:
    """Why nothing can be said of the user's edges, and what to do; None if something can."""
    names = ", ".join(site.name for site in wiring.sites if site.builds_edges)
    if names and not any(site.is_mapped for site in wiring.sites):
        reason = f"the model builds the edges itself along which it sends messages ({names})"
    elif not graph.has_edge_index:
        reason = "edge_index is missing"
    elif _sees_everything(wiring) and not graph.num_edges:
        reason = "predictions depend on other nodes, and the graph has no edge that would show it"
    else:
        return None
    return f"{reason}, so edges cannot be scored; {INSTEAD}"


def _sees_everything(wiring: Wiring) -> bool:
    return isinstance(wiring, OpaqueWiring) and wiring.sees_everything


def own_edges(wiring: Wiring) -> tuple[str, bool] | None:
    """What a model sends along other edges than the user's, and whether scores would mislead.

    None if there is no such thing.
    """
    is_mapped = any(site.is_mapped for site in wiring.sites)
    # Edges that follow messages, as behind a pooling layer, are told of beside those that do not.
    sites = [site for site in wiring.sites if not (site.is_derived and is_mapped)]
    building = [site for site in sites if site.builds_edges]
    added = [site for site in sites if site.num_added and not site.builds_edges]
    names = ", ".join(site.name for site in building or added)
    if building and is_mapped:
        return (
            f"{names}: messages run along edges that the model builds itself, not along those of "
            f"edge_index; scores of edges would leave them out: {INSTEAD}"
        ), True
    if building:
        return (
            f"{names}: all messages run along edges that the model builds itself, so edges have no "
            "scores; those of nodes and features are right"
        ), False
    if any(site.reverses for site in added):
        return (
            f"{names}: messages run against the given edges, too; scores of edges would leave "
            "these out: make the graph undirected before the model gets it (data.edge_index = "
            "torch_geometric.utils.to_undirected(data.edge_index))"
        ), True
    if added:
        count = max(site.num_added for site in added)
        return (
            f"{names}: up to {count} messages run along edges that the model adds to the given "
            "ones; scores are those of the given edges, and leave these out"
        ), False
    return None


def edge_uses(
    graph: TypedGraph,
    packed: Packed,
    channels: Sequence[Channel],
    records: Sequence[Record],
    candidates: Sequence[Candidates],
    model_call: Callable[[Any], Any],
) -> list[EdgeUse | None]:
    """For each site how it uses the user's edges; None where it sends along them alone.

    None as well on heterogeneous graphs, for matrices, and for sites on fewer nodes than the graph
    has, as behind a pooling layer.
    """
    found: list[EdgeUse | None] = [None] * len(records)
    if graph.is_heterogeneous:
        return found
    num_nodes = int(packed.data.num_nodes)
    matches = [
        match_rows(record.edge_index, each, record.is_flipped).edge
        for record, each in zip(records, candidates, strict=True)
    ]
    asked = [
        position
        for position, (record, edge) in enumerate(zip(records, matches, strict=True))
        if not channels[record.channel].is_adjacency and _has_others(record, edge, num_nodes)
    ]
    if not asked:
        return found
    counts = _Counts(packed, num_nodes)
    halves = _halves(graph, packed, channels, model_call, counts, len(records))
    for position in asked:
        rows, edge = records[position].edge_index, matches[position]
        seen = None if halves is None else [(gone, part[position]) for gone, part in halves]
        found[position] = counts.use(rows, edge, seen)
    return found


def _has_others(record: Record, edge: Tensor, num_nodes: int) -> bool:
    """Whether a site has messages along other edges than the user's, or more nodes."""
    sizes = [size for size in record.size if size is not None]
    if sizes and max(sizes) < num_nodes:
        return False
    source, destination = record.edge_index
    has_more = bool(sizes) and min(sizes) > num_nodes
    return has_more or bool(((edge < 0) & (source != destination)).any())


def _halves(
    graph: TypedGraph,
    packed: Packed,
    channels: Sequence[Channel],
    model_call: Callable[[Any], Any],
    counts: _Counts,
    num_sites: int,
) -> list[tuple[Tensor, list[Tensor]]] | None:
    """For two halves of the edges: which pairs are gone, and the rows of each site.

    None if the model does not run on them as before.
    """
    found = []
    for number in (0, 1):
        is_kept = counts.number[counts.pair] % 2 == number
        data = with_edges(graph, packed, 0, is_kept.nonzero().view(-1))
        seen = _sites_seen(channels, model_call, data)
        if seen is None or len(seen) != num_sites:
            return None
        gone = counts.number % 2 != number
        found.append((gone, [record.edge_index for record in seen]))
    return found


def _sites_seen(
    channels: Sequence[Channel], model_call: Callable[[Any], Any], data: Any
) -> list[Record] | None:
    """What sites are given on a graph of ours; None if the model does not run on it."""
    try:
        return attempted(lambda: run_observed(channels, model_call, data)[1])
    except ModelCallError:
        raise
    except GlassgraphError:
        return None


class _Counts:
    """Counts messages by the pair of nodes that they run between, in either direction.

    Attributes:
        pair: ``[e]`` the pair of each edge.
        number: ``[p]`` the number of each pair.
    """

    def __init__(self, packed: Packed, num_nodes: int) -> None:
        view = packed.views[0]
        self._width = num_nodes
        self._key, self.pair = torch.unique(
            self._keys(torch.stack([view.source, view.destination])), return_inverse=True
        )
        self.number = torch.arange(self._key.numel(), device=self._key.device)
        self._is_loop = self._key // num_nodes == self._key % num_nodes

    def use(
        self, rows: Tensor, edge: Tensor, halves: Sequence[tuple[Tensor, Tensor]] | None
    ) -> EdgeUse:
        """How a site uses the user's edges, by its rows on all and on halves of them."""
        others = rows[:, (edge < 0) & (rows[0] != rows[1])]
        if halves is None or not self._key.numel():
            return EdgeUse(False, others.size(1))
        count, matched = self._count(rows), self._count(rows[:, edge >= 0])
        follows, reverses = bool(matched[~self._is_loop].any()), False
        for gone, part in halves:
            left = self._count(part)
            is_left = (left == count) | gone
            is_gone = (left <= count - matched) | ~gone
            follows &= bool((is_left & is_gone | self._is_loop).all())
            reverses |= bool((gone & (left < count - matched) & ~self._is_loop).any())
        return EdgeUse(follows, others.size(1), reverses and follows)

    def _count(self, rows: Tensor) -> Tensor:
        """``[p]`` how many rows run between each pair."""
        rows = rows[:, (rows < self._width).all(dim=0)]
        key = self._keys(rows)
        place = torch.searchsorted(self._key, key).clamp_max(self._key.numel() - 1)
        place = place[self._key[place] == key]
        return torch.bincount(place, minlength=self._key.numel())

    def _keys(self, rows: Tensor) -> Tensor:
        low, high = rows.min(dim=0).values, rows.max(dim=0).values
        return low * self._width + high
