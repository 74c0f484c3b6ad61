"""Excitation backpropagation: the probability that a neuron is a winner, from the top down.

A winner at the class output is drawn; the winner among what it reads is drawn in proportion to its
excitatory contributions,

    P(a_j | a_i) = a_j max(0, w_ji) / sum_j a_j max(0, w_ji)

and so on down to the features. On activations that are not negative the result is a probability
over nodes (and features): scores are not negative and sum to 1, less what is lost at neurons
without any excitatory input. It is then LRP's z+ rule without biases.

*Contrastive* excitation backpropagation subtracts the same from the opposite class output, whose
weights have the other sign, and keeps what is positive: what speaks for this class alone.

Zhang et al., "Top-down Neural Attention by Excitation Backprop" (IJCV 2018,
https://arxiv.org/abs/1608.00507); for graph networks Pope et al., "Explainability Methods for Graph
Convolutional Neural Networks" (CVPR 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.task import Task
from glassgraph.errors import HyperParameterError, NegativeActivationError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.decomposition.propagation import Relevance, attribution
from glassgraph.explainers.traits import Traits
from glassgraph.relevance.module_scope import ModuleScope
from glassgraph.relevance.rules import Excitation
from glassgraph.results.explanation import Attribution

#: How far below zero, in parts of the largest size, an activation may be by rounding.
_ROUNDING = 1e-6


class ExcitationBackprop(Explainer):
    """Winning probabilities of nodes, features and messages.

    Args:
        model: see `Explainer`.
        task: see `Explainer`.
        contrastive: whether to subtract what also excites the opposite of the class.
        negative: what to do where weights meet activations below zero: ``"error"``, or ``"allow"``
            to count the products of negative activations and negative weights as excitatory too.
            Where messages of both signs cancel in a sum, those of the smaller side then win
            nothing, and scores may sum to more than 1.
        **shared: see `Explainer`.

    Raises:
        HyperParameterError: for another ``negative``.

    `explain` raises `NegativeActivationError` with the module's name.
    """

    name = "excitation_backprop"
    traits = Traits(
        family="decomposition",
        scores=("edge", "layer edge", "node", "feature"),
        is_learned=False,
        is_amortized=False,
        is_black_box=False,
        is_signed=False,
        is_random=False,
        source="Zhang et al. 2018, arXiv:1608.00507; Pope et al. 2019",
    )
    test_settings: ClassVar[Mapping[str, Any]] = {"negative": "allow"}

    def __init__(
        self,
        model: nn.Module,
        task: str | Task = "node",
        *,
        contrastive: bool = False,
        negative: Literal["error", "allow"] = "error",
        **shared: Any,
    ) -> None:
        super().__init__(model, task, **shared)
        if negative not in ("error", "allow"):
            raise HyperParameterError(f"negative must be 'error' or 'allow'; got {negative!r}")
        self.contrastive, self.negative = contrastive, negative

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One forward pass, one backward pass; two if contrastive."""
        rule = Excitation()
        watch = _refuse_negative if self.negative == "error" else None
        relevance = Relevance(batch, lambda _: rule, watch=watch)
        positive, negative = relevance.tape.contributions
        layer_edge, feature = relevance.of(_log(positive))
        if self.contrastive:
            other_edge, other = relevance.of(_log(-negative))
            layer_edge = layer_edge - other_edge
            feature = [
                None if one is None or two is None else one - two
                for one, two in zip(feature, other, strict=True)
            ]
        if self.contrastive or self.negative == "allow":
            layer_edge = layer_edge.clamp(min=0)
            feature = [None if each is None else each.clamp(min=0) for each in feature]
        total = None if self.contrastive else (positive > 0).to(batch.dtype)
        return attribution(batch, layer_edge, feature, total)


def _log(value: Tensor) -> Tensor:
    """Logarithm, whose gradient starts with a total relevance of 1; flat where there is none."""
    return torch.where(value > 0, value, 1.0).log()


def _refuse_negative(activations: Tensor, scope: ModuleScope) -> None:
    if activations.numel() == 0:
        return
    lowest = float(activations.detach().min())
    if lowest < -_ROUNDING * float(activations.detach().abs().max()):
        where = scope.modules[-1] if scope.modules else ""
        raise NegativeActivationError(
            f"excitation backpropagation needs activations that are not negative; the weights of "
            f"{where or 'the model'} read {lowest:.3g}. Pass negative='allow' to count products of "
            "two negative numbers as excitatory, or use lrp"
        )
