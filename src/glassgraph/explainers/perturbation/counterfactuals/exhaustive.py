"""The smallest set of changes of all: sizes are tried from below, a bound closes in from above."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice

import torch
from torch import Tensor

from glassgraph.explainers.perturbation.counterfactuals.best import (
    Best,
    first_best,
    without_needless,
)
from glassgraph.explainers.perturbation.counterfactuals.changes import Outcome

#: Sets of an instance that are evaluated together.
_AT_ONCE = 4096


@dataclass(frozen=True)
class Budget:
    """How much is tried.

    Attributes:
        evaluations: sets of changes of an instance, at most.
        width: items that the bound from above is searched among, the best ones alone.
        most: changes that a set may have, None for any number.
    """

    evaluations: int
    width: int
    most: int | None


class Exhaustive:
    """The search for B instances.

    Args:
        best: keeps what is found.
        budget: how much is tried.

    Attributes:
        tried_up_to: ``[B]`` the size up to which every set was tried.
        spent: ``[B]`` sets that were evaluated.
    """

    def __init__(self, best: Best, budget: Budget) -> None:
        self.best, self.budget = best, budget
        self.changes = best.changes
        items = self.changes.items
        self.tried_up_to = torch.zeros(items.size(0), dtype=torch.long, device=items.device)
        self.spent = torch.zeros_like(self.tried_up_to)
        self.is_out = torch.zeros_like(items[:, 0])

    def run(self) -> None:
        """Single items, then the bound from above, then sizes below it."""
        alone = self._single_items()
        self._bound(alone)
        without_needless(self.best)
        self._sizes_below()

    @property
    def is_proven(self) -> Tensor:
        """``[B]`` whether nothing smaller is a counterfactual."""
        limit = self.changes.num_items
        if self.budget.most is not None:
            limit = limit.clamp_max(self.budget.most)
        return torch.where(
            self.best.is_valid, self.tried_up_to >= self.best.size - 1, self.tried_up_to >= limit
        )

    def _single_items(self) -> Tensor:
        """Distances ``[B, I]`` of each item alone; minus infinity where there is none."""
        instance, item = self.changes.items.nonzero(as_tuple=True)
        found = self.best.distance.new_full(self.changes.items.shape, float("-inf"))
        rest = self.changes.num_items <= self.budget.evaluations
        self.is_out |= ~rest
        taken = rest[instance]
        instance, item = instance[taken], item[taken]
        for some in torch.arange(instance.numel(), device=item.device).split(_AT_ONCE):
            changed = self._masks(instance[some], item[some].view(-1, 1))
            outcome = self.changes.evaluate(instance[some], changed)
            found[instance[some], item[some]] = outcome.distance.nan_to_num(nan=float("-inf"))
            self._keep(instance[some], changed, outcome, item[some])
        self.spent += torch.bincount(instance, minlength=self.spent.numel())
        self.tried_up_to[rest] = self.changes.num_items[rest].clamp_max(1)
        return found

    def _bound(self, alone: Tensor) -> None:
        """Change the item that goes farthest, again and again, among the best ones alone."""
        width = min(self.budget.width, alone.size(1))
        order = alone.topk(width, dim=1).indices
        is_wide = alone.gather(1, order).isfinite()
        changed = torch.zeros_like(self.changes.items)
        active = (~self.best.is_valid & is_wide.any(dim=1)).nonzero().view(-1)
        while active.numel():
            is_left = is_wide[active] & ~changed[active].gather(1, order[active])
            row, column = is_left.nonzero(as_tuple=True)
            instance, item = active[row], order[active[row], column]
            tried = changed[instance]
            tried[torch.arange(item.numel(), device=item.device), item] = True
            outcome = self.changes.evaluate(instance, tried)
            self.spent += torch.bincount(instance, minlength=self.spent.numel())
            value = outcome.distance.nan_to_num(nan=float("-inf"))
            # Counterfactuals come first.
            value = torch.where(outcome.is_valid, value.abs() + 1e6, value)
            first = first_best(instance, value, self.changes.hash[instance, item])
            chosen, outcome = instance[first], outcome.take(first)
            changed[chosen] = tried[first]
            self.best.update(chosen, tried[first], outcome, self.budget.most)
            goes_on = ~outcome.is_valid & (self.spent[chosen] < self.budget.evaluations)
            if self.budget.most is not None:
                goes_on &= changed[chosen].sum(dim=1) < self.budget.most
            active = chosen[goes_on]

    def _sizes_below(self) -> None:
        """Every set of two changes, of three, ... below the bound, one instance at a time."""
        for number in range(self.spent.numel()):
            if self.is_out[number]:
                continue
            items = self.changes.items[number].nonzero().view(-1)
            while not self.is_proven[number]:
                size = int(self.tried_up_to[number]) + 1
                count = math.comb(items.numel(), size)
                if int(self.spent[number]) + count > self.budget.evaluations:
                    self.is_out[number] = True
                    break
                self._try_size(number, items, size)
                self.spent[number] += count
                self.tried_up_to[number] = size

    def _try_size(self, number: int, items: Tensor, size: int) -> None:
        for members in _in_parts(combinations(items.tolist(), size), items):
            instance = torch.full_like(members[:, 0], number)
            changed = self._masks(instance, members)
            outcome = self.changes.evaluate(instance, changed)
            # Sums of hashes wrap around, whatever the order.
            key = self.changes.hash[number][members].sum(dim=1)
            self._keep(instance, changed, outcome, None, key)

    def _keep(
        self,
        instance: Tensor,
        changed: Tensor,
        outcome: Outcome,
        item: Tensor | None,
        key: Tensor | None = None,
    ) -> None:
        """Keep the best of several sets of one size."""
        if key is None:
            assert item is not None
            key = self.changes.hash[instance, item]
        value = outcome.distance.nan_to_num(nan=float("-inf"))
        for is_meant in (outcome.is_valid, outcome.keeps & ~outcome.flips):
            row = is_meant.nonzero().view(-1)
            if row.numel():
                row = row[first_best(instance[row], value[row], key[row])]
                self.best.update(instance[row], changed[row], outcome.take(row), self.budget.most)

    def _masks(self, instance: Tensor, members: Tensor) -> Tensor:
        """Sets ``[K, I]`` from the items ``[K, s]`` that change."""
        changed = torch.zeros_like(self.changes.items[instance])
        return changed.scatter_(1, members, True)


def _in_parts(sets: Iterator[tuple[int, ...]], like: Tensor) -> Iterator[Tensor]:
    while part := list(islice(sets, _AT_ONCE)):
        yield torch.tensor(part, device=like.device)
