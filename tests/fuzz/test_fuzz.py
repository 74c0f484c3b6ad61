"""Random networks on random graphs: every method keeps its promises there, too.

`make slow` asks the same 500 questions every time, `make test` a quarter of them and `make fuzz`
20,000 other ones. A failure prints the case, which can be pasted into a test.
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
    holds(method, settings.default)


@pytest.mark.slow("fewer of them: test_fuzz")
@pytest.mark.parametrize("method", METHODS)
def test_fuzz_more(method: str) -> None:
    holds(method, settings(max_examples=EXAMPLES["slow"]))


def holds(method: str, given_settings: settings) -> None:
    """Draw questions about a method; each must be answered as its properties say."""

    @given_settings
    @given(questions(METHODS[method]))
    def answers(question: tuple[DrawnCase, str]) -> None:
        case, name = question
        ask(Watched(METHODS[method]), case, name)

    if settings.default.derandomize:  # other cases for every method
        answers = seed(zlib.crc32(method.encode()))(answers)
    answers()


def test_there_are_enough_cases() -> None:
    assert len(METHODS) * EXAMPLES["slow"] >= 500
    assert len(METHODS) * EXAMPLES["fuzz"] >= 20_000
