"""The best changes of each instance so far: they make another decision, and are few."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glassgraph.explainers.perturbation.counterfactuals.changes import Changes, Outcome


class Best:
    """What was found for B instances.

    Counterfactuals come before other sets of changes; then fewer changes come first, then the
    longer way (the larger `Outcome.distance`). Of those that keep the rules and do not make another
    decision the one that goes farthest is kept, whatever its size.

    Args:
        changes: evaluates them.

    Attributes:
        changed: ``[B, I]`` which items change.
        is_valid: ``[B]`` whether that is a counterfactual.
        distance: ``[B]`` how far it goes.
    """

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self.changed = torch.zeros_like(changes.items)
        self.is_valid = torch.zeros_like(changes.items[:, 0])
        self.distance = changes.batch.reference.new_zeros(self.is_valid.shape)

    @property
    def size(self) -> Tensor:
        """``[B]`` how many items change."""
        return self.changed.sum(dim=1)

    @property
    def is_done(self) -> Tensor:
        """``[B]`` whether nothing smaller can be found."""
        return self.is_valid & (self.size == 1)

    def begin_with(self, other: Best, rows: Tensor) -> None:
        """Know what is known of the instances ``rows`` of another."""
        self.changed[:] = other.changed[rows][:, : self.changed.size(1)]
        self.is_valid[:], self.distance[:] = other.is_valid[rows], other.distance[rows]

    def put(self, changed: Tensor, outcome: Outcome) -> None:
        """Take sets ``[B, I]``, whatever was known."""
        self.changed[:] = changed
        self.is_valid[:], self.distance[:] = outcome.is_valid, outcome.distance

    def take_over(self, rows: Tensor, other: Best) -> None:
        """Know what another one found, whose instances are the ``rows`` of this one."""
        self.changed[rows, : other.changed.size(1)] = other.changed
        self.is_valid[rows], self.distance[rows] = other.is_valid, other.distance

    @property
    def rounding(self) -> float:
        """What differences of distances are no differences."""
        return math.pow(torch.finfo(self.distance.dtype).eps, 0.75)

    def update(
        self, instance: Tensor, changed: Tensor, outcome: Outcome, most: int | None = None
    ) -> Tensor:
        """Take sets that are better; which of them did, ``[K]``.

        Args:
            instance: ``[K]`` whose they are, each once.
            changed: ``[K, I]``.
            outcome: what they do.
            most: items that a set may have; None for any number.
        """
        size, old = changed.sum(dim=1), self.size[instance]
        is_farther = outcome.distance > self.distance[instance] + self.rounding
        is_smaller = (size < old) | ((size == old) & is_farther)
        better = outcome.is_valid & (~self.is_valid[instance] | is_smaller)
        better |= outcome.keeps & ~outcome.flips & ~self.is_valid[instance] & is_farther
        if most is not None:
            better &= size <= most
        row = instance[better]
        self.changed[row] = changed[better]
        self.is_valid[row] = outcome.is_valid[better]
        self.distance[row] = outcome.distance[better]
        return better


def without_needless(best: Best) -> None:
    """Take changes back, one at a time, as long as what is left is a counterfactual without them.

    Of the changes that can be taken back the one goes first whose return leaves the longest way.
    What is left is irreducible: no change can be taken back alone.
    """
    changes = best.changes
    active = (best.is_valid & (best.size > 1)).nonzero().view(-1)
    while active.numel():
        row, item = best.changed[active].nonzero(as_tuple=True)
        instance, changed = active[row], best.changed[active[row]]
        changed[torch.arange(item.numel(), device=item.device), item] = False
        outcome = changes.evaluate(instance, changed)
        distance = outcome.distance.where(outcome.is_valid, float("-inf"))
        first = first_best(instance, distance, changes.hash[instance, item])
        first = first[outcome.is_valid[first]]
        best.update(instance[first], changed[first], outcome.take(first))
        active = instance[first]
        active = active[best.size[active] > 1]


def first_best(instance: Tensor, value: Tensor, key: Tensor) -> Tensor:
    """Rows of the highest value of each instance; of equals, up to rounding, the smallest key's.

    Args:
        instance: ``[K]`` ascending.
        value: ``[K]``; may be infinite.
        key: ``[K]``.
    """
    size = int(instance[-1]) + 1 if instance.numel() else 0
    lowest = value.new_full((size,), float("-inf"))
    top = lowest.scatter_reduce(0, instance, value, "amax")
    scale = top.abs().where(top.isfinite(), torch.zeros_like(top)).clamp_min(1)
    rounding = math.pow(torch.finfo(value.dtype).eps, 0.75) * scale
    row = (value >= (top - rounding)[instance]).nonzero().view(-1)
    row = row[torch.argsort(key[row], stable=True)]
    row = row[torch.argsort(instance[row], stable=True)]
    is_first = torch.ones_like(row, dtype=torch.bool)
    is_first[1:] = instance[row[1:]] != instance[row[:-1]]
    return row[is_first]
