"""The method that laws are asked of, and what they share of its explanations.

Many laws begin with the same explanations of the same case, and amortized methods learn on it
first. A `Subject` keeps both, so that each is computed once.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from torch import Tensor, nn

from glassgraph.calling.protect import fingerprint
from glassgraph.explainers.amortized import AmortizedExplainer, HindsightWarning
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.constant import ConstantScoresWarning
from glassgraph.explainers.perturbation.message_gates.relations import UnseenRelationWarning
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.traits import Traits
from glassgraph.results.explanation import Explanations
from glassgraph.testing.cases import AnyCase
from glassgraph.testing.compare import scores

#: Dense masks of one explanation by name.
Masks: TypeAlias = dict[str, Tensor]


class Subject:
    """A method with settings under which it explains in moments.

    Args:
        method: the method.
        **settings: a variant of it; added to its ``test_settings``.
    """

    def __init__(self, method: type[Explainer], **settings: Any) -> None:
        self.method = method
        self.settings: Mapping[str, Any] = {**method.test_settings, **settings}
        self._first: dict[Any, Explanations] = {}
        self._fitted: dict[Any, AmortizedExplainer[Any]] = {}

    @property
    def traits(self) -> Traits:
        """Traits of the method."""
        return self.method.traits

    @property
    def scope(self) -> Scope:
        """What the method can explain."""
        return self.method.scope

    @property
    def is_blind(self) -> bool:
        """Whether it looks at no model, and says so."""
        return self.traits.family == "baseline"

    def with_own_flags(self) -> Subject:
        """The method whose settings that are True or False are its defaults."""
        declared = inspect.signature(self.method).parameters
        flags = [name for name, value in self.settings.items() if isinstance(value, bool)]
        if not flags:
            return self
        return Subject(self.method, **{name: declared[name].default for name in flags})

    def build(self, model: nn.Module, case: AnyCase, **settings: Any) -> Explainer:
        """An explainer of a model; ``settings`` override those of the subject."""
        given = {"call": case.call, "progress": False, **self.settings, **settings}
        return self.method(model, case.task(), **given)

    def first(self, case: AnyCase, model_seed: int = 0) -> Explanations:
        """What the method says of a case, computed once: only to be read."""
        key = (case, model_seed)
        if key not in self._first:
            self._first[key] = self.explain(self.build(case.model(model_seed), case), case)
        return self._first[key]

    def explain(
        self,
        explainer: Explainer,
        case: AnyCase,
        data: Any = None,
        index: Sequence[int] | None = None,
    ) -> Explanations:
        """Explain the case's instances, on other data or of another index where they are given.

        Amortized methods are fitted on the case first, once for each model and seed: the laws ask
        how something fitted explains.
        """
        if isinstance(explainer, AmortizedExplainer) and explainer.needs_fit:
            explainer.adopt(self._fit(explainer, case.lesson))
        return _explain(explainer, case, case.data() if data is None else data, index)

    def _fit(self, explainer: AmortizedExplainer[Any], case: AnyCase) -> AmortizedExplainer[Any]:
        own = explainer.hyper_parameters
        key = (case, fingerprint(explainer.model), explainer.seed, repr(own))
        if key not in self._fitted:
            fresh = self.build(explainer.model, case, seed=explainer.seed, **own)
            assert isinstance(fresh, AmortizedExplainer)
            dtype = next(explainer.model.parameters()).dtype
            data = case.data()
            for each in data if isinstance(data, list) else [data]:
                each.apply(lambda value: value.to(dtype) if value.is_floating_point() else value)
            self._fitted[key] = fresh.fit(data, index=case.index)
        return self._fitted[key]

    def learn_and_explain(
        self, explainer: Explainer, case: AnyCase, data: Any, index: Sequence[int] | None = None
    ) -> Explanations:
        """Explain after fitting on the given data, on all of it where an index is given."""
        if isinstance(explainer, AmortizedExplainer) and explainer.needs_fit:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", HindsightWarning)
                if index is None:
                    explainer.fit(data, index=case.index)
                else:
                    everything = list(range(len(explainer.prepare(data).instances(None))))
                    explainer.fit(data, index=everything, validation=everything)
        return _explain(explainer, case, data, index)

    def has_nothing_to_say(self, found: Sequence[Masks]) -> bool:
        """Whether no input changes a decision, for methods that ask for nothing else."""
        is_empty = not any(bool(value.any()) for each in found for value in each.values())
        return is_empty and self.scope.asks_for_decisions


def _explain(
    explainer: Explainer, case: AnyCase, data: Any, index: Sequence[int] | None
) -> Explanations:
    chosen = case.index if index is None else index
    with warnings.catch_warnings():  # a law may hold of an answer that tells nothing apart
        warnings.simplefilter("ignore", ConstantScoresWarning)
        warnings.simplefilter("ignore", UnseenRelationWarning)  # three predictions teach few
        return explainer.explain(data, index=chosen, target=case.target)


def masks(explanations: Explanations) -> list[Masks]:
    """Dense masks of each explanation."""
    return [scores(each) for each in explanations]
