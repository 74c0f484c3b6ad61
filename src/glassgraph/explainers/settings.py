"""Hyper-parameters, declared once.

    class Mine(Explainer):
        steps: int = setting("gradients along each path", default=32, at_least=1)
        rule: Literal["midpoint", "trapezoid"] = setting("where they are taken", default="midpoint")

A class that derives from `Configured` is a dataclass: its constructor, its signature and the types
that an editor shows come from these lines. So do the checks of types, ranges and choices, the
errors that name what was got and what was expected, ``glassgraph methods NAME``, ``--set`` and the
list of arguments in ``help()``. What depends on several values at once is checked in
``__post_init__``.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, MISSING, dataclass, field, fields
from math import inf
from numbers import Integral, Real
from typing import Any, ClassVar, Generic, Literal, TypeVar, Union, overload

import numpy as np
from typing_extensions import Self, dataclass_transform

from glassgraph.errors import ArgumentsError, HyperParameterError

__all__ = ["KW_ONLY", "Configured", "Converted", "Setting", "setting", "settings_of"]

Value = TypeVar("Value")
Given = TypeVar("Given")
Kept = TypeVar("Kept")

_KEY = "glassgraph"


@dataclass(frozen=True)
class Bounds:
    """Where a number may lie.

    Attributes:
        above: it is greater than this.
        at_least: it is this or greater.
        below: it is less than this.
        at_most: it is this or less.
    """

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None

    def holds(self, number: float) -> bool:
        """Whether a number lies within; NaN never does where there is a bound."""
        return (
            (self.above is None or number > self.above)
            and (self.at_least is None or number >= self.at_least)
            and (self.below is None or number < self.below)
            and (self.at_most is None or number <= self.at_most)
        )

    def __str__(self) -> str:
        if (self.at_least, self.below) == (-(2**63), 2**63):
            return "of 64 bits"
        if self.at_least is not None and self.at_most is not None:
            return f"from {self.at_least} to {self.at_most}"
        words = {
            "above": self.above,
            "of at least": self.at_least,
            "below": self.below,
            "of at most": self.at_most,
        }
        found = [f"{word} {bound}" for word, bound in words.items() if bound not in (None, inf)]
        return " and ".join(found)


@dataclass(frozen=True)
class Setting:
    """One hyper-parameter of a class.

    Attributes:
        name: what it is called.
        type: its type.
        default: its default; ``dataclasses.MISSING`` if it has none.
        about: what it does, in a line.
        bounds: where numbers may lie.
    """

    name: str
    type: Any
    default: Any
    about: str
    bounds: Bounds

    @property
    def expected(self) -> str:
        """What values it takes, in words: ``an integer of at least 1 or None``."""
        *others, last = dict.fromkeys(_words(self.type, self.bounds))
        return f"{', '.join(others)} or {last}" if others else last

    def accepts(self, value: Any) -> bool:
        """Whether a value has the type and lies within the bounds."""
        return _fits(value, self.type, self.bounds)


def setting(
    about: str,
    *,
    default: Value,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> Value:
    """A hyper-parameter with its default, its meaning and its range.

    Args:
        about: what it does, in a line.
        default: the default.
        above: numbers are greater than this.
        at_least: numbers are this or greater.
        below: numbers are less than this.
        at_most: numbers are this or less.
    """
    bounds = Bounds(above, at_least, below, at_most)
    found: Value = field(default=default, kw_only=True, metadata={_KEY: (about, bounds)})
    return found


class Converted(Generic[Given, Kept]):
    """An argument that is given in one form and kept in another: ``"node"`` becomes a `Task`.

    Args:
        convert: from what is given to what is kept.
        default: what is given if nothing is; none if left out.
    """

    def __init__(self, convert: Callable[[Given], Kept], default: Any = MISSING) -> None:
        self._convert, self._default = convert, default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Given: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Kept: ...

    def __get__(self, instance: object | None, owner: type) -> Given | Kept:
        if instance is not None and self._name in vars(instance):
            kept: Kept = vars(instance)[self._name]
            return kept
        if instance is None and self._default is not MISSING:
            default: Given = self._default
            return default  # where a dataclass looks for the default of its field
        raise AttributeError(self._name)

    def __set__(self, instance: object, value: Given) -> None:
        vars(instance)[self._name] = self._convert(value)


@dataclass_transform(kw_only_default=True, field_specifiers=(setting,))
class Configured:
    """Base of classes that are set up by hyper-parameters; see the module.

    Raises:
        HyperParameterError: at construction, for a name that is not known, a value of another type
            or out of range.
    """

    name: ClassVar[str]
    _has_own_init: ClassVar[bool] = False

    def __init_subclass__(cls, *, kw_only: bool = True, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls._has_own_init = True  # inherited: no constructor is made for its subclasses
        _refuse_other_fields(cls)
        dataclass(init=not cls._has_own_init, eq=False, repr=False, kw_only=kw_only)(cls)
        if not cls._has_own_init:
            cls.__init__ = _named_errors(cls.__init__)  # type: ignore[method-assign]
        parameters = [*inspect.signature(cls.__init__).parameters.values()][1:]
        cls.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        if "__init__" in vars(cls) and not cls.__init__.__doc__:
            lines = [f"    {each.name}: {each.about}" for each in settings_of(cls, typed=False)]
            cls.__init__.__doc__ = "\n".join(["Args:", *lines]) if lines else None

    def __new__(cls, *args: Any, **settings: Any) -> Self:  # noqa: ARG004 - `__init__` reads them
        """Refuse names that are not known, with the nearest that are."""
        known = inspect.signature(cls).parameters
        takes_all = any(each.kind is each.VAR_KEYWORD for each in known.values())
        for name in settings:
            if name not in known and not takes_all:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else "."
                raise HyperParameterError(
                    f"{_title(cls)} has no hyper-parameter {name!r}{hint} It takes "
                    f"{', '.join(each for each in known if each != 'model')}"
                )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Check every value by itself.

        Raises:
            HyperParameterError: for a value of another type or out of range.
        """
        for each in settings_of(type(self)):
            value = getattr(self, each.name)
            check_value(type(self), each, value)
            if isinstance(value, np.generic):  # results keep settings as JSON
                setattr(self, each.name, value.item())

    def __repr__(self) -> str:
        changed = [
            f"{each.name}={getattr(self, each.name)!r}"
            for each in settings_of(type(self), typed=False)
            if repr(getattr(self, each.name)) != repr(each.default)
        ]
        return f"{type(self).__name__}({', '.join([*self._subject(), *changed])})"

    def _subject(self) -> list[str]:
        """What `__repr__` names first."""
        return []


