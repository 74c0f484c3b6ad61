"""``glassgraph reproduce motifs``: planted motifs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import friendly, say, told_warnings
from glassgraph.cli.table import titled_table
from glassgraph_studies.runner.measured import Json, Kept, Quiet, Threads

#: What scores reach that know nothing.
_CHANCE = 0.5


@friendly
def motifs(
    method: Annotated[
        list[str] | None,
        typer.Option(help="Method of 'glassgraph methods'; repeat for several. [default: five]"),
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Data set; repeat for several. [default: all]")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of the explainer.")] = 10,
    data_seed: Annotated[
        int, typer.Option(min=0, help="Seed of the data, the model and the halves.")
    ] = 0,
    instances: Annotated[
        int | None,
        typer.Option(min=1, help="Most predictions to explain. [default: half, fewer if slow]"),
    ] = None,
    target: Annotated[
        int | None,
        typer.Option(min=0, help="Fit and explain graphs of this predicted class alone."),
    ] = None,
    published_settings: Annotated[
        bool, typer.Option("--published-settings", help="Settings of the authors' notebooks.")
    ] = False,
    threads: Threads = 1,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the molecules' raw files, or above; without it they are left out."
        ),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Planted motifs: who finds the edges that the label depends on?"""
    kept = Kept(json, quiet=quiet)
    from glassgraph_studies.planted import DATASETS, GENERATED
    from glassgraph_studies.reproduce.motifs.experiment import run_motifs
    from glassgraph_studies.reproduce.motifs.settings import METHODS

    if root is None and not dataset:
        say("mutagenicity and mutag are left out: give --root, the folder of their raw files")
    with told_warnings():
        run_motifs(
            dataset or (GENERATED if root is None else DATASETS),
            method or METHODS,
            range(seeds),
            data_seed=data_seed,
            instances=instances,
            target=target,
            published_settings=published_settings,
            root=root,
            threads=threads,
            progress=not quiet,
            report=lambda row: kept.add([row], _motifs_line(row)),
        )
    kept.show(*motifs_tables(kept.rows))


def _motifs_line(row: Mapping[str, Any]) -> str:
    each = 1000 * row["explain_seconds"] / row["explained"]
    return (
        f"{row['dataset']}, {row['method']}, seed {row['seed']}: AUC {row['auc']:.4f}"
        f"{' (inverted)' if row['is_inverted'] else ''}  "
        f"(fit {row['fit_seconds']:.1f} s, explain {each:.1f} ms each)"
    )


def motifs_tables(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Published beside measured, and what the models need; see `motifs.experiment`."""
    from glassgraph_studies.reproduce.motifs.experiment import summarize

    title = (
        "Planted motifs: ROC-AUC of edges, mean ± std over seeds\n"
        "own: of the own motif alone; by class: of the predicted classes of graphs"
    )
    targets = {row["target"] for row in rows} - {None}
    if targets:
        title += f"\nfitted on and explained: class {', '.join(map(str, sorted(targets)))} alone"
    names = ("dataset", "method")
    table = titled_table(title, names, ("publ.", "AUC", "aim", "own", "by class"))
    seeds = titled_table("Each seed; * inverted: the motif comes last", names, ())
    seeds.add_column("AUC")
    for (dataset, method), found in summarize(rows).items():
        aim = "-"
        if found.aim is not None:
            aim = f"{found.aim:.2f} {'reached' if found.mean >= found.aim else 'missed'}"
        table.add_row(
            dataset,
            method,
            "-" if found.published is None else f"{found.published:.3f}",
            f"{found.mean:.3f}±{found.std:.3f}",
            aim,
            f"{found.own:.3f}",
            "/".join("-" if each is None else f"{each:.2f}" for each in found.by_class) or "-",
        )
        marks = [f"{each:.3f}{'*' if each < _CHANCE else ''}" for each in found.aucs]
        seeds.add_row(dataset, method, " ".join(marks))
    title = "Does the model need the motif? P: mean probability of the predicted class"
    models = titled_table(
        title,
        ("dataset",),
        ("accuracy", "class", "n", "P all edges", "P motifs alone", "P without"),
    )
    for row in {row["dataset"]: row for row in rows}.values():
        for each in row["evidence"]:
            models.add_row(
                row["dataset"],
                f"{row['test_accuracy']:.3f}",
                "-" if each["target"] is None else str(each["target"]),
                str(each["count"]),
                *(f"{each[key]:.3f}" for key in ("p_whole", "p_motif", "p_rest")),
            )
    return [table, seeds, models]
