"""Exact Shapley values, from all coalitions."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import torch
from torch import Tensor

from glassgraph.explainers.perturbation.shapley_values.estimate import Estimate


@dataclass(frozen=True)
class AllCoalitions:
    """All ``2 ** P`` coalitions, ordered so that nobody comes first and everyone second.

    Attributes:
        num_players: their number P.
        device: where masks lie.
    """

    num_players: int
    device: torch.device

    @property
    def is_exact(self) -> bool:
        """Nothing is drawn."""
        return True

    @property
    def masks(self) -> Tensor:
        """``[2 ** P, P]``."""
        number = torch.arange(2**self.num_players, device=self.device)
        if self.num_players:
            number = torch.cat([number[:1], number[-1:], number[1:-1]])
        bit = torch.arange(self.num_players, device=self.device)
        return ((number.view(-1, 1) >> bit) & 1).bool()

    def estimate(self, values: Tensor) -> Estimate:
        """The definition, with the coalitions with and without a player as two sums."""
        masks, count = self.masks, self.num_players
        if not count:
            return Estimate.exact(values[:0])
        # A coalition of k counts 1 / (P C(P - 1, k - 1)) for its members and, to be taken
        # away, 1 / (P C(P - 1, k)) for the others.
        choose = [comb(count - 1, size) for size in range(count)]
        joined = values.new_tensor([0.0, *(1 / (count * each) for each in choose)])
        left = values.new_tensor([*(1 / (count * each) for each in choose), 0.0])
        size = masks.sum(dim=1)
        brought = values - values[0]  # so that equal values leave no rounding
        gained, lost = brought * joined[size], brought * left[size]
        return Estimate.exact(masks.T.double() @ (gained + lost) - lost.sum())
