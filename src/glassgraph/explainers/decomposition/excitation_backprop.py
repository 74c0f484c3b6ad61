"""Excitation backpropagation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import NegativeActivationError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.decomposition._propagation import Relevance, attribution
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.inputs import task
from glassgraph.relevance.module_scope import ModuleScope
from glassgraph.relevance.signed_rules import Excitation
from glassgraph.results.records import Attribution, Reason

#: How far below zero, in parts of the largest size, an activation may be by rounding.
_ROUNDING = 1e-6
#: So many roundings of the explained score are no excitation.
_ROUNDINGS = 64


class ExcitationBackprop(Explainer):
    """Which inputs win, if at each neuron what excites it competes?

    A winner at the class output is drawn; the winner among the activations ``a_j`` that neuron
    ``a_i`` reads with weights ``w_ji`` is drawn in proportion to its excitatory contribution, and
    so on down to the features::

        P(a_j | a_i)  = a_j max(0, w_ji) / sum_j a_j max(0, w_ji)
        feature score S[n, f] = P(feature f of node n wins)
        node score    S[n]    = sum_f S[n, f]
        layer edge    S[l, e] = P(the winner is drawn through the message along e at layer l)
        edge score    S[e]    = sum_l S[l, e]

    On activations that are not negative these are probabilities: scores are not negative, and those
    of nodes sum to 1, less what is lost at neurons without any excitatory input. It is then `LRP`
    with the z+ rule and without biases.

    *Contrastive* excitation backpropagation subtracts the same from the opposite class output,
    whose weights have the other sign, and keeps what is positive: what speaks for this class alone.

    With ``negative="allow"`` products of negative activations and negative weights are excitatory
    too. Where messages of both signs cancel in a sum, those of the smaller side then win nothing,
    and scores may sum to more than 1.

    Zhang et al., "Top-down Neural Attention by Excitation Backprop" (IJCV 2018,
    https://arxiv.org/abs/1608.00507); for graph networks Pope et al., "Explainability Methods for
    Graph Convolutional Neural Networks" (CVPR 2019, https://doi.org/10.1109/CVPR.2019.01103).

    Raises:
        HyperParameterError: for another ``negative``.
        NegativeActivationError: from `explain`, where weights meet activations below zero; it names
            the module.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> explainer = gg.ExcitationBackprop(GCN(3, 8, 2, 2), task="node")
        >>> explanation = explainer.explain(data, [3])[0]
        >>> explanation.node_mask.shape, explanation.layer_edge_mask.shape  # [N, F] and [L, E]
        (torch.Size([4, 3]), torch.Size([2, 3]))
        >>> bool(explanation.node_mask.sum() < 1.001)
        True
    """

    name = "excitation_backprop"
    traits = Traits(
        family="decomposition",
        scores=("edge", "layer edge", "node", "feature"),
        source="Zhang et al. 2018, arXiv:1608.00507; Pope et al. 2019",
    )
    test_settings: ClassVar[Mapping[str, Any]] = {"negative": "allow"}

    contrastive: bool = setting(
        "subtract what also excites the opposite of the class", default=False
    )
    negative: Literal["error", "allow"] = setting(
        "where weights meet activations below zero: 'error', or 'allow' to count the products of "
        "two negative numbers as excitatory too",
        default="error",
    )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One forward pass, one backward pass; two if contrastive."""
        rule = Excitation()
        watch = _refuse_negative if self.negative == "error" else None
        relevance = Relevance(batch, lambda _: rule, watch=watch)
        positive, negative = relevance.tape.contributions
        score = task.score(batch.task, batch.reference, batch.targets).detach().abs()
        rounding = _ROUNDINGS * torch.finfo(score.dtype).eps * (1 + score)
        layer_edge, feature = relevance.of(_log(positive, rounding))
        if self.contrastive:
            other_edge, other = relevance.of(_log(-negative, rounding))
            layer_edge = layer_edge - other_edge
            feature = [
                None if one is None or two is None else one - two
                for one, two in zip(feature, other, strict=True)
            ]
        if self.contrastive or self.negative == "allow":
            layer_edge = layer_edge.clamp(min=0)
            feature = [None if each is None else each.clamp(min=0) for each in feature]
        total = None if self.contrastive else (positive > rounding).to(batch.dtype)
        found = attribution(batch, layer_edge, feature, total)
        reason = Reason("nothing excites the explained class", positive.detach() <= rounding)
        return replace(found, reasons=(reason,))


def _log(value: Tensor, rounding: Tensor) -> Tensor:
    """Logarithm, whose gradient starts with a total relevance of 1; flat where there is none.

    What excites and what inhibits may cancel up to rounding on the way, which is no excitation.
    """
    return torch.where(value > rounding, value, 1.0).log()


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