def _named_errors(make: Callable[..., None]) -> Callable[..., None]:
    """The constructor, with an error of ours where arguments are missing or too many."""

    @functools.wraps(make)
    def init(self: Any, *args: Any, **settings: Any) -> None:
        try:
            inspect.signature(make).bind(self, *args, **settings)
        except TypeError as error:
            known = inspect.signature(type(self)).parameters.values()
            placed = [each.name for each in known if each.kind is each.POSITIONAL_OR_KEYWORD]
            named = [each.name for each in known if each.kind is each.KEYWORD_ONLY]
            raise ArgumentsError(
                f"{_title(type(self))}: {error}; it takes {', '.join(placed) or 'nothing'} in this "
                f"order, and by name {', '.join(named) or 'nothing'}"
            ) from None
        make(self, *args, **settings)

    return init


def _refuse_other_fields(owner: type) -> None:
    """An annotation without `setting` would be an argument that nobody checks.

    Raises:
        TypeError: naming it.
    """
    for name, kind in vars(owner).get("__annotations__", {}).items():
        value = vars(owner).get(name)
        is_declared = isinstance(value, Converted) or _KEY in getattr(value, "metadata", ())
        if not is_declared and "ClassVar" not in str(kind) and "KW_ONLY" not in str(kind):
            raise TypeError(
                f"{owner.__qualname__}.{name}: declare a hyper-parameter with "
                f"{name} = setting('what it does', default=...), a constant as ClassVar, and other "
                "attributes in __post_init__"
            )


