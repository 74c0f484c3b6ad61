"""``glassgraph reproduce graph-lime``: features of noise on Cora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import check_figure_writable, friendly, say, told_warnings
from glassgraph.cli.table import titled_table
from glassgraph_studies.runner.measured import CoraRoot, Json, Kept, Quiet, Seed, Threads


@friendly
def graph_lime(
    root: CoraRoot,
    nodes: Annotated[int, typer.Option(min=1, help="Test nodes that are explained.")] = 200,
    row: Annotated[
        list[str] | None,
        typer.Option(help="Row of the table, as in the JSON; repeat for several. [default: all]"),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of training.")] = 300,
    seed: Seed = 0,
    threads: Threads = 1,
    json: Json = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw histograms of what is picked (.png, .svg or .pdf).")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Features of noise that explanations pick on Cora, as in GraphLIME's paper."""
    kept = Kept(json, quiet=quiet)
    check_figure_writable(figure)
    from glassgraph_studies.reproduce.graph_lime.experiment import (
        missed,
        run_graph_lime,
        save_figure,
    )

    with told_warnings():
        run_graph_lime(
            root,
            nodes,
            row or None,
            seed,
            epochs,
            threads=threads,
            progress=not quiet,
            report=lambda own: kept.add([own]),
        )
    kept.show(graph_lime_table(kept.rows))
    for line in missed(kept.rows):
        say(f"missed: {line}")
    if figure is not None:
        save_figure(kept.rows, figure)
        if not quiet:
            say(f"figure: {figure}")


def graph_lime_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Noise that was picked; see `glassgraph_studies.reproduce.graph_lime.experiment`."""
    from glassgraph_studies.reproduce.graph_lime.experiment import TABLE

    title = "Cora with ten features of noise: how many a method picks; none: nodes without any"
    table = titled_table(title, ("method",), ("noise", "none %", "picked", "nodes", "ms"))
    for row in rows:
        table.add_row(
            TABLE[row["row"]].title,
            f"{row['mean_noise']:.2f}",
            f"{100 * row['none']:.1f}",
            f"{row['picked']:.1f}",
            str(row["nodes"]),
            f"{1000 * row['seconds_per_node']:.1f}",
        )
    return table
