"""The k most relevant walks, without listing them all.

Beginnings and ends of walks (`halves`) are joined where they meet; a pair is looked at only
if the product of the lengths of its vectors could beat the k-th best walk known so far. That is
exact. Where even the halves are too many, those are dropped first that provably cannot become one
of the best, and only then, with a warning, those that are least likely to.

The problem is that of Xiong, Schnake, Gastegger, Montavon, Müller and Nakajima, "Relevant Walk
Search for Explaining Graph Neural Networks" (ICML 2023,
https://proceedings.mlr.press/v202/xiong23b.html). Its EMP-neu and AMP-ave are in `paths`.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from glassgraph.explainers.decomposition.walks.halves import (
    Halves,
    append,
    first_halves,
    last_halves,
    num_grown,
    prepend,
)
from glassgraph.explainers.decomposition.walks.joins import join
from glassgraph.explainers.decomposition.walks.lists import Walks, all_walks, ranked
from glassgraph.explainers.decomposition.walks.paths import longest_paths
from glassgraph.relevance.walks import WalkGraph, WalkLayer
from glassgraph.results.paths import best_of_each

#: Numbers that all halves of one side may hold.
_MOST_NUMBERS = 1 << 25
#: Up to so many walks, listing all is the fastest way to the best.
_FEW_WALKS = 1 << 20


class ApproximateSearchWarning(UserWarning):
    """The best walks found may not be the best ones."""


def best_walks(walks: WalkGraph, k: int) -> Walks:
    """The k walks of largest absolute relevance of each instance; all of them if there are fewer.

    Args:
        walks: the walk graph.
        k: how many.

    Warns:
        ApproximateSearchWarning: if not all halves of walks that matter fit into memory.
    """
    if float(walks.num_walks.sum()) > _FEW_WALKS:
        return search_walks(walks, k)
    found = all_walks(walks, most=_FEW_WALKS)
    return _best(walks, found.node, found.score, k)


def search_walks(walks: WalkGraph, k: int, *, most_numbers: int = _MOST_NUMBERS) -> Walks:
    """The same without listing walks first; ``most_numbers`` bounds what halves may hold."""
    known = longest_paths(walks, k, by_size=True)
    bar = _kth_best(known, k, walks.num_instances)
    first, last, dropped = _halves_that_meet(walks, bar, most_numbers)
    found = join(walks, first, last, bar, k)
    if bool(dropped.any()):
        warnings.warn(
            f"of {int(dropped.sum())} instances some walks were left out unseen, so that the best "
            "found may not be the best; explain fewer layers, or use search='longest'",
            ApproximateSearchWarning,
            stacklevel=2,
        )
        node = torch.cat([found.node, known.node])
        node, place = torch.unique(node, dim=0, return_inverse=True)
        score = found.score.new_zeros(node.size(0))
        score = score.index_copy(0, place, torch.cat([found.score, known.score]))
        found = _best(walks, node, score, k)
    return found


def _best(walks: WalkGraph, node: Tensor, score: Tensor, k: int) -> Walks:
    """The k best of some walks."""
    kept = best_of_each(walks.node_instance[node[:, 0]], score.abs(), k)
    return ranked(walks, node[kept], score[kept])


def _kth_best(found: Walks, k: int, num_instances: int) -> Tensor:
    """The k-th best score of each instance, minus infinity where there are fewer."""
    score = found.score.abs()
    count = torch.bincount(found.instance, minlength=num_instances)
    last = count.cumsum(0) - count + k - 1
    bar = score.new_full((num_instances,), -float("inf"))
    has_enough = count >= k
    bar[has_enough] = score[last[has_enough]]
    return bar


def _halves_that_meet(
    walks: WalkGraph, bar: Tensor, most_numbers: int
) -> tuple[Halves, Halves, Tensor]:
    """Beginnings and ends up to a position they share, and the instances that lost any.

    At each step the side grows that stays smaller.
    """
    first, last = first_halves(walks), last_halves(walks)
    start, stop = 0, walks.num_layers
    dropped = torch.zeros(walks.num_instances, dtype=torch.bool, device=bar.device)
    while start < stop:
        more_first = num_grown(walks, first, start, ends=False) * walks.widths[start + 1]
        more_last = num_grown(walks, last, stop - 1, ends=True) * walks.widths[stop - 1]
        if more_first <= more_last:
            first, lost = _fitting(walks, first, (start, stop), last, bar, most_numbers, ends=False)
            first, start = append(walks, first, start), start + 1
        else:
            last, lost = _fitting(walks, last, (start, stop), first, bar, most_numbers, ends=True)
            last, stop = prepend(walks, last, stop - 1), stop - 1
        dropped |= lost
    return first, last, dropped


def _fitting(
    walks: WalkGraph,
    halves: Halves,
    span: tuple[int, int],
    others: Halves,
    bar: Tensor,
    most_numbers: int,
    *,
    ends: bool,
) -> tuple[Halves, Tensor]:
    """Halves whose continuations fit into memory, and the instances that lost any that matter.

    Args:
        walks: the walk graph.
        halves: those that are to grow.
        span: positions where beginnings and ends are open.
        others: the other side.
        bar: ``[B]`` score to beat.
        most_numbers: memory.
        ends: whether ``halves`` are ends.
    """
    lost = torch.zeros_like(bar, dtype=torch.bool)
    position = span[1] - 1 if ends else span[0]
    width = walks.widths[position if ends else position + 1]

    def size(some: Halves) -> int:
        return num_grown(walks, some, position, ends=ends) * width

    if size(halves) <= most_numbers:
        return halves, lost
    reach = _reach(walks, others, span, ends=ends)
    best = (halves.vector.abs() * reach[halves.node]).sum(1)
    instance = walks.node_instance[halves.node]
    halves, best = _kept(halves, best, best >= bar[instance] * (1 - 1e-5))
    share = most_numbers / max(1, size(halves))
    while share < 1:
        instance = walks.node_instance[halves.node]
        rank = torch.argsort(torch.argsort(best, descending=True))
        is_kept = rank < max(1, int(share * best.numel()))
        lost[instance[~is_kept]] = True
        halves, best = _kept(halves, best, is_kept)
        share = most_numbers / max(1, size(halves)) if halves.node.numel() > 1 else 1.0
    return halves, lost


def _kept(halves: Halves, best: Tensor, is_kept: Tensor) -> tuple[Halves, Tensor]:
    row = is_kept.nonzero().view(-1)
    return halves.take(row), best[row]


def _reach(walks: WalkGraph, others: Halves, span: tuple[int, int], *, ends: bool) -> Tensor:
    """A bound ``[n, V_p]`` on each column of what the other side can bring to a node.

    The largest product of absolute values, column by column, over all ways from there.
    """
    shape = (walks.num_nodes, others.vector.size(1))
    bound = others.vector.new_zeros(shape)
    index = others.node.unsqueeze(1).expand_as(others.vector)
    bound = bound.scatter_reduce(0, index, others.vector.abs(), "amax")
    positions = range(*span) if ends else reversed(range(*span))
    for position in positions:
        bound = _bound_step(walks, walks.layers[position], position, bound, ends)
    return bound


def _bound_step(
    walks: WalkGraph, layer: WalkLayer, position: int, bound: Tensor, forward: bool
) -> Tensor:
    source, destination = walks.pairs[position]
    width = walks.widths[position + 1] if forward else walks.widths[position]
    value = bound.new_zeros((source.numel(), width))
    key = destination * walks.num_nodes + source
    for step in layer.steps:
        pair = torch.searchsorted(key, step.receiver * walks.num_nodes + step.sender)
        if forward:
            taken = bound[step.sender][:, step.columns]
            value.index_add_(0, pair, torch.einsum("md,mdv->mv", taken, step.block.abs()))
        else:
            taken = torch.einsum("mv,mdv->md", bound[step.receiver], step.block.abs())
            value[:, step.columns].index_add_(0, pair, taken)
    before, after = layer.stay if forward else layer.stay.flip(0)
    stays = (source == destination).nonzero().view(-1)
    value[stays.unsqueeze(1), after] += bound[source[stays]][:, before]
    end = destination if forward else source
    result = bound.new_zeros((walks.num_nodes, width))
    return result.scatter_reduce(0, end.unsqueeze(1).expand_as(value), value, "amax")
