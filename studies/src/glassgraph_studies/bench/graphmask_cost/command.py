"""``glassgraph bench graphmask-cost``: an iteration of GraphMask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import friendly
from glassgraph.cli.table import number, titled_table
from glassgraph_studies.runner.measured import Json, Kept, MutagRoot, Quiet, Seed, without_mutag


@friendly
def graphmask_cost(
    dataset: Annotated[
        list[str] | None, typer.Option(help="Data set; repeat for several. [default: all]")
    ] = None,
    iterations: Annotated[int, typer.Option(min=1, help="Timed iterations in a repeat.")] = 500,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats.")] = 3,
    seed: Seed = 0,
    root: MutagRoot = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """A training iteration of GraphMask beside one of the model, on one thread."""
    kept = Kept(json, quiet=quiet)
    from glassgraph_studies.bench.graphmask_cost.experiment import BAR, DATASETS, run_cost_bench

    run_cost_bench(
        dataset or without_mutag(DATASETS, root),
        iterations=iterations,
        repeats=repeats,
        seed=seed,
        root=root,
        progress=not quiet,
        report=kept.add_one,
    )
    kept.show(_cost_table(kept.rows, BAR))


def _cost_table(rows: Sequence[Mapping[str, Any]], bar: float) -> Table:
    title = f"milliseconds of an iteration; GraphMask / model is to be at most {bar:g}"
    table = titled_table(
        title,
        ("dataset",),
        ("n", "messages", "model", "GraphMask", "ratio", "met", "unmasked", "ratio+"),
    )
    for row in rows:
        table.add_row(
            str(row["dataset"]),
            str(row["predictions"]),
            str(row["messages"]),
            number(row, "model_s", "{:.2f}", 1000),
            number(row, "graphmask_s", "{:.2f}", 1000),
            number(row, "ratio", "{:.2f}"),
            "yes" if row["is_met"] else "no",
            number(row, "unmasked_s", "{:.2f}", 1000),
            number(row, "ratio_with_unmasked", "{:.2f}"),
        )
    return table
