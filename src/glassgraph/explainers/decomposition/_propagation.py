"""What methods that propagate relevance share: one run on a tape, then sums over what it found."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.core.batch import InstanceBatch, no_gradient
from glassgraph.core.feature_scores import sum_features
from glassgraph.errors import HyperParameterError
from glassgraph.relevance.input_rules import InputRule
from glassgraph.relevance.module_scope import ModuleScope, RuleAt
from glassgraph.relevance.rule_names import RuleName, as_rule
from glassgraph.relevance.rules import Rule
from glassgraph.relevance.tape import Tape
from glassgraph.results.explanation import Attribution


class Relevance:
    """One run of a model under rules, ready to be asked for relevance.

    Args:
        batch: the instances.
        rule_at: the rule of each scope.
        input_rule: the rule of the first weights, see `InputRule`.
        options: see `Tape`.

    Attributes:
        score: ``[B]`` the explained logit.
        tape: the rules.
    """

    def __init__(
        self,
        batch: InstanceBatch,
        rule_at: RuleAt,
        input_rule: InputRule | None = None,
        **options: Any,
    ) -> None:
        self._batch = batch
        self._gates = batch.ones(layerwise=True).requires_grad_()
        self._features = batch.feature_leaves()
        leaves = [x for x in self._features if x is not None]
        self._probes = [torch.ones_like(x).requires_grad_() for x in leaves] if input_rule else []
        with torch.enable_grad():
            self.tape: Tape = Tape.on(
                batch,
                rule_at,
                inputs=list(zip(leaves, self._probes, strict=False)),
                input_rule=input_rule,
                **options,
            )
            self.score: Tensor = batch.score(self._gates, self._features, backward=self.tape)

    def of(self, value: Tensor) -> tuple[Tensor, list[Tensor | None]]:
        """Relevance with respect to a value with the gradient of the rules.

        Args:
            value: ``[B]``, such as `score`.

        Returns:
            ``[L, e]`` relevance that passes along each edge at each layer, and for each node type
            ``[n_t, F_t]`` that of the features.

        Raises:
            NoGradientError: if there are messages on which the value does not depend.
        """
        leaves = [x for x in self._features if x is not None]
        inputs = [self._gates, *leaves, *self._probes]
        given: Sequence[Tensor | None] = [None] * len(inputs)
        if value.requires_grad:
            given = torch.autograd.grad(value.sum(), inputs, retain_graph=True, allow_unused=True)
        if given[0] is None and self._batch.has_gated_messages:
            raise no_gradient("messages")
        layer_edge, *found = (
            torch.zeros_like(each) if one is None else one
            for each, one in zip(inputs, given, strict=True)
        )
        relevance = [x.detach() * gradient for x, gradient in zip(leaves, found, strict=False)]
        if self._probes:
            pairs = zip(relevance, found[len(leaves) :], strict=True)
            relevance = [direct + probe for direct, probe in pairs]
        rest = iter(relevance)
        return layer_edge, [None if x is None else next(rest) for x in self._features]


def attribution(
    batch: InstanceBatch, layer_edge: Tensor, feature: list[Tensor | None], total: Tensor | None
) -> Attribution:
    """Relevance of edges over all layers, and of nodes over all features, from the finer ones."""
    edge = layer_edge.sum(dim=0)
    if all(each is None for each in feature):
        return Attribution(edge=edge, layer_edge=layer_edge, total=total)
    node = sum_features(batch, feature)
    return Attribution(edge, layer_edge, node, feature, total)


class Composite:
    """Which rule holds where: one for the whole model, others for some modules or depths.

    Args:
        rule: the rule of all that is not named.
        modules: rules by the name of a module (``"convs.0"``, with wildcards ``"convs.*"``) or by
            its class; the innermost module that is named decides.

    Raises:
        HyperParameterError: if a name fits no module of the model, or a rule is not known.
    """

    def __init__(
        self,
        model: nn.Module,
        rule: Rule | RuleName,
        modules: Mapping[str | type[nn.Module], Rule | RuleName] | None = None,
    ) -> None:
        self.rule = as_rule(rule)
        self.modules = {key: as_rule(each) for key, each in (modules or {}).items()}
        named = dict(model.named_modules())
        for key in self.modules:
            if isinstance(key, str):
                is_found = any(fnmatch.fnmatchcase(name, key) for name in named)
            else:
                is_found = any(isinstance(module, key) for module in named.values())
            if not is_found:
                raise HyperParameterError(
                    f"rules: {key!r} fits no module of {type(model).__name__}; it has "
                    f"{', '.join(name for name in named if name)}"
                )

    def __call__(self, scope: ModuleScope) -> Rule:
        """The rule in a scope."""
        for name, kind in zip(reversed(scope.modules), reversed(scope.types), strict=True):
            for key, rule in self.modules.items():
                if isinstance(key, str):
                    is_meant = fnmatch.fnmatchcase(name, key)
                else:
                    is_meant = issubclass(kind, key)
                if is_meant:
                    return rule
        return self.rule
