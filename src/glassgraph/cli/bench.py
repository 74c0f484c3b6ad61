"""``glassgraph bench``: measurements against other libraries and literal versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import (
    friendly,
    say,
    told_warnings,
)
from glassgraph.cli.measured import Json, Kept, MutagRoot, Quiet, Seed, Threads
from glassgraph.cli.parse import parse_names
from glassgraph.cli.table import titled_table
from glassgraph.errors import CommandError

bench = typer.Typer(
    help="Measure against other libraries and literal versions.", no_args_is_help=True
)


@bench.callback()
def about() -> None:
    """Measure against other libraries and literal versions."""


@bench.command()
@friendly
def speed(
    peer: Annotated[
        str | None,
        typer.Option(
            help="'pyg' for the methods that torch_geometric.explain has, 'literal' for those held "
            "against a literal version of their paper. [default: both]"
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Data set; repeat for several. [default: all]")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "--methods",
            help="Method, or several with commas; may be repeated. [default: all with a peer]",
        ),
    ] = None,
    instances: Annotated[int, typer.Option(min=1, help="Most predictions to explain.")] = 100,
    repeats: Annotated[int, typer.Option(min=1, help="Timed repetitions.")] = 5,
    threads: Threads = 1,
    seed: Seed = 0,
    root: MutagRoot = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Time per explanation and accuracy beside a peer, in this process.

    The peer is torch_geometric.explain where it has the method. Otherwise it is a literal version
    of the paper: one prediction at a time on the whole graph.
    """
    if peer not in (None, "pyg", "literal"):
        raise CommandError(f"--peer must be 'pyg' or 'literal'; got {peer!r}")
    kept = Kept(json, quiet=quiet)
    from glassgraph.studies.speed import DATASETS, run_speed_bench
    from glassgraph.studies.speed_peers import PEERS

    methods = _with_peer(parse_names(",".join(method)) if method else None, peer, PEERS)
    with told_warnings():
        run_speed_bench(
            datasets=dataset or _without_mutag(DATASETS, root),
            methods=methods,
            instances=instances,
            repeats=repeats,
            threads=threads,
            seed=seed,
            root=root,
            progress=not quiet,
            report=kept.add_one,
        )
    kept.show(*_tables(kept.rows, repeats, threads))


@bench.command()
@friendly
def walks(
    layers: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Depth of the network; repeat for several. [default: 3, 5, 7]"),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Walks to look for.")] = 10,
    repeats: Annotated[int, typer.Option(min=1, help="Timed repetitions.")] = 5,
    threads: Threads = 1,
    seed: Seed = 0,
    json: Json = None,
) -> None:
    """GNN-LRP's walks of largest relevance, found in networks of several depths."""
    kept = Kept(json)
    from glassgraph.studies.walk_speed import LAYERS, run_walk_bench

    run_walk_bench(
        layers or LAYERS,
        walks=top,
        repeats=repeats,
        threads=threads,
        seed=seed,
        report=kept.add_one,
    )
    kept.show()


@bench.command()
@friendly
def scale(
    study: Annotated[
        list[str] | None,
        typer.Option(help="hub, growth, occlusion or many; repeat for several. [default: all]"),
    ] = None,
    largest: Annotated[
        int, typer.Option(min=1000, help="Nodes of the largest random graph.")
    ] = 1_000_000,
    repeats: Annotated[int, typer.Option(min=1, help="Timed repetitions.")] = 5,
    threads: Threads = 1,
    seed: Seed = 0,
    peer: Annotated[
        bool, typer.Option(help="Time PyG on the largest graph too (minutes, gigabytes).")
    ] = True,
    json: Json = None,
) -> None:
    """Large graphs and many explanations, against the literal way, in this process."""
    kept = Kept(json)
    from glassgraph.studies.scale import STUDIES, run_scale_bench

    unknown = sorted(set(study or ()) - set(STUDIES))
    if unknown:
        raise CommandError(f"--study must be one of {', '.join(STUDIES)}; got {unknown[0]!r}")
    run_scale_bench(
        study or STUDIES,
        largest=largest,
        repeats=repeats,
        threads=threads,
        seed=seed,
        with_peer=peer,
        report=kept.add_one,
    )
    kept.show()


