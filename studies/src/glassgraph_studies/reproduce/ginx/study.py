"""``glassgraph reproduce ginx``: what a network that is trained again loses without the edges."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean
from typing import Any

from glassgraph_studies.runner.options import count, seeds, several
from glassgraph_studies.runner.study import Found, Row, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, name

_TWO = "{:.2f}"


def run(**options: Any) -> Iterator[Found]:
    """Each seed."""
    from glassgraph_studies.reproduce.ginx.experiment import run_ginx

    for seed, trained, rows in run_ginx(**options):
        lines = [f"seed {seed}: test accuracy {trained.accuracy['test']:.3f}"]
        for method in dict.fromkeys(row["method"] for row in rows):
            own = [row for row in rows if row["method"] == method]
            values = " ".join(f"{row['level'] or row['metric']}: {row['value']:.2f}" for row in own)
            lines.append(f"  {method}  {values}")
        yield Found(rows, lines)


def tables(rows: Rows) -> Iterator[Table]:
    """Means over seeds, with the widest of their intervals for EdgeRank."""
    found = summarize(rows)
    levels = list(dict.fromkeys(row["level"] for row in rows if row["metric"] == "ginx"))
    columns = (
        name("method", "method"),
        *(_share(level) for level in levels),
        Column("EdgeRank", lambda row: _with_interval(row["edge_rank"])),
    )
    title = (
        "GInX of ba-2motifs: share of wrong test graphs when so many of the best edges are gone\n"
        "from every graph, and the network is trained again; mean over seeds; high is good"
    )
    yield Table(title, columns, found)


def summarize(rows: Rows) -> list[Row]:
    """For each method ``{level: (value, low, high)}`` and ``edge_rank``, over seeds."""
    found: list[Row] = []
    for method in dict.fromkeys(row["method"] for row in rows):
        entry: dict[str, Any] = {"method": method}
        own = [row for row in rows if row["method"] == method]
        for key in dict.fromkeys((row["metric"], row["level"]) for row in own):
            same = [row for row in own if (row["metric"], row["level"]) == key]
            entry["edge_rank" if key[0] == "edge_rank" else key[1]] = (
                fmean(row["value"] for row in same),
                min(row["low"] for row in same),
                max(row["high"] for row in same),
            )
        found.append(entry)
    return found


def _share(level: str) -> Column:
    return Column(level, lambda row: _TWO.format(row[level][0]))


def _with_interval(found: tuple[float, float, float]) -> str:
    value, low, high = (_TWO.format(each) for each in found)
    return f"{value} ({low} to {high})"


GINX = Study(
    name="ginx",
    help="Edges dropped from every graph: what does a network that is trained again lose?",
    run=run,
    options=(
        seeds(3, "data and network"),
        several(
            "method",
            "Method of 'glassgraph methods', truth or inverse_truth",
            "seven",
            to="methods",
        ),
        several("share", "Share of the edges that is dropped", "five", to="shares", kind=float),
        count("epochs", 20, "Epochs of training without the edges."),
    ),
    tables=tables,
)
