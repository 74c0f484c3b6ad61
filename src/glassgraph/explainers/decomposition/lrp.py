"""Layer-wise relevance propagation: the logit, handed back layer by layer to what it was made of.

For every linear segment ``z_k = sum_j a_j w_jk + b_k`` of the model (weights, sum over neighbors,
normalization, bias, batch normalization: one linear map),

    R_j = sum_k  a_j rho(w_jk) / (sum_j a_j rho(w_jk) + rho(b_k))  R_k

and nonlinearities pass relevance on. The adjacency is part of the model: only features receive
relevance, edges are scored by what passes along them. ``rho`` is the rule; see
`glassgraph.rules`. What a bias contributes stays with it: the scores sum to the logit less the
share of the biases (`LocalExplanation.absorbed`).

Attention weights and other gates, and the statistics that normalizations divide by, are held
constant; a maximum hands all relevance to the largest value; a product of two hidden states gives
half to each. The explained scalar is the logit, also where the model returns probabilities.

LRP is not implementation invariant: two models that compute the same function may give different
scores (Schlichtkrull, De Cao and Titov 2021, appendix H; measured in docs/lrp.md).

Bach et al., "On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance
Propagation" (PLOS ONE 2015, https://doi.org/10.1371/journal.pone.0130140); for graph networks
Baldassarre and Azizpour, "Explainability Techniques for Graph Convolutional Networks" (2019,
https://arxiv.org/abs/1905.13686).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.task import Task
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.decomposition.propagation import Composite, Relevance, attribution
from glassgraph.explainers.traits import Traits
from glassgraph.relevance.input_rules import InputRule
from glassgraph.relevance.rule_names import as_rule
from glassgraph.relevance.rules import Rule
from glassgraph.results.explanation import Attribution


class LRP(Explainer):
    """Relevance of features, nodes and the messages between them.

    Args:
        model: see `Explainer`.
        task: see `Explainer`.
        rule: the rule, an object of `glassgraph.rules` or its name: ``"zero"``, ``"epsilon"``,
            ``"gamma"``, ``"alpha_beta"``, ``"z_plus"``.
        rules: other rules for some modules, by name (``{"convs.0": "gamma"}``, wildcards allowed)
            or by class (``{torch.nn.Linear: "zero"}``); the innermost module decides.
        input_rule: a rule for the first weights that the features meet: ``"w_square"`` for
            features without bounds, ``"z_box"`` (``glassgraph.rules.ZBox(low, high)``) for bounded
            ones. Both give relevance to features that are zero.
        **shared: see `Explainer`.

    Raises:
        HyperParameterError: for an unknown rule, or a name that fits no module.

    `explain` raises `MissingRuleError` if the model calls an operation that has no rule; it names
    the operation, and `glassgraph.rules.register` gives it one.
    """

    name = "lrp"
    traits = Traits(
        family="decomposition",
        scores=("edge", "layer edge", "node", "feature"),
        is_learned=False,
        is_amortized=False,
        is_black_box=False,
        is_signed=True,
        is_random=False,
        source="Bach et al. 2015, doi:10.1371/journal.pone.0130140",
    )

    def __init__(
        self,
        model: nn.Module,
        task: str | Task = "node",
        *,
        rule: Rule | str = "epsilon",
        rules: Mapping[str | type[nn.Module], Rule | str] | None = None,
        input_rule: InputRule | str | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(model, task, **shared)
        self._rule_at = Composite(model, rule, rules)
        found = None if input_rule is None else as_rule(input_rule)
        if not (found is None or isinstance(found, InputRule)):
            raise HyperParameterError(
                f"input_rule must be 'w_square' or 'z_box'; {found} is no rule for features"
            )
        self.rule, self.input_rule = self._rule_at.rule, found
        self.rules = self._rule_at.modules

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        """The rules, written out."""
        names = {
            key if isinstance(key, str) else key.__name__: str(rule)
            for key, rule in self.rules.items()
        }
        first = None if self.input_rule is None else str(self.input_rule)
        return {"rule": str(self.rule), "rules": names, "input_rule": first}

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One forward and one modified backward pass."""
        relevance = Relevance(batch, self._rule_at, self.input_rule)
        layer_edge, feature = relevance.of(relevance.score)
        return attribution(batch, layer_edge, feature, relevance.score)
