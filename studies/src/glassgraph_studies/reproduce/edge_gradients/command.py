"""``glassgraph reproduce edge-gradients``: how close explainers are to edge gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from glassgraph.cli.console import check_figure_writable, friendly, say, told_warnings
from glassgraph.cli.table import titled_table
from glassgraph_studies.runner.measured import Json, Kept, Quiet, Threads

if TYPE_CHECKING:
    from glassgraph_studies.reproduce.edge_gradients.experiment import Outcome

#: Networks that a figure shows at most.
_DRAWN = 12
#: Heads of columns, by the names of rows.
_SHORT = {
    "edge gradients": "grad",
    "positive gradients": "pos",
    "GNNExplainer": "GNNX",
    "occlusion": "occl",
    "attention": "att",
    "random": "rand",
    "all ones": "ones",
}


@friendly
def edge_gradients(
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder of planetoid, mutag_tud, sst_trees and glove_small; without it, "
            "generated graphs alone."
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Data set; repeat for several. [default: all]")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="gcn, gat, gin or sgc; repeat for several. [default: all]"),
    ] = None,
    layers: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Layers of these networks; repeat. [default: 1 and 3]"),
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option(min=1, help="Most nodes or graphs to explain. [default: the study's own]"),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Repetitions, each with its own data and networks.")
    ] = 1,
    explainer_epochs: Annotated[
        int | None, typer.Option(min=1, help="Steps of GNNExplainer. [default: 100, as published]")
    ] = None,
    matrices: Annotated[bool, typer.Option(help="Print every matrix.")] = True,
    threads: Threads = 1,
    json: Json = None,
    figure: Annotated[
        Path | None,
        typer.Option(help=f"Draw the matrices of the first {_DRAWN} networks (.png, .svg, .pdf)."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Folder for a page for each network.")] = None,
    quiet: Quiet = False,
) -> None:
    """Edge gradients, GNNExplainer, occlusion: how alike are they, and what is that worth?"""
    kept = Kept(json, quiet=quiet)
    check_figure_writable(figure)
    from glassgraph_studies.reproduce.edge_gradients.bars import bars
    from glassgraph_studies.reproduce.edge_gradients.experiment import run_edge_gradients
    from glassgraph_studies.reproduce.edge_gradients.figure import save_figure, save_page
    from glassgraph_studies.reproduce.edge_gradients.scenes import DATASETS, GENERATED

    if root is None and not dataset:
        say("papers, molecules and sentences are left out: give --root, the folder above theirs")
    drawn: list[Outcome] = []
    tables: list[Table] = []

    def note(outcome: Outcome) -> None:
        kept.add([outcome.row], _line(outcome.row))
        if len(drawn) < _DRAWN and figure is not None:
            drawn.append(outcome)
        if html is not None:
            save_page(outcome, html)
        if matrices:
            tables.extend(_matrices(outcome.row))

    with told_warnings():
        run_edge_gradients(
            dataset or (GENERATED if root is None else DATASETS),
            model or None,
            layers or (1, 3),
            range(seeds),
            root=root,
            instances=nodes,
            explainer_epochs=explainer_epochs,
            threads=threads,
            progress=not quiet,
            report=note,
        )
    kept.show(*tables, edge_gradients_table(kept.rows), *_published_table(kept.rows))
    for bar in bars(kept.rows):
        verdict = "reached" if bar.is_met else "MISSED"
        say(f"{verdict}: {bar.name}: {bar.found:.4g}, wanted {bar.wanted}")
    if figure is not None:
        save_figure(drawn, figure)
        if not quiet:
            say(f"figure: {figure}")


def edge_gradients_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One line for each network; see `glassgraph_studies.reproduce.edge_gradients.experiment`."""
    from glassgraph_studies.reproduce.edge_gradients.bars import POSITIVE, cosine_of, value_of

    title = (
        "Mean cosine of GNNExplainer (GNNX), random numbers and ones with positive\n"
        "gradients; by layer: of edge gradients with occlusion; flips: percent of\n"
        "gradients that change sign, all gates moving / one alone; n predictions"
    )
    numbers = ("publ.", "GNNX", "rand", "ones", "layer", "flips", "n")
    table = titled_table(title, ("network",), numbers)
    for row in rows:
        table.add_row(
            _name(row),
            row["published"].get("learned_positive", "-"),
            _number(value_of(row, "learned_positive")),
            _number(cosine_of(row, "edge", "random", POSITIVE)),
            _number(cosine_of(row, "edge", "all ones", POSITIVE)),
            _number(value_of(row, "layer_gradients_occlusion")),
            f"{_percent(row['flips_together'])}/{_percent(row['flips_alone'])}",
            str(row["instances"]),
        )
    return table


def _published_table(rows: Sequence[Mapping[str, Any]]) -> Iterator[Table]:
    """Everything else that has a published number beside it; nothing if there is none."""
    from glassgraph_studies.reproduce.edge_gradients.bars import PAIRS, value_of

    table = titled_table(
        "Other published numbers (~ read from a figure)", ("network", "cosine of"), ("publ.", "own")
    )
    for row in rows:
        for key, word in row["published"].items():
            if key in PAIRS and key != "learned_positive":
                level, one, other = PAIRS[key]
                by = " by layer" if level == "layer" else ""
                name = f"{_SHORT[one]} and {_SHORT[other]}{by}"
                table.add_row(_name(row), name, word, _number(value_of(row, key)))
            elif key == "reverse":
                table.add_row(_name(row), "GNNX - reverse and grad", word, _number(row["reverse"]))
    if table.row_count:
        yield table


def _matrices(row: Mapping[str, Any]) -> Iterator[Table]:
    for level, words in (("edge", "edges"), ("layer", "edges by layer")):
        names = row[level]["names"]
        title = f"{_name(row)}: cosine, {words}, n = {row['instances']}"
        table = titled_table(title, ("",), [_SHORT[name] for name in names])
        for name, values in zip(names, row[level]["cosine"], strict=True):
            table.add_row(name, *(_number(value) for value in values))
        yield table


def _line(row: Mapping[str, Any]) -> str:
    from glassgraph_studies.reproduce.edge_gradients.bars import value_of

    return (
        f"{_name(row)}: GNNExplainer and positive gradients "
        f"{_number(value_of(row, 'learned_positive'))}, accuracy {row['accuracy']:.3f}  "
        f"(train {row['train_seconds']:.1f} s, explain {row['explain_seconds']:.1f} s)"
    )


def _name(row: Mapping[str, Any]) -> str:
    ending = f" ({row['seed']})" if row["seed"] else ""
    dataset = row["dataset"].replace("negative-", "neg. ")
    return f"{dataset} {row['model']} {row['layers']}{ending}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.3g}"
