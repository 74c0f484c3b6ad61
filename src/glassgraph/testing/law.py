"""What a law is: a question to a method about a case, and what it means if the answer is no."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from glassgraph.errors import LawBroken
from glassgraph.testing.cases import CASES, AnyCase, Case, holds
from glassgraph.testing.compare import Violation
from glassgraph.testing.special_cases import LimitCase
from glassgraph.testing.subject import Subject

#: Raises `Violation` where a method fails at a case.
Check: TypeAlias = Callable[[Subject, Any], None]


@dataclass(frozen=True, eq=False)
class Law:
    """One law.

    Attributes:
        check: the question.
        catches: which mistakes it finds, in a line.
        usually: what it means if a method fails, and where to look.
        cases: the room's cases that it is asked about.
        applies: whether it is asked of a method at a case at all.
        on_own: whether it can be asked about a model and data of a user.
    """

    check: Check
    catches: str
    usually: str
    cases: Sequence[AnyCase]
    applies: Callable[[Subject, AnyCase], bool]
    on_own: bool

    @property
    def name(self) -> str:
        """The law's name."""
        return self.check.__name__

    def __str__(self) -> str:
        return self.name

    def cases_for(self, subject: Subject) -> list[AnyCase]:
        """The room's cases that a method can be asked about."""
        return [
            case for case in self.cases if _is_within(subject, case) and self.applies(subject, case)
        ]

    def ask(self, subject: Subject, case: AnyCase) -> None:
        """Ask a method about a case.

        Raises:
            LawBroken: if it fails, or raises an error of its own.
        """
        try:
            self.check(subject, case)
        except Violation as violation:
            raise self._broken(subject, case, str(violation)) from None
        except Exception as error:
            what = f"the method raised {type(error).__name__}: {error}"
            raise self._broken(subject, case, what) from error

    def _broken(self, subject: Subject, case: AnyCase, what: str) -> LawBroken:
        task = case.task()
        return LawBroken(
            f"{subject.method.name} breaks the law {self.name!r}\n"
            f"  case:    {case} (level {task.level}, mode {task.mode}, the model returns "
            f"{task.return_type}, target {case.target or 'predicted'}, index {case.index})\n"
            f"  found:   {what}\n"
            f"  catches: {self.catches}\n"
            f"  usually: {self.usually}",
            law=self.name,
            case=str(case),
        )


def _is_within(subject: Subject, case: AnyCase) -> bool:
    """Whether one of the room's cases is within a method's scope."""
    if isinstance(case, LimitCase):
        return holds(subject.scope, case.base)
    if isinstance(case, Case):
        return holds(subject.scope, case)
    return holds(subject.scope, Case("gin", case.level))


def law(
    *,
    catches: str,
    usually: str,
    cases: Sequence[AnyCase] = CASES,
    applies: Callable[[Subject, AnyCase], bool] = lambda *_: True,
    on_own: bool = True,
) -> Callable[[Check], Law]:
    """Make a law of a function; see `Law`."""
    return lambda check: Law(check, catches, usually, cases, applies, on_own)
