"""``glassgraph reproduce infection``: infection paths of the edge gradients paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import friendly, told_warnings
from glassgraph.cli.table import titled_table
from glassgraph_studies.runner.measured import Json, Kept, Quiet, Threads

if TYPE_CHECKING:
    from glassgraph_studies.reproduce.infection import experiment as infection_study


#: Nodes of an infection graph.
_NODES = 1000


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
    threads: Threads = 1,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Infection paths of the edge gradients paper: who finds how an infection came?"""
    kept = Kept(json, quiet=quiet)
    from glassgraph_studies.reproduce.infection.experiment import run_infection

    def note(scene: infection_study.Scene, own: list[dict[str, Any]]) -> None:
        accuracy = scene.trained.accuracy["test"]
        kept.add(
            own,
            f"seed {scene.seed}: test accuracy {accuracy:.3f}, {len(scene.nodes)} nodes",
            *(
                f"  {each['row']}: {each['found']:.2f} % found  "
                f"({1000 * each['seconds_per_node']:.0f} ms each)"
                for each in own
            ),
        )

    # As many edges and infected nodes for each node as in graphs of 1,000.
    sizes = {} if nodes == _NODES else _infection_sizes(nodes)
    with told_warnings():
        run_infection(
            range(seeds), row or None, threads=threads, progress=not quiet, report=note, **sizes
        )
    kept.show(infection_table(kept.rows))


def _infection_sizes(nodes: int) -> dict[str, Any]:
    return {
        "num_nodes": nodes,
        "edge_probability": 4 / nodes,
        "num_infected": max(1, nodes // 20),
    }


def infection_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What each search found; see `glassgraph_studies.reproduce.infection.experiment`."""
    from glassgraph_studies.reproduce.infection.experiment import TABLE, summarize

    title = (
        "Infection: percent of paths found; true: the shortest path itself\n"
        "asked: why the distance is y, or why it is y and not y + 1"
    )
    table = titled_table(title, ("walk by", "asked"), ("publ.", "mean"))
    table.add_column("each seed", justify="right")
    for name in ("true", "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, summary in summarize(rows).items():
        entry = TABLE[name]
        table.add_row(
            entry.title,
            "y/y+1" if entry.question == "step" else "y",
            "-" if entry.published is None else f"{entry.published:.1f}",
            f"{summary.mean:.1f}",
            " ".join(f"{each:.1f}" for each in summary.found),
            "-" if summary.true is None else f"{summary.true:.1f}",
            f"{1000 * summary.seconds_per_node:.0f}",
        )
    return table
