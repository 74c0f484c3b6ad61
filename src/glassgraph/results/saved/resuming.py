"""Whether a run that is resumed was asked for the same as the one that was begun."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from glassgraph.errors import ResumeError

#: What a run was asked for besides what its provenance says: target, digests of index and data, ...
Asked: TypeAlias = dict[str, Any]
#: Of a provenance; the data's digest says more than the sizes of the graph.
_NOT_COMPARED = ("versions", "graph")
_MOST_SHOWN = 60


class ResumeWarning(UserWarning):
    """A run is resumed, and whether it is the same one could not be checked in full."""


def refuse_differences(
    folder: Path, header: Mapping[str, Any], provenance: Mapping[str, Any], asked: Asked
) -> None:
    """Hold what is asked for against what a header says was asked for.

    Raises:
        ResumeError: naming everything that differs, with both values.
    """
    if not isinstance(header.get("asked"), dict):
        raise ResumeError(
            f"{folder} cannot be resumed: it does not say what it was asked for (only what "
            "explain(..., save_to=...) wrote does); choose another folder, or replace the result"
        )
    before = dict(_entries({**header["provenance"], **header["asked"]}))
    now = dict(_entries({**provenance, **asked}))
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if names:
        what = "; ".join(
            f"{name} was {_short(before.get(name))}, is {_short(now.get(name))}" for name in names
        )
        raise ResumeError(
            f"{folder} cannot be resumed, it was asked for something else: {what}. Ask for the "
            "same again, choose another folder, or replace the result"
        )
    _tell_of_versions(folder, header["provenance"].get("versions"), provenance.get("versions"))


def as_word(value: Any) -> str:
    """What JSON cannot hold, such as a function, by its name."""
    return f"{getattr(value, '__qualname__', type(value).__qualname__)} (not kept)"


def _entries(what: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and values, as JSON has them, of what has to be equal."""
    for name, value in what.items():
        if name in _NOT_COMPARED:
            continue
        if isinstance(value, Mapping):
            yield from _entries(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value, default=as_word)


def _short(text: str | None) -> str:
    if text is None:
        return "not given"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _tell_of_versions(folder: Path, before: Any, now: Any) -> None:
    if before != now:
        warnings.warn(
            f"{folder} was begun with {_listed(before)}, this is {_listed(now)}; its scores may "
            "differ slightly from those that are added",
            ResumeWarning,
            stacklevel=7,
        )


def _listed(versions: Any) -> str:
    if not isinstance(versions, Mapping):
        return "unknown versions"
    return ", ".join(f"{name} {version}" for name, version in versions.items())
