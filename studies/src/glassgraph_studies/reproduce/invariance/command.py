"""``glassgraph reproduce invariance``: two networks that compute one function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import friendly, told_warnings
from glassgraph.cli.table import titled_table
from glassgraph_studies.runner.measured import Json, Kept


@friendly
def invariance(
    a: Annotated[float, typer.Option(min=0.0, help="Message of the first neighbor.")] = 1.0,
    b: Annotated[float, typer.Option(min=0.0, help="Message of the second neighbor.")] = 1.0,
    json: Json = None,
) -> None:
    """Two networks that compute one function: who scores them alike?"""
    kept = Kept(json)
    from glassgraph_studies.reproduce.invariance.experiment import run_invariance

    with told_warnings():
        kept.add(run_invariance(a, b))
    kept.show(invariance_table(kept.rows))


def invariance_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Scores of both networks; see `glassgraph_studies.reproduce.invariance.experiment`."""
    title = "Two edges' scores on two networks that compute the same function"
    table = titled_table(title, ("method",), ("plain", "roundabout"))
    table.add_column("", no_wrap=True)
    for row in rows:
        scores = [" ".join(f"{each:.3f}" for each in row[key]) for key in ("plain", "roundabout")]
        table.add_row(row["method"], *scores, "equal" if row["is_equal"] else "differ")
    return table
