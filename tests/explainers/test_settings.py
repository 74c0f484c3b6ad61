"""Hyper-parameters: what they take, and the words for what they do not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from glassgraph.errors import HyperParameterError
from glassgraph.explainers.settings import Configured, Converted, setting, settings_of

Word = Literal["path", "lagrangian"]


class Tuned(Configured):
    """One setting of each kind."""

    name: ClassVar[str] = "tuned"

    steps: int = setting("gradient steps", default=7, at_least=1)
    rate: float = setting("of Adam", default=0.1, above=0)
    share: float | None = setting("kept", default=None, at_least=0, at_most=1)
    word: Word = setting("solver", default="path")
    is_on: bool = setting("switch", default=True)
    depth: int | Literal["all"] = setting("layers", default="all", at_least=0)
    numbers: float | Sequence[float] = setting("one or several", default=0.0, at_least=-1)
    rules: Mapping[str, Any] | None = setting("by name", default=None)
    function: Callable[..., Any] | None = setting("called", default=None)


class Deeper(Tuned):
    """Another one on top."""

    extra: str = setting("a word", default="x")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.doubled = 2 * self.steps


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 1},
        {"steps": np.int64(3)},
        {"rate": 2},
        {"rate": np.float32(0.5)},
        {"share": 0},
        {"share": None},
        {"word": "lagrangian"},
        {"depth": 0},
        {"depth": "all"},
        {"numbers": [0.5, 2]},
        {"numbers": (-1.0,)},
        {"rules": {"a": 1}},
        {"function": len},
    ],
    ids=str,
)
def test_what_is_taken(settings: dict[str, Any]) -> None:
    (name,) = settings
    found = getattr(Tuned(**settings), name)
    assert found == settings[name]
    assert not isinstance(found, np.generic)  # results keep settings as JSON


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": "five"}, "tuned: steps must be an integer of at least 1; got 'five' (str)"),
        ({"steps": 0}, "tuned: steps must be an integer of at least 1; got 0 (int)"),
        ({"steps": 2.0}, "steps must be an integer of at least 1; got 2.0 (float)"),
        ({"steps": True}, "got True (bool)"),
        ({"steps": None}, "got None (NoneType)"),
        ({"rate": 0.0}, "rate must be a number above 0; got 0.0"),
        ({"rate": float("nan")}, "got nan"),
        ({"share": 1.5}, "share must be a number from 0 to 1 or None; got 1.5"),
        ({"word": "newton"}, "word must be 'path' or 'lagrangian'; got 'newton'"),
        ({"is_on": 1}, "is_on must be True or False; got 1"),
        ({"depth": "some"}, "depth must be an integer of at least 0 or 'all'; got 'some'"),
        ({"depth": -1}, "got -1"),
        ({"numbers": "0.5"}, "a sequence, each a number of at least -1; got '0.5'"),
        ({"numbers": [0.5, "x"]}, "got [0.5, 'x']"),
        ({"numbers": [-2.0]}, "got [-2.0]"),
        ({"rules": [1]}, "rules must be a mapping or None; got [1]"),
        ({"function": 3}, "function must be a function or None; got 3"),
        ({"stepz": 3}, "tuned has no hyper-parameter 'stepz'; did you mean 'steps'?"),
        ({"qqqq": 3}, "tuned has no hyper-parameter 'qqqq'"),
    ],
    ids=str,
)
def test_what_is_not(settings: dict[str, Any], words: str) -> None:
    for method in (Tuned, Deeper):
        with pytest.raises(HyperParameterError) as error:
            method(**settings)
        assert words in str(error.value)


def test_a_subclass_takes_both() -> None:
    found = Deeper(steps=5, extra="y")
    assert (found.steps, found.extra, found.doubled) == (5, "y", 10)
    assert [each.name for each in settings_of(Deeper)][-1] == "extra"
    assert repr(found) == "Deeper(steps=5, extra='y')"


def test_the_signature_is_what_an_editor_shows() -> None:
    parameters = inspect.signature(Deeper).parameters
    assert parameters["steps"].default == 7
    assert parameters["steps"].kind is inspect.Parameter.KEYWORD_ONLY
    assert list(parameters)[-1] == "extra"
    assert "steps: gradient steps" in (Deeper.__init__.__doc__ or "")


def test_a_constructor_of_ones_own_is_kept_and_inherited() -> None:
    class Own(Tuned):
        def __init__(self, *, special: int = 3, **shared: Any) -> None:
            super().__init__(**shared)
            self.special = special

    class Child(Own):
        pass

    assert (Child(special=4, steps=9).special, Child(special=4, steps=9).steps) == (4, 9)
    with pytest.raises(HyperParameterError, match="got 0"):
        Child(steps=0)


def test_an_argument_may_be_kept_in_another_form() -> None:
    class Length(Configured, kw_only=False):
        words: Converted[str, int] = Converted(len)
        more: Converted[str, int] = Converted(len, "abc")

    assert (Length("four").words, Length("four").more, Length("four", "ab").more) == (4, 3, 2)
    with pytest.raises(TypeError, match="words"):
        Length()


def test_a_type_that_is_not_known_at_run_time_is_named() -> None:
    class Odd(Configured):
        value: Unknown = setting("odd", default=None)  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TypeError, match=r"Odd.value: the type 'Unknown' is not known"):
        Odd()


def test_an_annotation_that_is_no_setting_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Loose.k: declare a hyper-parameter with k = setting\("):

        class Loose(Configured):
            k: int = 3
