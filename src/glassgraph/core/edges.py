"""User edge id <-> message row.

The edges a layer really uses are not the user's edges: GCN drops self-loops and appends one per
node, R-GCN splits the edges by relation, a directed layer reverses them, HGT concatenates all edge
types under shifted node numbers. This module finds, for each message row of a site, the user edge
it belongs to, or -1 where the layer added it.

Rows are matched by their endpoints. Edges with equal endpoints are told apart by their order,
which layers keep; where a site carries only some of them, `candidates` come from probe runs that
show each of them alone (see ``core.plan``). Where a site has fewer rows than edges with these ends
belong to it, they share them (`glassgraph.core.shared_rows`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.inputs.pack import Candidates


@dataclass(frozen=True)
class Match:
    """The user edges behind the message rows of one site.

    Attributes:
        edge: ``[M]`` edge number of each row, -1 for a row the layer added.
        is_flipped: whether the rows run against the user's edges.
    """

    edge: Tensor
    is_flipped: bool

    @property
    def is_empty(self) -> bool:
        """Whether no row belongs to a user edge."""
        return not bool((self.edge >= 0).any())


def occurrence(sorted_key: Tensor) -> Tensor:
    """For a sorted vector, how many equal entries stand before each entry."""
    position = torch.arange(sorted_key.numel(), device=sorted_key.device)
    return position - torch.searchsorted(sorted_key, sorted_key)


def parallel_rank(source: Tensor, destination: Tensor) -> Tensor:
    """For each edge, how many edges with the same endpoints come before it."""
    key = _key(source, destination, _span(source, destination))
    order = torch.argsort(key, stable=True)
    rank = torch.empty_like(order)
    rank[order] = occurrence(key[order])
    return rank


def match_rows(rows: Tensor, candidates: Candidates, is_flipped: bool | None = None) -> Match:
    """Match the rows ``[2, M]`` of a site to candidate edges.

    Where both reading directions fit (an undirected graph lists each edge both ways), the one that
    keeps the user's order wins: layers filter and append, they do not shuffle. Where a layer does
    (the entries of an adjacency matrix have their own order), ``is_flipped`` says which one it is.
    """
    source, destination, edge = candidates.source, candidates.destination, candidates.edge
    num_edges = edge.numel()
    if is_flipped is not None:
        read = rows.flip(0) if is_flipped else rows
        return Match(_match_by_endpoints(read, source, destination, edge), is_flipped)
    if rows.size(1) >= num_edges:
        added = rows[:, num_edges:]
        if bool((added[0] == added[1]).all()):
            padding = torch.full_like(added[0], -1)
            head = rows[:, :num_edges]
            for row, against in ((0, False), (1, True)):
                if torch.equal(head[row], source) and torch.equal(head[1 - row], destination):
                    if num_edges and added.size(1) and bool((source == destination).any()):
                        break  # a loop among the appended rows may be the user's own
                    return Match(torch.cat([edge, padding]), against)
    direct = _match_by_endpoints(rows, source, destination, edge)
    if _is_in_order(direct, rows):
        return Match(direct, False)
    flipped = _match_by_endpoints(rows.flip(0), source, destination, edge)
    is_better = int((flipped >= 0).sum()) > int((direct >= 0).sum())
    is_equal = int((flipped >= 0).sum()) == int((direct >= 0).sum())
    if is_better or (is_equal and _is_in_order(flipped, rows)):
        return Match(flipped, True)
    return Match(direct, False)


def match_shifted(rows: Tensor, source: Tensor, destination: Tensor, edge: Tensor) -> Match:
    """Match rows whose node numbers may be shifted by a constant at either end.

    Used for one edge type at a time, where a layer concatenates the node types (HGT).
    """
    if rows.size(1) == edge.numel() > 0:
        for is_flipped in (False, True):
            ends = rows.flip(0) if is_flipped else rows
            shift_source, shift_destination = ends[0] - source, ends[1] - destination
            if bool((shift_source == shift_source[0]).all()) and bool(
                (shift_destination == shift_destination[0]).all()
            ):
                return Match(edge, is_flipped)
    return match_rows(rows, Candidates(source, destination, edge))


def row_key(rows: Tensor, edge: Tensor, num_edges: int, node: Tensor | None = None) -> Tensor:
    """A number for each row that means the same in every batch: its edge, or its self-loop's node.

    Args:
        rows: ``[2, M]`` rows of a site.
        edge: ``[M]`` the user edge of each row, -1 for an added one.
        num_edges: number of user edges.
        node: user node behind each node number of the rows (identity if None).

    Returns:
        ``[M]``: the edge, or ``num_edges + node`` for an added self-loop, or -1 for other rows.
    """
    is_loop, loop_node = rows[0] == rows[1], rows[0]
    if node is not None:
        is_loop = is_loop & (rows[0] < node.numel())  # else of a node that the model adds
        loop_node = node[rows[0].clamp_max(node.numel() - 1)]
    loop = torch.where(is_loop, num_edges + loop_node, -1)
    return torch.where(edge >= 0, edge, loop)


def find_keys(wanted: Tensor, available: Tensor) -> Tensor | None:
    """Positions of ``wanted`` keys in ``available``; None if one is missing or not unique."""
    order = torch.argsort(available)
    ordered = available[order]
    if ordered.numel() == 0:
        return None if wanted.numel() else order
    if bool((ordered[1:] == ordered[:-1]).any()):
        return None
    position = torch.searchsorted(ordered, wanted).clamp_max(ordered.numel() - 1)
    if not torch.equal(ordered[position], wanted) or bool((wanted < 0).any()):
        return None
    return order[position]


def _span(*ends: Tensor) -> int:
    return 1 + max((int(end.max()) for end in ends if end.numel()), default=0)


def _key(source: Tensor, destination: Tensor, span: int) -> Tensor:
    return source * span + destination


def _match_by_endpoints(rows: Tensor, source: Tensor, destination: Tensor, edge: Tensor) -> Tensor:
    if edge.numel() == 0 or rows.size(1) == 0:
        return torch.full((rows.size(1),), -1, dtype=torch.long, device=rows.device)
    span = _span(rows, source, destination)
    edge_key = _key(source, destination, span)
    edge_order = torch.argsort(edge_key, stable=True)
    edge_key = edge_key[edge_order]
    key = _key(rows[0], rows[1], span)
    row_order = torch.argsort(key, stable=True)
    key = key[row_order]
    position = torch.searchsorted(edge_key, key) + occurrence(key)
    is_inside = position < edge_key.numel()  # one more copy of the last key is no edge
    position = position.clamp_max(edge_key.numel() - 1)
    is_found = is_inside & (edge_key[position] == key)
    found = torch.where(is_found, edge[edge_order[position]], -1)
    match = torch.empty_like(found)
    match[row_order] = found
    return match


def _is_in_order(match: Tensor, rows: Tensor) -> bool:
    kept = match[(match >= 0) & (rows[0] != rows[1])]
    return kept.numel() > 0 and bool((kept[1:] > kept[:-1]).all())
