"""``glassgraph bench cold-start``: import and first explanation in a new process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from glassgraph.cli.parse import parse_names
from glassgraph_studies.runner.options import Option, repeats
from glassgraph_studies.runner.study import Found, Rows, Study, spelled
from glassgraph_studies.runner.tables import Table, name, number, yes_or_no

_COLUMNS = (
    name("method", "method"),
    number("CPU s", "ours_cpu_s", "{:.2f}"),
    number("PyG", "pyg_cpu_s", "{:.2f}"),
    number("ratio", "cpu_ratio", "{:.2f}"),
    number("clock s", "ours_s", "{:.2f}"),
    number("PyG", "pyg_s", "{:.2f}"),
    number("ratio", "ratio", "{:.2f}"),
    yes_or_no("met", "is_met"),
)
_METHODS = Option(
    "method",
    str,
    "Method, or several with commas; may be repeated.",
    is_many=True,
    otherwise="gnn_explainer, saliency",
    spellings=("--method", "--methods"),
)


def run(method: Sequence[str] = (), **options: Any) -> Iterator[Found]:
    """Each method."""
    from glassgraph_studies.bench.cold_start.experiment import METHODS, run_cold_start_bench

    methods = parse_names(",".join(method)) if method else METHODS
    for row in run_cold_start_bench(methods, **options):
        yield spelled(row)


def tables(rows: Rows) -> Iterator[Table]:
    """Both sides, on both clocks."""
    from glassgraph_studies.bench.cold_start.experiment import BAR

    title = f"a new process until its first explanation; ours / PyG's is to be at most {BAR:g}"
    yield Table(title, _COLUMNS, rows)


COLD_START = Study(
    name="cold-start",
    help="Import and first explanation of a small graph in a new process, beside PyG, one thread.",
    run=run,
    options=(_METHODS, repeats(7)),
    tables=tables,
    has_progress=False,
    has_threads=False,
)
