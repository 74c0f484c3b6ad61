"""Halves of walks: beginnings and ends, many at once, each with its vector.

A walk is joined from a beginning ``(n_0, ..., n_p)`` and an end ``(n_p, ..., n_L)`` at a node they
share. A beginning carries what its node's columns hold, an end what a unit in each column is worth;
the walk's relevance is their scalar product. So W walks are made of about sqrt(W) halves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.relevance.walks import WalkGraph


@dataclass(frozen=True)
class Halves:
    """Beginnings or ends of walks at one position, ascending by the node where they are open.

    Attributes:
        node: ``[S]`` the node at the position.
        trail: ``[S, length]`` all nodes, in the order of the walk.
        vector: ``[S, V_p]``.
    """

    node: Tensor
    trail: Tensor
    vector: Tensor

    def take(self, row: Tensor) -> Halves:
        """Some of them; rows ascending by node."""
        return Halves(self.node[row], self.trail[row], self.vector[row])

    def bounds(self, num_nodes: int) -> Tensor:
        """``[n + 1]`` where the halves of each node start."""
        nodes = torch.arange(num_nodes + 1, device=self.node.device)
        return torch.searchsorted(self.node, nodes)


def first_halves(walks: WalkGraph) -> Halves:
    """Beginnings at position 0: one for each node from which a walk is possible."""
    node = (walks.num_prefixes[0] > 0).nonzero().view(-1)
    return Halves(node, node.view(-1, 1), walks.start[node])


def last_halves(walks: WalkGraph) -> Halves:
    """Ends at position L: one for each node where a walk may end."""
    node = (walks.is_end & (walks.num_prefixes[-1] > 0)).nonzero().view(-1)
    return Halves(node, node.view(-1, 1), walks.start.new_ones((node.numel(), 1)))


def prepend(walks: WalkGraph, ends: Halves, position: int) -> Halves:
    """All ends from ``position`` on, given ends from ``position + 1`` on."""
    node, joint = walks.pairs[position]
    kept = walks.num_prefixes[position][node] > 0
    grown = _Grown(ends, joint[kept], node[kept], walks.num_nodes, walks.widths[position])
    layer = walks.layers[position]
    for step in layer.steps:
        # A message's block turns what its receiver's columns are worth into the sender's.
        for halves, rows, place in grown.groups(step.receiver, step.sender):
            value = torch.matmul(ends.vector[halves], step.block[rows].transpose(1, 2))
            grown.add(place, step.columns, value)
    if layer.can_stay:
        grown.copy(layer.stay[0], layer.stay[1])
    return grown.sorted(lambda trail, new: [new, trail])


def append(walks: WalkGraph, beginnings: Halves, position: int) -> Halves:
    """All beginnings up to ``position + 1``, given beginnings up to ``position``."""
    joint, node = walks.pairs[position]
    kept = (walks.num_suffixes[position + 1][node] > 0).nonzero().view(-1)
    kept = kept[torch.argsort(joint[kept], stable=True)]  # ascending by both ends
    width = walks.widths[position + 1]
    grown = _Grown(beginnings, joint[kept], node[kept], walks.num_nodes, width)
    layer = walks.layers[position]
    for step in layer.steps:
        for halves, rows, place in grown.groups(step.sender, step.receiver):
            value = torch.matmul(beginnings.vector[halves, step.columns], step.block[rows])
            grown.add(place, slice(0, width), value)
    if layer.can_stay:
        grown.copy(layer.stay[1], layer.stay[0])
    return grown.sorted(lambda trail, new: [trail, new])


def num_grown(walks: WalkGraph, halves: Halves, position: int, *, ends: bool) -> int:
    """How many halves `prepend` (of ``ends``) or `append` would give."""
    pair = walks.pairs[position]
    joint, node = (pair[1], pair[0]) if ends else (pair[0], pair[1])
    alive = walks.num_prefixes[position] if ends else walks.num_suffixes[position + 1]
    count = torch.bincount(halves.node, minlength=walks.num_nodes)
    return int((count[joint] * (alive[node] > 0)).sum())


class _Grown:
    """Halves that are one node longer, while they are filled.

    Args:
        halves: the shorter ones.
        joint: ``[P]`` ascending: the node where they are open.
        node: ``[P]`` the node that is added; pairs are distinct, ascending within a joint.
        num_nodes: n.
        width: columns of the longer ones.
    """

    def __init__(
        self, halves: Halves, joint: Tensor, node: Tensor, num_nodes: int, width: int
    ) -> None:
        self._halves, self._node, self._num_nodes = halves, node, num_nodes
        self._bounds = halves.bounds(num_nodes)
        count = self._bounds.diff()[joint]
        self._key = joint * num_nodes + node
        self._start = count.cumsum(0) - count  # where the entries of each pair start
        self._pair = torch.repeat_interleave(count)
        within = torch.arange(self._pair.numel(), device=node.device) - self._start[self._pair]
        self._half = self._bounds[joint][self._pair] + within
        self._is_stay = (joint == node)[self._pair]
        pairs = torch.arange(num_nodes + 1, device=node.device)
        self._pair_bounds = torch.searchsorted(joint, pairs).tolist()
        self._vector = halves.vector.new_zeros((self._pair.numel(), width))

    def groups(
        self, joint: Tensor, node: Tensor
    ) -> Iterator[tuple[slice, Tensor, tuple[Tensor, Tensor]]]:
        """Messages and halves that meet at a node.

        Yields:
            Which halves, which messages, and for `add` the entries of the node and the pair that
            each message belongs to.
        """
        if not self._key.numel():
            return  # no walk is left
        key = joint * self._num_nodes + node
        pair = torch.searchsorted(self._key, key)
        is_kept = pair < self._key.numel()
        is_kept &= self._key[pair.clamp_max(self._key.numel() - 1)] == key
        rows = is_kept.nonzero().view(-1)
        rows = rows[torch.argsort(joint[rows], stable=True)]
        found, first = torch.unique_consecutive(joint[rows], return_counts=True)
        ends = first.cumsum(0).tolist()
        bounds = self._bounds.tolist()
        start = 0
        for each, stop in zip(found.tolist(), ends, strict=True):
            low, high = bounds[each], bounds[each + 1]
            if low < high:
                first_pair, last_pair = self._pair_bounds[each], self._pair_bounds[each + 1]
                begin = int(self._start[first_pair])
                count = (last_pair - first_pair) * (high - low)
                entries = self._vector[begin : begin + count]
                entries = entries.view(last_pair - first_pair, high - low, -1)
                chosen = rows[start:stop]
                yield slice(low, high), chosen, (entries, pair[chosen] - first_pair)
            start = stop

    def add(self, place: tuple[Tensor, Tensor], columns: slice, value: Tensor) -> None:
        """Add ``[messages, halves, columns]`` to the entries of a node."""
        entries, pair = place
        entries[:, :, columns].index_add_(0, pair, value)

    def copy(self, to: Tensor, of: Tensor) -> None:
        """Pass on the columns that stay."""
        place = self._is_stay.nonzero().view(-1)
        kept = self._halves.vector[self._half[place]][:, of]
        self._vector[place.unsqueeze(1), to] += kept

    def sorted(self, join: Callable[[Tensor, Tensor], list[Tensor]]) -> Halves:
        """The longer halves."""
        node = self._node[self._pair]
        order = torch.argsort(node, stable=True)
        trail = self._halves.trail[self._half[order]]
        node = node[order]
        trail = torch.cat(join(trail, node.view(-1, 1)), dim=1)
        return Halves(node, trail, self._vector[order])
