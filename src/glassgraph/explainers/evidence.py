"""What the survey suite found of a method: does it rank edges better than random scores do?

The numbers are those of ``glassgraph benchmark --suite survey``; `evidence.json` beside this module
is counted from its rows by ``docs/tools/result_tables.py``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("evidence.json")


@dataclass(frozen=True)
class Evidence:
    """On which data sets a method's order of edges was better than random.

    Attributes:
        measured: by what, in words.
        above: data sets where its interval lies above that of random scores.
        not_above: those where it does not.
    """

    measured: str
    above: tuple[str, ...]
    not_above: tuple[str, ...]

    @property
    def is_weak(self) -> bool:
        """Whether it was better than random on at most half of the data sets."""
        return 2 * len(self.above) <= len(self.above) + len(self.not_above)

    def __str__(self) -> str:
        """A sentence.

        Example:
            >>> print(Evidence("fidelity", ("cora", "sst"), ("mutag",)))
            Better than random scores (fidelity) on 2 of 3 data sets: cora, sst; not on mutag.
        """
        total = len(self.above) + len(self.not_above)
        said = f"Better than random scores ({self.measured}) on {len(self.above)} of {total}"
        parts = ([", ".join(self.above)] if self.above else []) + (
            [f"not on {', '.join(self.not_above)}"] if self.not_above else []
        )
        return f"{said} data sets: {'; '.join(parts)}."


def evidence_of(method: str) -> Evidence | None:
    """What was measured of a method; None where nothing was."""
    found = _all()
    own = found["methods"].get(method)
    if own is None:
        return None
    return Evidence(own["measured"], tuple(own["above"]), tuple(own["not_above"]))


@cache
def _all() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found
