"""Warnings of workers, which nobody would see: heard where they explain, told by the driver."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glassgraph.explainers.constant import ConstantScoresWarning

#: What stands in the rows, as remarks; and what is for developers, which Python does not show.
_UNHEARD = (
    ConstantScoresWarning,
    DeprecationWarning,
    PendingDeprecationWarning,
    ImportWarning,
    ResourceWarning,
)
#: Packages whose classes every driver has.
_SHARED = ("builtins", "glassgraph")


@dataclass(frozen=True)
class Heard:
    """A warning that can be sent.

    Attributes:
        category: its class, or the nearest above it that every driver has.
        text: what it says.
        place: the file and the line that said it.
    """

    category: type[Warning]
    text: str
    place: str


@contextmanager
def hearing() -> Iterator[list[Heard]]:
    """Nothing is shown inside of the block; what was warned of is in the list after it."""
    found: list[Heard] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for category in _UNHEARD:
            warnings.simplefilter("ignore", category)
        try:
            yield found
        finally:
            for each in caught:
                place = f"{Path(each.filename).name}:{each.lineno}"
                found.append(Heard(_shared(each.category), str(each.message), place))


def _shared(category: type[Warning]) -> type[Warning]:
    return next(each for each in category.__mro__ if each.__module__.split(".")[0] in _SHARED)
