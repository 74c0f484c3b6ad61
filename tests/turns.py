"""Which part of a large product `make test` asks, for which `make slow` asks the rest.

Most tests here are asked of every method, or of every kind of model in `CASES`, many of both or of
settings beside. Together that takes half an hour. So each value of each parameter is met by one
case and not by all, and a test meets an eighth of the methods and kinds, the next test another
eighth. The others are marked ``slow``. Left whole are tests without parameters, those with a mark
``whole``, and those with marks ``slow`` of their own.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import pytest

from glassgraph.explainers.registry import METHODS
from glassgraph.testing.cases import CASES, Case

#: A test meets one of so many methods and kinds of models.
PARTS = 8
#: The place of each method and kind of model among its like.
NUMBERS: dict[object, int] = {
    value: at for values in (METHODS, CASES) for at, value in enumerate(values)
}
#: Tests with fewer parameters are left whole.
MANY = 4


def waiting(items: Sequence[pytest.Item]) -> Iterator[pytest.Item]:
    """The tests whose turn it is not."""
    for name, group in groupby(items, key=lambda item: item.nodeid.split("[")[0]):
        cases = [item for item in group if hasattr(item, "callspec")]
        if len(cases) >= MANY and not any(is_left(item) for item in cases):
            now = cover(cases, zlib.crc32(name.encode()) % PARTS) or {0}
            yield from (item for at, item in enumerate(cases) if at not in now)


def is_left(item: pytest.Item) -> bool:
    """Whether a test has a rule of its own."""
    return any(item.get_closest_marker(name) for name in ("slow", "whole"))


def cover(cases: Sequence[pytest.Item], turn: int) -> set[int]:
    """The places of few cases that show every value whose turn it is."""
    values = [shown(case, turn) for case in cases]
    missing = set().union(*values)
    found = set()
    while missing:
        best = max(range(len(cases)), key=lambda at: len(values[at] & missing))
        missing -= values[best]
        found.add(best)
    return found


def shown(item: Any, turn: int) -> set[tuple[str, int]]:
    """The values of a test's parameters whose turn it is, each with its name."""
    return {
        (name, id(value)) for name, value in item.callspec.params.items() if is_now(value, turn)
    }


def is_now(value: object, turn: int) -> bool:
    """Whether it is the turn of a value: of what is neither method nor kind of model it is."""
    at = NUMBERS.get(value) if isinstance(value, (str, Case)) else None
    return at is None or at % PARTS == turn


def by_turns(
    rows: Sequence[Any],
    columns: Sequence[Any],
    is_asked: Callable[[Any, Any], bool] = lambda row, column: True,
    each: int = 1,
) -> list[Any]:
    """Every row with every column, as parameters; all but ``each`` columns of a row are slow.

    Pairs of which ``is_asked`` is false are left out.
    """
    turn, found = 0, []
    for row in rows:
        asked = [column for column in columns if is_asked(row, column)]
        now = {(turn + step) % len(asked) for step in range(each)} if asked else set()
        turn += each
        for at, column in enumerate(asked):
            marks = () if at in now else pytest.mark.slow("the same of other rows: tests/turns.py")
            found.append(pytest.param(row, column, marks=marks, id=f"{_word(row)}-{_word(column)}"))
    return found


def first(values: Sequence[Any], count: int) -> list[Any]:
    """Values as parameters; all but the first ``count`` are slow."""
    waits = pytest.mark.slow("the first ones: tests/turns.py")
    return [
        pytest.param(value, marks=() if at < count else waits, id=_word(value))
        for at, value in enumerate(values)
    ]


def _word(value: Any) -> str:
    return getattr(value, "__name__", None) or getattr(value, "name", None) or str(value)
