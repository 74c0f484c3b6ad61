"""Lists of words as people give them: arrays, columns of tables, dictionaries by number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glassgraph.errors import GraphError


def listed(values: Any, size: int | None, what: str) -> list[str]:
    """One word for each of so many; of a dictionary by number, with "" for what it leaves out.

    Raises:
        GraphError: if it is not that.
    """
    values = plain(values)
    if isinstance(values, Mapping):
        values = _by_number(values, size, what)
    found = words(values, what)
    if size is not None and len(found) != size:
        raise GraphError(f"{what} has {len(found)} entries; expected {size}, one for each")
    return found


def words(values: Any, what: str) -> list[str]:
    """Words; "" for what has none, such as the nodes of a type that is not named.

    Raises:
        GraphError: if there is anything else.
    """
    is_list = not isinstance(values, str | bytes | Mapping) and hasattr(values, "__len__")
    if not is_list or not all(value is None or isinstance(value, str) for value in values):
        raise GraphError(f"{what} are words, one for each; got {values!r:.80}")
    return [_whole(str(value or "")) for value in values]


def _whole(word: str) -> str:
    """A word that can be written into files: halves of letters, as JSON may hold, become ``?``."""
    return word if word.isascii() else word.encode("utf-8", "replace").decode("utf-8")


def plain(values: Any) -> Any:
    """Arrays, pandas columns and the like as lists, also within lists and dictionaries."""
    if isinstance(values, Mapping):
        return {key: plain(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [plain(value) for value in values]
    return values.tolist() if hasattr(values, "tolist") else values


def _by_number(names: Mapping[Any, Any], size: int | None, what: str) -> list[Any]:
    """A dictionary from numbers to words as a list; JSON has numbers as words."""
    try:
        numbers = {int(key): value for key, value in names.items()}
    except (TypeError, ValueError):
        numbers = {-1: None}
    most = max(numbers, default=-1) + 1 if size is None else size
    outside = [number for number in numbers if not 0 <= number < most]
    if outside or len(numbers) < len(names):
        raise GraphError(
            f"{what} as a dictionary has words by number, 0 to {most - 1}; got the keys "
            f"{', '.join(map(repr, names))[:80]}"
        )
    return [numbers.get(number) for number in range(most)]
