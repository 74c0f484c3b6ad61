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
from glassgraph.cli.study_tables import (
    area,
    benzene_table,
    infection_table,
    invariance_table,
    subgraphs_table,
)
from glassgraph.errors import OutputError

if TYPE_CHECKING:
    from glassgraph.studies import benzene as benzene_study
    from glassgraph.studies import infection as infection_study
    from glassgraph.studies.star_graphs import Outcome, Scene

reproduce = typer.Typer(help="Repeat experiments of papers.", no_args_is_help=True)

#: Graphs for training, and how many times fewer there are for validation and for test.
_GRAPHS, _FEWER = 10_000, 20
#: Nodes of an infection graph.
_NODES = 1000
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
    from glassgraph.studies.star_graphs import run_star_graphs

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


@reproduce.command()
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
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 1,
    root: Annotated[
        Path | None, typer.Option(help="Folder of MUTAG's raw files; without it MUTAG is left out.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """GraphMask on held-out predictions: faithful, sparse, and needed what it kept?"""
    check_file_writable(json)
    from glassgraph.studies.graphmask_faithfulness import DATASETS, run_faithfulness

    if root is None and not dataset:
        say("mutag is left out: give --root, the folder of its raw files")
    rows: list[dict[str, Any]] = []

    def note(row: dict[str, Any]) -> None:
        """Keep what is done, should a later one be interrupted."""
        rows.append(row)
        if json is not None:
            write_json(json, rows)
        if not quiet:
            _say_faithfulness(row)

    with told_warnings():
        run_faithfulness(
            dataset or [name for name in DATASETS if root is not None or name != "mutag"],
            range(seeds),
            root=root,
            steps=steps,
            threads=threads,
            progress=not quiet,
            report=note,
        )
    out().print(_faithfulness_table(rows))
    if json is not None and not quiet:
        say(f"rows: {json}")


@reproduce.command()
@friendly
def infection(
    seeds: Annotated[
        int, typer.Option(min=1, help="Repetitions, each with its own graphs and network.")
    ] = 5,
    row: Annotated[
        list[str] | None,
        typer.Option(help="Row of the table, as in the JSON; repeat for several. [default: all]"),
    ] = None,
    nodes: Annotated[int, typer.Option(min=50, help="Nodes of each graph.")] = 1000,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 1,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Infection paths of the edge gradients paper: who finds how an infection came?"""
    check_file_writable(json)
    from glassgraph.studies.infection import run_infection

    rows: list[dict[str, Any]] = []

    def note(scene: infection_study.Scene, own: list[dict[str, Any]]) -> None:
        """Keep what is done, should a later seed be interrupted."""
        rows.extend(own)
        if json is not None:
            write_json(json, rows)
        if not quiet:
            accuracy = scene.trained.accuracy["test"]
            say(f"seed {scene.seed}: test accuracy {accuracy:.3f}, {len(scene.nodes)} nodes")
            for each in own:
                say(
                    f"  {each['row']}: {each['found']:.2f} % found  "
                    f"({1000 * each['seconds_per_node']:.0f} ms each)"
                )

    # As many edges and infected nodes for each node as in graphs of 1,000.
    sizes = {} if nodes == _NODES else _infection_sizes(nodes)
    with told_warnings():
        run_infection(
            range(seeds), row or None, threads=threads, progress=not quiet, report=note, **sizes
        )
    out().print(infection_table(rows))
    if json is not None and not quiet:
        say(f"rows: {json}")


@reproduce.command()
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
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 1,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Molecules with benzene rings: who finds the atoms of the ring?"""
    check_file_writable(json)
    from glassgraph.studies.benzene import run_benzene

    rows: list[dict[str, Any]] = []

    def note(scene: benzene_study.Scene, own: list[dict[str, Any]]) -> None:
        """Keep what is done, should a later seed be interrupted."""
        rows.extend(own)
        if json is not None:
            write_json(json, rows)
        if not quiet:
            say(
                f"seed {scene.seed}: test accuracy {scene.trained.accuracy['test']:.4f}, "
                f"{len(scene.sample)} molecules"
            )
            for each in own:
                say(f"  {each['method']}: AUC {area(each['auc'])}")

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
    out().print(benzene_table(rows))
    if json is not None and not quiet:
        say(f"rows: {json}")


@reproduce.command()
@friendly
def invariance(
    a: Annotated[float, typer.Option(min=0.0, help="Message of the first neighbor.")] = 1.0,
    b: Annotated[float, typer.Option(min=0.0, help="Message of the second neighbor.")] = 1.0,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
) -> None:
    """Two networks that compute one function: who scores them alike?"""
    check_file_writable(json)
    from glassgraph.studies.invariance import run_invariance

    with told_warnings():
        rows = run_invariance(a, b)
    out().print(invariance_table(rows))
    if json is not None:
        write_json(json, rows)
        say(f"rows: {json}")


@reproduce.command()
@friendly
def subgraphs(
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions, each with its own network.")] = 5,
    graphs: Annotated[int, typer.Option(min=2, help="Graphs explained for each seed.")] = 200,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of training. [default: the study's own]")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 1,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Relevant subgraphs of BA-2Motifs by GNN-LRP: do they grow from the motif?"""
    check_file_writable(json)
    from glassgraph.studies.subgraphs import EPOCHS, run_subgraphs

    rows: list[dict[str, Any]] = []

    def note(own: list[dict[str, Any]]) -> None:
        """Keep what is done, should a later seed be interrupted."""
        rows.extend(own)
        if json is not None:
            write_json(json, rows)
        if not quiet:
            best = max(each["auc"] for each in own)
            first = own[0]
            say(
                f"seed {first['seed']}, {first['training']}: network after {first['start']} "
                f"starts, best {best:.1f}"
            )

    with told_warnings():
        run_subgraphs(
            range(seeds),
            graphs=graphs,
            epochs=epochs or EPOCHS,
            threads=threads,
            progress=not quiet,
            report=note,
        )
    out().print(subgraphs_table(rows))
    if json is not None and not quiet:
        say(f"rows: {json}")


def _infection_sizes(nodes: int) -> dict[str, Any]:
    return {
        "num_nodes": nodes,
        "edge_probability": 4 / nodes,
        "num_infected": max(1, nodes // 20),
    }


def _say_faithfulness(row: Mapping[str, Any]) -> None:
    verdict = "every bar is met" if row["is_met"] else f"not met: {', '.join(row['missed'])}"
    say(
        f"{row['dataset']}, seed {row['seed']}: {verdict}  "
        f"(fit {row['fit_seconds']:.1f} s, explain {row['explain_seconds']:.1f} s, "
        f"test accuracy {row['test_accuracy']:.3f})"
    )


def _faithfulness_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    title = (
        "GraphMask on held-out predictions, in percent; own, union: AUC of edges\n"
        "drop: predictions changed without half of the kept / as many shut messages"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("dataset, seed", no_wrap=True)
    for name in ("same", "kept", "by layer", "drop", "own", "union", "fit s", "met"):
        table.add_column(name, justify="right", no_wrap=True)
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
    from glassgraph.studies.star_graphs import FURTHER, TABLE, summarize

    entries = TABLE | FURTHER

    found = summarize(rows)
    num_seeds = len({row["seed"] for row in rows})
    table = Table(
        title=f"GraphMask, Table 1, percent: published P/R/F1, and mean ± std of {num_seeds} "
        f"seed{'' if num_seeds == 1 else 's'}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 0, 0, 1),
    )
    table.add_column("method", no_wrap=True)
    for name in ("published", "precision", "recall", "F1", "least"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, spread in found.items():
        published = "/".join(f"{value:.1f}" for value in entries[name].published)
        measured = [f"{each.mean:.1f}±{each.std:.1f}" for each in spread.values()]
        table.add_row(entries[name].title, published, *measured, f"{spread['f1'].least:.1f}")
    return table
