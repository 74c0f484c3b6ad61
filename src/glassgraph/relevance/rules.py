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
        check_at_least(self, "epsilon", 0)

    @override
    def carrier(self, z: Tensor, parts: Parts) -> Tensor:
        return parts[0] * ratio(z, z, self.epsilon)


def ratio(z: Tensor, denominator: Tensor, epsilon: float = 0.0) -> Tensor:
    """``z / denominator`` with the size of the denominator raised by epsilon; 0 where it is 0."""
    raised = denominator + denominator.sign() * epsilon
    return torch.where(raised == 0, 0.0, z / torch.where(raised == 0, 1.0, raised)).detach()


def check_at_least(rule: Rule, name: str, least: float) -> None:
    """Whether a setting of a rule is a finite number of at least ``least``."""
    value = getattr(rule, name)
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not least <= float(value) < math.inf:
        raise HyperParameterError(
            f"{type(rule).__name__}: {name} must be a finite number of at least {least}; got "
            f"{value!r} ({type(value).__name__})"
        )
