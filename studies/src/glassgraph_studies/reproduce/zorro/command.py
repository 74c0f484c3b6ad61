"""``glassgraph reproduce zorro``: RDT-fidelity and sparsity on Cora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import friendly, told_warnings
from glassgraph.cli.table import titled_table
from glassgraph_studies.runner.measured import CoraRoot, Json, Kept, Quiet, Seed, Threads


@friendly
def zorro(
    root: CoraRoot,
    nodes: Annotated[int, typer.Option(min=1, help="Test nodes that are explained.")] = 20,
    row: Annotated[
        list[str] | None,
        typer.Option(help="Row of the table, as in the JSON; repeat for several. [default: all]"),
    ] = None,
    seed: Seed = 0,
    threads: Threads = 1,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """RDT-fidelity and sparsity of explanations on Cora, as in ZORRO's paper."""
    kept = Kept(json, quiet=quiet)
    from glassgraph_studies.reproduce.zorro.experiment import run_zorro

    def note(own: dict[str, Any]) -> None:
        lines = []
        if own["is_met"] is not None:
            verdict = "is reached" if own["is_met"] else "is NOT reached"
            lines = [f"{own['row']}: tau {own['tau']} {verdict} at every node"]
        kept.add([own], *lines)

    with told_warnings():
        run_zorro(root, nodes, row or None, seed, threads=threads, progress=not quiet, report=note)
    kept.show(zorro_table(kept.rows))


def zorro_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Fidelity and sparsity of masks; see `glassgraph_studies.reproduce.zorro.experiment`."""
    from glassgraph_studies.reproduce.zorro.experiment import TABLE

    title = (
        "ZORRO on Cora: RDT-fidelity by the search's own noise (mean, least) and by other noise\n"
        "valid: the same with zeros; entropies of masks over nodes and features; p: published\n"
        "s: seconds for a node; literal: those of the search written out"
    )
    table = titled_table(
        title,
        ("method",),
        (
            "own",
            "least",
            "fresh",
            "p",
            "valid",
            "nodes",
            "p",
            "features",
            "p",
            "s",
            "literal",
        ),
    )
    for row in rows:
        fidelity, of_nodes, of_features = row["published"]
        table.add_row(
            TABLE[row["row"]].title,
            _two(row["search_fidelity"]),
            _two(row["least_search_fidelity"]),
            _two(row["fidelity"]),
            _two(fidelity),
            _two(row["validity"]),
            _two(row["node_entropy"]),
            _two(of_nodes),
            _two(row["feature_entropy"]),
            _two(of_features),
            _two(row["seconds_per_node"]),
            _two(row["literal_seconds_per_node"]),
        )
    return table


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
