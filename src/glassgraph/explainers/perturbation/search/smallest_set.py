"""The smallest sets of items that keep predictions: greedily, then exactly among those left.

Items are edges, both directions of one, or pairs of layer and edge (`edge_subsets`); of what they
mean, and what scores are made of the search, `ErasureSearch` tells.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.perturbation.search.edge_subsets import Subsets
from glassgraph.explainers.perturbation.search.kept_prediction import KeptPrediction
from glassgraph.explainers.perturbation.search.twin_edges import (
    mean_of_twins,
    order_of_ties,
    twin_edges,
)


@dataclass(frozen=True)
class SearchSettings:
    """How sets are searched.

    Attributes:
        exact_up_to: items among which all sets are tried.
        share: share of the items left that one greedy step removes.
        keep_effect: share of the items' effect that has to stay; None for the decision alone.
        layerwise: whether items are pairs of layer and edge.
        budget: bytes that one pass may take.
        removal: what becomes of an edge outside of a set, see `Subsets`.
        pairs: whether an edge and its reverse are one item.
    """

    exact_up_to: int
    share: float
    keep_effect: float | None
    layerwise: bool
    budget: int
    removal: str = "shut"
    pairs: bool = False


class SmallestSets:
    """The search for B instances with up to I items.

    Args:
        batch: the instances.
        settings: how sets are searched.

    Attributes:
        open: ``[B, I]`` the items that are left.
        now: ``[B]`` the explained score with these.
        rank: ``[B, I]`` when an item was removed, from 1; 0 where that was for free.
        has_rivals: ``[B]`` whether a hash has decided between items or sets that are equally good.
    """

    def __init__(self, batch: InstanceBatch, settings: SearchSettings) -> None:
        self.batch, self.settings = batch, settings
        self.subsets = Subsets(
            batch, settings.layerwise, settings.budget, settings.removal, pairs=settings.pairs
        )
        items = self.subsets.items
        layer = torch.arange(self.subsets.num_layers, device=items.device).view(-1, 1)
        self.hash = self.subsets.pad(random.hash64(2, order_of_ties(batch), layer))
        self._twins = self.subsets.pad(random.hash64(3, twin_edges(batch), layer))
        self.kept = KeptPrediction(batch, self.subsets, settings.keep_effect)
        self.open = items & ~self.kept.needs_none.view(-1, 1)
        self.now = self.kept.full.clone()
        self.rank = torch.zeros_like(self.hash)
        self.has_rivals = torch.zeros_like(self.kept.needs_none)

    def scores(self) -> Tensor:
        """Scores ``[L, e]`` of items (L = 1 for edges)."""
        self._eliminate()
        self._search_exactly()
        rank = self.rank.to(self.batch.dtype)
        score = rank / (rank.amax(dim=1, keepdim=True) + 1)
        return mean_of_twins(self.batch, self.subsets.unpad(score.masked_fill(self.open, 1)))

    # Greedy

    def _is_small(self) -> Tensor:
        """Which instances are left to the exact search: few items, and none removed at a cost."""
        return (self.open.sum(dim=1) <= self.settings.exact_up_to) & ~self.rank.any(dim=1)

    def _eliminate(self) -> None:
        """Remove items from the full set, while the prediction stays."""
        is_active = self.open.any(dim=1) & ~self._is_small()
        while bool(is_active.any()):
            instance, item = (self.open & is_active.view(-1, 1)).nonzero(as_tuple=True)
            mask = self.open[instance]
            mask[torch.arange(item.numel(), device=item.device), item] = False
            score, stays = self.kept.evaluate(instance, mask)
            change = score - self.now[instance]
            is_idle = stays & (change.abs() <= self.kept.rounding[instance])
            has_idle = torch.bincount(instance[is_idle], minlength=is_active.numel()) > 0
            is_active &= has_idle | ~self._is_small()

            chosen = torch.where(has_idle[instance], is_idle, stays) & is_active[instance]
            row, level = self._best_first(chosen.nonzero().view(-1), instance, item, score)
            is_active = self._remove(instance[row], item[row], score[row], level, has_idle)

    def _best_first(
        self, row: Tensor, instance: Tensor, item: Tensor, score: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Rows by instance, best first, and how good; ties, up to rounding, by hash."""
        tiny = torch.finfo(score.dtype).tiny
        row = row[torch.argsort(self.hash[instance[row], item[row]])]
        quality = self.kept.quality(instance[row], score[row])
        level = (quality / self.kept.rounding[instance[row]].clamp_min(tiny)).round()
        order = torch.argsort(level, descending=True, stable=True)
        order = order[torch.argsort(instance[row[order]], stable=True)]
        return row[order], level[order]

    def _remove(
        self, instance: Tensor, item: Tensor, score: Tensor, level: Tensor, has_idle: Tensor
    ) -> Tensor:
        """Remove the first items of each instance, as many as can go together.

        Args:
            instance: ``[K]`` whose items they are, ascending.
            item: ``[K]`` items that can go, the best first.
            score: ``[K]`` the explained score without each.
            level: ``[K]`` how good that is, up to rounding.
            has_idle: ``[B]`` whether they leave the score as it is; then all of them may go.

        Returns:
            ``[B]`` whether an instance had any.
        """
        count = torch.bincount(instance, minlength=has_idle.numel())
        first = count.cumsum(0) - count
        place = torch.arange(item.numel(), device=item.device) - first[instance]
        share = (self.settings.share * self.open.sum(dim=1)).long().clamp_min(1)
        number = torch.where(has_idle, count, torch.minimum(share, count))
        number = self._as_many_as_fit(instance, item, place, number, has_idle)

        is_one = number == 1
        self.now[is_one] = score[first[is_one]]
        goes = place < number[instance]
        twin = self._twins[instance, item]
        is_even = (instance[1:] == instance[:-1]) & (level[1:] == level[:-1])
        is_even &= twin[1:] != twin[:-1]
        is_last = place == number[instance] - 1
        decides = torch.where(has_idle[instance], is_last, goes)[:-1]  # all that are idle go, or
        self.has_rivals[instance[:-1][is_even & decides]] = True  # as many as can
        instance, item, place = instance[goes], item[goes], place[goes]
        self.open[instance, item] = False
        turn = self.rank.amax(dim=1)[instance] + place + 1
        self.rank[instance, item] = turn.masked_fill(has_idle[instance], 0)
        return count > 0

    def _as_many_as_fit(
        self, instance: Tensor, item: Tensor, place: Tensor, number: Tensor, has_idle: Tensor
    ) -> Tensor:
        """Halve the number ``[B]`` of items that go together until the prediction stays."""
        is_open_question = number > 1
        while bool(is_open_question.any()):
            goes = place < number[instance]
            mask = self.open.clone()
            mask[instance[goes], item[goes]] = False
            asked = is_open_question.nonzero().view(-1)
            score, fits = self.kept.evaluate(asked, mask[asked])
            is_same = (score - self.now[asked]).abs() <= self.kept.rounding[asked]
            fits &= is_same | ~has_idle[asked]
            self.now[asked[fits]] = score[fits]
            number[asked[~fits]] //= 2
            is_open_question[asked[fits]] = False
            is_open_question &= number > 1
        return number

    # Exact

    def _search_exactly(self) -> None:
        """Keep the best of the smallest sets that keep the prediction."""
        left = self.open.sum(dim=1)
        left = left.where(self._is_small(), 0)
        for num_items in torch.unique(left[left > 0]).tolist():
            pending = (left == num_items).nonzero().view(-1)
            column = self.open[pending].nonzero()[:, 1].view(-1, num_items)
            for size in range(1, num_items):
                if not pending.numel():
                    break
                is_found = self._search_size(pending, column, size)
                pending, column = pending[~is_found], column[~is_found]

    def _search_size(self, pending: Tensor, column: Tensor, size: int) -> Tensor:
        """Try all sets of one size; which of the instances ``[A]`` have one that will do.

        Args:
            pending: ``[A]`` instances.
            column: ``[A, n]`` their items.
            size: how many of them a set has.
        """
        number = torch.arange(column.size(1), device=column.device)
        members = torch.combinations(number, size)
        at_once = max(1, self.subsets.most_rows // int(self.subsets.rows[pending].sum()))
        found = []
        for some in members.split(at_once):
            kept = column[:, some]  # [A, s, size]
            mask = self.open.new_zeros((*kept.shape[:2], self.open.size(1))).scatter(2, kept, True)
            owner = pending.repeat_interleave(some.size(0))
            score, stays = self.kept.evaluate(owner, mask.flatten(0, 1))
            quality = self.kept.quality(owner, score).where(stays, float("-inf"))
            found.append(quality.view(kept.shape[:2]))
        quality = torch.cat(found, dim=1)
        best = quality.amax(dim=1)
        is_found = best > float("-inf")
        is_tied = quality >= (best - self.kept.rounding[pending]).view(-1, 1)
        key = self._sum(self.hash, pending, column, members)
        best_key = key.masked_fill(~is_tied, torch.iinfo(key.dtype).max).argmin(dim=1)
        kind = self._sum(self._twins, pending, column, members)
        is_rival = is_tied & (kind != kind.gather(1, best_key.view(-1, 1)))
        self.has_rivals[pending] |= is_found & is_rival.any(dim=1)
        chosen = column.gather(1, members[best_key])
        keep = torch.zeros_like(self.open[pending]).scatter(1, chosen, True)
        self.open[pending] = torch.where(is_found.view(-1, 1), keep, self.open[pending])
        return is_found

    @staticmethod
    def _sum(value: Tensor, pending: Tensor, column: Tensor, members: Tensor) -> Tensor:
        """Sums ``[A, s]`` over the items of each set; they wrap around, whatever the order."""
        total = value.new_zeros((pending.numel(), members.size(0)))
        for each in members.unbind(dim=1):
            total += value[pending].gather(1, column[:, each])
        return total
