"""Methods by name, their traits, and the one-liner."""

from __future__ import annotations

import inspect

import pytest
import torch

import glassgraph as gg
from glassgraph.errors import HyperParameterError, UnknownMethodError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.registry import (
    METHODS,
    MODEL_METHODS,
    find_method,
    make_explainer,
)
from glassgraph.testing.cases import CASES, Case, holds
from glassgraph.testing.compare import scores
from tests.laws.cases import SUBJECTS, explained, scope

CASE = Case("gin", "node")
FAMILIES = {"baseline", "gradient", "perturbation", "surrogate", "decomposition", "generation"}
SCORES = {"edge", "layer edge", "node", "feature"}


def own_case(method: str) -> Case:
    """The plain case, or the first that the method can explain."""
    return next(case for case in (CASE, *CASES) if holds(scope(method), case))


def test_every_method_is_public_and_under_its_own_name() -> None:
    for name, method in METHODS.items():
        assert method.name == name
        assert getattr(gg, method.__name__) is method
        assert method.__name__ in gg.__all__
        assert find_method(name) is method


def test_methods_for_models_are_public_and_point_the_way() -> None:
    for name, method in MODEL_METHODS.items():
        assert method.name == name
        assert getattr(gg, method.__name__) is method
        assert method.__name__ in gg.__all__
        with pytest.raises(UnknownMethodError, match=rf"gg\.{method.__name__}\(model, .*fit"):
            gg.explain(CASE.model(), CASE.data(), name)


def test_an_unknown_method() -> None:
    with pytest.raises(UnknownMethodError, match=r"no method 'gnnexplainr'.*gnn_explainer"):
        gg.explain(CASE.model(), CASE.data(), "gnnexplainr")


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_hyper_parameter(method: str) -> None:
    with pytest.raises(HyperParameterError, match=f"{method} has no .*'epoch'.*memory_budget"):
        make_explainer(method, CASE.model(), "node", epoch=3)


def test_the_table_of_methods() -> None:
    table = gg.methods()
    assert list(table.index) == [*METHODS, *MODEL_METHODS]
    assert set(table.loc[list(METHODS), "explains"]) == {"predictions"}
    assert table.loc["xgnn", "explains"] == "model"
    assert table.loc["xgnn", "family"] == "generation"
    row = table.loc["gnn_explainer"]
    assert row["class"] == "GNNExplainer"
    assert row["family"] == "perturbation"
    assert bool(row["learned"])
    assert not bool(row["amortized"])
    assert "Ying" in row["source"]


@pytest.mark.parametrize("method", METHODS)
def test_traits_keep_their_word(method: str) -> None:
    traits = METHODS[method].traits
    assert traits.family in FAMILIES
    assert set(traits.scores) <= SCORES
    on_demand = ("occlusion", "erasure_search", "gnn_explainer")
    settings = {"layerwise": True} if method in on_demand else {}
    if method in ("cam", "grad_cam"):
        settings = {"relu": True}
    case = own_case(method)
    explainer = SUBJECTS[method].build(case.model(), case, **settings)
    found = explained(explainer, case, case.data())
    words = {
        "edge": any(found.local(i).edge_score is not None for i in range(len(found))),
        "layer edge": any(found.local(i).layer_edge_score is not None for i in range(len(found))),
        "node": any(found.local(i).node_score is not None for i in range(len(found))),
        "feature": any(found.local(i).feature_score is not None for i in range(len(found))),
    }
    assert {word for word, is_there in words.items() if is_there} == set(traits.scores)
    is_negative = any(bool((mask < 0).any()) for each in found for mask in scores(each).values())
    assert not is_negative or traits.is_signed
    if traits.family != "baseline":
        assert traits.source


@pytest.mark.filterwarnings("ignore::glassgraph.explainers.amortized.HindsightWarning")
@pytest.mark.parametrize("method", METHODS)
def test_the_one_liner_is_the_class(method: str) -> None:
    case = own_case(method)
    model, data, task = case.model(), case.data(), case.task()
    tiny = METHODS[method].test_settings
    short = gg.explain(model, data, method, task, case.index, 1, seed=7, **tiny)
    explainer = METHODS[method](model, task, seed=7, progress=False, **tiny)
    if METHODS[method].traits.is_amortized:
        explainer.fit(data, index=case.index)  # type: ignore[attr-defined]
    long = explainer.explain(data, case.index, 1)
    assert short.method == method
    for one, other in zip(short, long, strict=True):
        for name, value in scores(one).items():
            assert torch.equal(value, scores(other)[name])


def test_the_one_liner_takes_a_call() -> None:
    model, data = CASE.model(), CASE.data()
    calls = []

    def call(given: torch.nn.Module, graph: gg.Explanation) -> torch.Tensor:
        calls.append(given)
        return given(graph.x, graph.edge_index) * 2

    found = gg.explain(model, data, "edge_gradients", "node", [4], call=call)
    plain = gg.explain(model, data, "edge_gradients", "node", [4])
    assert all(each is model for each in calls)
    torch.testing.assert_close(found[0].edge_mask, 2 * plain[0].edge_mask)


def test_provenance_tells_how_it_was_made() -> None:
    model, data = CASE.model(), CASE.data()
    found = gg.explain(model, data, "gnn_explainer", "node", [4], seed=5, epochs=2)
    told = found.provenance
    assert told["method"] == "gnn_explainer"
    assert told["seed"] == 5
    assert told["hyper_parameters"]["epochs"] == 2
    every, shared = (inspect.signature(each).parameters for each in (gg.GNNExplainer, gg.Explainer))
    assert set(told["hyper_parameters"]) == set(every) - set(shared)
    assert told["task"]["level"] == "node"
    assert told["versions"]["glassgraph"] == gg.__version__
    assert told["graph"]["num_edges"] == data.num_edges
    other = gg.explain(CASE.model(1), data, "random", "node", [4]).provenance
    assert other["model_fingerprint"] != told["model_fingerprint"]
    same = gg.explain(CASE.model(), data, "random", "node", [4]).provenance
    assert same["model_fingerprint"] == told["model_fingerprint"]


def test_every_public_argument_is_documented() -> None:
    for method in [*METHODS.values(), *MODEL_METHODS.values()]:
        text = f"{method.__doc__} {method.__init__.__doc__} {Explainer.__doc__}"
        for name in inspect.signature(method.__init__).parameters:
            if name not in ("self", "shared"):
                assert f"{name}: " in text, f"{method.__name__}: {name}"
