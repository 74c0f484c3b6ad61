"""What the laws walk over: registered methods, each with the room's cases that it can explain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

import glassgraph as gg
from glassgraph.explainers.registry import METHODS
from glassgraph.explainers.scope import Scope
from glassgraph.testing.cases import CASES, Case, holds
from glassgraph.testing.law import Law
from glassgraph.testing.laws import LAWS
from glassgraph.testing.subject import Subject
from tests.laws.covering import IS_WHOLE, cover, covering, whole

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


def each_value(methods: Iterable[str], cases: Sequence[Case] = CASES) -> list[Any]:
    """`within_scope`, but of a method's cases those that show each layer, level and mode.

    Each method begins with another case, so that each case is met by some method.
    """
    found = []
    for number, method in enumerate(methods):
        own = [case for case in cases if holds(scope(method), case)]
        turned = [*own[number % len(own) :], *own[: number % len(own)]]
        chosen = own if IS_WHOLE else cover(turned)
        found += [pytest.param(method, case, id=f"{method}-{case}") for case in chosen]
    return found


def questions(subjects: Mapping[str, Subject], laws: Sequence[Law] = LAWS) -> list[Any]:
    """What is asked of subjects, as parameters of a test: the laws of one case side by side."""
    found = list((whole if IS_WHOLE else covering)(subjects, laws))
    # Laws that begin with the same explanations follow each other, so that few are kept.
    turn = {key: at for at, key in enumerate(dict.fromkeys((m, str(c)) for m, _, c in found))}
    found.sort(key=lambda each: turn[each[0], str(each[2])])
    return [pytest.param(*each, id=f"{each[1]}-{each[0]}-{each[2]}") for each in found]


def one_level_each(cases: Sequence[Case]) -> list[Any]:
    """`within_scope`, but what is the same at several levels is asked at one of them.

    A method meets every mode, return type, kind of target and level, in `make test` one of six;
    the next method meets them at other levels.
    """
    found = []
    for number, method in enumerate(METHODS):
        same: dict[Case, list[Case]] = {}
        for case in cases:
            if holds(scope(method), case):
                same.setdefault(replace(case, level="node"), []).append(case)
        for turn, own in enumerate(same.values()):
            case = own[(number + turn) % len(own)]
            is_now = (number + turn) % 6 == 0
            marks = () if is_now else pytest.mark.slow("the same case of other methods")
            found.append(pytest.param(method, case, marks=marks, id=f"{method}-{case}"))
    return found
