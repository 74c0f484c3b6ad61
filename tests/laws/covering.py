"""Which cases `make test` asks a law of a method about: a few that show all there is to see.

`make laws` asks every law of every method about every case. Of that product this keeps a covering
part: under each law a method meets every layer, level, mode and graph at the limits that its own
cases have; all its cases are asked about under some law, and all cases of a law of some method. The
two laws of failures count as one here: what one asks with an error the other asks with Ctrl-C.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from glassgraph.testing.cases import AnyCase
from glassgraph.testing.law import Law
from glassgraph.testing.subject import Subject

#: Whether all cases are asked about.
IS_WHOLE = os.environ.get("GLASSGRAPH_CASES") == "all"
#: Fields of cases of which every value is met.
FIELDS = ("kind", "level", "rows", "mode", "base", "graph", "dtype")
#: Laws that fail a method at each call of its model: of a method they share the cases between them.
OF_FAILURES = ("unchanged_after_error", "unchanged_after_interrupt")
#: A method's name, a law and what it is asked about.
Question: TypeAlias = "tuple[str, Law, AnyCase]"


def whole(subjects: Mapping[str, Subject], laws: Sequence[Law]) -> Iterator[Question]:
    """Every method, law and case."""
    for method, subject in subjects.items():
        for law in laws:
            for case in law.cases_for(subject):
                yield method, law, case


def covering(subjects: Mapping[str, Subject], laws: Sequence[Law]) -> Iterator[Question]:
    """For every method and law few cases, those that were asked about least."""
    asked: Counter[tuple[str, AnyCase]] = Counter()
    for number, (method, subject) in enumerate(subjects.items()):
        for law in laws:
            cases = law.cases_for(subject)
            if law.name in OF_FAILURES:
                start = (number + OF_FAILURES.index(law.name)) % 2
                few = cases[start::2] or cases
            else:
                few = list(cover(sorted(cases, key=_least_asked(asked, method, law.name))))
            for case in few:
                asked[method, case] += 1
                asked[law.name, case] += 1
                yield method, law, case


def _least_asked(
    asked: Counter[tuple[str, AnyCase]], method: str, law: str
) -> Callable[[AnyCase], int]:
    """How often a case was asked of the method, or under the law, before."""
    return lambda case: asked[method, case] + asked[law, case]


def cover(cases: Sequence[AnyCase]) -> Iterator[AnyCase]:
    """Few cases that show every value, each time the first of those that show most."""
    missing = {value for case in cases for value in shown(case)}
    while missing:
        best = max(cases, key=lambda case: len(missing & shown(case)))
        missing -= shown(best)
        yield best


def shown(case: AnyCase) -> set[tuple[str, str]]:
    """The values of a case's fields, each with its name."""
    return {(name, str(getattr(case, name))) for name in FIELDS if hasattr(case, name)}
