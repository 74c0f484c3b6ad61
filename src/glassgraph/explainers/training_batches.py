"""Batches that a method learns from: kept as far as memory goes, made anew at each visit beyond.

What is kept of a batch is the method's business (`TrainingBatch` says what all have in common).
Which predictions are held back for validation is decided here, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.prepare import Preparation
from glassgraph.errors import FitError
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.task import Target

#: Share of the predictions that `fit` holds back where no validation set is given; of a small set
#: more, up to the second share, until there are so many: a handful passes a solution by luck.
_HELD_BACK, _MOST_HELD_BACK, _FEW = 0.25, 0.4, 50


class TrainingBatch(Protocol):
    """What a method keeps of a batch to learn from it."""

    @property
    def batch(self) -> InstanceBatch:
        """The batch."""

    @property
    def num_messages(self) -> int:
        """How many gates there are; a batch without any is skipped."""

    @property
    def num_bytes(self) -> int:
        """Memory that it takes besides the batch."""


Kept = TypeVar("Kept", bound=TrainingBatch)

#: ``cut(preparation, instances, size, budget)`` yields positions among the instances and the batch
#: of these predictions: ``size`` of them, or as many as fit into ``budget`` bytes. Where both are
#: None, all are in one batch.
Cut = Callable[
    [Preparation, Instances, "int | None", "int | None"], Iterator[tuple[Tensor, InstanceBatch]]
]


@dataclass
class TrainingBatches(Generic[Kept]):
    """Batches to learn from.

    Attributes:
        budget: bytes that may be kept.
        cut: how predictions are put into batches.
        read: what is kept of a batch.
    """

    budget: int
    cut: Cut
    read: Callable[[InstanceBatch], Kept]
    _kept: list[Kept | None] = field(default_factory=list)
    _source: list[tuple[Preparation, Instances]] = field(default_factory=list)
    _spent: int = 0

    def add(self, preparation: Preparation, instances: Instances, size: int | None) -> None:
        """Take in predictions, ``size`` in a batch, or as many as fit."""
        for position, batch in self.cut(preparation, instances, size, self.budget):
            kept = self.read(batch)
            if kept.num_messages:
                self._spent += 2 * kept.num_bytes
                self._source.append((preparation, instances.take(position)))
                has_room = self._spent <= self.budget or not self._kept
                self._kept.append(kept if has_room else None)

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, number: int) -> Kept:
        kept = self._kept[number]
        if kept is not None:
            return kept
        preparation, instances = self._source[number]
        position, batch = next(self.cut(preparation, instances, None, None))
        if len(position) != len(instances):
            raise FitError(
                f"a batch of {len(instances)} predictions came back with {len(position)}: the "
                "model gives other outputs than before; a larger memory_budget keeps all batches"
            )
        return self.read(batch)

    def __iter__(self) -> Iterator[Kept]:
        return (self[number] for number in range(len(self)))

    def shuffled(self, steps: int, seed: int) -> Iterator[Kept]:
        """So many batches, in a new random order each round."""
        return (self[number] for number in random_order(len(self), steps, seed))

    @property
    def num_predictions(self) -> int:
        """Predictions in all batches."""
        return sum(len(instances) for _, instances in self._source)

    def emptied(self) -> TrainingBatches[Kept]:
        """No batches, which are cut and read like these."""
        return TrainingBatches(self.budget, self.cut, self.read)

    def split(self) -> tuple[TrainingBatches[Kept], TrainingBatches[Kept]]:
        """All but the last quarter of the batches, and that quarter (at least one)."""
        first = len(self) - max(1, int(_HELD_BACK * len(self)))
        parts = []
        for span in (slice(None, first), slice(first, None)):
            part = self.emptied()
            part._kept, part._source = self._kept[span], self._source[span]
            parts.append(part)
        return parts[0], parts[1]


def random_order(number: int, steps: int, seed: int) -> Iterator[int]:
    """``steps`` of the numbers below ``number``, in a new random order each round."""
    generator = torch.Generator().manual_seed(seed)
    done = 0
    while True:
        for each in torch.randperm(number, generator=generator).tolist():
            if done == steps:
                return
            done += 1
            yield each


def shuffle(instances: Instances, seed: int) -> Tensor:
    """Positions of all instances in a random order."""
    return torch.randperm(len(instances), generator=torch.Generator().manual_seed(seed))


def hold_back(order: Tensor) -> tuple[Tensor, Tensor]:
    """Positions to learn from, and those of a quarter, or 50 (at most 40 %), to validate on.

    A single one is both.
    """
    number = order.numel()
    num_held = int(max(_HELD_BACK * number, min(_FEW, _MOST_HELD_BACK * number)))
    return order[num_held:], order[: num_held or None]


def fit_target(preparation: Preparation) -> Target:
    """Fitting compares whole outputs; a regression with several wants one named all the same."""
    return None if preparation.task.is_classification else 0
