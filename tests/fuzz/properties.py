"""What holds for every method at every drawn case.

`Watched` explains as the laws of `glassgraph.testing` ask it to, and looks at each explanation and
at what was left behind. So a law of the library, asked of a drawn case, checks all of this too.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.core.told import FallbackWarning, UnseenWarning
from glassgraph.errors import FitError, LawBroken, UnsupportedModelError, WalkError
from glassgraph.explainers.amortized import HindsightWarning
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.constant import ConstantScoresWarning
from glassgraph.explainers.perturbation.graphmask import CollapsedWarning
from glassgraph.explainers.surrogate.graph_lime import ConstantPredictionWarning
from glassgraph.results.explanation import Explanations
from glassgraph.testing.compare import (
    EDGE_MASKS,
    expect,
    expect_same,
    expect_unchanged,
    scores,
    snapshot,
)
from glassgraph.testing.law import Law, law
from glassgraph.testing.laws import (
    budget_is_irrelevant,
    edge_order_is_irrelevant,
    global_random_state,
    node_order_is_irrelevant,
    together_is_alone,
)
from glassgraph.testing.laws.evidence import within_reach
from glassgraph.testing.laws.randomness import random_state
from glassgraph.testing.subject import Subject
from tests.fuzz.cases import DrawnCase
from tests.fuzz.kinks import has_kink

#: Fewer steps than by default, which are as many as it takes to be exact.
SETTINGS = {"integrated_gradients": {"steps": 3, "tolerance": 1e9}}


class Watched(Subject):
    """A method whose every explanation is looked at."""

    def __init__(self, method: type[Explainer]) -> None:
        super().__init__(method, **SETTINGS.get(method.name, {}))

    def explain(
        self, explainer: Explainer, case: Any, data: Any = None, index: Sequence[int] | None = None
    ) -> Explanations:
        """Explain; what comes back is sound, what was there before is as it was."""
        data = case.data() if data is None else data
        before, state = snapshot(explainer.model, data), random_state()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = super().explain(explainer, case, data, index)
        expect_unchanged(before, snapshot(explainer.model, data))
        expect(state == random_state(), "a global random generator was moved")
        for each in told:
            what = f"it warns of what is not so: {each.category.__name__}: {each.message}"
            expect(is_true(each, case, found), what)
        _expect_sound(found, case.index if index is None else list(index), data)
        return found


def is_true(told: warnings.WarningMessage, case: DrawnCase, found: Explanations) -> bool:
    """Whether a warning says what is so."""
    if told.category is FallbackWarning:
        return case.sees_all_nodes
    if told.category is UnseenWarning:
        has_edges = any(shape.edges for shape in case.graphs)
        return case.network.norm == "graph" if has_edges else "have no edges" in str(told.message)
    if "no edge moves the explained score" in str(told.message):  # an order without a reason
        effect = found.table("steps").groupby("position").effect
        return bool((effect.agg(lambda each: each.abs().max()) < 1e-9).any())
    if told.category in (ConstantPredictionWarning, ConstantScoresWarning):
        return any(_is_constant(each) for each in found)
    return told.category is CollapsedWarning  # after the few steps of a test


def _is_constant(explanation: Any) -> bool:
    """Whether all scores of a kind are the same, but for zeros outside of the field.

    Gates below 0.01 are shut, and the same.
    """
    found = [value.round(decimals=9) for value in scores(explanation).values()]
    return any(value.unique().numel() <= 2 or bool((value.abs() < 0.01).all()) for value in found)


def _expect_sound(found: Explanations, index: list[int], data: Any) -> None:
    """The right length, shapes and types; every score finite."""
    expect(len(found) == len(index), f"{len(found)} explanations of {len(index)} predictions")
    for number, explanation in zip(index, found, strict=True):
        graph = data[number] if isinstance(data, list) else data
        expect(explanation.local.index == number, f"{number} comes as {explanation.local.index}")
        for name, value in scores(explanation).items():
            is_of_edges = name in EDGE_MASKS
            got = value.size(-1) if is_of_edges else value.size(0)
            wanted = graph.num_edges if is_of_edges else graph.num_nodes
            expect(got == wanted, f"{name} has {got} scores for {wanted}")
            expect(value.dtype == torch.float64, f"{name} is {value.dtype}")
            expect(bool(torch.isfinite(value).all()), f"{name} is not finite")


#: Methods that read what the model says of other nodes, which looks as far again: from each node
#: of the field, also those that only count towards a degree.
READS_NEIGHBORS = ("graph_lime", "pg_explainer", "pgm_explainer", "rc_explainer")


@law(
    catches="scores that change when edges with a score of zero are deleted far away",
    usually="something is counted or averaged over the user's graph",
    applies=lambda _, case: case.level != "graph" and not case.sees_all_nodes,
)
def far_edges_are_irrelevant(subject: Subject, case: DrawnCase) -> None:
    """Edges beyond the receptive field (and the degrees at its boundary) score 0, and may go."""
    data, explainer = case.data(), subject.build(case.model(), case)
    depth = len(case.network.layers)
    reads_neighbors = subject.method.name in READS_NEIGHBORS
    for index, whole in zip(case.index, subject.first(case), strict=True):
        near = reaching(case, data, index, depth + 1)
        for name, value in scores(whole).items():
            outside = value[..., ~near] if name in EDGE_MASKS else value[:0]
            expect(not bool(outside.any()), f"{name}: edges far away have scores")
        if reads_neighbors:
            near = reaching(case, data, index, 2 * (depth + 1))
        cut_data = _with_edges(data, near)
        if subject.scope.samples_field and reach(explainer, cut_data) != reach(explainer, data):
            continue  # other predictions look farther, and it samples as far as any does
        (cut,) = subject.explain(explainer, case, cut_data, [index])
        expected = {
            name: value[..., near] if name in EDGE_MASKS else value
            for name, value in scores(whole).items()
        }
        expect_same(scores(cut), expected, f"instance {index}, without edges far away")


def reach(explainer: Explainer, data: Any) -> int:
    """How far a method finds the predictions to look that it sees from outside."""
    with protected(explainer.model):
        return explainer._preparation_of(data).wiring.num_hops


def reaching(case: DrawnCase, data: Any, index: int, num_hops: int) -> torch.Tensor:
    """``[E]`` which edges lead to a node or link in so many hops."""
    seeds = [index] if case.level == "node" else data.edge_label_index[:, index].tolist()
    return within_reach(data.edge_index, seeds, num_hops)[0]


def _with_edges(data: Any, kept: torch.Tensor) -> Any:
    """The same nodes with some of the edges."""
    thinned = data.clone()
    for name in ("edge_index", "edge_weight", "edge_attr"):
        if name in data:
            thinned[name] = data[name][..., kept] if name == "edge_index" else data[name][kept]
    return thinned


@law(
    catches="results that depend on whether a method is built or named",
    usually="a setting is not handed on",
)
def named_is_built(subject: Subject, case: DrawnCase) -> None:
    """`glassgraph.explain` says what the class says, and warns of nothing but hindsight."""
    model, data = case.model(), case.data()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        named = gg.explain(
            model,
            data,
            subject.method.name,
            case.task(),
            case.index,
            case.target,
            progress=False,
            **subject.settings,
        )
    for each in told:
        is_hindsight = each.category is HindsightWarning and subject.traits.is_amortized
        expect(is_hindsight or is_true(each, case, named), f"it warns: {each.message}")
    _expect_sound(named, case.index, data)
    if not subject.traits.is_amortized:  # fitted on something else
        for one, other in zip(named, subject.first(case), strict=True):
            expect_same(scores(one), scores(other), "named and built")


#: What is asked of a drawn case, one of them at a time.
PROPERTIES: Mapping[str, Law] = {
    each.name: each
    for each in (
        together_is_alone,
        edge_order_is_irrelevant,
        node_order_is_irrelevant,
        far_edges_are_irrelevant,
        global_random_state,
        budget_is_irrelevant,
        named_is_built,
    )
}


def applies(name: str, method: type[Explainer], case: DrawnCase) -> bool:
    """Whether a property can be asked of a method at a case."""
    if name == "edge_order_is_irrelevant" and case.keeps_one_loop:
        return False
    return PROPERTIES[name].applies(Subject(method), case)


def ask(subject: Subject, case: DrawnCase, name: str) -> None:
    """Ask; a network that the method refuses has to be one of which it says so.

    Where a network has no derivative, methods that take one need not give the same scores twice.

    Raises:
        LawBroken: if the method fails.
    """
    try:
        PROPERTIES[name].ask(subject, case)
    except LawBroken as broken:
        is_other_score = "scores differ" in str(broken)
        if is_other_score and is_differentiated(subject.method) and has_kink(case):
            return
        by_number = name == "node_order_is_irrelevant"
        if is_other_score and by_number and has_no_order(subject, case):
            return
        if not is_refused(subject.method.name, case, broken.__cause__):
            raise


def has_no_order(subject: Subject, case: DrawnCase) -> bool:
    """Whether a method says of an explanation that the order of its edges is arbitrary."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantScoresWarning)
        return any("arbitrary" in (each.local.remark or "") for each in subject.first(case))


def is_differentiated(method: type[Explainer]) -> bool:
    """Whether a method takes derivatives of the network."""
    return not method.traits.is_black_box and method.name != "attention"


def is_refused(method: str, case: DrawnCase, error: BaseException | None) -> bool:
    """Whether an error says, as documented, that a method does not explain such a network."""
    if method == "cam":  # reads the mean or sum of node states
        return isinstance(error, UnsupportedModelError) and case.network.pooling == "max"
    if method == "gnn_lrp":  # walks follow messages alone
        return isinstance(error, WalkError) and case.network.norm == "graph"
    if isinstance(error, UnsupportedModelError):  # it mixes nodes, and nothing is joined
        has_edges = any(graph.edges for graph in case.graphs)
        return case.network.norm == "graph" and not has_edges
    return isinstance(error, FitError) and not hears_anything(case)


def hears_anything(case: DrawnCase) -> bool:
    """Whether an edge leads to what is explained."""
    data = case.data()
    if case.level == "graph":
        return any(data[number].num_edges for number in case.index)
    return any(bool(reaching(case, data, index, 1).any()) for index in case.index)
