"""Rules for the first weights, whose inputs are features.

Values of features say little about their relevance: a zero in a one-hot vector is as much a value
as a one. These rules share by the weights, and give relevance to features that are zero. It goes
through a *probe*, ones of the shape of the features, whose gradient is their relevance.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from glassgraph.errors import HyperParameterError
from glassgraph.relevance.rules import Dense, Parts, Product, Rule, ratio


class InputRule(Rule):
    """What makes a feature relevant, if not its value? Base class of rules for the first weights.

    With ``x_j`` the features ``[N, F]`` and ``q_jk`` what the rule makes of a feature and its
    weight::

        R_j = sum_k  q_jk / (sum_j q_jk)  R_k

    Biases get no share. `LRP` takes one as ``input_rule``.

    Montavon et al., "Explaining Nonlinear Classification Decisions with Deep Taylor Decomposition"
    (Pattern Recognition 2017, https://arxiv.org/abs/1512.02479).

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.zeros(2, 3), edge_index=torch.tensor([[0], [1]]))
        >>> explainer = gg.LRP(GCN(3, 8, 2, 2), task="node", input_rule="w_square")
        >>> explainer.explain(data, [1])[0].node_mask.shape
        torch.Size([2, 3])
        >>> isinstance(explainer.input_rule, gg.rules.InputRule)
        True
    """

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
    """The w^2 rule for features without bounds: shares in proportion to squared weights.

    Features that are zero get relevance like all others::

        R_j = sum_k  w_jk^2 / (sum_j w_jk^2)  R_k

    Montavon et al. (Pattern Recognition 2017, https://arxiv.org/abs/1512.02479).

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> x, w = torch.tensor([1.0, 0.0]), torch.tensor([3.0, -1.0])
        >>> probe = torch.ones(2, requires_grad=True)
        >>> rule, z = gg.rules.WSquare(), torch.tensor(3.0)
        >>> rule.carrier(z, rule.split_input(torch.dot, x, probe, w)).backward()
        >>> probe.grad.tolist()  # 9 and 1 of 10, of the relevance 3 of z
        [2.7, 0.3]
    """

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
    """The z^B rule for features in a box: how far are they from where they count least?

    With ``low_j <= x_j <= high_j``::

        R_j  = sum_k  q_jk / (sum_j q_jk)  R_k
        q_jk = x_j w_jk - low_j max(0, w_jk) - high_j min(0, w_jk)

    No share is negative for features in the box.

    Montavon et al. (Pattern Recognition 2017, https://arxiv.org/abs/1512.02479).

    Attributes:
        low: lower bound of all features, or of each ``[F]``.
        high: upper bound.

    Raises:
        HyperParameterError: if a bound is no number or numbers, or a lower one above an upper one.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> x, w = torch.tensor([1.0, 0.0], requires_grad=True), torch.tensor([3.0, -1.0])
        >>> probe = torch.ones(2, requires_grad=True)
        >>> rule, z = gg.rules.ZBox(low=-1.0, high=2.0), torch.tensor(3.0)
        >>> rule.carrier(z, rule.split_input(torch.dot, x, probe, w)).backward()
        >>> (x.grad * x.detach() + probe.grad).tolist()  # 6 and 2 of 8, of the relevance 3 of z
        [2.25, 0.75]
    """

    low: float | Sequence[float] = 0.0
    high: float | Sequence[float] = 1.0

    def __post_init__(self) -> None:
        try:
            is_box = bool((torch.as_tensor(self.low) <= torch.as_tensor(self.high)).all())
        except (TypeError, ValueError, RuntimeError):  # words, or bounds of different lengths
            is_box = False
        if not is_box:
            raise HyperParameterError(
                "ZBox: low and high must be numbers, or one number for each feature, and low at "
                f"most high; got low {self.low!r} and high {self.high!r}"
            )

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
