"""``glassgraph reproduce graphmask-faithfulness``: GraphMask on held-out predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import friendly, say, told_warnings
from glassgraph.cli.table import titled_table
from glassgraph_studies.runner.measured import Json, Kept, MutagRoot, Quiet, Threads


@friendly
def graphmask_faithfulness(
    seeds: Annotated[
        int, typer.Option(min=1, help="Repetitions, each with its own halves and model.")
    ] = 3,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Data set; repeat for several. [default: all]")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of GraphMask. [default: the study's own]")
    ] = None,
    threads: Threads = 1,
    root: MutagRoot = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """GraphMask on held-out predictions: faithful, sparse, and needed what it kept?"""
    from glassgraph_studies.reproduce.graphmask_faithfulness.experiment import (
        DATASETS,
        run_faithfulness,
    )

    if root is None and not dataset:
        say("mutag is left out: give --root, the folder of its raw files")
    kept = Kept(json, quiet=quiet)

    with told_warnings():
        run_faithfulness(
            dataset or [name for name in DATASETS if root is not None or name != "mutag"],
            range(seeds),
            root=root,
            steps=steps,
            threads=threads,
            progress=not quiet,
            report=lambda row: kept.add([row], _faithfulness_line(row)),
        )
    kept.show(faithfulness_table(kept.rows))


def _faithfulness_line(row: Mapping[str, Any]) -> str:
    verdict = "every bar is met" if row["is_met"] else f"not met: {', '.join(row['missed'])}"
    return (
        f"{row['dataset']}, seed {row['seed']}: {verdict}  "
        f"(fit {row['fit_seconds']:.1f} s, explain {row['explain_seconds']:.1f} s, "
        f"test accuracy {row['test_accuracy']:.3f})"
    )


def faithfulness_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What held-out predictions say; see `graphmask_faithfulness.experiment`."""
    title = (
        "GraphMask on held-out predictions, in percent; own, union: AUC of edges\n"
        "drop: predictions changed without half of the kept / as many shut messages"
    )
    table = titled_table(
        title,
        ("dataset, seed",),
        ("same", "kept", "by layer", "drop", "own", "union", "fit s", "met"),
    )
    for row in rows:
        layers = ["-" if share is None else f"{100 * share:.0f}" for share in row["kept_by_layer"]]
        table.add_row(
            f"{row['dataset']} {row['seed']}",
            f"{100 * row['unchanged']:.1f}",
            f"{100 * row['kept']:.1f}",
            "/".join(layers),
            f"{100 * row['drop_kept']:.1f}/{100 * row['drop_shut']:.1f}",
            *(
                "-" if row[key] is None else f"{100 * row[key]:.1f}"
                for key in ("auc_own", "auc_union")
            ),
            f"{row['fit_seconds']:.0f}",
            "yes" if row["is_met"] else "no",
        )
    return table
