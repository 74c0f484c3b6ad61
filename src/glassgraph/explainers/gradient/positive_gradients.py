"""Positive gradients: keep the edges whose message the explained score would like to have more of.

With the edge gradients ``phi`` of `glassgraph.explainers.gradient.edge_gradients`,

    layerwise     M[l, e] = 1 if phi[l, e] > epsilon, else 0
    input-level   M[e]    = 1 if phi[e]    > epsilon, else 0      where  phi[e] = sum_l phi[l, e]

This is what GNNExplainer's mask tends to where its penalties are small and the gradient keeps its
sign on the way from a shut to an open edge (Proposition 4.2 of the paper). Whether it does,
`glassgraph.diagnose.gradient_signs` tells.

The gradient is that of the explained score. For a model with one logit and class 0 the score is
minus the logit, so that the sign is right for both classes; the authors' code multiplies by the
sign of the predicted logit instead. There epsilon is 0 or 0.001, depending on the experiment.

A gradient that cancels to zero may come out as rounding, of either sign; a small epsilon settles
that.

He, Rafiey, Mishne and Wang, "Explaining GNN Explanations with Edge Gradients" (KDD 2025,
https://arxiv.org/abs/2508.01048).
"""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.task import Task
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.traits import Traits
from glassgraph.results.explanation import Attribution


class PositiveGradients(Explainer):
    """Masks of ones and zeros: whether the gradient with respect to a gate is positive.

    Args:
        model: the model.
        task: the task.
        epsilon: a gradient counts as positive above this, in the units of the explained score.
        **shared: see `Explainer`.

    Raises:
        HyperParameterError: if epsilon is negative or not finite.
    """

    name = "positive_gradients"
    traits = Traits(
        family="gradient",
        scores=("edge", "layer edge"),
        is_learned=False,
        is_amortized=False,
        is_black_box=False,
        is_signed=False,
        is_random=False,
        source="He, Rafiey, Mishne and Wang 2025, arXiv:2508.01048",
    )

    def __init__(
        self, model: nn.Module, task: str | Task = "node", *, epsilon: float = 0.0, **shared: Any
    ) -> None:
        super().__init__(model, task, **shared)
        if not 0 <= epsilon < math.inf:
            raise HyperParameterError(f"epsilon must be a number from 0; got {epsilon}")
        self.epsilon = float(epsilon)

    @property
    def threshold(self) -> float:
        """Between the two scores: what scores 1 is kept."""
        return 0.5

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One forward and one backward pass."""
        gradient = batch.gate_gradients(batch.ones(layerwise=True))
        return Attribution(
            edge=(gradient.sum(dim=0) > self.epsilon).to(batch.dtype),
            layer_edge=(gradient > self.epsilon).to(batch.dtype),
        )
