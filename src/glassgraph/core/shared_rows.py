"""Message rows that several user edges share.

GCN, GAT and others put one loop of their own in the place of all self-loops at a node, and a model
may merge parallel edges. Such a row is no edge's alone, and which of them came first means nothing:
its gate is the mean of the gates of its owners, so that each has an equal part in what the row
does, all of them together shut it, and open gates leave it as it is to the last bit.

A layer that keeps the weight of one of several loops (GCN keeps that of the last, on a CPU) does
not say of which; the others' weights play no part in the prediction, and the row is shared alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.inputs.pack import Candidates


@dataclass(frozen=True)
class SharedRows:
    """Who else owns rows, beside the edge that each row was matched to.

    Attributes:
        row: ``[k]`` a row of the site.
        edge: ``[k]`` another edge that owns it.
        owners: ``[M]`` how many edges own each row, at least 1.
    """

    row: Tensor
    edge: Tensor
    owners: Tensor

    def kept(self, keep: Tensor) -> SharedRows:
        """The same, where only some rows are left."""
        place = torch.full_like(self.owners, -1)
        place[keep] = torch.arange(keep.numel(), device=keep.device)
        row = place[self.row]
        return SharedRows(row[row >= 0], self.edge[row >= 0], self.owners[keep])

    def mean(self, own: Tensor, gate: Tensor) -> Tensor:
        """``[M]`` the mean gate of each row's owners.

        Args:
            own: ``[M]`` the gate of the edge that each row was matched to.
            gate: ``[E]`` the gates of all edges.
        """
        total = own.index_add(0, self.row, gate.index_select(0, self.edge))
        return total / self.owners.to(total.dtype)

    def everyone(self, row_edge: Tensor) -> tuple[Tensor, Tensor]:
        """All pairs of a row and an owner: rows in order with their own edges, then the others."""
        row = torch.arange(row_edge.numel(), device=row_edge.device)
        return torch.cat([row, self.row]), torch.cat([row_edge, self.edge])


def find_shared(rows: Tensor, edge: Tensor, candidates: Candidates) -> SharedRows | None:
    """Edges that have no row of their own although they belong to the site; None if all have one.

    Args:
        rows: ``[2, M]`` the rows of the site, in the candidates' direction.
        edge: ``[M]`` the edge that each was matched to, -1 for none.
        candidates: the edges that belong to the site.
    """
    own = edge[edge >= 0]
    if not own.numel():
        return None
    is_left = ~_are_among(own, candidates.edge)
    if not bool(is_left.any()):
        return None
    source, destination = candidates.source[is_left], candidates.destination[is_left]
    span = 1 + int(max(rows.max(), source.max(), destination.max()))
    matched = (edge >= 0).nonzero().view(-1)
    key = rows[0, matched] * span + rows[1, matched]
    order = torch.argsort(key, stable=True)
    wanted = source * span + destination
    at = torch.searchsorted(key[order], wanted).clamp_max(key.numel() - 1)
    row = matched[order[at]]  # the first with these ends
    is_found = key[order[at]] == wanted
    if not bool(is_found.any()):
        return None
    row, other = row[is_found], candidates.edge[is_left][is_found]
    owners = torch.ones_like(edge).index_add(0, row, torch.ones_like(row))
    return SharedRows(row, other, owners)


def _are_among(some: Tensor, numbers: Tensor) -> Tensor:
    """``[k]`` which of the numbers ``[k]`` are among some of them; there is at least one."""
    size = 1 + int(torch.maximum(some.max(), numbers.max()))
    is_there = torch.zeros(size, dtype=torch.bool, device=numbers.device)
    is_there[some] = True
    return is_there[numbers]