@bench.command()
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
    from glassgraph.studies.graphmask_cost import BAR, DATASETS, run_cost_bench

    run_cost_bench(
        dataset or _without_mutag(DATASETS, root),
        iterations=iterations,
        repeats=repeats,
        seed=seed,
        root=root,
        progress=not quiet,
        report=kept.add_one,
    )
    kept.show(_cost_table(kept.rows, BAR))


@bench.command()
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
    from glassgraph.studies.motifs import DATASETS, GENERATED
    from glassgraph.studies.pg_explainer_speed import BAR, run_pg_explainer_bench

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


def _without_mutag(datasets: Sequence[str], root: Path | None) -> list[str]:
    """All data sets, but for MUTAG where its files are not named."""
    if root is None:
        say("mutag is left out: give --root, the folder of its raw files")
    return [name for name in datasets if root is not None or name != "mutag"]


def _with_peer(methods: list[str] | None, peer: str | None, peers: Mapping[str, str]) -> list[str]:
    """The methods that are measured beside a peer; all of them if none is named.

    Raises:
        CommandError: if a named method has another peer.
    """
    for name in methods or ():
        if peer is not None and peers.get(name, peer) != peer:
            raise CommandError(f"{name} is measured beside {peers[name]!r}, not {peer!r}")
    return methods or [name for name in peers if peer in (None, peers[name])]


def _tables(rows: list[dict[str, Any]], repeats: int, threads: int) -> Iterator[Table]:
    """A table for each peer that has rows."""
    for peer, name in (("pyg", "PyG"), ("literal", "literal")):
        own = [row for row in rows if row["peer"] == peer]
        if own:
            title = f"glassgraph beside {name} ({repeats} repeats, {threads} threads)"
            yield _table(own, title, name)


def _table(rows: list[dict[str, Any]], title: str, peer: str) -> Table:
    last = "AUC ours/PyG/saliency" if peer == "PyG" else "difference"
    numbers = ("n", "ours ms", "PyG ms" if peer == "PyG" else "peer ms", "ratio", last)
    table = titled_table(title, ("dataset", "method"), numbers)
    for row in rows:
        areas = [_number(row, f"{side}_auc", "{:.3f}") for side in ("ours", "peer", "saliency")]
        table.add_row(
            str(row["dataset"]),
            str(row["method"]),
            str(row["instances"]),
            _number(row, "ours_s_per_instance", "{:.2f}", 1000),
            _number(row, "peer_s_per_instance", "{:.2f}", 1000),
            _number(row, "ratio", "{:.1f}x"),
            " / ".join(areas) if peer == "PyG" else _number(row, "max_difference", "{:.0e}"),
        )
    return table


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
            _number(row, "model_s", "{:.2f}", 1000),
            _number(row, "graphmask_s", "{:.2f}", 1000),
            _number(row, "ratio", "{:.2f}"),
            "yes" if row["is_met"] else "no",
            _number(row, "unmasked_s", "{:.2f}", 1000),
            _number(row, "ratio_with_unmasked", "{:.2f}"),
        )
    return table


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
            _number(row, "fit_s", "{:.2f}"),
            _number(row, "pyg_fit_s", "{:.2f}"),
            _number(row, "fit_ratio", "{:.1f}x"),
            _number(row, "one_by_one_ratio", "{:.1f}x"),
            _number(row, "explain_ms", "{:.2f}"),
            _number(row, "pyg_explain_ms", "{:.2f}"),
            _number(row, "explain_ratio", "{:.1f}x"),
        )
    return table


def _number(row: Mapping[str, Any], name: str, form: str, scale: float = 1) -> str:
    value = row.get(name)
    return "-" if value is None else form.format(scale * value)
