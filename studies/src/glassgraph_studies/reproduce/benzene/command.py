"""``glassgraph reproduce benzene``: molecules with benzene rings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import friendly, told_warnings
from glassgraph.cli.table import titled_table
from glassgraph_studies.runner.measured import Json, Kept, Quiet, Threads

if TYPE_CHECKING:
    from glassgraph_studies.reproduce.benzene import experiment as benzene_study


@friendly
def benzene(
    root: Annotated[Path, typer.Option(help="Folder of benzene_graphs.npz.")],
    seeds: Annotated[
        int, typer.Option(min=1, help="Repetitions, each with its own network and sample.")
    ] = 3,
    method: Annotated[
        list[str] | None,
        typer.Option(help="Method of 'glassgraph methods'; repeat for several. [default: nine]"),
    ] = None,
    molecules: Annotated[int, typer.Option(min=1, help="Molecules explained for each seed.")] = 300,
    threads: Threads = 1,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Molecules with benzene rings: who finds the atoms of the ring?"""
    kept = Kept(json, quiet=quiet)
    from glassgraph_studies.reproduce.benzene.experiment import run_benzene

    def note(scene: benzene_study.Scene, own: list[dict[str, Any]]) -> None:
        kept.add(
            own,
            f"seed {scene.seed}: test accuracy {scene.trained.accuracy['test']:.4f}, "
            f"{len(scene.sample)} molecules",
            *(f"  {each['method']}: AUC {area(each['auc'])}" for each in own),
        )

    with told_warnings():
        run_benzene(
            root,
            range(seeds),
            method or None,
            molecules,
            threads=threads,
            progress=not quiet,
            report=note,
        )
    kept.show(benzene_table(kept.rows))


def benzene_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The areas of each method; see `glassgraph_studies.reproduce.benzene.experiment`."""
    title = "Benzene rings: ROC-AUC of atoms, mean over molecules"
    table = titled_table(title, ("method",), ())
    table.add_column("mean", justify="right", no_wrap=True)
    table.add_column("each seed", justify="right")
    for name in ("molecules", "ms each"):
        table.add_column(name, justify="right", no_wrap=True)
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        areas = [row["auc"] for row in own if row["auc"] is not None]
        seconds = sum(row["seconds_per_molecule"] for row in own) / len(own)
        table.add_row(
            method,
            area(sum(areas) / len(areas) if areas else None),
            " ".join(area(row["auc"]) for row in own),
            str(sum(row["scored"] for row in own)),
            f"{1000 * seconds:.2f}",
        )
    return table


def area(value: float | None) -> str:
    """An area under a curve, or a dash."""
    return "-" if value is None else f"{value:.4f}"
