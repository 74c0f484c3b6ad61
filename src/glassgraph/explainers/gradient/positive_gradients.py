"""Positive gradients: the signs of edge gradients as masks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.constant import lowest
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.inputs import task
from glassgraph.results.records import Attribution, Reason

#: A gradient of so many roundings of the score may be nothing but rounding.
_ROUNDINGS = 4


class PositiveGradients(Explainer):
    """Which edges carry messages that the prediction would like to have more of?

    With ``y`` the explained score and ``z[l, e]`` the gate on the message along edge ``e`` at layer
    ``l``, all gates open::

        layer edge score  S[l, e] = 1 if dy / dz[l, e] > epsilon, else 0
        edge score        S[e]    = 1 if sum_l dy / dz[l, e] > epsilon, else 0

    Scores are decisions, with 0.5 as the threshold between them; for the numbers behind them see
    `EdgeGradients`. A gradient below the rounding of the explained score itself (some
    ``(1 + |y|)`` times the precision of its type) is no gradient, of either sign.

    Decisions rank little: by robust fidelity they were better than random scores on no more than
    half of the survey's data sets (``docs/survey.md``).

    This is what GNNExplainer's mask tends to where its penalties are small and the gradient keeps
    its sign on the way from a shut to an open edge (Proposition 4.2 of the paper). Whether it does,
    `glassgraph.diagnose.gradient_signs` tells.

    The gradient is that of the explained score. For a model with one logit and class 0 the score is
    minus the logit, so that the sign is right for both classes; the authors' code multiplies by the
    sign of the predicted logit instead. There epsilon is 0 or 0.001, depending on the experiment.

    He, Rafiey, Mishne and Wang, "Explaining GNN Explanations with Edge Gradients" (KDD 2025,
    https://arxiv.org/abs/2508.01048).

    Raises:
        HyperParameterError: if epsilon is negative or not finite.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> explanation = gg.PositiveGradients(GCN(3, 8, 2, 2), task="node").explain(data, [2])[0]
        >>> explanation.layer_edge_mask.shape  # [L, E]
        torch.Size([2, 3])
        >>> set(explanation.edge_mask.tolist()) <= {0.0, 1.0}
        True
    """

    name = "positive_gradients"
    traits = Traits(
        family="gradient",
        scores=("edge", "layer edge"),
        source="He, Rafiey, Mishne and Wang 2025, arXiv:2508.01048",
    )
    # A yes to what brings much, a no to the rest.
    evidence_settings: ClassVar[Mapping[str, Any]] = {"epsilon": 0.05}

    epsilon: float = setting(
        "a gradient counts as positive above this, in the units of the explained score",
        default=0.0,
        at_least=0,
        below=math.inf,
    )

    @property
    def threshold(self) -> float:
        """Between the two scores: what scores 1 is kept."""
        return 0.5

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One forward and one backward pass."""
        gradient = batch.gate_gradients(batch.ones(layerwise=True))
        score = task.score(batch.task, batch.reference, batch.targets).detach()
        rounding = _ROUNDINGS * torch.finfo(score.dtype).eps * (1 + score.abs())
        least = rounding.clamp_min(self.epsilon)[batch.edge_instance]
        edge = (gradient.sum(dim=0) > least).to(batch.dtype)
        layer_edge = (gradient > least).to(batch.dtype)
        reasons = (
            Reason("no gradient is above epsilon", lowest(batch, -layer_edge.amax(dim=0)) == 0),
            Reason("every gradient is above epsilon", lowest(batch, layer_edge.amin(dim=0)) == 1),
        )
        return Attribution(edge=edge, layer_edge=layer_edge, reasons=reasons)
