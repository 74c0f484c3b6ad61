"""``glassgraph reproduce invariance``: two networks that compute one function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import Option
from glassgraph_studies.runner.study import Found, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, name

_TITLE = "Two edges' scores on two networks that compute the same function"


def run(**options: Any) -> Iterator[Found]:
    """All methods at once."""
    from glassgraph_studies.reproduce.invariance.experiment import run_invariance

    yield Found(run_invariance(**options))


def tables(rows: Rows) -> Iterator[Table]:
    """Scores of both networks."""
    columns = (
        name("method", "method"),
        Column("plain", lambda row: _scores(row["plain"])),
        Column("roundabout", lambda row: _scores(row["roundabout"])),
        Column("", lambda row: "equal" if row["is_equal"] else "differ"),
    )
    yield Table(_TITLE, columns, rows)


def _scores(values: list[float]) -> str:
    return " ".join(f"{value:.3f}" for value in values)


INVARIANCE = Study(
    name="invariance",
    help="Two networks that compute one function: who scores them alike?",
    run=run,
    options=(
        Option("a", float, "Message of the first neighbor.", 1.0, least=0.0),
        Option("b", float, "Message of the second neighbor.", 1.0, least=0.0),
    ),
    has_progress=False,
    tables=tables,
    has_threads=False,
)
