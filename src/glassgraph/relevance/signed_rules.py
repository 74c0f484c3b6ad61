"""Rules that treat positive and negative contributions differently.

Their parts are the sums over either sign; see `glassgraph.relevance.rules`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from glassgraph.errors import HyperParameterError
from glassgraph.relevance.rules import Dense, Parts, Product, Rule, check_at_least, ratio


class Signed(Rule):
    """Parts by sign: positive and negative contributions, and the constant that was added.

    A negative factor makes the first two change places. The constant is kept apart until the end,
    so that several biases of one segment count as one.
    """

    @override
    def embed(self, constant: Tensor) -> Parts:
        return torch.zeros_like(constant), torch.zeros_like(constant), constant.clone()

    @override
    def scale(self, product: Product, factor: Tensor, parts: Parts) -> Parts:
        positive, negative, constant = parts
        if not bool((factor < 0).any()):
            return product(factor, positive), product(factor, negative), product(factor, constant)
        up, down = factor.clamp(min=0), factor.clamp(max=0)
        return (
            product(up, positive) + product(down, negative),
            product(up, negative) + product(down, positive),
            product(factor, constant),
        )

    def contributions(self, parts: Parts) -> tuple[Tensor, Tensor]:
        """All that is positive and all that is negative of a sum, the constant included."""
        positive, negative, constant = parts
        return positive + constant.clamp(min=0), negative + constant.clamp(max=0)

    def _with_bias(self, positive: Tensor, negative: Tensor, bias: Tensor | None) -> Parts:
        if bias is None:
            return positive, negative, torch.zeros_like(positive)
        return positive, negative, self.embed(bias)[2].expand_as(positive)


@dataclass(frozen=True)
class Gamma(Signed):
    """LRP-gamma: LRP-0 that favors positive weights, and positive biases likewise.

    ::

        R_j = sum_k  a_j rho(w_jk) / (sum_j a_j rho(w_jk) + rho(b_k))  R_k
        rho(w) = w + gamma max(0, w)

    ``w`` is the effective weight of the whole segment from the weights on: a negative scale of a
    batch normalization, or a negative entry of a normalized adjacency, changes its sign.

    Montavon et al., "Layer-Wise Relevance Propagation: An Overview" (2019,
    https://doi.org/10.1007/978-3-030-28954-6_10).

    Attributes:
        gamma: 0 is LRP-0; a large one is z+ where activations are not negative.

    Raises:
        HyperParameterError: if gamma is negative, or no finite number.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> a, w = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0, -1.0])
        >>> rule, z = gg.rules.Gamma(1.0), torch.tensor(1.0)  # 1 * 3 - 2 * 1
        >>> rule.carrier(z, rule.split(torch.dot, a, w, None)).backward()
        >>> (a.grad * a.detach()).tolist()  # 6 and -2, by their sum
        [1.5, -0.5]
    """

    gamma: float = 0.25

    def __post_init__(self) -> None:
        check_at_least(self, "gamma", 0)

    @override
    def split(self, dense: Dense, x: Tensor, weight: Tensor, bias: Tensor | None) -> Parts:
        positive, negative = dense(x, weight.clamp(min=0)), dense(x, weight.clamp(max=0))
        return self._with_bias(positive, negative, bias)

    @override
    def carrier(self, z: Tensor, parts: Parts) -> Tensor:
        positive, negative = self.contributions(parts)
        weighted = (1 + self.gamma) * positive + negative
        return weighted * ratio(z, weighted.detach())


@dataclass(frozen=True)
class AlphaBeta(Signed):
    """LRP-alpha-beta: positive contributions share ``alpha R``, negative ones ``-beta R``.

    With ``(.)+`` and ``(.)-`` the positive and the negative part of a number::

        R_j = sum_k  (alpha (a_j w_jk)+ / (sum_j (a_j w_jk)+ + b_k+)
                      - beta (a_j w_jk)- / (sum_j (a_j w_jk)- + b_k-))  R_k

    Inputs may have any sign. A sum whose contributions all have one sign gives them its relevance
    once, so that it is conserved; with ``beta = 0`` a sum of negative ones loses it.

    Bach et al. (PLOS ONE 2015, https://doi.org/10.1371/journal.pone.0130140).

    Attributes:
        alpha: at least 1.
        beta: ``alpha - 1``, so that relevance is conserved.

    Raises:
        HyperParameterError: if alpha is less than 1, or beta is not ``alpha - 1``.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> a, w = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0, -1.0])
        >>> rule, z = gg.rules.AlphaBeta(2.0, 1.0), torch.tensor(1.0)  # 1 * 3 - 2 * 1
        >>> rule.carrier(z, rule.split(torch.dot, a, w, None)).backward()
        >>> (a.grad * a.detach()).tolist()
        [2.0, -1.0]
    """

    alpha: float = 2.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        check_at_least(self, "alpha", 1)
        check_at_least(self, "beta", 0)
        if abs(self.alpha - self.beta - 1) >= 1e-9:
            raise HyperParameterError(
                f"{type(self).__name__}: beta must be alpha - 1, so that relevance is conserved; "
                f"got alpha {self.alpha!r} and beta {self.beta!r}"
            )

    @override
    def split(self, dense: Dense, x: Tensor, weight: Tensor, bias: Tensor | None) -> Parts:
        up, down = weight.clamp(min=0), weight.clamp(max=0)
        high, low = x.clamp(min=0), x.clamp(max=0)
        positive, negative = dense(high, up), dense(high, down)
        if bool((x < 0).any()):
            positive, negative = positive + dense(low, down), negative + dense(low, up)
        return self._with_bias(positive, negative, bias)

    @override
    def carrier(self, z: Tensor, parts: Parts) -> Tensor:
        positive, negative = self.contributions(parts)
        carried = positive * ratio(z, positive.detach())
        if self.beta == 0:
            return carried
        alpha = torch.where(negative == 0, 1.0, self.alpha).to(z.dtype)
        beta = torch.where(positive == 0, -1.0, self.beta).to(z.dtype)
        return carried * alpha - negative * beta * ratio(z, negative.detach())


@dataclass(frozen=True)
class ZPlus(AlphaBeta):
    """The z+ rule: positive contributions alone share the relevance.

    `AlphaBeta` with alpha 1 and beta 0; with ``(.)+`` the positive part of a number::

        R_j = sum_k  (a_j w_jk)+ / (sum_j (a_j w_jk)+ + b_k+)  R_k

    No score is negative where ``R_k`` is not. Without biases these are the probabilities of
    `ExcitationBackprop`.

    Montavon et al., "Explaining Nonlinear Classification Decisions with Deep Taylor Decomposition"
    (Pattern Recognition 2017, https://arxiv.org/abs/1512.02479).

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> a, w = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0, -1.0])
        >>> rule, z = gg.rules.ZPlus(), torch.tensor(1.0)  # 1 * 3 - 2 * 1
        >>> rule.carrier(z, rule.split(torch.dot, a, w, None)).backward()
        >>> (a.grad * a.detach()).tolist()
        [1.0, 0.0]
    """

    alpha: float = 1.0
    beta: float = 0.0


@dataclass(frozen=True)
class Excitation(ZPlus):
    """The z+ rule without biases: the probabilities of excitation backpropagation."""

    @override
    def embed(self, constant: Tensor) -> Parts:
        return super().embed(torch.zeros_like(constant))
