"""Beginnings and ends of walks, joined where they meet: the k best pairs, without trying them all.

The product of the lengths of two vectors bounds their scalar product, so that pairs are tried in
descending order of it, until none can beat the k-th best any more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.explainers.decomposition.walks.halves import Halves
from glassgraph.explainers.decomposition.walks.lists import Walks, ranked
from glassgraph.relevance.walks import WalkGraph

#: Pairs of halves that are multiplied at once.
_MOST_PAIRS = 1 << 22


def join(walks: WalkGraph, first: Halves, last: Halves, bar: Tensor, k: int) -> Walks:
    """The walks of largest absolute relevance that are a beginning and an end at the same node.

    Args:
        walks: the walk graph.
        first: the beginnings.
        last: the ends, open at the same position.
        bar: ``[B]`` size that the k-th best walk of each instance has at least.
        k: how many, of each instance.
    """
    ordered_first, ordered_last = _Ordered.of(first), _Ordered.of(last)
    low, high = first.bounds(walks.num_nodes), last.bounds(walks.num_nodes)
    best: dict[int, _Best] = {}
    for instance, most, span in _meetings(walks, ordered_first, ordered_last, low, high):
        found = best.get(instance)
        if found is None:
            found = best[instance] = _Best.none(bar[instance], k)
        if most >= found.bar * (1 - 1e-5):
            _meet(ordered_first, ordered_last, span, found)
    empty = low.new_zeros(0)
    score = torch.cat([bar[:0], *(each.score for each in best.values())])
    begin = torch.cat([empty, *(each.first for each in best.values())])
    end = torch.cat([empty, *(each.last for each in best.values())])
    begin_trail, end_trail = ordered_first.halves.trail, ordered_last.halves.trail
    node = torch.cat([begin_trail[begin], end_trail[end][:, 1:]], dim=1)
    return ranked(walks, node, score)


@dataclass(frozen=True)
class _Ordered:
    """Halves in order of node, then of the length of their vectors, and those lengths."""

    halves: Halves
    length: Tensor

    @staticmethod
    def of(halves: Halves) -> _Ordered:
        """Put halves in order."""
        length = halves.vector.norm(dim=1)
        order = torch.argsort(length, descending=True)
        order = order[torch.argsort(halves.node[order], stable=True)]
        return _Ordered(halves.take(order), length[order])


#: Rows ``(a, b, c, d)``: beginnings from a to b and ends from c to d are open at one node.
_Span = tuple[int, int, int, int]


def _meetings(
    walks: WalkGraph, first: _Ordered, last: _Ordered, low: Tensor, high: Tensor
) -> list[tuple[int, float, _Span]]:
    """Where halves meet: the instance, the largest product of lengths, and the rows.

    Ascending by instance, the most promising node first.
    """
    node = ((low.diff() > 0) & (high.diff() > 0)).nonzero().view(-1)
    promise = first.length[low[node]] * last.length[high[node]]
    order = torch.argsort(promise, descending=True)
    order = order[torch.argsort(walks.node_instance[node[order]], stable=True)]
    node, promise = node[order], promise[order]
    columns = [low[node], low[node + 1], high[node], high[node + 1]]
    spans = [(a, b, c, d) for a, b, c, d in torch.stack(columns, dim=1).tolist()]
    return list(zip(walks.node_instance[node].tolist(), promise.tolist(), spans, strict=True))


@dataclass
class _Best:
    """The best pairs of one instance so far.

    Attributes:
        k: how many are kept.
        bar: size to beat.
        score, first, last: ``[at most k]`` their relevance and the rows of their halves.
    """

    k: int
    bar: float
    score: Tensor
    first: Tensor
    last: Tensor

    @staticmethod
    def none(bar: Tensor, k: int) -> _Best:
        """No pair yet, and a size that is known to be beaten k times."""
        empty = torch.zeros(0, dtype=torch.long, device=bar.device)
        return _Best(k, float(bar), bar.new_zeros(0), empty, empty)

    def add(self, product: Tensor, first: int, last: int) -> None:
        """Look at the products ``[beginnings, ends]`` of the rows from ``first`` and ``last``."""
        flat = product.view(-1)
        at = flat.abs().topk(min(self.k, flat.numel())).indices
        row, column = at // product.size(1), at % product.size(1)
        score = torch.cat([self.score, flat[at]])
        begin = torch.cat([self.first, first + row])
        end = torch.cat([self.last, last + column])
        kept = score.abs().topk(min(self.k, score.numel())).indices
        self.score, self.first, self.last = score[kept], begin[kept], end[kept]
        if self.score.numel() == self.k:
            self.bar = max(self.bar, float(self.score.abs().min()))


def _meet(first: _Ordered, last: _Ordered, span: _Span, best: _Best) -> None:
    """Products of the beginnings and ends at one node, the longest vectors first."""
    a, b, c, d = span
    size = max(1, _MOST_PAIRS // (d - c))
    for start in range(a, b, size):
        stop = min(start + size, b)
        ends = d
        if best.bar > 0:  # lengths descend: leave out the ends that are too short
            needed = best.bar * (1 - 1e-5) / max(float(first.length[start]), 1e-300)
            ends = c + int((last.length[c:d] >= needed).sum())
            if ends == c:
                break
        product = first.halves.vector[start:stop] @ last.halves.vector[c:ends].t()
        best.add(product, start, c)
