"""Shapley values as a mean over random orders, each beside its reverse.

In an order every player brings what the coalition is worth with it, less what those before are
worth: over one order these sum to what everyone brings. (Castro, Gomez and Tejada, "Polynomial
Calculation of the Shapley Value Based on Sampling", 2009,
https://doi.org/10.1016/j.cor.2008.04.004; reversed orders: Mitchell, Cooper, Frank and Holmes,
"Sampling Permutations for Shapley Value Estimation", JMLR 2022, https://arxiv.org/abs/2104.12199.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.explainers.perturbation.shapley_values.estimate import Estimate, ends

#: Pairs of an order and its reverse that a standard error needs, at least.
LEAST_PAIRS = 2


@dataclass(frozen=True)
class OrdersInPairs:
    """Random orders; every second one is the reverse of that before.

    Attributes:
        place: ``[n, P]`` when a player comes, from 0.
    """

    place: Tensor

    @staticmethod
    def draw(address: Tensor, key: Tensor, seed: int, samples: int) -> OrdersInPairs:
        """Draw orders; the arguments are those of `KernelPairs.draw`."""
        count = address.numel()
        number = torch.arange(samples // (2 * (count - 1)), device=address.device)
        draw = random.uniform(seed, 32, key, number.view(-1, 1), address)
        place = draw.argsort(dim=1).argsort(dim=1)
        return OrdersInPairs(torch.stack([place, count - 1 - place], dim=1).flatten(0, 1))

    @property
    def is_exact(self) -> bool:
        """Orders are drawn."""
        return False

    @property
    def masks(self) -> Tensor:
        """``[2 + n (P - 1), P]``: nobody, everyone, and those who came first in each order."""
        count = self.place.size(1)
        step = torch.arange(1, count, device=self.place.device)
        before = self.place.unsqueeze(1) < step.view(-1, 1)
        return torch.cat([ends(count, self.place), before.flatten(0, 1)])

    def estimate(self, values: Tensor) -> Estimate:
        """Mean over pairs, and how far pairs scatter."""
        number, count = self.place.shape
        along = torch.cat(
            [
                values[0].expand(number, 1),
                values[2:].view(number, count - 1),
                values[1].expand(number, 1),
            ],
            dim=1,
        )
        brought = along.diff(dim=1).gather(1, self.place)
        pair = brought.view(-1, 2, count).mean(dim=1)
        return Estimate(pair.mean(dim=0), pair.std(dim=0) / pair.size(0) ** 0.5)
