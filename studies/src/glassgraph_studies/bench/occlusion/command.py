"""``glassgraph bench occlusion``: every edge of every test node of a citation graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import friendly
from glassgraph.cli.table import number, titled_table
from glassgraph_studies.runner.measured import CoraRoot, Json, Kept, Quiet, Seed, Threads


@friendly
def occlusion(
    root: CoraRoot,
    dataset: Annotated[
        list[str] | None, typer.Option(help="cora or citeseer; repeat for both. [default: cora]")
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(min=1, help="Test nodes that are explained. [default: all]")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed repetitions.")] = 3,
    threads: Threads = 1,
    seed: Seed = 0,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Occlusion of every edge for all test nodes, beside one forward pass for each edge."""
    kept = Kept(json, quiet=quiet)
    from glassgraph_studies.bench.occlusion.experiment import run_occlusion_bench

    run_occlusion_bench(
        root,
        dataset or ("cora",),
        nodes,
        repeats=repeats,
        threads=threads,
        seed=seed,
        progress=not quiet,
        report=kept.add_one,
    )
    kept.show(_table(kept.rows))


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    title = (
        "occlusion of every edge at every test node, seconds\n"
        "each_node: a pass over the graph for each edge, for each node; shared: once for all\n"
        "own_edges: a pass over a node's surroundings for each of its own edges"
    )
    numbers = ("nodes", "passes", "ours s", "peer s", "ratio", "bar", "error")
    table = titled_table(title, ("dataset", "peer"), numbers)
    for row in rows:
        table.add_row(
            str(row["dataset"]),
            str(row["peer"]),
            str(row["nodes"]),
            str(row["passes"]),
            number(row, "ours_s", "{:.2f}"),
            number(row, "peer_s", "{:.0f}"),
            number(row, "ratio", "{:.0f}x"),
            number(row, "bar", "{:g}"),
            number(row, "max_difference", "{:.0e}"),
        )
    return table
