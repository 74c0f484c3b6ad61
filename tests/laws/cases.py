"""What the laws walk over: registered methods, each with the room's cases that it can explain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

import glassgraph as gg
from glassgraph.explainers.registry import METHODS
from glassgraph.explainers.scope import LEVELS, Scope
from glassgraph.testing.cases import Case, holds
from glassgraph.testing.law import Law
from glassgraph.testing.laws import LAWS
from glassgraph.testing.subject import Subject

HETERO = ("hetero_conv", "to_hetero", "hgt", "han")

SUBJECTS = {name: Subject(method) for name, method in METHODS.items()}


def scope(method: str) -> Scope:
    """What a method can explain."""
    return METHODS[method].scope


def hetero_models(own: Scope) -> tuple[str, ...]:
    """The heterogeneous models, which predict nodes, within a scope (see ``tests/hetero``)."""
    if not own.heterogeneous or "node" not in own.levels:
        return ()
    return ("hetero_conv",) if own.needs_attention else HETERO


def explained(
    explainer: gg.Explainer, case: Case, data: Any, index: Sequence[int] | None = None
) -> gg.Explanations:
    """Explain the case's instances; amortized methods are fitted on them first."""
    return SUBJECTS[explainer.name].explain(explainer, case, data, index)


def within_scope(cases: Sequence[Case]) -> list[Any]:
    """All pairs of a method and a case that it can explain, as parameters of a test."""
    return [
        pytest.param(method, case, id=f"{method}-{case}")
        for method in METHODS
        for case in cases
        if holds(scope(method), case)
    ]


def questions(subjects: Mapping[str, Subject], laws: Iterable[Law] = LAWS) -> list[Any]:
    """Every subject, law and case, as parameters of a test: the laws of one case side by side."""
    found = [
        (method, str(case), law, case)
        for method, subject in subjects.items()
        for law in laws
        for case in law.cases_for(subject)
    ]
    # Laws that begin with the same explanations follow each other, so that few are kept.
    turn = {key: number for number, key in enumerate(dict.fromkeys(each[:2] for each in found))}
    found.sort(key=lambda each: turn[each[:2]])
    return [
        pytest.param(method, law, case, id=f"{law}-{method}-{title}")
        for method, title, law, case in found
    ]


def every_other(cases: Sequence[Case]) -> list[Any]:
    """`within_scope`, but half of it: a method takes every other case, the next one those between.

    Levels begin in turn with the first and the second, so that a method has each mode, return type
    and kind of target at one level at least.
    """
    rank = {method: number for number, method in enumerate(METHODS)}
    turn: dict[int, int] = {}
    for level in LEVELS:
        own = [case for case in cases if case.level == level]
        turn |= {id(case): number + LEVELS.index(level) for number, case in enumerate(own)}
    return [
        each
        for each in within_scope(cases)
        if (rank[each.values[0]] + turn[id(each.values[1])]) % 2 == 0
    ]
