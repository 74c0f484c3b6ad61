"""``glassgraph reproduce``: experiments of papers, published beside measured numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from glassgraph.cli.console import (
    check_file_writable,
    friendly,
    out,
    say,
    told_warnings,
    write_json,
)
from glassgraph.errors import OutputError

if TYPE_CHECKING:
    from glassgraph.studies.star_graphs import Outcome, Scene

reproduce = typer.Typer(help="Repeat experiments of papers.", no_args_is_help=True)

#: Graphs for training, and how many times fewer there are for validation and for test.
_GRAPHS, _FEWER = 10_000, 20
#: Formats that matplotlib writes without more packages.
_FORMATS = (".pdf", ".png", ".svg")


@reproduce.callback()
def about() -> None:
    """Repeat experiments of papers, published beside measured numbers."""


@reproduce.command()
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
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 1,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
    figure: Annotated[
        Path | None,
        typer.Option(help="Draw what each method keeps of one graph (.png, .svg or .pdf)."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Table 1 of the GraphMask paper: who finds the edges that a network must look at?"""
    check_file_writable(json)
    check_file_writable(figure)
    if figure is not None and figure.suffix.lower() not in _FORMATS:
        raise OutputError(f"cannot write {figure}: the file must end in {', '.join(_FORMATS)}")
    from glassgraph.studies.star_figure import save_figure
    from glassgraph.studies.star_graphs import TABLE, available, run_star_graphs

    missing = [] if method else sorted(set(TABLE) - set(available()))
    if missing:
        say(f"left out, not there yet: {', '.join(missing)}")
    rows: list[dict[str, Any]] = []

    def note(scene: Scene, outcomes: list[Outcome]) -> None:
        """Keep what is done, should a later seed be interrupted."""
        if figure is not None and not rows:
            save_figure(scene, outcomes, figure)
        rows.extend(outcome.row for outcome in outcomes)
        if json is not None:
            write_json(json, rows)
        if not quiet:
            _say_seed(scene, outcomes)

    with told_warnings():
        run_star_graphs(
            seeds=range(seeds),
            methods=method or None,
            sizes=(graphs, graphs // _FEWER, graphs // _FEWER),
            threads=threads,
            progress=not quiet,
            report=note,
        )
    out().print(_star_table(rows))
    if not quiet:
        for name, path in (("rows", json), ("figure", figure)):
            if path is not None:
                say(f"{name}: {path}")


def _say_seed(scene: Scene, outcomes: Sequence[Outcome]) -> None:
    shares = scene.trained.accuracy
    say(
        f"seed {scene.seed}: accuracy of the network {shares['val']:.3f} validation, "
        f"{shares['test']:.3f} test"
    )
    for outcome in outcomes:
        row = outcome.row
        say(
            f"  {row['method']}: F1 {row['f1']:.1f}  "
            f"(fit {row['fit_seconds']:.1f} s, explain {row['explain_seconds']:.1f} s)"
        )


def _star_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    from glassgraph.studies.star_graphs import TABLE, summarize

    found = summarize(rows)
    num_seeds = len({row["seed"] for row in rows})
    table = Table(
        title=f"GraphMask, Table 1, in percent: published, and mean ± std of {num_seeds} "
        f"seed{'' if num_seeds == 1 else 's'}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
    )
    table.add_column("method", no_wrap=True)
    for name in ("published P/R/F1", "precision", "recall", "F1", "least"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, spread in found.items():
        published = "/".join(f"{value:.1f}" for value in TABLE[name].published)
        measured = [f"{each.mean:.1f}±{each.std:.1f}" for each in spread.values()]
        table.add_row(TABLE[name].title, published, *measured, f"{spread['f1'].least:.1f}")
    return table
