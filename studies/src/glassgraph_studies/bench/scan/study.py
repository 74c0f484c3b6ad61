"""``glassgraph bench scan``: reading a job's folder without loading it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glassgraph_studies.runner.options import SEED, Option, count
from glassgraph_studies.runner.study import Found, Study, one_table, spelled
from glassgraph_studies.runner.tables import name, number

_TITLE = "a job's folder, read by one process: median wall time, and CPU time, of each call"
_COLUMNS = (
    name("what", "what"),
    number("explanations", "explanations", "{:,}"),
    number("files", "files", "{:,}"),
    number("disk MB", "disk_mb", "{:.0f}"),
    number("wall ms", "wall_ms", "{:.1f}"),
    number("CPU ms", "cpu_ms", "{:.1f}"),
)


def run(**options: Any) -> Iterator[Found]:
    """Each question that is asked of the folder."""
    from glassgraph_studies.bench.scan.experiment import run_scan_bench

    for row in run_scan_bench(**options):
        yield spelled(row)


SCAN = Study(
    name="scan",
    help="Write a folder as a job does, and ask it for one explanation, or for all edges.",
    run=run,
    options=(
        count("explanations", 1_000_000, "Explanations in the folder.", least=1000),
        count("edges", 10, "Edges of each.", least=1),
        count("repeats", 50, "Explanations that are looked up.", least=1),
        Option("job", Path, "Folder of a job that has ended, asked as it is; nothing is written."),
        SEED,
    ),
    tables=one_table(_TITLE, _COLUMNS),
    has_progress=False,
)
