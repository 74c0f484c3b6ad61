"""Guided backpropagation: gradients that speak for the prediction all the way back.

On its way back through each ReLU a gradient is set to zero where it is negative,

    g_in = g_out * [a > 0] * [g_out > 0]

so that only features are found that raise neurons which raise the score. The result is close to the
input in many models and says little about the class (Nie, Zhang and Patel 2018,
https://arxiv.org/abs/1805.07039): read it beside others.

Springenberg et al., "Striving for Simplicity" (2015, https://arxiv.org/abs/1412.6806). Baldassarre
and Azizpour (2019, https://arxiv.org/abs/1905.13686) clamp after every operation of the backward
pass, not at ReLUs alone: ``clamp_everywhere=True``.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.task import Task
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.gradient._input_gradients import of_input_gradients
from glassgraph.explainers.traits import Traits
from glassgraph.relevance.guided import Guided
from glassgraph.results.explanation import Attribution


class GuidedBackprop(Explainer):
    """Positive guided gradients of the explained score.

    ReLUs are found wherever they are called: as a module, as a function, as a method of a tensor. A
    model without ReLUs gives the positive part of its plain gradient.

    Args:
        model: see `Explainer`.
        task: see `Explainer`.
        clamp_everywhere: set negative gradients to zero after every operation.
        **shared: see `Explainer`.
    """

    name = "guided_backprop"
    traits = Traits(
        family="gradient",
        scores=("edge", "node", "feature"),
        is_learned=False,
        is_amortized=False,
        is_black_box=False,
        is_signed=False,
        is_random=False,
        source="Springenberg et al. 2015, arXiv:1412.6806",
    )

    def __init__(
        self,
        model: nn.Module,
        task: str | Task = "node",
        *,
        clamp_everywhere: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(model, task, **shared)
        self.clamp_everywhere = clamp_everywhere

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One forward and one guided backward pass."""
        guided = Guided(everywhere=self.clamp_everywhere)
        return of_input_gradients(batch, lambda gradient: gradient.clamp(min=0), guided)
