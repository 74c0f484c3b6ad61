"""``glassgraph reproduce star-graphs``: Table 1 of the GraphMask paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import check_figure_writable, friendly, say, told_warnings
from glassgraph.cli.table import titled_table
from glassgraph_studies.runner.measured import Json, Kept, Quiet, Threads

if TYPE_CHECKING:
    from glassgraph_studies.reproduce.star_graphs.experiment import Outcome, Scene


#: Graphs for training, and how many times fewer there are for validation and for test.
_GRAPHS, _FEWER = 10_000, 20


@friendly
def star_graphs(
    seeds: Annotated[
        int, typer.Option(min=1, help="Repetitions, each with its own graphs and network.")
    ] = 10,
    method: Annotated[
        list[str] | None,
        typer.Option(help="Row of the table, as in the JSON; repeat for several. [default: all]"),
    ] = None,
    graphs: Annotated[
        int,
        typer.Option(min=_FEWER, help="Training graphs; a twentieth each for validation and test."),
    ] = _GRAPHS,
    threads: Threads = 1,
    json: Json = None,
    figure: Annotated[
        Path | None,
        typer.Option(help="Draw what each method keeps of one graph (.png, .svg or .pdf)."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Table 1 of the GraphMask paper: who finds the edges that a network must look at?"""
    kept = Kept(json, quiet=quiet)
    check_figure_writable(figure)
    from glassgraph_studies.reproduce.star_graphs.experiment import run_star_graphs
    from glassgraph_studies.reproduce.star_graphs.figure import save_figure

    def note(scene: Scene, outcomes: list[Outcome]) -> None:
        if figure is not None and not kept.rows:
            save_figure(scene, outcomes, figure)
        kept.add([outcome.row for outcome in outcomes], *_seed_lines(scene, outcomes))

    with told_warnings():
        run_star_graphs(
            seeds=range(seeds),
            methods=method or None,
            sizes=(graphs, graphs // _FEWER, graphs // _FEWER),
            threads=threads,
            progress=not quiet,
            report=note,
        )
    kept.show(star_table(kept.rows))
    if figure is not None and not quiet:
        say(f"figure: {figure}")


def _seed_lines(scene: Scene, outcomes: Sequence[Outcome]) -> list[str]:
    shares = scene.trained.accuracy
    return [
        f"seed {scene.seed}: accuracy of the network {shares['val']:.3f} validation, "
        f"{shares['test']:.3f} test",
        *(
            f"  {row['method']}: F1 {row['f1']:.1f}  "
            f"(fit {row['fit_seconds']:.1f} s, explain {row['explain_seconds']:.1f} s)"
            for row in (outcome.row for outcome in outcomes)
        ),
    ]


def star_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Published beside measured; see `glassgraph_studies.reproduce.star_graphs.experiment`."""
    from glassgraph_studies.reproduce.star_graphs.experiment import FURTHER, TABLE, summarize

    entries = TABLE | FURTHER

    found = summarize(rows)
    num_seeds = len({row["seed"] for row in rows})
    title = (
        f"GraphMask, Table 1, percent: published P/R/F1, and mean ± std of {num_seeds} "
        f"seed{'' if num_seeds == 1 else 's'}"
    )
    table = titled_table(title, ("method",), ("published", "precision", "recall", "F1", "least"))
    for name, spread in found.items():
        published = "/".join(f"{value:.1f}" for value in entries[name].published)
        measured = [f"{each.mean:.1f}±{each.std:.1f}" for each in spread.values()]
        table.add_row(entries[name].title, published, *measured, f"{spread['f1'].least:.1f}")
    return table
