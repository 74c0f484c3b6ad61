"""`make quick` asks every law of every method, and a rule that leaves one out is noticed."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import glassgraph as gg
from glassgraph.testing import law_names
from glassgraph.testing.laws import LAWS
from tests import quick
from tests.laws.cases import SUBJECTS, questions

LAWS_OF_METHODS = "tests/laws/test_laws.py::test_law"


def collected(name: str, marks: tuple[str, ...] = (), **params: Any) -> Any:
    """What pytest collects for a test, as far as the rule looks at it."""
    callspec = {"callspec": SimpleNamespace(params=params)} if params else {}
    return SimpleNamespace(
        nodeid=f"{name}[{'-'.join(map(str, params.values()))}]" if params else name,
        get_closest_marker=lambda mark: mark if mark in marks else None,
        **callspec,
    )


def laws_of_methods() -> list[Any]:
    keys = ("method", "law", "case")
    return [
        collected(LAWS_OF_METHODS, **dict(zip(keys, each.values, strict=True)))
        for each in questions(SUBJECTS)
    ]


def asked(items: list[Any]) -> list[tuple[str, str]]:
    """Method and law of the quick ones."""
    found = [item.callspec.params for item in quick.quick(items)]
    return [(params["method"], str(params["law"])) for params in found]


def test_every_law_is_asked_of_every_method_once() -> None:
    found = asked(laws_of_methods())
    assert len(found) == len(set(found))
    assert set(found) == {
        (name, law.name)
        for name, subject in SUBJECTS.items()
        for law in LAWS
        if law.cases_for(subject)
    }
    assert {law for _, law in found} == set(law_names())
    predictions = gg.methods().query("explains == 'predictions'")
    assert {method for method, _ in found} == set(predictions.index)


def test_a_rule_that_leaves_laws_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = asked(laws_of_methods())
    for name, value in (("KEYS", ("method",)), ("KEYS", ("law",)), ("SLOW", ("tests/laws",))):
        with monkeypatch.context() as patch:
            patch.setattr(quick, name, value)
            assert len(asked(laws_of_methods())) < len(whole) / 10


def test_slow_tests_and_further_cases_are_left_out() -> None:
    kept = [collected("a"), collected("b", size=3), collected("c", method="m", size=3)]
    left = [
        collected("b", size=5),
        collected("c", method="m", size=5),
        collected("d", ("slow",)),
        collected("e", ("browser",), size=3),
    ]
    assert list(quick.quick([*kept, *left])) == kept


def test_what_make_test_leaves_out_names_what_it_asks_instead() -> None:
    root = Path(__file__).parents[1]
    for path in (*root.glob("tests/**/*.py"), *root.glob("studies/tests/**/*.py")):
        for mark in re.findall(
            r"^(?:@|\w+ = )pytest\.mark\.slow(.?)", path.read_text(), re.MULTILINE
        ):
            assert mark == "(", f"{path.name}: pytest.mark.slow(what is asked instead)"


def test_the_mark_is_set(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("quick") is not None
