"""Every law for every registered method, and the laws of gates for every kind of layer."""

from __future__ import annotations

from typing import Any

import pytest

import glassgraph as gg
from glassgraph.testing import law_names
from glassgraph.testing.cases import CASES, Case, every_mode_and_target, holds
from glassgraph.testing.law import Law
from glassgraph.testing.laws import LAWS, together_is_alone
from glassgraph.testing.subject import Subject
from tests.laws import gates
from tests.laws.cases import SUBJECTS, one_level_each, questions, scope, within_scope

each_case = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.mark.parametrize("method", SUBJECTS)
def test_every_method_has_cases(method: str) -> None:
    own = [case for case in CASES if holds(scope(method), case)]
    assert {case.level for case in own} == set(scope(method).levels)


def test_every_law_says_what_it_catches() -> None:
    assert list(law_names()) == [law.name for law in LAWS]
    assert len({law.catches for law in LAWS}) == len(LAWS)
    assert all(law.usually and law.check.__doc__ for law in LAWS)


@pytest.mark.whole
@pytest.mark.parametrize(("method", "law", "case"), questions(SUBJECTS))
def test_law(method: str, law: Law, case: Case) -> None:
    law.ask(SUBJECTS[method], case)


# Variants that compute otherwise

#: Laws that a fit on other instances would not decide.
_OF_FREE_MASKS = (
    "model_unchanged",
    "together_is_alone",
    "budget_is_irrelevant",
    "far_graph_is_irrelevant",
    "edge_order_is_irrelevant",
    "outside_is_zero",
    "seed_decides",
)
VARIANTS = {
    "graphmask, path": (
        Subject(gg.GraphMask, amortized=False, solver="path"),
        (*_OF_FREE_MASKS, "model_matters"),
    ),
    "graphmask, lagrangian": (
        Subject(gg.GraphMask, amortized=False, solver="lagrangian"),
        _OF_FREE_MASKS,
    ),
    "gnn_explainer, layerwise": (
        Subject(gg.GNNExplainer, layerwise=True),
        (*_OF_FREE_MASKS, "field_is_full_graph"),
    ),
}


@pytest.mark.parametrize(
    ("method", "law", "case"),
    [
        question
        for name, (subject, names) in VARIANTS.items()
        for question in questions({name: subject}, [law for law in LAWS if law.name in names])
    ],
)
def test_law_of_a_variant(method: str, law: Law, case: Case) -> None:
    law.ask(VARIANTS[method][0], case)


# Every mode and target


@pytest.mark.parametrize(("method", "case"), one_level_each(every_mode_and_target()))
def test_together_is_alone_in_every_mode_and_for_every_target(method: str, case: Case) -> None:
    together_is_alone.ask(SUBJECTS[method], case)


def test_every_method_meets_every_mode_target_and_level() -> None:
    def pairs(parameters: list[Any]) -> set[object]:
        found: set[object] = set()
        for method, case in (each.values for each in parameters):
            question = case.mode, case.return_type, case.target, case.columns
            found |= {(method, question), (method, case.level), case}
        return found

    cases = every_mode_and_target()
    assert pairs(one_level_each(cases)) == pairs(within_scope(cases))


# Gates


@each_case
def test_open_gates_change_no_bit(case: Case) -> None:
    gates.check_open_gates_change_no_bit(case)


@each_case
def test_shut_gate_deletes_message(case: Case) -> None:
    gates.check_shut_gate_deletes_message(case)
