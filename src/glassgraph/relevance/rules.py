"""The rules of layer-wise relevance propagation, as algebras of parts.

A model alternates between segments of linear operations (a matrix of weights, the sum over
neighbors, normalization by degree, the bias, batch normalization) and nonlinearities. A segment is
*one* linear map ``z_k = sum_j a_j w_jk + b_k``, and a rule says what share of the relevance of
``z_k`` each ``a_j`` gets:

    R_j = sum_k  a_j rho(w_jk) / (sum_j a_j rho(w_jk) + rho(b_k))  R_k

So a rule carries, beside the value ``z``, the *parts* it needs through all operations of the
segment: for the gamma rule the sums over positive and over negative effective weights. At the end
of the segment `Rule.carrier` joins them to a tensor whose gradient is the rule.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor
from typing_extensions import override

from glassgraph.errors import HyperParameterError

#: The parts of a segment; all have the shape of its value.
Parts = tuple[Tensor, ...]
#: ``dense(x, weight)`` applies a matrix of weights, without its bias.
Dense = Callable[[Tensor, Tensor], Tensor]
#: ``product(factor, part)`` multiplies a part with constants: a number, a tensor, a matrix.
Product = Callable[[Tensor, Tensor], Tensor]


class Rule(ABC):
    """What share of a sum's relevance does each of its terms get? Base class of all rules.

    With ``a_j`` what a linear segment ``z_k = sum_j a_j w_jk + b_k`` reads, and ``R_k`` the
    relevance of what it computes::

        R_j = sum_k  a_j rho(w_jk) / (sum_j a_j rho(w_jk) + rho(b_k))  R_k

    A rule of one's own says what ``rho`` is: as *parts* that go through the segment beside its
    value, all of the value's shape, and as a last step that joins them. Relevance has the unit of
    the explained score and the shape of what gets it.

    Bach et al., "On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise
    Relevance Propagation" (PLOS ONE 2015, https://doi.org/10.1371/journal.pone.0130140); Montavon
    et al., "Layer-Wise Relevance Propagation: An Overview" (2019,
    https://doi.org/10.1007/978-3-030-28954-6_10).

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.nn import GCN, GCNConv
        >>> rules = {"convs.0": gg.rules.Gamma(0.5), GCNConv: "zero"}  # the first that fits
        >>> explainer = gg.LRP(GCN(3, 8, 2, 2), task="node", rule="z_plus", rules=rules)
        >>> explainer.rule
        ZPlus(alpha=1.0, beta=0.0)
    """

    @abstractmethod
    def split(self, dense: Dense, x: Tensor, weight: Tensor, bias: Tensor | None) -> Parts:
        """Parts of ``dense(x, weight) + bias`` at the start of a segment.

        Args:
            dense: applies the weights.
            x: what it reads, in the autograd graph.
            weight: the weights, a constant.
            bias: a constant that broadcasts to the result.
        """

    @abstractmethod
    def embed(self, constant: Tensor) -> Parts:
        """Parts of a constant that is added to the segment, such as a bias."""

    @abstractmethod
    def scale(self, product: Product, factor: Tensor, parts: Parts) -> Parts:
        """Parts of the segment times a constant."""

    @abstractmethod
    def carrier(self, z: Tensor, parts: Parts) -> Tensor:
        """A tensor whose gradient, with respect to what the segment read, is the rule.

        Its value does not matter.

        Args:
            z: value of the segment, detached.
            parts: its parts.
        """


@dataclass(frozen=True)
class Zero(Rule):
    """LRP-0: which contributions ``a_j w_jk`` is a sum made of?

    With a bias ``b_k`` that keeps its own share::

        R_j = sum_k  a_j w_jk / (sum_j a_j w_jk + b_k)  R_k

    On networks of linear layers and ReLU this is the gradient times the input. Contributions of
    both signs that nearly cancel give large shares; `Epsilon` damps them.

    Bach et al. (PLOS ONE 2015, https://doi.org/10.1371/journal.pone.0130140).

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> a, w = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0, -1.0])
        >>> rule, z = gg.rules.Zero(), torch.tensor(1.0)  # 1 * 3 - 2 * 1
        >>> rule.carrier(z, rule.split(torch.dot, a, w, None)).backward()
        >>> (a.grad * a.detach()).tolist()  # the relevance 1 of z, shared
        [3.0, -2.0]
    """

    @override
    def split(self, dense: Dense, x: Tensor, weight: Tensor, bias: Tensor | None) -> Parts:
        value = dense(x, weight)
        return (value if bias is None else value + bias,)

    @override
    def embed(self, constant: Tensor) -> Parts:
        return (constant.clone(),)

    @override
    def scale(self, product: Product, factor: Tensor, parts: Parts) -> Parts:
        return (product(factor, parts[0]),)

    @override
    def carrier(self, z: Tensor, parts: Parts) -> Tensor:
        return parts[0]


@dataclass(frozen=True)
class Epsilon(Zero):
    """LRP-epsilon: LRP-0, where weak or canceling sums hand less relevance on.

    With ``z_k = sum_j a_j w_jk + b_k``::

        R_j = sum_k  a_j w_jk / (z_k + epsilon sign(z_k))  R_k

    What ``epsilon`` takes is lost: relevance is no longer conserved exactly.

    Bach et al. (PLOS ONE 2015, https://doi.org/10.1371/journal.pone.0130140).

    Attributes:
        epsilon: added to the size of each sum, in the unit of activations; 0 is LRP-0.

    Raises:
        HyperParameterError: if epsilon is negative, or no finite number.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> a, w = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0, -1.0])
        >>> rule, z = gg.rules.Epsilon(1.0), torch.tensor(1.0)  # 1 * 3 - 2 * 1
        >>> rule.carrier(z, rule.split(torch.dot, a, w, None)).backward()
        >>> (a.grad * a.detach()).tolist()  # half of the relevance 1 of z
        [1.5, -1.0]
    """

    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        _check_at_least(self, "epsilon", 0)

    @override
    def carrier(self, z: Tensor, parts: Parts) -> Tensor:
        return parts[0] * ratio(z, z, self.epsilon)


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
        _check_at_least(self, "gamma", 0)

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
        _check_at_least(self, "alpha", 1)
        _check_at_least(self, "beta", 0)
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


def ratio(z: Tensor, denominator: Tensor, epsilon: float = 0.0) -> Tensor:
    """``z / denominator`` with the size of the denominator raised by epsilon; 0 where it is 0."""
    raised = denominator + denominator.sign() * epsilon
    return torch.where(raised == 0, 0.0, z / torch.where(raised == 0, 1.0, raised)).detach()


def _check_at_least(rule: Rule, name: str, least: float) -> None:
    """Whether a setting of a rule is a finite number of at least ``least``."""
    value = getattr(rule, name)
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not least <= float(value) < math.inf:
        raise HyperParameterError(
            f"{type(rule).__name__}: {name} must be a finite number of at least {least}; got "
            f"{value!r} ({type(value).__name__})"
        )
