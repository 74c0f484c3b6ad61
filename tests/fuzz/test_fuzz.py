"""Random networks on random graphs: every method keeps its promises there, too.

`make test` asks the same 500 questions every time, `make fuzz` 20,000 other ones. A failure prints
the case, which can be pasted into a test.
"""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, seed, settings

from glassgraph.explainers.registry import METHODS
from tests.fuzz.cases import DrawnCase
from tests.fuzz.conftest import EXAMPLES
from tests.fuzz.properties import Watched, ask
from tests.fuzz.strategies import questions


@pytest.mark.parametrize("method", METHODS)
def test_fuzz(method: str) -> None:
    @given(questions(METHODS[method]))
    def holds(question: tuple[DrawnCase, str]) -> None:
        case, name = question
        ask(Watched(METHODS[method]), case, name)

    if settings.default.derandomize:  # other cases for every method
        holds = seed(zlib.crc32(method.encode()))(holds)
    holds()


def test_there_are_enough_cases() -> None:
    assert len(METHODS) * EXAMPLES["test"] >= 500
    assert len(METHODS) * EXAMPLES["fuzz"] >= 20_000
