"""The best deletion of each instance so far: one that changes the decision, and small."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glassgraph.explainers.perturbation.counterfactuals.deletion import Deletions, Outcome


class Best:
    """What was found for B instances.

    Deletions that change the decision come before those that do not; then fewer items come first,
    then the longer way (the larger `Outcome.distance`). Of those that do not change it the one that
    goes farthest is kept, whatever its size.

    Args:
        deletions: evaluates them.

    Attributes:
        deleted: ``[B, I]`` the items that go.
        changes: ``[B]`` whether that changes the decision.
        distance: ``[B]`` how far it goes.
    """

    def __init__(self, deletions: Deletions) -> None:
        self.deletions = deletions
        self.deleted = torch.zeros_like(deletions.items)
        self.changes = torch.zeros_like(deletions.items[:, 0])
        self.distance = deletions.batch.reference.new_zeros(self.changes.shape)

    @property
    def size(self) -> Tensor:
        """``[B]`` how many items go."""
        return self.deleted.sum(dim=1)

    @property
    def is_done(self) -> Tensor:
        """``[B]`` whether nothing smaller can be found."""
        return self.changes & (self.size == 1)

    def begin_with(self, other: Best, rows: Tensor) -> None:
        """Know what is known of the instances ``rows`` of another."""
        self.deleted[:] = other.deleted[rows][:, : self.deleted.size(1)]
        self.changes[:], self.distance[:] = other.changes[rows], other.distance[rows]

    def put(self, deleted: Tensor, outcome: Outcome) -> None:
        """Take deletions ``[B, I]``, whatever was known."""
        self.deleted[:] = deleted
        self.changes[:], self.distance[:] = outcome.changes, outcome.distance

    def take_over(self, rows: Tensor, other: Best) -> None:
        """Know what another one found, whose instances are the ``rows`` of this one."""
        self.deleted[rows, : other.deleted.size(1)] = other.deleted
        self.changes[rows], self.distance[rows] = other.changes, other.distance

    @property
    def rounding(self) -> float:
        """What differences of distances are no differences."""
        return math.pow(torch.finfo(self.distance.dtype).eps, 0.75)

    def update(
        self, instance: Tensor, deleted: Tensor, outcome: Outcome, most: int | None = None
    ) -> Tensor:
        """Take deletions that are better; which of them did, ``[K]``.

        Args:
            instance: ``[K]`` whose they are, each once.
            deleted: ``[K, I]``.
            outcome: what they do.
            most: items that a deletion may have; None for any number.
        """
        size, old = deleted.sum(dim=1), self.size[instance]
        is_farther = outcome.distance > self.distance[instance] + self.rounding
        is_smaller = (size < old) | ((size == old) & is_farther)
        better = outcome.changes & (~self.changes[instance] | is_smaller)
        better |= ~outcome.changes & ~self.changes[instance] & is_farther
        if most is not None:
            better &= size <= most
        row = instance[better]
        self.deleted[row] = deleted[better]
        self.changes[row] = outcome.changes[better]
        self.distance[row] = outcome.distance[better]
        return better


def without_needless(best: Best) -> None:
    """Put items back, one at a time, as long as the decision stays changed without them.

    Of the items that can be put back the one goes back whose return leaves the longest way. What is
    left is irreducible: no item can be put back alone.
    """
    deletions = best.deletions
    active = (best.changes & (best.size > 1)).nonzero().view(-1)
    while active.numel():
        row, item = best.deleted[active].nonzero(as_tuple=True)
        instance, deleted = active[row], best.deleted[active[row]]
        deleted[torch.arange(item.numel(), device=item.device), item] = False
        outcome = deletions.evaluate(instance, deleted)
        distance = outcome.distance.where(outcome.changes, float("-inf"))
        first = first_best(instance, distance, deletions.hash[instance, item])
        first = first[outcome.changes[first]]
        chosen = Outcome(outcome.distance[first], outcome.changes[first])
        best.update(instance[first], deleted[first], chosen)
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
