"""``glassgraph reproduce subgraphs``: relevant subgraphs of BA-2Motifs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import friendly, told_warnings
from glassgraph.cli.table import titled_table
from glassgraph_studies.runner.measured import Json, Kept, Quiet, Threads


@friendly
def subgraphs(
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions, each with its own network.")] = 5,
    graphs: Annotated[int, typer.Option(min=2, help="Graphs explained for each seed.")] = 200,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of training. [default: the study's own]")
    ] = None,
    threads: Threads = 1,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Relevant subgraphs of BA-2Motifs by GNN-LRP: do they grow from the motif?"""
    kept = Kept(json, quiet=quiet)
    from glassgraph_studies.reproduce.subgraphs.experiment import EPOCHS, run_subgraphs

    def note(own: list[dict[str, Any]]) -> None:
        first, best = own[0], max(each["auc"] for each in own)
        kept.add(
            own,
            f"seed {first['seed']}, {first['training']}: network after {first['start']} starts, "
            f"best {best:.1f}",
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
    kept.show(subgraphs_table(kept.rows))


def subgraphs_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Areas of each seed; see `glassgraph_studies.reproduce.subgraphs.experiment`."""
    from glassgraph_studies.reproduce.subgraphs.experiment import summarize

    title = (
        "BA-2Motifs: ROC-AUC of the motif's nodes, percent; asked: why this class, or why not the\n"
        "other; with evidence: classes that rest on their motif, see docs/relevance.md"
    )
    table = titled_table(title, (), ("network", "asked", "alpha", "publ.", "mean", "with evidence"))
    table.add_column("each seed, by class", justify="right")
    for each in summarize(rows):
        table.add_row(
            each["training"],
            "a/b" if each["question"] == "contrast" else "a",
            f"{each['alpha']:.2f}",
            "-" if each["published"] is None else f"{each['published']:.1f}",
            f"{each['mean']:.1f}",
            "-" if each["supported"] is None else f"{each['supported']:.1f}",
            " ".join("/".join(f"{area:.0f}" for area in areas) for areas in each["by_class"]),
        )
    return table
