"""What is asked of a game, and what is made of the answers.

A game gives every coalition of P players a value ``v``. The Shapley value of a player is what it
brings to those who came before, on average over all orders in which players can come:

    phi[i] = sum over coalitions S without i of   |S|! (P - |S| - 1)! / P!  (v(S + i) - v(S))

Shapley, "A Value for n-Person Games" (1953, https://doi.org/10.1515/9781400881970-018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """Shapley values of one game.

    Attributes:
        value: ``[P]`` float64; they sum to what all players together bring.
        standard_error: ``[P]`` of each value, over other draws of coalitions; 0 where it is exact.
    """

    value: Tensor
    standard_error: Tensor

    @staticmethod
    def exact(value: Tensor) -> Estimate:
        """Values without an error."""
        return Estimate(value, torch.zeros_like(value))


class Sample(Protocol):
    """Coalitions of one game that are to be valued, and what their values say."""

    @property
    def is_exact(self) -> bool:
        """Whether nothing was drawn."""
        ...

    @property
    def masks(self) -> Tensor:
        """``[K, P]`` who belongs to each; first comes nobody, then everyone."""
        ...

    def estimate(self, values: Tensor) -> Estimate:
        """Shapley values, from the values ``[K]`` of the coalitions."""
        ...


def ends(num_players: int, like: Tensor) -> Tensor:
    """``[2, P]`` the coalition of nobody, and that of everyone."""
    none = torch.zeros(num_players, dtype=torch.bool, device=like.device)
    return torch.stack([none, ~none])
