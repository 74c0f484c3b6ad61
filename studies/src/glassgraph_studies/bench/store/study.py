"""``glassgraph bench store``: building graphs on disk, and what a node of one costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glassgraph_studies.runner.options import SEED, Option, count, repeats, several, switch
from glassgraph_studies.runner.study import Found, Study, one_table, spelled
from glassgraph_studies.runner.tables import name, number

_TITLE = "random directed graphs in a folder; CPU time of one thread, memory of the process"
_COLUMNS = (
    name("model", "model"),
    number("nodes", "nodes", "{:,}"),
    number("edges", "edges", "{:,}"),
    number("build s", "build_s", "{:.1f}"),
    number("build peak MB", "build_peak_mb", "{:.0f}"),
    number("disk MB", "disk_mb", "{:.0f}"),
    number("tabulate CPU s", "tabulate_cpu_s", "{:.1f}"),
    number("CPU ms a node", "cpu_ms_per_node", "{:.1f}"),
    number("growth", "growth", "{:.2f}"),
    number("private MB", "private_mb", "{:.0f}"),
)


def run(**options: Any) -> Iterator[Found]:
    """Each model on each graph."""
    from glassgraph_studies.bench.store.experiment import run_store_bench

    for row in run_store_bench(**options):
        yield spelled(row)


STORE = Study(
    name="store",
    help="Build graphs on disk within bounded memory, and explain nodes of them.",
    run=run,
    options=(
        several("model", "gcn or sage", "gcn, sage", to="models", choices=("gcn", "sage")),
        several("nodes", "Nodes of a graph with ten edges for each", "10^6", kind=int, least=1000),
        count("features", 64, "Features of a node.", least=1),
        count("explained", 300, "Nodes that are explained by edge gradients.", least=1),
        Option("graph", Path, "Folder with the graph of an earlier bench engine, taken as it is."),
        repeats(1),
        SEED,
        switch("tabulate", "Compute what layers derive from the graph once, before."),
    ),
    tables=one_table(_TITLE, _COLUMNS),
    has_progress=False,
)
