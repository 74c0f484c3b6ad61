"""What Shapley values of edges and nodes share: which coalitions, and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from glassgraph.explainers.black_box import BlackBoxExplainer
from glassgraph.explainers.perturbation.shapley_values.deletion import Worth
from glassgraph.explainers.perturbation.shapley_values.games import Estimator, Sampling
from glassgraph.explainers.settings import setting
from glassgraph.inputs import task


class ShapleyExplainer(BlackBoxExplainer):
    """Shapley values, whoever plays."""

    test_settings: ClassVar[Mapping[str, Any]] = {
        "exact_up_to": 3,
        "estimator": "permutation",
        "samples": 256,
    }
    evidence_settings: ClassVar[Mapping[str, Any]] = {"estimator": "kernel", "samples": 1024}

    estimator: Estimator = setting(
        "how values are estimated from some of the coalitions: 'kernel' by weighted least squares, "
        "'permutation' by random orders",
        default="kernel",
    )
    samples: int | None = setting(
        "coalitions of a prediction that are valued, at most; None for 2048 and two for each "
        "player, or as many as the estimator needs",
        default=None,
        at_least=1,
    )
    exact_up_to: int = setting(
        "value all coalitions of predictions with at most so many players",
        default=16,
        at_least=0,
        at_most=20,
    )
    value: Literal["score", "probability"] = setting(
        "what a coalition is worth: the explained score in the model's own unit, or the "
        "probability of the explained class (less that of its contrast)",
        default="score",
    )

    @property
    def _sampling(self) -> Sampling:
        return Sampling(self.exact_up_to, self.estimator, self.samples, self.seed)

    @property
    def _worth(self) -> Worth:
        return task.score if self.value == "score" else task.explained_probability
