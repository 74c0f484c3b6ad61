"""``glassgraph bench pg-explainer``: PGExplainer beside PyG's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import friendly
from glassgraph.cli.table import number, titled_table
from glassgraph_studies.runner.measured import Json, Kept, Quiet, Seed


@friendly
def pg_explainer(
    dataset: Annotated[
        list[str] | None, typer.Option(help="Data set; repeat for several. [default: all]")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Visits of each prediction.")] = 10,
    instances: Annotated[int, typer.Option(min=1, help="Most predictions.")] = 60,
    repeats: Annotated[int, typer.Option(min=1, help="Timed repetitions.")] = 3,
    seed: Seed = 0,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the molecules' raw files, or above; without it they are left out."
        ),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Fitting PGExplainer, and explaining with it, beside PyG's, on one thread."""
    kept = Kept(json, quiet=quiet)
    from glassgraph_studies.bench.pg_explainer.experiment import BAR, run_pg_explainer_bench
    from glassgraph_studies.planted import DATASETS, GENERATED

    run_pg_explainer_bench(
        dataset or (GENERATED if root is None else DATASETS),
        epochs=epochs,
        instances=instances,
        repeats=repeats,
        seed=seed,
        root=root,
        progress=not quiet,
        report=kept.add_one,
    )
    kept.show(_pg_explainer_table(kept.rows, BAR))


def _pg_explainer_table(rows: Sequence[Mapping[str, Any]], bar: float) -> Table:
    title = (
        f"PGExplainer beside PyG's, seconds of one processor; ratios are to be at least {bar:g}\n"
        "one: with one prediction in a step, as PyG"
    )
    table = titled_table(
        title, ("dataset",), ("n", "fit s", "PyG s", "ratio", "one", "ms each", "PyG ms", "ratio")
    )
    for row in rows:
        table.add_row(
            str(row["dataset"]),
            str(row["instances"]),
            number(row, "fit_s", "{:.2f}"),
            number(row, "pyg_fit_s", "{:.2f}"),
            number(row, "fit_ratio", "{:.1f}x"),
            number(row, "one_by_one_ratio", "{:.1f}x"),
            number(row, "explain_ms", "{:.2f}"),
            number(row, "pyg_explain_ms", "{:.2f}"),
            number(row, "explain_ratio", "{:.1f}x"),
        )
    return table
