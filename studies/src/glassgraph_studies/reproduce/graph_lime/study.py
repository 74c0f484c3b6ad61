"""``glassgraph reproduce graph-lime``: features of noise on Cora."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from glassgraph_studies.runner.options import CORA, ROWS, SEED, count
from glassgraph_studies.runner.study import Figure, Found, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, number

_TITLE = "Cora with ten features of noise: how many a method picks; none: nodes without any"


def run(**options: Any) -> Iterator[Found]:
    """Each row of the table."""
    from glassgraph_studies.reproduce.graph_lime.experiment import run_graph_lime

    for row in run_graph_lime(**options):
        yield Found([row], subject=row)


def tables(rows: Rows) -> Iterator[Table]:
    """Noise that was picked."""
    from glassgraph_studies.reproduce.graph_lime.experiment import TABLE

    columns = (
        Column("method", lambda row: TABLE[row["row"]].title, is_name=True),
        number("noise", "mean_noise", "{:.2f}"),
        number("none %", "none", "{:.1f}", 100),
        number("picked", "picked", "{:.1f}"),
        number("nodes", "nodes"),
        number("ms", "seconds_per_node", "{:.1f}", 1000),
    )
    yield Table(_TITLE, columns, rows)


def verdicts(rows: Rows) -> Iterator[str]:
    """Bars that are missed."""
    from glassgraph_studies.reproduce.graph_lime.experiment import missed

    for line in missed(rows):
        yield f"missed: {line}"


def _save_figure(rows: Sequence[Any], path: Path) -> None:
    from glassgraph_studies.reproduce.graph_lime.experiment import save_figure

    save_figure(rows, path)


GRAPH_LIME = Study(
    name="graph-lime",
    help="Features of noise that explanations pick on Cora, as in GraphLIME's paper.",
    run=run,
    options=(
        CORA,
        count("nodes", 200, "Test nodes that are explained."),
        ROWS,
        count("epochs", 300, "Epochs of training."),
        SEED,
    ),
    tables=tables,
    verdicts=verdicts,
    figure=Figure("Draw histograms of what is picked (.png, .svg or .pdf).", _save_figure),
)
