"""What the fuzz has to find: explainers that break one promise each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import Phase, given, settings

import glassgraph as gg
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import LawBroken, WalkError
from tests.fuzz.cases import DrawnCase, Shape
from tests.fuzz.kinks import has_kink
from tests.fuzz.networks import Architecture
from tests.fuzz.properties import PROPERTIES, Watched, applies, ask, is_refused
from tests.fuzz.strategies import cases
from tests.laws.wrong import ChangesData, ChangesWeights, LeavesHook

CASE = DrawnCase(
    network=Architecture(("gin",), dropout=0.5),
    graphs=(Shape(7, ((0, 1), (2, 3), (3, 4), (4, 5), (5, 6), (1, 1), (0, 1))),),
    level="node",
    mode="multiclass_classification",
    return_type="raw",
    target=None,
    columns=3,
    explained=(1, 6),
)


class CountsEdges(gg.EdgeGradients):
    """Divides by the edges of the whole graph."""

    name = "counts_edges"

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        edge: Any = super().attribute(batch).edge
        return gg.Attribution(edge=edge / batch.graph.num_edges)


class CriesWolf(gg.EdgeGradients):
    """Tells of a fall-back that never was."""

    name = "cries_wolf"

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        warnings.warn(
            "falling back: the result is right, but slower", FallbackWarning, stacklevel=2
        )
        return super().attribute(batch)


class MovesGenerator(gg.EdgeGradients):
    """Draws from the global generator."""

    name = "moves_generator"

    def explain(self, *args: Any, **kwargs: Any) -> gg.Explanations:
        torch.rand(1)
        return super().explain(*args, **kwargs)


class LeavesEvaluationMode(gg.EdgeGradients):
    """Switches dropout off for good."""

    name = "leaves_evaluation_mode"

    def explain(self, *args: Any, **kwargs: Any) -> gg.Explanations:
        self.model.eval()
        return super().explain(*args, **kwargs)


def broken() -> Iterator[Any]:
    everywhere = (MovesGenerator, LeavesEvaluationMode, CriesWolf, LeavesHook, ChangesWeights)
    for method in (*everywhere, ChangesData):
        yield pytest.param(method, "together_is_alone", id=method.__name__)
    yield pytest.param(CountsEdges, "far_edges_are_irrelevant", id="CountsEdges")


@pytest.mark.parametrize(("wrong", "name"), list(broken()))
def test_is_refused(wrong: type[gg.Explainer], name: str) -> None:
    with pytest.raises(LawBroken):
        ask(Watched(wrong), CASE, name)
    ask(Watched(gg.EdgeGradients), CASE, name)


def test_the_search_finds_what_is_wrong() -> None:
    name = "far_edges_are_irrelevant"

    @settings(max_examples=100, derandomize=True, phases=[Phase.generate])
    @given(cases(CountsEdges.scope))
    def holds(case: DrawnCase) -> None:
        if applies(name, CountsEdges, case):
            ask(Watched(CountsEdges), case, name)

    with pytest.raises(LawBroken, match="without edges far away"):
        holds()


def test_every_property_is_asked() -> None:
    for name in PROPERTIES:
        ask(Watched(gg.EdgeGradients), CASE, name)


def test_refusals_are_those_that_are_documented() -> None:
    error = WalkError("walks are not defined")
    assert not is_refused("gnn_lrp", CASE, error)
    assert not is_refused("saliency", CASE, error)


#: Both nodes of the second graph hear themselves and each other, so their states are equal.
SYMMETRIC = DrawnCase(
    network=Architecture(("gcn", "graphconv"), pooling="max"),
    graphs=(Shape(1, ()), Shape(2, ((0, 1), (1, 0)))),
    level="graph",
    mode="regression",
    return_type="raw",
    target=None,
    columns=1,
    explained=(0, 1),
)


def test_equal_maxima_are_a_kink() -> None:
    assert has_kink(SYMMETRIC)
    for name in ("together_is_alone", "node_order_is_irrelevant"):
        ask(Watched(gg.EdgeGradients), SYMMETRIC, name)
    assert not has_kink(replace(SYMMETRIC, network=Architecture(("gcn",), pooling="mean")))
    assert not has_kink(replace(SYMMETRIC, graphs=(Shape(3, ((0, 1), (1, 2))),)))


def test_at_a_kink_other_promises_are_kept() -> None:
    with pytest.raises(LawBroken):
        ask(Watched(MovesGenerator), SYMMETRIC, "together_is_alone")


@pytest.mark.parametrize("layer", ["gat", "gin", "sage-max"])
def test_most_networks_have_no_kink(layer: str) -> None:
    """Parallel edges bring the same message twice, to the last bit."""
    assert not has_kink(replace(CASE, network=Architecture((layer,), activation="relu")))
