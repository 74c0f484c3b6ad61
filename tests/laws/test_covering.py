"""What `make test` asks of all laws, methods and cases leaves no pair of them out."""

from __future__ import annotations

from collections.abc import Iterable

from glassgraph.testing.cases import Case
from glassgraph.testing.laws import LAWS
from glassgraph.testing.special_cases import LIMITS, LimitCase
from tests.laws.cases import SUBJECTS
from tests.laws.covering import Question, cover, covering, shown, whole


def pairs(questions: Iterable[Question]) -> set[tuple[object, ...]]:
    """Which method meets which law, and which values and cases methods and laws meet."""
    found: set[tuple[object, ...]] = set()
    for method, law, case in questions:
        found.add((method, law))
        found |= {(who, value) for who in (method, law) for value in shown(case)}
        if isinstance(case, Case):
            found |= {(who, case) for who in (method, law)}
    return found


def test_no_pair_is_left_out() -> None:
    part, all_of_them = list(covering(SUBJECTS, LAWS)), list(whole(SUBJECTS, LAWS))
    assert pairs(part) == pairs(all_of_them)
    assert len(set(part)) == len(part) < len(all_of_them) / 4


def test_a_part_that_leaves_pairs_out_is_noticed() -> None:
    part = list(covering(SUBJECTS, LAWS))
    for left_out in (
        lambda method, law, case: (method, law.name) == ("saliency", "explains"),
        lambda method, law, case: isinstance(case, Case) and case.kind == "gin",
        lambda method, law, case: isinstance(case, LimitCase) and case.graph == "loops",
    ):
        rest = [each for each in part if not left_out(*each)]
        assert pairs(rest) < pairs(part)


def test_a_cover_shows_everything_in_few_cases() -> None:
    kinds, levels = ("gcn", "gat", "gin"), ("node", "graph", "edge")
    cases = [Case(kind, level) for kind in kinds for level in levels]
    assert list(cover(cases)) == [cases[0], cases[4], cases[8]]
    assert not list(cover([]))


def test_graphs_at_the_limits_are_values_of_their_own() -> None:
    cases = [LimitCase(Case("gin", "node"), graph) for graph in LIMITS]
    assert list(cover(cases)) == cases
