"""The bars of the study, and whether they are reached."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glassgraph_studies.reproduce.srl.settings import LABELERS

Row = Mapping[str, Any]

#: Seconds of training, share of messages kept, and kappa of seeds.
MOST_SECONDS, MOST_KEPT, LEAST_KAPPA = 600.0, 0.15, 0.75
#: Seconds of a fit.
MOST_FIT = 90.0
#: F1 that a quarter of the kept messages carries at least, and as many shut ones at most.
LEAST_BEND, MOST_SHUT = 6.0, 0.3
#: Dependency types that are to be among the first of verbs.
OF_VERBS, FIRST = ("nsubj", "obj"), 3


@dataclass(frozen=True)
class Bar:
    """Something to be reached.

    Attributes:
        name: what.
        wanted: the bar, in words.
        found: what was measured, in words.
        is_met: whether the bar is reached.
    """

    name: str
    wanted: str
    found: str
    is_met: bool


def bars(rows: Sequence[Row]) -> Iterator[Bar]:
    """The bars of what was measured; where there are seeds, their mean counts."""
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        yield from _labeler(model, of_table(mine, "labeler"))
        yield from _graphmask(model, of_table(mine, "graphmask"))
        yield from _shares(model, of_table(mine, "shares"))
        for row in of_table(mine, "kappa"):
            where = "all layers" if row["layer"] == "all" else f"layer {row['layer']}"
            yield _at_least(
                f"{model}: kappa of {row['seeds']} seeds, {where}", row["kappa"], LEAST_KAPPA
            )
        yield from _relations(model, of_table(mine, "relation"))


def of_table(rows: Sequence[Row], table: str) -> list[Row]:
    """The rows of one table."""
    return [row for row in rows if row["table"] == table]


def leading(rows: Sequence[Row], kind: str) -> list[str]:
    """Dependency types of a kind of predicates, by their share of what is kept, directions added.

    Args:
        rows: of the table ``relation``.
        kind: of predicates.
    """
    kept: dict[str, int] = {}
    for row in rows:
        if row["kind"] == kind:
            kept[row["relation"]] = kept.get(row["relation"], 0) + row["kept"]
    return sorted(kept, key=lambda name: -kept[name])


def _labeler(model: str, rows: Sequence[Row]) -> Iterator[Bar]:
    for row in rows:
        yield _at_least(f"{model}: F1 on test", row["f1"], LABELERS[model].least_f1)
        seconds = min(row["train_seconds"], row["train_cpu_seconds"])  # what others took is not its
        yield _at_most(f"{model}: seconds of training", seconds, MOST_SECONDS)


def _graphmask(model: str, rows: Sequence[Row]) -> Iterator[Bar]:
    if rows:
        change = statistics.fmean(row["change"] for row in rows)
        kept = statistics.fmean(row["kept"] for row in rows)
        name = f"{model}: GraphMask, mean of {len(rows)} seeds"
        yield _at_least(f"{name}, change of F1", change, -LABELERS[model].most_lost)
        yield _at_most(f"{name}, percent kept", 100 * kept, 100 * MOST_KEPT)
    seconds = [min(row["seconds"], row["cpu_seconds"]) for row in rows if "seconds" in row]
    if seconds:
        name = f"{model}: seconds of a fit, mean of {len(seconds)} seeds"
        yield _at_most(name, statistics.fmean(seconds), MOST_FIT)


def _shares(model: str, rows: Sequence[Row]) -> Iterator[Bar]:
    def mean(share: float, key: str) -> float:
        return statistics.fmean(row[key] for row in rows if row["share"] == share)

    if rows:
        bend = mean(1.0, "masked") - mean(0.75, "masked")
        yield _at_least(f"{model}: F1 lost with a quarter of the kept", bend, LEAST_BEND)
        whole = mean(1.0, "without_shut")
        most = max(abs(whole - mean(row["share"], "without_shut")) for row in rows)
        yield _at_most(f"{model}: F1 lost with as many shut ones", most, MOST_SHUT)


def _relations(model: str, rows: Sequence[Row]) -> Iterator[Bar]:
    if rows:
        first = leading(rows, "verb")[:FIRST]
        yield Bar(
            f"{model}: first dependency types of verbs",
            " and ".join(OF_VERBS),
            ", ".join(first),
            set(OF_VERBS) <= set(first),
        )


def _at_least(name: str, value: float, bar: float) -> Bar:
    return Bar(name, f">= {bar:.4g}", f"{value:.4g}", value >= bar)


def _at_most(name: str, value: float, bar: float) -> Bar:
    return Bar(name, f"<= {bar:.4g}", f"{value:.4g}", value <= bar)
