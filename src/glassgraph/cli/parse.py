"""Words of the command line -> values: instances, targets, settings, memory."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glassgraph.errors import CommandError

_UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}


def parse_names(text: str) -> list[str]:
    """``"saliency,gnn_explainer"`` as a list without repetitions.

    Raises:
        CommandError: if it names nothing.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise CommandError("--method names no method; see 'glassgraph methods'")
    return list(dict.fromkeys(names))


def parse_index(text: str, option: str = "--index") -> list[int]:
    """Numbers and ranges without their end: ``"300,301"``, ``"300:320"``, ``"7,300:320:5"``.

    Args:
        text: what the option was given.
        option: its name.

    Raises:
        CommandError: if it is none of these.

    Example:
        >>> parse_index("7,300:303")
        [7, 300, 301, 302]
    """
    found: list[int] = []
    for piece in text.split(","):
        words = piece.strip().split(":")
        try:
            numbers = [int(word) for word in words]
        except ValueError:
            numbers = []
        if not 1 <= len(numbers) <= 3 or (len(numbers) == 3 and numbers[2] <= 0):
            raise CommandError(
                f"{option} takes numbers (300,301), ranges without their end (300:320), 'motif', "
                f"'all', or a file with a number on each line; got {text!r}"
            )
        chosen = numbers if len(numbers) == 1 else list(range(*numbers))
        if not chosen:
            raise CommandError(f"{option} {text!r}: the range {piece.strip()!r} is empty")
        found += chosen
    return found


def parse_target(text: str) -> str | int | tuple[int, int]:
    """``"predicted"``, ``"label"``, a class ``"2"``, or ``"2:0"`` for "why 2 rather than 0".

    Raises:
        CommandError: if it is none of these.
    """
    if text in ("predicted", "label"):
        return text
    if re.fullmatch(r"\d+", text):
        return int(text)
    pair = re.fullmatch(r"(\d+):(\d+)", text)
    if pair is None:
        raise CommandError(
            f"--target takes 'predicted', 'label', a class (2), or two (2:0 for why 2 rather than "
            f"0); got {text!r}"
        )
    return int(pair[1]), int(pair[2])


def parse_memory(text: str, option: str = "--memory") -> int:
    """``"1GB"``, ``"512MiB"`` or a number of bytes.

    Raises:
        CommandError: if it is none of these, or zero.

    Example:
        >>> parse_memory("1.5 GiB")
        1610612736
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = match[2].upper() if match else None
    if match is None or unit not in _UNITS or float(match[1]) <= 0:
        raise CommandError(f"{option} takes a size such as 1GB or 512MiB; got {text!r}")
    return max(1, int(float(match[1]) * _UNITS[unit]))


def parse_cache(folder: Path | None, *, no_cache: bool) -> Path | None:
    """The folder of trained models; None for none.

    Raises:
        CommandError: if both options are given, or the folder is a file.
    """
    if no_cache:
        if folder is not None:
            raise CommandError("give --cache DIR or --no-cache, not both")
        return None
    from glassgraph.models.cache import VARIABLE, default_cache

    chosen = default_cache() if folder is None else folder
    if chosen.exists() and not chosen.is_dir():
        named = VARIABLE if folder is None else "--cache"
        raise CommandError(f"{named}: {chosen} is a file; trained models are kept in a folder")
    return chosen


def parse_shares(text: str) -> list[float]:
    """``"0.5,0.7"`` as numbers (their range is checked by the metrics).

    Raises:
        CommandError: if one is no number.
    """
    try:
        return [float(word) for word in text.split(",")]
    except ValueError as error:
        raise CommandError(f"--sparsity takes numbers such as 0.5,0.7; got {text!r}") from error


def parse_settings(
    entries: Sequence[str], own: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """``--set`` entries as hyper-parameters of each method.

    ``key=value`` goes to every chosen method that has it, ``method.key=value`` to one.

    Args:
        entries: the entries.
        own: for each chosen method the names of its hyper-parameters.

    Raises:
        CommandError: if an entry has another form, or no chosen method takes it.
    """
    found: dict[str, dict[str, Any]] = {method: {} for method in own}
    for entry in entries:
        left, equals, text = entry.partition("=")
        method, dot, name = left.strip().rpartition(".")
        if not equals or not name:
            raise CommandError(f"--set takes key=value or method.key=value; got {entry!r}")
        if dot and method not in own:
            raise CommandError(
                f"--set {entry}: {method!r} is not among the chosen methods ({', '.join(own)})"
            )
        takers = [each for each in own if name in own[each] and (not dot or each == method)]
        if not takers:
            offers = "; ".join(
                f"{each} takes {', '.join(own[each]) or 'none'}"
                for each in ([method] if dot else own)
            )
            raise CommandError(f"--set {entry}: no such hyper-parameter; {offers}")
        for taker in takers:
            found[taker][name] = _value(text.strip())
    return found


def _value(text: str) -> Any:
    """A Python literal, ``true``/``false``/``none`` in any case, or else the text itself."""
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
