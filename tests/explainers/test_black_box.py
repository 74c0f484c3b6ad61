"""Methods that only call a model: the proof that they do nothing else with it."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import glassgraph as gg
from glassgraph.errors import NoMessagePassingError
from glassgraph.explainers.black_box import BlackBoxExplainer
from glassgraph.explainers.registry import METHODS
from glassgraph.testing.cases import Case
from glassgraph.testing.compare import expect_same, scores
from tests.explainers.opaque import Opaque, OpenedError
from tests.laws import literal
from tests.laws.cases import each_value

OUTSIDE = {name: each for name, each in METHODS.items() if issubclass(each, BlackBoxExplainer)}
EXPECTED = {
    "causal_screening",
    "graph_lime",
    "pgm_explainer",
    "relex",
    "smallest_counterfactual",
    "shapley_edges",
    "shapley_nodes",
    "subgraphx",
    "zorro",
}

each_case = pytest.mark.parametrize(("method", "case"), each_value(OUTSIDE))


def test_the_methods_that_say_so_are_these() -> None:
    assert set(OUTSIDE) == EXPECTED
    assert all(each.traits.is_black_box for each in OUTSIDE.values())


def explained(method: str, model: Any, case: Case, **settings: Any) -> gg.Explanations:
    settings |= METHODS[method].test_settings
    explainer = METHODS[method](model, case.task(), progress=False, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return explainer.explain(case.data(), case.index, target=case.target)


@each_case
def test_a_model_that_cannot_be_opened_is_explained_alike(method: str, case: Case) -> None:
    """No hook can be set, no gradient had, no layer found; the scores are those of the model."""
    closed = Opaque(case.model(), lambda model, data: literal.predict(model, case, data))
    found = explained(method, closed, case)
    assert closed.calls
    for one, other in zip(found, explained(method, case.model(), case), strict=True):
        expect_same(scores(one), scores(other))
        assert one.local.tables.keys() == other.local.tables.keys()


@each_case
def test_no_hook_on_an_open_model(method: str, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers in the open are left alone as well."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OpenedError("a hook was set")

    model = case.model()
    for module in model.modules():
        for name in dir(module):
            if name.startswith("register_") and name.endswith("_hook"):
                monkeypatch.setattr(module, name, refuse)
    explained(method, model, case)


@pytest.mark.parametrize("method", OUTSIDE)
def test_a_function_is_explained(method: str) -> None:
    case = Case("gin", "node")
    model = case.model()

    def function(x: Tensor, edge_index: Tensor) -> Tensor:
        with torch.no_grad():
            return model(x, edge_index)

    for one, other in zip(
        explained(method, function, case), explained(method, model, case), strict=True
    ):
        expect_same(scores(one), scores(other))


@pytest.mark.parametrize("method", sorted(set(METHODS) - set(OUTSIDE)))
def test_the_proof_rejects_methods_that_look_inside(method: str) -> None:
    case = Case("gat" if method == "attention" else "gin", "graph")
    closed = Opaque(case.model(), lambda model, data: literal.predict(model, case, data))
    with pytest.raises(NoMessagePassingError):
        METHODS[method](closed, case.task())


def test_the_proof_rejects_a_method_that_asks_for_gradients() -> None:
    class Curious(OUTSIDE["pgm_explainer"]):  # type: ignore[misc, name-defined]
        def attribute(self, batch: Any) -> Any:
            with torch.enable_grad():
                batch.output(features=batch.feature_leaves())
            return super().attribute(batch)

    case = Case("gin", "node")
    closed = Opaque(case.model(), lambda model, data: literal.predict(model, case, data))
    with pytest.raises(AssertionError, match="gradient"):
        Curious(closed, case.task(), progress=False).explain(case.data(), case.index)


def test_an_open_model_can_be_opened_and_a_closed_one_not() -> None:
    case = Case("gin", "node")
    explainer = OUTSIDE["pgm_explainer"]
    assert explainer(case.model(), case.task()).open(case.data()).wiring.num_layers == 2
    closed: nn.Module = Opaque(case.model(), lambda model, data: literal.predict(model, case, data))
    with pytest.raises(NoMessagePassingError):
        explainer(closed, case.task()).open(case.data())
