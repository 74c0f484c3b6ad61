"""``glassgraph reproduce generation``: XGNN, GNNInterpreter and random graphs side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glassgraph_studies.runner.options import MUTAG, count, seeds, several
from glassgraph_studies.runner.study import Found, Pages, Row, Rows, Study
from glassgraph_studies.runner.tables import Table, name, number

_THREE = "{:.3f}"
_COLUMNS = (
    name("class", "name"),
    number("V", "max_nodes"),
    name("method", "method"),
    number("mean", "probability", _THREE),
    number("least", "least_probability", _THREE),
    number("random", "random_probability", _THREE),
    number("matched", "matched_probability", _THREE),
    number("nodes", "nodes", "{:.1f}"),
    number("edges", "edges", "{:.1f}"),
    number("cycle", "with_cycle", "{:.0f}", 100),
    number("valid", "valid", "{:.0f}", 100),
    number("distinct", "distinct"),
    number("refused", "refused"),
    number("fit s", "fit_seconds", "{:.1f}"),
)


def run(**options: Any) -> Iterator[Found]:
    """Each method for each class and size."""
    from glassgraph_studies.reproduce.generation.experiment import run_generation

    for outcome in run_generation(**options):
        yield Found([outcome.row], [_line(outcome.row)], subject=outcome)


def _line(row: Row) -> str:
    return (
        f"{row['dataset']}, seed {row['seed']}, {row['name']}, at most {row['max_nodes']} nodes, "
        f"{row['method']}: {row['probability']:.3f}, random {row['random_probability']:.3f}, "
        f"matched {row['matched_probability']:.3f}, {row['distinct']} of {row['graphs']} distinct "
        f"{row['best']} (fit {row['fit_seconds']:.1f} s)"
    )


def tables(rows: Rows) -> Iterator[Table]:
    """One for each data set."""
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        title = (
            f"{dataset}: probability of the class, ten graphs each\n"
            "V: most nodes; random: graphs of V nodes; matched: as many nodes and edges\n"
            "% of graphs: cycle, valid; distinct: up to isomorphism; refused: edges, by rules"
        )
        yield Table(title, _COLUMNS, [row for row in rows if row["dataset"] == dataset])


def verdicts(_: Rows) -> Iterator[str]:
    """Nothing is published in numbers, so there are no bars."""
    yield from ()


def _save_page(outcome: Any, folder: Path) -> None:
    row = outcome.row
    if row["seed"] == 0:
        method = row["method"].replace("+", "-")
        words = (row["dataset"], row["name"].replace(" ", "-"), row["max_nodes"], method)
        outcome.generated.to_html(folder / ("-".join(map(str, words)) + ".html"))


GENERATION = Study(
    name="generation",
    help="Graphs generated for a class in two ways, and random ones: how probable, how varied?",
    run=run,
    options=(
        several("dataset", "is-acyclic or mutag", "both", to="datasets"),
        MUTAG,
        seeds(1, "data, model and generators"),
        several("max_nodes", "Most nodes of a graph", "7-10, mutag 7 and 10", kind=int),
        several("target", "Class", "0 and 1", kind=int, to="targets"),
        several(
            "method",
            "xgnn, gnn_interpreter or gnn_interpreter+examples",
            "all",
            to="methods",
        ),
        count("iterations", 50, "Iterations of a fit."),
    ),
    tables=tables,
    verdicts=verdicts,
    pages=Pages("Folder for a page per class, size and method, step by step.", _save_page),
)
