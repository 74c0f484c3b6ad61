"""Tables of a TOML file, read key by key: what is unknown or of another type is refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from glassgraph.errors import SuiteError
from glassgraph.words import nearest

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str | float, what: str) -> float:
    """Seconds of ``"2h"``, ``"90m"``, ``"1h30m"``, ``"45s"`` or a number.

    Raises:
        SuiteError: if it is none of these, or not positive.

    Example:
        >>> parse_duration("1h30m", "--budget")
        5400.0
    """
    seconds = 0.0
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        seconds = float(text)
    elif isinstance(text, str):
        compact = text.replace(" ", "").lower()
        if re.fullmatch(r"\d+(\.\d+)?", compact):
            seconds = float(compact)
        elif re.fullmatch(r"(\d+(\.\d+)?[smhd])+", compact):
            pieces = re.findall(r"(\d+(?:\.\d+)?)([smhd])", compact)
            seconds = sum(float(number) * _SECONDS[unit] for number, unit in pieces)
    if not 0 < seconds < float("inf"):
        raise SuiteError(f"{what} takes a time such as 2h, 90m or 45s; got {text!r}")
    return seconds


class Keys:
    """One table, read key by key.

    Args:
        table: what the file says.
        where: file and key, the beginning of every error.
        known: the keys that it may have.

    Raises:
        SuiteError: for another key, naming it and the nearest that is known, before any value is
            looked at: what a misspelled key leaves out would be blamed instead.
    """

    def __init__(self, table: Any, where: str, known: Iterable[str]) -> None:
        if not isinstance(table, Mapping):
            raise SuiteError(f"{where} must be a table of keys; got {_shown(table)}")
        self._table, self.where, self._known = table, where, sorted(known)
        for key in table:
            if key not in self._known:
                raise SuiteError(f"{where}: unknown key {key!r}{nearest(key, self._known)}")

    def take(self, key: str, kind: type | tuple[type, ...], default: Any, expected: str) -> Any:
        """The value of a key.

        Raises:
            SuiteError: if it is of another type.
        """
        assert key in self._known
        if key not in self._table:
            return default
        value = self._table[key]
        is_flag = isinstance(value, bool) and kind is not bool
        if is_flag or not isinstance(value, kind):
            raise SuiteError(f"{self.where}: {key} must be {expected}; got {_shown(value)}")
        return value

    def text(self, key: str, default: Any = "") -> Any:
        """A string."""
        return self.take(key, str, default, "a string")

    def count(self, key: str, default: Any, at_least: int = 1) -> Any:
        """An integer."""
        value = self.take(key, int, default, f"an integer of at least {at_least}")
        if value is not None and value < at_least:
            raise SuiteError(
                f"{self.where}: {key} must be an integer of at least {at_least}; got {value}"
            )
        return value

    def seconds(self, key: str, default: float) -> float:
        """A time."""
        value = self.take(key, (str, int, float), default, "a time such as '2m', or seconds")
        return parse_duration(value, f"{self.where}: {key}")

    def choice(self, key: str, words: Iterable[str], default: str) -> str:
        """One of some words."""
        value: str = self.text(key, default)
        if value not in words:
            raise SuiteError(
                f"{self.where}: {key}: there is no {value!r}{nearest(value, sorted(words))}"
            )
        return value

    def numbers(self, key: str, kind: type | tuple[type, ...], default: Any, expected: str) -> Any:
        """A list of numbers, or one."""
        value = self.take(key, (list, int, float), None, expected)
        if value is None:
            return default
        found = value if isinstance(value, list) else [value]
        if not found or any(isinstance(v, bool) or not isinstance(v, kind) for v in found):
            raise SuiteError(f"{self.where}: {key} must be {expected}; got {_shown(value)}")
        return tuple(found)

    def table(self, key: str) -> dict[str, Any]:
        """A table within; empty if it is not there."""
        found: dict[str, Any] = self.take(key, dict, {}, "a table of keys")
        return found


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
