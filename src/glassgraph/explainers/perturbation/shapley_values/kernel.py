"""Shapley values by weighted least squares over coalitions, each beside its complement.

Shapley values are the additive game ``u(S) = v(none) + sum of phi[i] over i in S`` that is nearest
to ``v`` where everyone together is worth what they are, and a coalition of k counts
``1 / (C(P, k) k (P - k))`` (Lundberg and Lee, "A Unified Approach to Interpreting Model
Predictions", NeurIPS 2017, https://arxiv.org/abs/1705.07874). Where every coalition ``S`` comes
with its complement ``S'`` (Covert and Lee, "Improving KernelSHAP", AISTATS 2021,
https://arxiv.org/abs/2012.01536), the two errors enter as their difference alone, and what is left
is a regression on signs:

    minimize   sum over pairs of   w (v(S) - v(S') - s . phi) ** 2
    with       sum(phi) = v(all) - v(none)

where ``s[i]`` is 1 for members of ``S`` and -1 for the others. Pairs of sizes ``(k, P - k)`` come
from the outside in, as in GNNShap (Akkas and Azad, WWW 2024, https://arxiv.org/abs/2401.04829):
all there are, as long as their share of the pairs pays for it; the pairs left are drawn, each
counting the same.

The standard error is that of the least-squares fit under draws of pairs: the pairs drawn follow
each other by size, so differences of neighbors show how far the draws scatter (as for systematic
samples), and what the fit has taken off the residuals is put back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.explainers.perturbation.shapley_values.estimate import Estimate, ends

#: Coalitions for each player that least squares need, at least.
LEAST_FOR_EACH_PLAYER = 4
#: Directions that weigh less than this share of the heaviest are not told by the pairs.
_RANK = 1e-9
#: Random numbers that are drawn at once.
_DRAWS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class KernelPairs:
    """Pairs of a coalition and its complement.

    Attributes:
        member: ``[p, P]`` the coalitions.
        weight: ``[p]`` what each pair counts, float64.
        num_drawn: how many of the pairs, the last ones, were drawn.
    """

    member: Tensor
    weight: Tensor
    num_drawn: int

    @staticmethod
    def draw(address: Tensor, key: Tensor, seed: int, samples: int) -> KernelPairs:
        """Choose pairs of coalitions.

        Args:
            address: ``[P]`` a number for each player, by which it is drawn.
            key: ``[]`` number of the instance.
            seed: seed.
            samples: how many coalitions there may be, without nobody and everyone.
        """
        count, left = address.numel(), samples // 2
        sizes = list(_pairs_by_size(count))
        total = sum(weight for _, _, weight in sizes)
        member, weight = [], []
        for place, (size, number, own) in enumerate(sizes):
            rest = sum(each for _, _, each in sizes[place:])
            if number > left * own / rest + 1e-9:
                break
            member.append(_all_of_size(count, size, number).to(address.device))
            weight.append(torch.full((number,), own / total / number, dtype=torch.float64))
            left -= number
        open_sizes = sizes[len(member) :]
        if open_sizes:
            share = sum(own for _, _, own in open_sizes) / total
            member.append(_drawn(address, key, seed, left, open_sizes))
            weight.append(torch.full((left,), share / left, dtype=torch.float64))
        joined = torch.cat(weight).to(address.device)
        return KernelPairs(torch.cat(member), joined, left if open_sizes else 0)

    @property
    def is_exact(self) -> bool:
        """Whether all coalitions of all sizes are among the pairs."""
        return not self.num_drawn

    @property
    def masks(self) -> Tensor:
        """``[2 + 2 p, P]``: nobody, everyone, the coalitions, their complements."""
        member = self.member
        return torch.cat([ends(member.size(1), member), member, ~member])

    def estimate(self, values: Tensor) -> Estimate:
        """Fit the signs."""
        count = self.member.size(1)
        together = values[1] - values[0]
        first, second = values[2:].chunk(2)
        sign = 2.0 * self.member.double() - 1.0
        mean = sign.mean(dim=1, keepdim=True)
        target = first - second - mean.view(-1) * together
        sign = sign - mean  # the sum of the values is known, so that only their differences are not
        weighted = sign * self.weight.view(-1, 1)
        inverse = torch.linalg.pinv(sign.T @ weighted, rtol=_RANK, hermitian=True)
        found = inverse @ (weighted.T @ target)
        residual = target - sign @ found
        error = self._standard_error(sign, weighted, inverse, residual)
        return Estimate(found - found.mean() + together / count, error)

    def _standard_error(
        self, sign: Tensor, weighted: Tensor, inverse: Tensor, residual: Tensor
    ) -> Tensor:
        drawn = self.num_drawn
        if not drawn:
            return torch.zeros_like(inverse[0])
        influence = (weighted[-drawn:] @ inverse) * residual[-drawn:].view(-1, 1)
        fitted = float((sign[-drawn:] * (weighted[-drawn:] @ inverse)).sum())  # degrees of freedom
        scatter = influence.diff(dim=0).square().sum(dim=0) / 2
        return (scatter * drawn / max(drawn - 1, 1) * drawn / max(drawn - fitted, 1.0)).sqrt()


def _pairs_by_size(count: int) -> Iterator[tuple[int, int, float]]:
    """The smaller size of pairs, how many pairs there are, and their weight together."""
    for size in range(1, count // 2 + 1):
        number, weight = comb(count, size), 2.0 / (size * (count - size))
        is_middle = 2 * size == count
        yield size, number // 2 if is_middle else number, weight / 2 if is_middle else weight


def _all_of_size(count: int, size: int, number: int) -> Tensor:
    """``[number, P]`` coalitions of a size; of half of all players, one of each pair."""
    chosen = torch.tensor(list(combinations(range(count), size))[:number])
    return torch.zeros((number, count), dtype=torch.bool).scatter_(1, chosen, value=True)


def _drawn(
    address: Tensor, key: Tensor, seed: int, number: int, sizes: list[tuple[int, int, float]]
) -> Tensor:
    """``[number, P]`` random coalitions, from the smallest to the largest size."""
    weight = torch.tensor([own for _, _, own in sizes], dtype=torch.float64)
    bound = (weight.cumsum(0) / weight.sum()).to(address.device)
    bound[-1] = 1.0
    place = torch.arange(number, device=address.device)
    step = (place + random.uniform(seed, 30, key)) / number
    which = torch.searchsorted(bound, step.clamp_max(1.0))
    size = torch.tensor([each for each, _, _ in sizes], device=address.device)[which]
    rows = max(1, _DRAWS_AT_ONCE // address.numel())
    parts = zip(place.split(rows), size.split(rows), strict=True)
    return torch.cat([_lowest(address, key, seed, *part) for part in parts])


def _lowest(address: Tensor, key: Tensor, seed: int, place: Tensor, size: Tensor) -> Tensor:
    """Of random numbers for all players, who have the ``size`` lowest."""
    draw = random.uniform(seed, 31, key, place.view(-1, 1), address)
    bound = draw.sort(dim=1).values.gather(1, size.view(-1, 1) - 1)
    return draw <= bound
