"""Layer-wise relevance propagation (LRP)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.decomposition._propagation import Composite, Relevance, attribution
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.relevance.input_rules import InputRule
from glassgraph.relevance.rule_names import InputRuleName, RuleName, as_input_rule
from glassgraph.relevance.rules import Rule
from glassgraph.results.explanation import Attribution


class LRP(Explainer):
    """What was the logit made of, if every layer hands it back to what it read?

    Between two nonlinearities a model is one linear map ``z_k = sum_j a_j w_jk + b_k`` (weights,
    sum over neighbors, normalization, bias, batch normalization). A rule ``rho`` shares the
    relevance ``R_k`` of what it computes among what it reads, and nonlinearities pass it on::

        R_j = sum_k  a_j rho(w_jk) / (sum_j a_j rho(w_jk) + rho(b_k))  R_k

        feature score     S[n, f] = R of feature f of node n
        node score        S[n]    = sum_f S[n, f]
        layer edge score  S[l, e] = R that passes along edge e at layer l
        edge score        S[e]    = sum_l S[l, e]

    The adjacency is part of the model: only features receive relevance, edges are scored by what
    passes along them. For rules see `glassgraph.rules`; the innermost module that ``rules`` names
    (``{"convs.0": "gamma"}``, wildcards allowed, or ``{torch.nn.Linear: "zero"}``) decides. Input
    rules also give relevance to features that are zero.

    Conservation: scores are signed and have the unit of the logit, which is explained also where
    the model returns probabilities. What a bias contributes stays with it: the scores of nodes sum
    to the logit (``explanation.local.total``) less the share of the biases (``.local.absorbed``).

    Attention weights and other gates, and the statistics that normalizations divide by, are held
    constant; a maximum hands all relevance to the largest value; a product of two hidden states
    gives half to each.

    LRP is not implementation invariant: two models that compute the same function may give
    different scores (Schlichtkrull, De Cao and Titov 2021, https://arxiv.org/abs/2010.00577,
    appendix H; measured in docs/lrp.md).

    Bach et al., "On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise
    Relevance Propagation" (PLOS ONE 2015, https://doi.org/10.1371/journal.pone.0130140); for graph
    networks Baldassarre and Azizpour, "Explainability Techniques for Graph Convolutional Networks"
    (2019, https://arxiv.org/abs/1905.13686).

    Raises:
        HyperParameterError: for an unknown rule, or a name that fits no module.
        MissingRuleError: from `explain`, if the model calls an operation that has no rule; it names
            the operation, and `glassgraph.rules.register` gives it one.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GraphSAGE
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> model = GraphSAGE(3, 8, 2, 2, bias=False)
        >>> explainer = gg.LRP(model, task="node", rule="zero", rules={"convs.0": "gamma"})
        >>> explanation = explainer.explain(data, [3])[0]
        >>> explanation.node_mask.shape, explanation.layer_edge_mask.shape  # [N, F] and [L, E]
        (torch.Size([4, 3]), torch.Size([2, 3]))
        >>> bool(abs(explanation.node_score.sum() - explanation.local.total) < 1e-5)
        True
    """

    name = "lrp"
    traits = Traits(
        family="decomposition",
        scores=("edge", "layer edge", "node", "feature"),
        is_signed=True,
        source="Bach et al. 2015, doi:10.1371/journal.pone.0130140",
    )

    scope = Scope(settings_in_words=True)

    rule: Rule | RuleName = setting(
        "how sums share relevance: an object of glassgraph.rules, or its name", default="epsilon"
    )
    rules: Mapping[str | type[nn.Module], Rule | RuleName] | None = setting(
        "other rules for some modules, by their name (wildcards allowed) or class", default=None
    )
    input_rule: InputRule | InputRuleName | None = setting(
        "a rule for the first weights: 'w_square' for features without bounds, 'z_box' or "
        "glassgraph.rules.ZBox(low, high) for bounded ones",
        default=None,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._rule_at = Composite(self.model, self.rule, self.rules)
        self.rule, self.rules = self._rule_at.rule, self._rule_at.modules
        self._input_rule = None if self.input_rule is None else as_input_rule(self.input_rule)
        self.input_rule = self._input_rule

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        """The rules, written out."""
        names = {
            key if isinstance(key, str) else key.__name__: str(rule)
            for key, rule in self._rule_at.modules.items()
        }
        first = None if self.input_rule is None else str(self.input_rule)
        return {"rule": str(self.rule), "rules": names, "input_rule": first}

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One forward and one modified backward pass."""
        relevance = Relevance(batch, self._rule_at, self._input_rule)
        layer_edge, feature = relevance.of(relevance.score)
        return attribution(batch, layer_edge, feature, relevance.score)
