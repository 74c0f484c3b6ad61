"""Tables of studies: one line for each method, mean and each seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table


def infection_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What each search found; see `glassgraph.studies.infection`."""
    from glassgraph.studies.infection import TABLE, summarize

    title = (
        "Infection: percent of paths found; true: the shortest path itself\n"
        "asked: why the distance is y, or why it is y and not y + 1"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("walk by", no_wrap=True)
    table.add_column("asked", no_wrap=True)
    for name in ("publ.", "mean"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("each seed", justify="right")
    for name in ("true", "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, summary in summarize(rows).items():
        entry = TABLE[name]
        table.add_row(
            entry.title,
            "y/y+1" if entry.question == "step" else "y",
            "-" if entry.published is None else f"{entry.published:.1f}",
            f"{summary.mean:.1f}",
            " ".join(f"{each:.1f}" for each in summary.found),
            "-" if summary.true is None else f"{summary.true:.1f}",
            f"{1000 * summary.seconds_per_node:.0f}",
        )
    return table


def benzene_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The areas of each method; see `glassgraph.studies.benzene`."""
    title = "Benzene rings: ROC-AUC of atoms, mean over molecules"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("method", no_wrap=True)
    table.add_column("mean", justify="right", no_wrap=True)
    table.add_column("each seed", justify="right")
    for name in ("molecules", "ms each"):
        table.add_column(name, justify="right", no_wrap=True)
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        areas = [row["auc"] for row in own if row["auc"] is not None]
        seconds = sum(row["seconds_per_molecule"] for row in own) / len(own)
        table.add_row(
            method,
            area(sum(areas) / len(areas) if areas else None),
            " ".join(area(row["auc"]) for row in own),
            str(sum(row["scored"] for row in own)),
            f"{1000 * seconds:.2f}",
        )
    return table


def area(value: float | None) -> str:
    """An area under a curve, or a dash."""
    return "-" if value is None else f"{value:.4f}"
