"""``glassgraph bench speed``: time and accuracy beside peers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import friendly, told_warnings
from glassgraph.cli.parse import parse_names
from glassgraph.cli.table import number, titled_table
from glassgraph.errors import CommandError
from glassgraph_studies.runner.measured import (
    Json,
    Kept,
    MutagRoot,
    Quiet,
    Seed,
    Threads,
    without_mutag,
)


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
    from glassgraph_studies.bench.speed.experiment import DATASETS, run_speed_bench
    from glassgraph_studies.reference.peers import PEERS

    methods = _with_peer(parse_names(",".join(method)) if method else None, peer, PEERS)
    with told_warnings():
        run_speed_bench(
            datasets=dataset or without_mutag(DATASETS, root),
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
        areas = [number(row, f"{side}_auc", "{:.3f}") for side in ("ours", "peer", "saliency")]
        table.add_row(
            str(row["dataset"]),
            str(row["method"]),
            str(row["instances"]),
            number(row, "ours_s_per_instance", "{:.2f}", 1000),
            number(row, "peer_s_per_instance", "{:.2f}", 1000),
            number(row, "ratio", "{:.1f}x"),
            " / ".join(areas) if peer == "PyG" else number(row, "max_difference", "{:.0e}"),
        )
    return table
