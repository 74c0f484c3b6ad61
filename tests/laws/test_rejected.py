"""A law that cannot fail is a defect: every law rejects an explainer that breaks it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import glassgraph as gg
from glassgraph.errors import GlassgraphError, LawBroken
from glassgraph.explainers.scope import Scope
from glassgraph.testing import laws
from glassgraph.testing.cases import AnyCase, Case
from glassgraph.testing.compare import expect_same
from glassgraph.testing.law import Law
from glassgraph.testing.special_cases import LimitCase, PlantedCase
from glassgraph.testing.subject import Subject
from tests.laws import gates, wrong

NODE = Case("gin", "node")
GRAPH = Case("gin", "graph")
LINK = Case("gin", "edge")

#: Law, explainer, and the levels at which it breaks the law.
EVERYWHERE = [
    (laws.explains, wrong.Fails),
    (laws.signs_are_told, wrong.SaysUnsigned),
    (laws.model_unchanged, wrong.LeavesHook),
    (laws.model_unchanged, wrong.ChangesWeights),
    (laws.model_unchanged, wrong.SetsGradients),
    (laws.model_unchanged, wrong.ChangesData),
    (laws.model_matters, wrong.IgnoresModel),
    (laws.together_is_alone, wrong.DividesByBatchMaximum),
    (laws.budget_is_irrelevant, wrong.AveragesOverBatch),
    (laws.edge_order_is_irrelevant, wrong.PrefersLaterEdges),
    (laws.edge_order_is_irrelevant, wrong.ShiftsEdges),
    (laws.node_order_is_irrelevant, wrong.PrefersLaterNodes),
    (laws.node_order_is_irrelevant, wrong.SwapsNodes),
    (laws.seed_decides, wrong.IgnoresSeed),
    (laws.seed_decides, wrong.SecretlyRandom),
    (laws.global_random_state, wrong.ReadsGlobalGenerator),
    (laws.global_random_state, wrong.SeedsGlobalGenerator),
    (laws.settings_make_it_again, wrong.ForgetsSetting),
    (laws.save_and_load, wrong.SavesRounded),
]
OF_FIELDS = [
    (laws.field_is_full_graph, wrong.DividesByFieldSize),
    (laws.far_graph_is_irrelevant, wrong.DividesByGraphSize),
    (laws.outside_is_zero, wrong.ShiftsEdges),
]
AFTER_FAILURE = [
    (law, explainer)
    for law in (laws.unchanged_after_error, laws.unchanged_after_interrupt)
    for explainer in (wrong.DetachesOnlyOnSuccess, wrong.StaysFrozen)
]
PLANTED = [(laws.planted_edge_is_first, wrong.WrongSign)]
AT_LIMITS = [(laws.limits_are_explained, wrong.DividesByMaximum)]
OF_TWINS = [(laws.twins_score_alike, wrong.FirstOfTwins)]
PRECISION = [(laws.precision_is_kept, wrong.AlwaysSingle)]
QUESTIONS: list[tuple[Law, type[gg.Explainer], AnyCase]] = [
    *((*each, case) for each in EVERYWHERE for case in (NODE, GRAPH, LINK)),
    *((*each, case) for each in OF_FIELDS for case in (NODE, LINK)),
    *((*each, NODE) for each in AFTER_FAILURE),
    *((*each, PlantedCase(level)) for each in PLANTED for level in ("node", "graph", "edge")),
    *(
        (*each, LimitCase(NODE, graph))
        for each in AT_LIMITS
        for graph in ("no edges", "one node", "isolated")
    ),
    *(
        (*each, LimitCase(NODE, graph))
        for each in OF_TWINS
        for graph in ("double loop", "parallel")
    ),
    *((*each, LimitCase(NODE, "loops")) for each in PRECISION),
]


def named(each: Any) -> str:
    return each.__name__ if isinstance(each, type) else str(each)


@pytest.mark.parametrize(("law", "explainer", "case"), QUESTIONS, ids=named)
def test_law_rejects(law: Law, explainer: type[gg.Explainer], case: AnyCase) -> None:
    with pytest.raises(LawBroken) as broken:
        law.ask(Subject(explainer), case)
    assert broken.value.law == law.name
    assert broken.value.case == str(case)
    assert isinstance(broken.value, AssertionError)
    assert isinstance(broken.value, GlassgraphError)


def test_every_law_has_something_that_it_rejects() -> None:
    assert {law for law, *_ in QUESTIONS} == set(laws.LAWS)


@pytest.mark.parametrize("explainer", [wrong.DetachesOnlyOnSuccess, wrong.StaysFrozen])
def test_without_a_failure_there_is_nothing_to_see(explainer: type[gg.Explainer]) -> None:
    laws.model_unchanged.ask(Subject(explainer), NODE)


def test_the_planted_edge_is_told_from_those_of_other_receivers() -> None:
    class NamesReceivers(wrong.WrongSign):
        scope = Scope(names_receivers=True)

    for level in ("node", "graph", "edge"):
        with pytest.raises(LawBroken, match="carries the evidence"):
            laws.planted_edge_is_first.ask(Subject(NamesReceivers), PlantedCase(level))


# Gates


@pytest.mark.parametrize("case", [NODE, GRAPH, LINK], ids=str)
def test_law_of_open_gates_rejects_a_last_bit(case: Case) -> None:
    with pytest.raises(AssertionError):
        gates.check_open_gates_change_no_bit(case, wrong.opens_too_far)


@pytest.mark.parametrize("output", [wrong.shuts_not_quite, wrong.shuts_neighbor])
@pytest.mark.parametrize("case", [NODE, GRAPH, LINK], ids=str)
def test_law_of_shut_gates_rejects(case: Case, output: gates.GatedOutput) -> None:
    with pytest.raises(AssertionError):
        gates.check_shut_gate_deletes_message(case, output)


# What a broken law says


def test_a_broken_law_says_which_where_by_how_much_and_why() -> None:
    with pytest.raises(LawBroken) as broken:
        laws.together_is_alone.ask(Subject(wrong.DividesByBatchMaximum), NODE)
    text = str(broken.value)
    assert text.startswith("edge_gradients breaks the law 'together_is_alone'\n")
    for piece in (
        "gin-node-multiclass-raw-predicted (level node, mode multiclass_classification",
        "target predicted, index [4, 17, 9])",
        "edge_mask: ",
        "of 53 scores differ, by up to 0.",
        "instead of",
        "the other instances of a batch",
        "batch.edge_instance",
    ):
        assert piece in text, piece


def test_an_error_of_the_method_is_a_broken_law_and_its_cause() -> None:
    with pytest.raises(LawBroken, match=r"raised RuntimeError: no such luck") as broken:
        laws.explains.ask(Subject(wrong.Fails), NODE)
    assert isinstance(broken.value.__cause__, RuntimeError)


def test_what_changed_is_named() -> None:
    with pytest.raises(LawBroken, match=r"convs\.0\._message_forward_hooks changed: 1 .*"):
        laws.model_unchanged.ask(Subject(wrong.LeavesHook), NODE)
    with pytest.raises(LawBroken, match=r"head\.weight\.value changed by up to 1e-12"):
        laws.model_unchanged.ask(Subject(wrong.ChangesWeights), NODE)
    with pytest.raises(LawBroken, match="data 0 changed: x"):
        laws.model_unchanged.ask(Subject(wrong.ChangesData), NODE)


def test_a_number_that_is_none_differs_from_all() -> None:
    got = {"edge_mask": torch.tensor([1.0, float("nan")])}
    with pytest.raises(AssertionError, match=r"1 of 2 scores differ, by up to inf \(at \[1\]: nan"):
        expect_same(got, {"edge_mask": torch.ones(2)})
