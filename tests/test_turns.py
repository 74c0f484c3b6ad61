"""What `make test` leaves to `make slow`: no value is left out, and no method over all tests."""

from __future__ import annotations

from itertools import product
from typing import Any

from glassgraph.explainers.registry import METHODS
from glassgraph.testing.cases import CASES
from tests.test_quick import collected
from tests.turns import PARTS, by_turns, waiting

LAYERS, SEEDS = ("gcn", "gat", "gin", "sage"), (0, 1, 2)


def asked(items: list[Any]) -> list[dict[str, Any]]:
    left = list(waiting(items))
    return [item.callspec.params for item in items if item not in left]


def test_each_value_is_met_in_few_cases() -> None:
    items = [collected("test_a", layer=one, seed=two) for one, two in product(LAYERS, SEEDS)]
    found = asked(items)
    assert len(found) == len(LAYERS)
    assert {each["layer"] for each in found} == set(LAYERS)
    assert {each["seed"] for each in found} == set(SEEDS)


def test_a_test_meets_a_part_of_methods_and_kinds_and_others_the_rest() -> None:
    met: set[object] = set()
    for number in range(20):
        by_method = [collected(f"test_{number}", method=each) for each in METHODS]
        by_case = [collected(f"test_{number}", case=each) for each in CASES]
        for values, items in ((METHODS, by_method), (CASES, by_case)):
            found = {next(iter(each.values())) for each in asked(items)}
            assert len(values) // PARTS <= len(found) <= len(values) // PARTS + 1
            met |= found
    assert met == {*METHODS, *CASES}


def test_methods_that_all_have_to_wait_leave_one() -> None:
    names = list(METHODS)[:1]
    for number in range(9):
        items = [collected(f"test_{number}", method=names[0], x=each) for each in "abcd"]
        assert asked(items)


def test_own_rules_are_kept() -> None:
    for mark in ("slow", "whole"):
        items = [collected("test_a", layer=one, seed=two) for one, two in product(LAYERS, SEEDS)]
        items.append(collected("test_a", (mark,), layer="gcn", seed=7))
        assert len(asked(items)) == len(items)
    assert len(asked([collected("test_a", seed=each) for each in SEEDS])) == len(SEEDS)
    assert not list(waiting([collected("test_a"), collected("test_b")]))


def test_rows_meet_columns_by_turns() -> None:
    rows, columns = list("abcdef"), list("xyz")
    found = by_turns(rows, columns, lambda row, column: (row, column) != ("a", "x"))
    now = [each.values for each in found if not each.marks]
    assert len(found) == len(rows) * len(columns) - 1
    assert [row for row, _ in now] == rows
    assert {column for _, column in now} == set(columns)
    assert not [each for each in by_turns(rows, columns, each=0) if not each.marks]
