"""Rules for the first weights, whose inputs are features.

Values of features say little about their relevance: a zero in a one-hot vector is as much a value
as a one. These rules share by the weights, and give relevance to features that are zero. It goes
through a *probe*, ones of the shape of the features, whose gradient is their relevance.

Montavon et al., "Explaining Nonlinear Classification Decisions with Deep Taylor Decomposition"
(Pattern Recognition 2017, https://arxiv.org/abs/1512.02479).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from glassgraph.relevance.rules import Dense, Parts, Product, Rule, ratio


class InputRule(Rule):
    """A rule for the first weights alone."""

    @override
    def split(self, dense: Dense, x: Tensor, weight: Tensor, bias: Tensor | None) -> Parts:
        raise AssertionError("an input rule splits with its probe")  # pragma: no cover

    @abstractmethod
    def split_input(self, dense: Dense, x: Tensor, probe: Tensor, weight: Tensor) -> Parts:
        """Parts at the first weights.

        Args:
            dense: applies the weights.
            x: the features, or a linear function of them.
            probe: the same function of the probe.
            weight: the weights.
        """

    def scale_probe(self, factor: Tensor) -> Tensor:
        """What a factor before the first weights does to the probe."""
        return factor

    @override
    def embed(self, constant: Tensor) -> Parts:
        return (torch.zeros_like(constant),)

    @override
    def scale(self, product: Product, factor: Tensor, parts: Parts) -> Parts:
        return (product(factor, parts[0]),)

    @override
    def carrier(self, z: Tensor, parts: Parts) -> Tensor:
        return parts[0] * ratio(z, parts[0].detach())


@dataclass(frozen=True)
class WSquare(InputRule):
    """The w^2 rule for features without bounds: shares in proportion to squared weights."""

    @override
    def split_input(self, dense: Dense, x: Tensor, probe: Tensor, weight: Tensor) -> Parts:
        return (dense(probe, weight.square()),)

    @override
    def scale_probe(self, factor: Tensor) -> Tensor:
        return factor.square()

    @override
    def scale(self, product: Product, factor: Tensor, parts: Parts) -> Parts:
        return (product(factor.square(), parts[0]),)


@dataclass(frozen=True)
class ZBox(InputRule):
    """The z^B rule for features in a box: shares of ``x w - low max(0, w) - high min(0, w)``.

    Attributes:
        low: lower bound of all features, or of each.
        high: upper bound.
    """

    low: float | Sequence[float] = 0.0
    high: float | Sequence[float] = 1.0

    @override
    def split_input(self, dense: Dense, x: Tensor, probe: Tensor, weight: Tensor) -> Parts:
        low, high = (torch.as_tensor(bound).to(x) for bound in (self.low, self.high))
        floor = dense(probe * low, weight.clamp(min=0)) + dense(probe * high, weight.clamp(max=0))
        return (dense(x, weight) - floor,)


@dataclass(frozen=True)
class Pending(Rule):
    """Features on their way to the first weights: the value and the probe of an `InputRule`."""

    rule: InputRule

    @override
    def split(self, dense: Dense, x: Tensor, weight: Tensor, bias: Tensor | None) -> Parts:
        raise AssertionError("features are not the result of weights")  # pragma: no cover

    @override
    def embed(self, constant: Tensor) -> Parts:
        return constant.clone(), torch.zeros_like(constant)

    @override
    def scale(self, product: Product, factor: Tensor, parts: Parts) -> Parts:
        return product(factor, parts[0]), product(self.rule.scale_probe(factor), parts[1])

    @override
    def carrier(self, z: Tensor, parts: Parts) -> Tensor:
        return parts[0]