def check_value(owner: type, declared: Setting, value: Any) -> None:
    """Hold a value against what a hyper-parameter takes.

    Raises:
        HyperParameterError: naming the method, the hyper-parameter, what it takes and what it got.
    """
    if not declared.accepts(value):
        shown = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:77]}..."
        raise HyperParameterError(
            f"{_title(owner)}: {declared.name} must be {declared.expected}; got {shown} "
            f"({type(value).__name__})"
        )


@functools.cache
def _resolved(owner: type) -> tuple[Setting, ...]:
    """All settings of a class with their types, those of its bases first."""
    return tuple(_read(owner, typed=True))


def settings_of(owner: type, *, typed: bool = True) -> tuple[Setting, ...]:
    """All settings of a class, those of its bases first.

    Args:
        owner: a class that derives from `Configured`.
        typed: look up the types, too (not before the module of the class is complete).
    """
    return _resolved(owner) if typed else tuple(_read(owner, typed=False))


def _read(owner: type, *, typed: bool) -> Iterator[Setting]:
    for each in fields(owner):
        if _KEY in each.metadata:
            about, bounds = each.metadata[_KEY]
            kind = _type_of(owner, each.name, each.type) if typed else Any
            yield Setting(each.name, kind, each.default, about, bounds)


def _type_of(owner: type, name: str, annotation: Any) -> Any:
    """The type of a field, looked up in the module of the class that declares it."""
    if not isinstance(annotation, str):
        return annotation
    home = next(base for base in owner.__mro__ if name in vars(base).get("__annotations__", {}))
    names = {**vars(typing), **vars(sys.modules[home.__module__])}
    try:
        return eval(annotation, names)
    except NameError as error:
        raise TypeError(
            f"{home.__qualname__}.{name}: the type {annotation!r} is not known when the program "
            f"runs ({error}); import it outside of `if TYPE_CHECKING`"
        ) from error


def _title(owner: type) -> str:
    """What a class is called in errors: the name of the method."""
    return str(getattr(owner, "name", owner.__name__))


# Types


def _fits(value: Any, kind: Any, bounds: Bounds) -> bool:
    """Whether a value is of a type, as far as types can be told, and within the bounds."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, each, bounds) for each in inside)
    if origin is Literal:
        return any(type(value) is type(each) and value == each for each in inside)
    if origin is type:
        return isinstance(value, type)
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping)
    if origin in (tuple, list, Sequence) or (origin and issubclass(origin, Sequence)):
        is_row = isinstance(value, Sequence) and not isinstance(value, str)
        return is_row and all(_fits(each, inside[0], bounds) for each in value)
    if origin is not None:  # Callable[...] and other generic types
        return callable(value) if origin is Callable else isinstance(value, origin)
    return _is_plain(value, kind) and (not isinstance(value, Real) or bounds.holds(float(value)))


def _is_plain(value: Any, kind: Any) -> bool:
    if kind is None or kind is type(None):
        return value is None
    if kind is bool:
        return isinstance(value, bool)
    if kind in (int, float):
        wanted = Integral if kind is int else Real
        return isinstance(value, wanted) and not isinstance(value, bool)
    return isinstance(value, kind)


_PLAIN = {bool: "True or False", str: "a string", None: "None", type(None): "None"}


def _words(kind: Any, bounds: Bounds) -> Iterator[str]:
    """What a type asks for, one piece for each alternative."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        for each in inside:
            yield from _words(each, bounds)
    elif origin is Literal:
        yield from map(repr, inside)
    elif kind in (int, float):
        noun = "an integer" if kind is int else "a number"
        yield f"{'a finite number' if bounds.below == inf else noun} {bounds}".strip()
    elif kind in _PLAIN:
        yield _PLAIN[kind]
    elif origin is Callable:
        yield "a function"
    elif origin is not None and issubclass(origin, Mapping):
        yield "a mapping"
    elif origin is not None and issubclass(origin, (Sequence, tuple)):
        one = " or ".join(_words(inside[0], bounds))
        yield f"a sequence, each {one}"
    else:
        yield getattr(kind, "__name__", str(kind))
