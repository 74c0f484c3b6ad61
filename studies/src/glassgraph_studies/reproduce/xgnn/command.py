"""``glassgraph reproduce xgnn``: graphs that are generated for a class, as in XGNN's paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import (
    check_figure_writable,
    check_writable,
    friendly,
    say,
    told_warnings,
)
from glassgraph.cli.table import titled_table
from glassgraph_studies.runner.measured import Json, Kept, MutagRoot, Quiet, Threads, without_mutag

if TYPE_CHECKING:
    from glassgraph_studies.reproduce.xgnn.experiment import Outcome


@friendly
def xgnn(
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="is-acyclic or mutag; repeat for both. [default: both]"),
    ] = None,
    root: MutagRoot = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Repetitions, each with its own data, model and generators.")
    ] = 3,
    max_nodes: Annotated[
        list[int] | None,
        typer.Option(help="Most nodes of a graph; repeat for several. [default: 3-6, mutag 4-7]"),
    ] = None,
    target: Annotated[
        list[int] | None,
        typer.Option(help="Class; repeat for several. [default: 0 and 1, mutag 1]"),
    ] = None,
    iterations: Annotated[int, typer.Option(min=1, help="Iterations of a fit.")] = 50,
    fold_seeds: Annotated[
        int, typer.Option(min=0, help="Repetitions of ten-fold cross-validation on MUTAG.")
    ] = 3,
    reference_model: Annotated[
        bool,
        typer.Option(
            "--reference-model", help="Explain the reference model of MUTAG, without weight decay."
        ),
    ] = False,
    common_atoms: Annotated[
        bool, typer.Option("--common-atoms", help="Molecules of C, N, O and Cl alone.")
    ] = False,
    threads: Threads = 1,
    json: Json = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the most probable graphs (.png, .svg or .pdf).")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Folder for a page per class and size, the generation step by step."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Graphs generated for a class: how probable, and do they have what the class is about?"""
    kept = Kept(json, quiet=quiet)
    check_figure_writable(figure)
    if html is not None:
        check_writable(html)
    from glassgraph_studies.reproduce.xgnn.bars import PROBLEMS
    from glassgraph_studies.reproduce.xgnn.experiment import run_xgnn
    from glassgraph_studies.reproduce.xgnn.figure import save_figure

    def note(outcome: Outcome) -> None:
        kept.add([outcome.row], _line(outcome.row))
        row, generated = outcome.row, outcome.generated
        if html is not None and generated is not None and row["seed"] == 0:
            generated.to_html(html / f"{row['dataset']}-{row['name']}-{row['max_nodes']}.html")

    with told_warnings():
        outcomes = run_xgnn(
            dataset or without_mutag(list(PROBLEMS), root),
            range(seeds),
            root=root,
            max_nodes=max_nodes or None,
            targets=target or None,
            iterations=iterations,
            fold_seeds=range(fold_seeds),
            reference=reference_model,
            common_atoms=common_atoms,
            threads=threads,
            progress=not quiet,
            report=note,
        )
    kept.show(*xgnn_tables(kept.rows))
    for row in kept.rows:
        for line in row["missed"]:
            say(f"missed: {line}")
    if figure is not None:
        save_figure(outcomes, figure)
    if not quiet:
        for path in (figure, html):
            if path is not None:
                say(f"written: {path}")


def _line(row: Mapping[str, Any]) -> str:
    if row["kind"] == "classifier":
        shares = row["accuracy"]
        return (
            f"{row['dataset']}, seed {row['seed']}: accuracy {shares['val']:.3f} validation, "
            f"{shares['test']:.3f} test"
        )
    if row["kind"] == "folds":
        return f"{row['dataset']}: accuracy {row['mean']:.3f} ({row['protocol']})"
    if row["kind"] == "speed":
        return f"{row['dataset']}: {row['rollouts']} roll-outs, {row['times']:.1f} times as fast"
    return (
        f"{row['dataset']}, seed {row['seed']}, {row['name']}, at most {row['max_nodes']} nodes: "
        f"{row['probability']:.3f}, random {row['random_probability']:.3f}, best {row['best']}  "
        f"(fit {row['fit_seconds']:.1f} s)"
    )


def xgnn_tables(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Classifiers, generated graphs, speed; see `glassgraph_studies.reproduce.xgnn.experiment`."""
    return [_classifiers(rows), _generators(rows), _speed(rows)]


def _classifiers(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = titled_table(
        "XGNN, classifiers: accuracy on test graphs\n"
        "published: how it was measured is not said\n"
        "by: what chooses the epoch ('test' is optimistic)\n"
        "std: of folds; least: of a seed\n"
        "small: on all connected graphs of 3-7 nodes",
        ("data", "measured by"),
        ("published", "mean", "std", "least", "small"),
    )
    for name in dict.fromkeys(row["dataset"] for row in rows):
        own = [row for row in rows if (row["kind"], row["dataset"]) == ("classifier", name)]
        reached = [row["accuracy"]["test"] for row in own]
        small = [
            share
            for row in own
            for by_size in (row["small"] or {}).values()
            for share in by_size.values()
        ]
        table.add_row(
            name,
            f"test part x {len(own)}",
            f"{own[0]['published']:.3f}",
            f"{sum(reached) / len(reached):.3f}",
            "-",
            f"{min(reached):.3f}",
            f"{min(small):.3f}" if small else "-",
        )
        for row in rows:
            if (row["kind"], row["dataset"]) == ("folds", name):
                table.add_row(
                    name,
                    f"{row['folds']} folds x {row['seeds']}, by {row['protocol']}",
                    f"{row['published']:.3f}",
                    f"{row['mean']:.3f}",
                    f"{row['std']:.3f}",
                    f"{row['least']:.3f}",
                    "-",
                )
    return table


def _generators(rows: Sequence[Mapping[str, Any]]) -> Table:
    from glassgraph_studies.reproduce.xgnn.bars import summarize
    from glassgraph_studies.reproduce.xgnn.experiment import NUMBER

    table = titled_table(
        f"XGNN: probability of the class, mean of {NUMBER} graphs\n"
        "published: figures, with probabilities close to 1\n"
        "least: of a seed; random: as many nodes; matched: and as many edges\n"
        "% of graphs: cycle, valid; of best molecules: ring of carbon or NO2 (motif)",
        ("class",),
        ("nodes", "mean", "least", "random", "matched", "cycle", "valid", "motif", "fit s"),
    )
    for row in summarize(rows):
        motif = row["best_with_motif"]
        table.add_row(
            row["name"],
            str(row["max_nodes"]),
            f"{row['probability']:.3f}",
            f"{row['least']:.3f}",
            f"{row['random_probability']:.3f}",
            f"{row['matched_probability']:.3f}",
            f"{100 * row['with_cycle']:.0f}",
            f"{100 * row['valid']:.0f}",
            "-" if motif is None else f"{100 * motif:.0f}",
            f"{row['fit_seconds']:.1f}",
        )
    return table


def _speed(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = titled_table(
        "XGNN: seconds for a step's roll-outs",
        ("data",),
        ("nodes", "roll-outs", "together", "one by one", "times"),
    )
    for row in rows:
        if row["kind"] == "speed":
            table.add_row(
                row["dataset"],
                str(row["max_nodes"]),
                str(row["rollouts"]),
                f"{row['seconds']:.3f}",
                f"{row['one_at_a_time_seconds']:.2f}",
                f"{row['times']:.1f}",
            )
    return table
