"""Numbers of changes that are learned, until those at or below zero make another decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.perturbation.counterfactuals.best import Best
from glassgraph.explainers.perturbation.counterfactuals.changes import Changes, Outcome
from glassgraph.explainers.perturbation.counterfactuals.relaxation import Relaxation, Relaxed


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

    Instances with a single change are done, since nothing is smaller. Once half of them are,
    the others go on alone.
    """
    best = Best(search.changes(batch))
    number = best.changes.items.to(batch.dtype)
    rest, part, epoch = torch.arange(batch.num_instances, device=batch.device), best, 0
    while rest.numel() and epoch < search.epochs:
        learning = Learning(batch, part, search)
        number, epoch = learning.run(number, epoch)
        if part is not best:
            best.take_over(rest, part)
        open_ = (~part.is_done).nonzero().view(-1)
        if epoch == search.epochs or not open_.numel():
            break
        rest, batch, number = rest[open_], batch.take(open_), number[open_]
        part = Best(search.changes(batch))
        number = number[:, : part.changes.items.size(1)]
        part.begin_with(best, rest)
    return best


class Learning:
    """Hard masks on the items of B instances, and the best of all masks that were met.

    Args:
        batch: the instances, with the sites of the model.
        best: keeps the best sets.
        search: how masks are learned.
    """

    def __init__(self, batch: InstanceBatch, best: Best, search: Search) -> None:
        self._batch, self._best, self._search = batch, best, search
        self._changes = best.changes
        self._relaxed = Relaxed(batch, best.changes, search.relaxation)
        self._everyone = torch.arange(batch.num_instances, device=batch.device)

    def run(self, number: Tensor, epoch: int) -> tuple[Tensor, int]:
        """Learn until the last epoch, or until half of the instances are done.

        Args:
            number: ``[B, I]`` of changes, which are made at or below zero.
            epoch: how many have been.

        Returns:
            The numbers then, and how many epochs have been.
        """
        items = self._changes.items
        beta, rate = self._search.objective.beta, self._search.rate
        while epoch < self._search.epochs:
            changed = items & (number <= 0)
            outcome, gradient = self._look(changed)
            self._best.update(self._everyone, changed, outcome, self._search.most)
            step = self._scaled(gradient)
            step = step.masked_fill(outcome.flips.view(-1, 1), 0)
            number = (number - rate * (step - beta)).clamp_max(1).masked_fill(~items, 0)
            epoch += 1
            num_done = int(self._best.is_done.sum())
            can_part = not self._batch.is_whole and 2 * num_done > self._everyone.numel()
            if can_part or num_done == self._everyone.numel():
                break
        return number, epoch

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
