"""``glassgraph bench engine``: a job over a graph on disk, by one worker and by several."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glassgraph_studies.runner.options import SEED, Option, count
from glassgraph_studies.runner.study import Found, Study, one_table, spelled
from glassgraph_studies.runner.tables import name, number

_TITLE = "random nodes of a random graph on disk, GCN of three layers, edge_gradients"
_COLUMNS = (
    name("engine", "engine"),
    number("workers", "workers"),
    number("edges", "edges", "{:,}"),
    number("explained", "explained", "{:,}"),
    number("wall s", "wall_s", "{:.0f}"),
    number("nodes/s", "per_second", "{:.1f}"),
    number("CPU ms a node", "cpu_ms", "{:.2f}"),
    number("private MB", "private_mb", "{:.0f}"),
    number("efficiency (CPU)", "efficiency_cpu", "{:.2f}"),
    number("efficiency (wall)", "efficiency_wall", "{:.2f}"),
    number("PyG over ours", "ratio", "{:,.0f}"),
    number("growth over edges", "growth", "{:.2f}"),
)


def run(**options: Any) -> Iterator[Found]:
    """One worker, several, PyG."""
    from glassgraph_studies.bench.engine.experiment import run_engine_bench

    for row in run_engine_bench(**options):
        yield spelled(row)


ENGINE = Study(
    name="engine",
    help="Explain many nodes of a graph on disk with one worker and with several.",
    run=run,
    options=(
        count("nodes", 1_000_000, "Nodes of the graph; it has ten edges for each.", least=1000),
        count("explained", 20_000, "Nodes that are explained, drawn at random.", least=64),
        count("workers", 2, "Workers, held against one."),
        count("alone", None, "Nodes that one worker explains by itself.", otherwise="its share"),
        Option("engine", str, "local or ray", "local", choices=("local", "ray")),
        count("features", 64, "Features of a node."),
        count("peer_nodes", 3, "Nodes that PyG explains; 0 for none.", least=0),
        Option("graph", Path, "Folder where the graph is kept for further runs."),
        Option(
            "results", Path, "Folder of the explanations; a job that was cut off goes on there."
        ),
        SEED,
    ),
    tables=one_table(_TITLE, _COLUMNS),
    has_progress=False,
)
