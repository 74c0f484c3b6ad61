"""Laws about what a method says of itself: scores of the promised kind and sign, its settings."""

from __future__ import annotations

from glassgraph.testing.cases import AnyCase
from glassgraph.testing.compare import expect
from glassgraph.testing.law import law
from glassgraph.testing.subject import Subject, masks


@law(
    catches="scores of a wrong shape or kind, NaN, and methods that fail",
    usually="the message says which field is wrong; shapes are those of the batch that `attribute` "
    "is given, not of the user's graph",
)
def explains(subject: Subject, case: AnyCase) -> None:
    """Every instance gets an explanation that fits it and keeps the promises of the traits."""
    found = subject.first(case)
    got, wanted = len(found), len(case.index)
    expect(got == wanted, f"{got} explanations of {wanted} instances")
    masks(found)


@law(
    catches="scores below zero of a method that says it is not signed",
    usually="traits.is_signed is missing, or a rectifier is",
)
def signs_are_told(subject: Subject, case: AnyCase) -> None:
    """Scores that speak against a prediction come from methods that say so.

    The method's own defaults count: a test setting that is a flag (``relu=False``) can make another
    method of it.
    """
    if subject.traits.is_signed:
        return
    for position, each in enumerate(masks(subject.with_own_flags().first(case))):
        for name, value in each.items():
            if value.numel():
                least = float(value.min())
                expect(least >= 0, f"instance {position}: {name} goes down to {least:.3g}")
