"""`help()` of every public class tells what a user needs: a question, an example, a paper."""

from __future__ import annotations

import doctest
import inspect

import pytest

import glassgraph as gg
from glassgraph.explainers.registry import METHODS, MODEL_METHODS

CLASSES = [name for name in gg.__all__ if isinstance(getattr(gg, name), type)]
OWN = [
    method
    for method in (*METHODS.values(), *MODEL_METHODS.values())
    if method.__module__.startswith("glassgraph.")
]


@pytest.mark.parametrize("name", CLASSES)
def test_a_public_class_has_an_example_of_its_own(name: str) -> None:
    text = vars(getattr(gg, name)).get("__doc__") or ""
    assert doctest.DocTestParser().get_examples(inspect.cleandoc(text)), name


@pytest.mark.parametrize("method", OWN, ids=lambda method: method.name)
def test_a_method_asks_a_question_and_names_its_paper(method: type) -> None:
    text = inspect.cleandoc(vars(method)["__doc__"])
    assert "?" in text.partition("\n\n")[0] or method.traits.family == "baseline"
    assert "https://" in text


def test_the_check_sees_a_class_without_an_example() -> None:
    assert not doctest.DocTestParser().get_examples("What is asked?\n\nFormula: a = b.")
