"""Settings, chosen on other seeds of the data: what a benchmark measures is never tuned on.

Each candidate, and the settings without a search first, is measured by one number on every seed of
the search; the best mean wins. A candidate that did not finish on all of these seeds within the
budget does not count. Where data are files, another seed is another split of the same graphs: then
no prediction takes part that is explained under a seed of the benchmark.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from glassgraph.benchmarks.cell import Found, Plan, measure_cell
from glassgraph.benchmarks.metrics import better
from glassgraph.benchmarks.processes import Piece, run_pieces
from glassgraph.benchmarks.specs import MethodSpec
from glassgraph.benchmarks.subjects import Subject
from glassgraph.benchmarks.suite import Search


def search_settings(
    method: MethodSpec,
    subjects: Mapping[int, Subject],
    search: Search,
    *,
    ranking: Any,
    time_limit: float,
    workers: int,
) -> dict[str, Any]:
    """Choose settings of a method for a data set.

    Args:
        method: its settings and candidates.
        subjects: by seed of the search.
        search: the criterion and the budget.
        ranking: how scores are ranked.
        time_limit: seconds that one trial may take.
        workers: trials at once.

    Returns:
        ``chosen`` settings, what was ``tried`` with the number of each seed, ``seconds``.
    """
    trials = [dict(method.settings), *({**method.settings, **each} for each in method.candidates)]
    plan, begin = Plan((search.criterion,), ranking), time.monotonic()

    def left() -> float:
        return begin + search.budget - time.monotonic()

    def pieces() -> Iterator[Piece]:
        for number, settings in enumerate(trials):
            for seed, subject in subjects.items():
                work = functools.partial(measure_cell, subject, method.name, settings, plan)
                yield Piece((number, seed), work, max(0.1, min(time_limit, left())))

    values: list[dict[int, float | None]] = [{} for _ in trials]
    for outcome in run_pieces(pieces(), workers, may_start=lambda: left() > 0):
        number, seed = outcome.key
        values[number][seed] = _value(outcome.sent, search)
    sign = -1.0 if better(search.criterion.names[0]) == "lower" else 1.0
    scores = [_mean(each, len(subjects)) for each in values]
    ranked = [number for number, score in enumerate(scores) if score is not None]
    best = max(ranked, key=lambda number: sign * (scores[number] or 0.0), default=0)
    return {
        "chosen": trials[best],
        "criterion": search.criterion.names[0],
        "level": search.level,
        "seeds": list(subjects),
        "tried": [
            {"settings": settings, "mean": score, "values": [each.get(seed) for seed in subjects]}
            for settings, score, each in zip(trials, scores, values, strict=True)
        ],
        "seconds": time.monotonic() - begin,
    }


def _value(sent: list[Any], search: Search) -> float | None:
    for found in sent:
        if isinstance(found, Found):
            for each in found.measured:
                if each.level in (search.level, "") and not math.isnan(each.estimate.value):
                    return each.estimate.value
    return None


def _mean(values: Mapping[int, float | None], count: int) -> float | None:
    known = [value for value in values.values() if value is not None]
    return sum(known) / count if len(known) == count else None
