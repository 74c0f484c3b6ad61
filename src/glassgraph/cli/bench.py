"""``glassgraph bench``: measurements against other libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from glassgraph.cli.console import check_file_writable, friendly, out, say, write_json
from glassgraph.errors import CommandError

bench = typer.Typer(help="Measure against other libraries.", no_args_is_help=True)


@bench.callback()
def about() -> None:
    """Measure against other libraries."""


@bench.command()
@friendly
def speed(
    peer: Annotated[str, typer.Option(help="The other library; 'pyg' is the only one.")] = "pyg",
    dataset: Annotated[
        list[str] | None, typer.Option(help="Data set; repeat for several. [default: all]")
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="Method; repeat for several. [default: all]")
    ] = None,
    instances: Annotated[int, typer.Option(min=1, help="Most predictions to explain.")] = 100,
    repeats: Annotated[int, typer.Option(min=1, help="Timed repetitions.")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch, both sides.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    root: Annotated[
        Path | None, typer.Option(help="Folder of MUTAG's raw files; without it MUTAG is left out.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Time per explanation and accuracy beside torch_geometric.explain, in this process."""
    if peer != "pyg":
        raise CommandError(f"--peer must be 'pyg'; got {peer!r}")
    check_file_writable(json)
    from glassgraph.studies.speed import DATASETS, run_speed_bench

    chosen: dict[str, Any] = {"datasets": dataset or _without_mutag(DATASETS, root)}
    if method:
        chosen["methods"] = method
    rows = run_speed_bench(
        **chosen,
        instances=instances,
        repeats=repeats,
        threads=threads,
        seed=seed,
        root=root,
        progress=not quiet,
        report=None if quiet else _say_row,
    )
    out().print(_table(rows, repeats, threads))
    if json is not None:
        write_json(json, rows)
        if not quiet:
            say(f"rows: {json}")


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
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch, both sides.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    peer: Annotated[
        bool, typer.Option(help="Time PyG on the largest graph too (minutes, gigabytes).")
    ] = True,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
) -> None:
    """Large graphs and many explanations, against the literal way, in this process."""
    check_file_writable(json)
    from glassgraph.studies.scale import STUDIES, run_scale_bench

    unknown = sorted(set(study or ()) - set(STUDIES))
    if unknown:
        raise CommandError(f"--study must be one of {', '.join(STUDIES)}; got {unknown[0]!r}")
    rows = run_scale_bench(
        study or STUDIES,
        largest=largest,
        repeats=repeats,
        threads=threads,
        seed=seed,
        with_peer=peer,
        report=_say_row,
    )
    if json is not None:
        write_json(json, rows)
        say(f"rows: {json}")


@bench.command()
@friendly
def graphmask_cost(
    dataset: Annotated[
        list[str] | None, typer.Option(help="Data set; repeat for several. [default: all]")
    ] = None,
    iterations: Annotated[int, typer.Option(min=1, help="Timed iterations in a repeat.")] = 500,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    root: Annotated[
        Path | None, typer.Option(help="Folder of MUTAG's raw files; without it MUTAG is left out.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """A training iteration of GraphMask beside one of the model, on one thread."""
    check_file_writable(json)
    from glassgraph.studies.graphmask_cost import BAR, DATASETS, run_cost_bench

    rows = run_cost_bench(
        dataset or _without_mutag(DATASETS, root),
        iterations=iterations,
        repeats=repeats,
        seed=seed,
        root=root,
        progress=not quiet,
        report=None if quiet else _say_row,
    )
    out().print(_cost_table(rows, BAR))
    if json is not None:
        write_json(json, rows)
        if not quiet:
            say(f"rows: {json}")


def _without_mutag(datasets: Sequence[str], root: Path | None) -> list[str]:
    """All data sets, but for MUTAG where its files are not named."""
    if root is None:
        say("mutag is left out: give --root, the folder of its raw files")
    return [name for name in datasets if root is not None or name != "mutag"]


def _say_row(row: dict[str, Any]) -> None:
    """One measurement, as soon as it is there."""
    say(
        "  ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in row.items()
        )
    )


def _table(rows: list[dict[str, Any]], repeats: int, threads: int) -> Table:
    title = f"glassgraph beside PyG ({repeats} repeats, {threads} threads)"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for name in ("dataset", "method"):
        table.add_column(name, no_wrap=True)
    for name in ("n", "ours ms", "PyG ms", "ratio", "AUC ours/PyG/saliency"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            str(row["dataset"]),
            str(row["method"]),
            str(row["instances"]),
            _number(row, "ours_s_per_instance", "{:.2f}", 1000),
            _number(row, "peer_s_per_instance", "{:.2f}", 1000),
            _number(row, "ratio", "{:.1f}x"),
            " / ".join(
                _number(row, f"{side}_auc", "{:.3f}") for side in ("ours", "peer", "saliency")
            ),
        )
    return table


def _cost_table(rows: Sequence[Mapping[str, Any]], bar: float) -> Table:
    title = f"milliseconds of an iteration; GraphMask / model is to be at most {bar:g}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("dataset", no_wrap=True)
    for name in ("n", "messages", "model", "GraphMask", "ratio", "met", "unmasked", "ratio+"):
        table.add_column(name, justify="right", no_wrap=True)
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


def _number(row: Mapping[str, Any], name: str, form: str, scale: float = 1) -> str:
    value = row.get(name)
    return "-" if value is None else form.format(scale * value)
