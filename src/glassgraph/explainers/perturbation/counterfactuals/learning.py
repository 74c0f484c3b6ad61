"""Numbers of changes that are learned, until those at or below zero make another decision.

A step depends on the set of changes alone, and a search that circles around small sets comes back
to the same ones. So each instance remembers the last sets that it met, and goes on by itself as far
as they tell; the model is run once all wait for a set that is new to them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.perturbation.counterfactuals.best import Best
from glassgraph.explainers.perturbation.counterfactuals.changes import Changes, Outcome
from glassgraph.explainers.perturbation.counterfactuals.relaxation import Relaxation, Relaxed

#: Sets that an instance remembers.
_REMEMBERED = 16


@dataclass(frozen=True)
class Objective:
    """What the numbers of changes are learned for.

    Attributes:
        beta: weight of the number of changes.
    """

    beta: float


@dataclass(frozen=True)
class Search:
    """How masks are learned, and what of.

    Attributes:
        objective: what for.
        epochs: steps, at most.
        rate: step size of the numbers.
        relaxation: what gradients are taken of.
        most: changes that a set may have, None for any number.
        changes: evaluates changes of a batch.
    """

    objective: Objective
    epochs: int
    rate: float
    relaxation: Relaxation
    most: int | None
    changes: Callable[[InstanceBatch], Changes]


def learned(batch: InstanceBatch, search: Search) -> Best:
    """The best set of changes of each instance.

    Instances with a single change are done, since nothing is smaller. Once a quarter of them is
    left that are not, and have steps to make, these go on alone.
    """
    best = Best(search.changes(batch))
    rest, part = torch.arange(batch.num_instances, device=batch.device), best
    paths = Paths.begin(part.changes.items, batch.dtype)
    relaxed = Relaxed(batch, part.changes, search.relaxation)
    while True:
        Learning(batch, part, search, relaxed, paths).run()
        if part is not best:
            best.take_over(rest, part)
        open_ = (~paths.are_at_end(part, search.epochs)).nonzero().view(-1)
        if not open_.numel():
            return best
        rest, batch = rest[open_], batch.take(open_)
        part = Best(search.changes(batch))
        part.begin_with(best, rest)
        paths = paths.take(open_, part.changes.items.size(1))
        relaxed = relaxed.take(open_, batch, part.changes)


@dataclass
class Paths:
    """Where B instances stand, and what they remember of the way.

    Attributes:
        number: ``[B, I]`` of changes, which are made at or below zero.
        epoch: ``[B]`` steps that were made.
        seen: sets ``[B, I]`` that the model was run on, the last ones first, each with the step
            ``[B, I]`` from there.
    """

    number: Tensor
    epoch: Tensor
    seen: deque[tuple[Tensor, Tensor]]

    @classmethod
    def begin(cls, items: Tensor, dtype: torch.dtype) -> Paths:
        """With nothing changed."""
        epoch = torch.zeros(items.size(0), dtype=torch.long, device=items.device)
        return cls(items.to(dtype), epoch, deque(maxlen=_REMEMBERED))

    def take(self, rows: Tensor, width: int) -> Paths:
        """Those of some instances, none of which has more items than ``width``."""
        seen = [(changed[rows, :width], step[rows, :width]) for changed, step in self.seen]
        number = self.number[rows, :width]
        return Paths(number, self.epoch[rows], deque(seen, maxlen=_REMEMBERED))

    def are_at_end(self, best: Best, epochs: int) -> Tensor:
        """``[B]`` which instances have made their steps, or need no more."""
        return best.is_done | (self.epoch >= epochs)

    def go_on(self, items: Tensor, best: Best, epochs: int) -> Tensor:
        """Make steps from sets that are known; the sets ``[B, I]`` where that ends.

        Args:
            items: ``[B, I]`` which changes there are.
            best: says who needs no more.
            epochs: steps, at most.
        """
        rows = (~self.are_at_end(best, epochs)).nonzero().view(-1)
        while rows.numel():
            changed = items[rows] & (self.number[rows] <= 0)
            known, step = self._remembered(rows, changed)
            rows = rows[known]
            moved = (self.number[rows] - step[known]).clamp_max(1)
            self.number[rows] = moved.masked_fill(~items[rows], 0)
            self.epoch[rows] += 1
            rows = rows[self.epoch[rows] < epochs]
        return items & (self.number <= 0)

    def _remembered(self, rows: Tensor, changed: Tensor) -> tuple[Tensor, Tensor]:
        """``[K]`` which of some instances know their sets ``[K, I]``, and the steps from those."""
        known = torch.zeros_like(rows, dtype=torch.bool)
        step = torch.zeros_like(self.number[rows])
        for other, its_step in self.seen:
            new = (other[rows] == changed).all(dim=1) & ~known
            step[new] = its_step[rows[new]]
            known |= new
            if bool(known.all()):
                break
        return known, step


class Learning:
    """Hard masks on the items of B instances, and the best of all masks that were met.

    Args:
        batch: the instances, with the sites of the model.
        best: keeps the best sets.
        search: how masks are learned.
        relaxed: what gradients are taken of.
        paths: where the instances stand.
    """

    def __init__(
        self, batch: InstanceBatch, best: Best, search: Search, relaxed: Relaxed, paths: Paths
    ) -> None:
        self._batch, self._best, self._search = batch, best, search
        self._changes, self._relaxed, self._paths = best.changes, relaxed, paths
        self._everyone = torch.arange(batch.num_instances, device=batch.device)

    def run(self) -> None:
        """Learn until a quarter of the instances is left; none, if they are on one graph."""
        while True:
            changed = self._paths.go_on(self._changes.items, self._best, self._search.epochs)
            at_end = self._paths.are_at_end(self._best, self._search.epochs)
            waiting = (~at_end).nonzero().view(-1)
            can_part = not self._batch.is_whole and 4 * waiting.numel() <= at_end.numel()
            if can_part or not waiting.numel():
                return
            outcome, gradient = self._look(changed)
            found = outcome.take(waiting)
            self._best.update(waiting, changed[waiting], found, self._search.most)
            step = self._scaled(gradient).masked_fill(outcome.flips.view(-1, 1), 0)
            step = self._search.rate * (step - self._search.objective.beta)
            self._paths.seen.appendleft((changed, step))

    def _scaled(self, gradient: Tensor) -> Tensor:
        """Gradients whose largest is 1 in every instance, and none less than -1.

        Where no change takes the prediction anywhere, the one that holds it back least is made.
        """
        items = self._changes.items
        largest = gradient.masked_fill(~items, float("-inf")).amax(dim=1, keepdim=True)
        is_largest = (gradient >= largest) & items
        tiny = torch.finfo(gradient.dtype).tiny
        scaled = (gradient / largest.clamp_min(tiny)).clamp(-1, 1)
        return torch.where(largest > 0, scaled, is_largest.to(gradient.dtype))

    def _look(self, changed: Tensor) -> tuple[Outcome, Tensor]:
        """What changes do, and how the distance grows ``[B, I]`` with each of them."""
        leaf = changed.to(self._batch.dtype).requires_grad_()
        with torch.enable_grad():
            output = self._relaxed.changed(leaf)
            outcome = self._changes.outcome(self._everyone, output, changed)
            (gradient,) = self._batch.gradients(outcome.distance, [leaf])
        if not self._relaxed.is_exact:
            outcome = self._changes.evaluate(self._everyone, changed)
        return Outcome(outcome.distance.detach(), outcome.flips, outcome.keeps), gradient
