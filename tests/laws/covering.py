"""Which cases `make test` asks a law of a method about: one, for the next method another.

`make laws` asks every law of every method about every case. Of that product this keeps a part in
which no pair is missing: each law is asked of each method, each case of each method under some law
and under each law of some method. Of graphs at the limits each method meets all.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from glassgraph.testing.cases import AnyCase, Case
from glassgraph.testing.law import Law
from glassgraph.testing.special_cases import LimitCase
from glassgraph.testing.subject import Subject

#: Whether all cases are asked about.
IS_WHOLE = os.environ.get("GLASSGRAPH_CASES") == "all"
#: Fields of cases of which `cover` shows every value.
FIELDS = ("kind", "level", "rows", "mode", "base", "graph", "dtype")
#: A method's name, a law and what it is asked about.
Question: TypeAlias = "tuple[str, Law, AnyCase]"


def whole(subjects: Mapping[str, Subject], laws: Sequence[Law]) -> Iterator[Question]:
    """Every method, law and case."""
    for method, subject in subjects.items():
        for law in laws:
            for case in law.cases_for(subject):
                yield method, law, case


def covering(subjects: Mapping[str, Subject], laws: Sequence[Law]) -> Iterator[Question]:
    """For every method and law one case, that which both met least; then what is still missing."""
    met: Counter[tuple[str, AnyCase]] = Counter()

    def asked(question: Question) -> Question:
        method, law, case = question
        met.update([(method, case), (law.name, case)])
        return question

    for method, subject in subjects.items():
        for law in laws:
            cases = law.cases_for(subject)
            cases = sorted(cases, key=lambda case: met[method, case] + met[law.name, case])
            is_of_limits = any(isinstance(case, LimitCase) for case in cases)
            for case in cover(cases) if is_of_limits else cases[:1]:
                yield asked((method, law, case))
    for method, law, case in whole(subjects, laws):
        if isinstance(case, Case) and not (met[method, case] and met[law.name, case]):
            yield asked((method, law, case))


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
