"""``glassgraph bench graphmask-fit``: a fit of GraphMask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import SEED, count, repeats
from glassgraph_studies.runner.study import Found, Rows, Study, spelled
from glassgraph_studies.runner.tables import Table, number, yes_or_no

_COLUMNS = (
    number("graphs", "graphs"),
    number("steps", "steps"),
    number("fit s", "fit_s", "{:.1f}"),
    number("literal s", "written_out_s", "{:.1f}"),
    number("ratio", "ratio", "{:.2f}x"),
    yes_or_no("met", "is_met"),
    number("kept %", "kept", "{:.1f}", 100),
    number("literal %", "written_out_kept", "{:.1f}", 100),
)


def run(**options: Any) -> Iterator[Found]:
    """Both fits."""
    from glassgraph_studies.bench.graphmask_fit.experiment import run_fit_bench

    for row in run_fit_bench(**options):
        yield spelled(row)


def tables(rows: Rows) -> Iterator[Table]:
    """A fit of both."""
    from glassgraph_studies.bench.graphmask_fit.experiment import BAR

    title = (
        "GraphMask beside a version that is written out, seconds of one processor;\n"
        f"the ratio is to be at least {BAR:g}"
    )
    yield Table(title, _COLUMNS, rows)


GRAPHMASK_FIT = Study(
    name="graphmask-fit",
    help="Fitting GraphMask, beside a version that is written out, on one thread.",
    run=run,
    options=(
        count("graphs", 380, "Graphs that are fitted on."),
        count("steps", 500, "Steps of a fit."),
        repeats(1),
        SEED,
    ),
    tables=tables,
    has_threads=False,
    has_progress=False,
)
