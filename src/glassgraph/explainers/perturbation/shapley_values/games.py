"""Shapley values of many games at once: who is asked, how many coalitions, and what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.perturbation.shapley_values.enumeration import AllCoalitions
from glassgraph.explainers.perturbation.shapley_values.estimate import Sample
from glassgraph.explainers.perturbation.shapley_values.kernel import (
    LEAST_FOR_EACH_PLAYER,
    KernelPairs,
)
from glassgraph.explainers.perturbation.shapley_values.permutations import (
    LEAST_PAIRS,
    OrdersInPairs,
)
from glassgraph.explainers.perturbation.shapley_values.players import Players
from glassgraph.results.records import Reason, Table

Estimator = Literal["kernel", "permutation"]
#: Entries of masks that are held at once.
_ENTRIES_AT_ONCE = 1 << 25
#: Coalitions of an instance beside two for each player, if nothing is said; as in SHAP.
_MORE = 2048


class Game(Protocol):
    """What coalitions are worth."""

    @property
    def num_evaluated(self) -> Tensor:
        """``[B]`` how many graphs of an instance went through the model."""
        ...

    def values(self, instance: Tensor, mask: Tensor) -> Tensor:
        """Values ``[K]`` of coalitions ``[K, W]``, each of the instance ``[K]`` (ascending)."""
        ...


@dataclass(frozen=True)
class Sampling:
    """How many coalitions are valued, and what is made of them.

    Attributes:
        exact_up_to: with at most so many players all coalitions are.
        estimator: what is done beyond.
        samples: coalitions that may be valued then; None for 2048 and two for each player, or as
            many as the estimator needs.
        seed: seed of draws.
    """

    exact_up_to: int
    estimator: Estimator
    samples: int | None
    seed: int

    def of(self, name: str, address: Tensor, key: Tensor) -> Sample:
        """The coalitions of one instance.

        Args:
            name: of the method.
            address: ``[P]`` a number for each player.
            key: number of the instance.

        Raises:
            HyperParameterError: if there are too few for the players.
        """
        count = address.numel()
        least, samples = self._least(count), self._samples(count)
        pays = self.estimator == "kernel" and 2**count - 2 <= samples
        if count <= max(1, self.exact_up_to) or pays:
            return AllCoalitions(count, address.device)
        if samples < least:
            raise HyperParameterError(
                f"{name}: samples={samples} coalitions are too few for the {count} players of one "
                f"of the predictions; estimator={self.estimator!r} needs at least {least}, and "
                "many more for small standard errors. Give more, or samples=None for as many as "
                "fit the players"
            )
        if self.estimator == "kernel":
            return KernelPairs.draw(address, key, self.seed, samples)
        return OrdersInPairs.draw(address, key, self.seed, samples)

    def _samples(self, count: int) -> int:
        if self.samples is not None:
            return self.samples
        return max(2 * count + _MORE, self._least(count))

    def _least(self, count: int) -> int:
        if self.estimator == "kernel":
            return LEAST_FOR_EACH_PLAYER * count
        return 2 * LEAST_PAIRS * (count - 1)


@dataclass(frozen=True)
class Found:
    """Shapley values of all players of a batch.

    Attributes:
        players: who they are.
        value: ``[P]`` float64.
        standard_error: ``[P]``, 0 where a value is exact.
        without: ``[B]`` what nobody is worth.
        together: ``[B]`` what everyone is worth.
        coalitions: ``[B]`` how many coalitions were asked for.
        evaluated: ``[B]`` how many different graphs that took.
        is_exact: ``[B]`` whether values are exact.
    """

    players: Players
    value: Tensor
    standard_error: Tensor
    without: Tensor
    together: Tensor
    coalitions: Tensor
    evaluated: Tensor
    is_exact: Tensor

    def scores(self, batch: InstanceBatch) -> Tensor:
        """``[e]`` or ``[n]`` values, 0 for who does not play."""
        found = self.value.new_zeros(self.players.place_of.shape)
        return found.index_copy(0, self.players.row, self.value).to(batch.dtype)

    def table(self) -> Table:
        """The games, one row for each instance."""
        instance = torch.arange(self.without.numel(), device=self.without.device)
        values = {
            "players": self.players.count,
            "coalitions": self.coalitions,
            "evaluated": self.evaluated,
            "without": self.without,
            "together": self.together,
            "exact": self.is_exact,
        }
        return Table(instance, {}, values)

    def reasons(self, what: str) -> tuple[Reason, ...]:
        """Why values may tell nothing apart: nobody plays, or errors are as large as values."""
        noise, size = (
            torch.zeros_like(self.without).index_add(0, self.players.instance, each.square())
            for each in (self.standard_error, self.value)
        )
        return (
            Reason(f"no {what} can reach the prediction", self.players.count == 0),
            Reason(
                "standard errors are as large as the values: more samples would tell",
                (noise > 0) & (2 * noise >= size),
                is_told=True,
            ),
        )


def solve(name: str, game: Game, players: Players, sampling: Sampling) -> Found:
    """Shapley values of every instance, the coalitions of many valued together.

    Raises:
        HyperParameterError: if there are too few samples for an instance.
    """
    addresses = players.address.split(players.count.tolist())
    samples = (
        sampling.of(name, address, key) for address, key in zip(addresses, players.key, strict=True)
    )
    value, error, ends, exact = [], [], [], []
    counts: list[int] = []
    for group in _groups(samples, players):
        first = len(counts)
        sizes = [masks.size(0) for _, masks in group]
        width = max(1, *(masks.size(1) for _, masks in group))
        mask = torch.cat([pad(masks, (0, width - masks.size(1))) for _, masks in group])
        instance = torch.arange(first, first + len(group), device=mask.device)
        instance = instance.repeat_interleave(torch.tensor(sizes, device=mask.device))
        mask = pad(mask, (0, players.width - width))
        for (sample, _), own in zip(group, game.values(instance, mask).split(sizes), strict=True):
            estimate = sample.estimate(own)
            value.append(estimate.value)
            error.append(estimate.standard_error)
            ends.append(own[[0, -1 if own.numel() == 1 else 1]])
            counts.append(own.numel())
            exact.append(sample.is_exact)
    device = players.count.device
    without, together = torch.stack(ends).unbind(dim=1)
    return Found(
        players=players,
        value=torch.cat(value),
        standard_error=torch.cat(error),
        without=without,
        together=together,
        coalitions=torch.tensor(counts, device=device),
        evaluated=game.num_evaluated,
        is_exact=torch.tensor(exact, device=device),
    )


def _groups(samples: Iterator[Sample], players: Players) -> Iterator[list[tuple[Sample, Tensor]]]:
    """Samples with their masks, as many as are held at once."""
    group: list[tuple[Sample, Tensor]] = []
    filled = 0
    for sample in samples:
        masks = sample.masks
        entries = masks.size(0) * players.width
        if group and filled + entries > _ENTRIES_AT_ONCE:
            yield group
            group, filled = [], 0
        group.append((sample, masks))
        filled += entries
    if group:
        yield group
