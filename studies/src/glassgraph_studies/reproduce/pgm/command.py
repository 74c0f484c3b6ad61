"""``glassgraph reproduce pgm``: PGM-Explainer's experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import friendly, told_warnings
from glassgraph.cli.table import titled_table
from glassgraph_studies.runner.measured import Json, Kept, Quiet, Threads


@friendly
def pgm(
    root: Annotated[
        Path | None,
        typer.Option(help="Folder of bitcoinalpha.csv and bitcoinotc.csv; without it, motifs."),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Repetitions, each with its own split and network.")
    ] = 3,
    network: Annotated[
        list[str] | None,
        typer.Option(help="bitcoin-alpha or bitcoin-otc; repeat for both. [default: both]"),
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(help="Row of the table, as in the JSON; repeat for several. [default: all]"),
    ] = None,
    nodes: Annotated[int, typer.Option(min=2, help="Nodes explained for each seed.")] = 100,
    samples: Annotated[int, typer.Option(min=2, help="Samples of PGM-Explainer.")] = 400,
    motifs: Annotated[bool, typer.Option(help="Look for motif nodes, too.")] = True,
    threads: Threads = 1,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """PGM-Explainer's experiments: whose ratings decide, and which nodes are the motif?"""
    kept = Kept(json, quiet=quiet)
    from glassgraph_studies.reproduce.pgm.experiment import NETWORKS, run_motifs, run_trust

    def note(own: list[dict[str, Any]]) -> None:
        first = own[0]
        kept.add(
            own,
            f"{first['dataset']}, seed {first['seed']}: test accuracy {first['accuracy']:.3f} "
            f"(worse class {first['least_class_accuracy']:.3f}), {first['nodes']} nodes",
        )

    tables = []
    with told_warnings():
        if root is not None:
            run_trust(
                root,
                network or NETWORKS,
                range(seeds),
                row or None,
                nodes,
                samples,
                threads=threads,
                progress=not quiet,
                report=note,
            )
            tables.append(trust_table(kept.rows))
        if motifs:
            found = run_motifs(threads=threads, progress=not quiet, report=kept.add_one)
            tables.append(motif_nodes_table(found))
    kept.show(*tables)


def trust_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Precision of the nodes named on trust networks; see `pgm.experiment`."""
    from glassgraph_studies.reproduce.pgm.experiment import summarize

    title = (
        "trust networks: precision of the top 3/4/5 nodes, percent\n"
        "published: with a ground truth that is not available"
    )
    table = titled_table(title, ("dataset", "method"), ("published", "measured", "n", "s each"))
    for (dataset, name), precision in summarize(rows).items():
        own = [row for row in rows if (row["dataset"], row["row"]) == (dataset, name)]
        seconds = sum(row["seconds_per_node"] for row in own) / len(own)
        table.add_row(
            dataset,
            name,
            _percentages(own[0]["published"]),
            _percentages(precision),
            str(sum(row["nodes"] for row in own)),
            f"{seconds:.2f}",
        )
    return table


def motif_nodes_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Motif nodes found; see `glassgraph_studies.reproduce.pgm.experiment.run_motifs`."""
    title = "motif nodes found among as many as the motif has, percent"
    table = titled_table(title, ("dataset",), ("published", "measured", "random", "n", "ms each"))
    for row in rows:
        table.add_row(
            str(row["dataset"]),
            "-" if row["published"] is None else f"{row['published']:.1f}",
            f"{row['recall']:.1f}",
            f"{row['random']:.1f}",
            str(row["nodes"]),
            f"{1000 * row['seconds_per_node']:.0f}",
        )
    return table


def _percentages(values: Sequence[float] | None) -> str:
    return "-" if values is None else "/".join(f"{value:.1f}" for value in values)
