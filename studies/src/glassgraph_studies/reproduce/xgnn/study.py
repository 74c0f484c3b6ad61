"""``glassgraph reproduce xgnn``: graphs that are generated for a class, as in XGNN's paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from glassgraph_studies.runner.options import MUTAG, Option, count, flag, seeds, several
from glassgraph_studies.runner.study import Figure, Found, Pages, Row, Rows, Study
from glassgraph_studies.runner.tables import Table, name, number

_THREE = "{:.3f}"
_CLASSIFIERS_TITLE = (
    "XGNN, classifiers: accuracy on test graphs\n"
    "published: how it was measured is not said\n"
    "by: what chooses the epoch ('test' is optimistic)\n"
    "std: of folds; least: of a seed\n"
    "small: on all connected graphs of 3-7 nodes"
)
_CLASSIFIERS = (
    name("data", "dataset"),
    name("measured by", "by"),
    *(number(key, key, _THREE) for key in ("published", "mean", "std", "least", "small")),
)
_GENERATORS = (
    name("class", "name"),
    number("nodes", "max_nodes"),
    number("mean", "probability", _THREE),
    number("least", "least", _THREE),
    number("random", "random_probability", _THREE),
    number("matched", "matched_probability", _THREE),
    number("cycle", "with_cycle", "{:.0f}", 100),
    number("valid", "valid", "{:.0f}", 100),
    number("motif", "best_with_motif", "{:.0f}", 100),
    number("fit s", "fit_seconds", "{:.1f}"),
)
_SPEED = (
    name("data", "dataset"),
    number("nodes", "max_nodes"),
    number("roll-outs", "rollouts"),
    number("together", "seconds", _THREE),
    number("one by one", "one_at_a_time_seconds", "{:.2f}"),
    number("times", "times", "{:.1f}"),
)


def run(**options: Any) -> Iterator[Found]:
    """Each classifier, its cross-validation, and each generator."""
    from glassgraph_studies.reproduce.xgnn.experiment import run_xgnn

    for outcome in run_xgnn(**options):
        yield Found([outcome.row], [_line(outcome.row)], subject=outcome)


def _line(row: Row) -> str:
    if row["kind"] == "classifier":
        shares = row["accuracy"]
        return (
            f"{row['dataset']}, seed {row['seed']}: accuracy {shares['val']:.3f} validation, "
            f"{shares['test']:.3f} test"
        )
    if row["kind"] == "folds":
        return f"{row['dataset']}: accuracy {row['mean']:.3f} ({row['protocol']})"
    if row["kind"] == "speed":
        return f"{row['dataset']}: {row['rollouts']} roll-outs, {row['times']:.1f} times as fast"
    return (
        f"{row['dataset']}, seed {row['seed']}, {row['name']}, at most {row['max_nodes']} nodes: "
        f"{row['probability']:.3f}, random {row['random_probability']:.3f}, best {row['best']}  "
        f"(fit {row['fit_seconds']:.1f} s)"
    )


def tables(rows: Rows) -> Iterator[Table]:
    """Classifiers, generated graphs, speed."""
    from glassgraph_studies.reproduce.xgnn.bars import summarize
    from glassgraph_studies.reproduce.xgnn.experiment import NUMBER

    names = dict.fromkeys(row["dataset"] for row in rows)
    classifiers = [found for each in names for found in _accuracies(rows, each)]
    yield Table(_CLASSIFIERS_TITLE, _CLASSIFIERS, classifiers)
    title = (
        f"XGNN: probability of the class, mean of {NUMBER} graphs\n"
        "published: figures, with probabilities close to 1\n"
        "least: of a seed; random: as many nodes; matched: and as many edges\n"
        "% of graphs: cycle, valid; of best molecules: ring of carbon or NO2 (motif)"
    )
    yield Table(title, _GENERATORS, list(summarize(rows)))
    speed = [row for row in rows if row["kind"] == "speed"]
    yield Table("XGNN: seconds for a step's roll-outs", _SPEED, speed)


def _accuracies(rows: Rows, dataset: str) -> Iterator[dict[str, Any]]:
    """On the test part over seeds, and by cross-validation."""
    own = [row for row in rows if (row["kind"], row["dataset"]) == ("classifier", dataset)]
    reached = [row["accuracy"]["test"] for row in own]
    small = [
        share
        for row in own
        for by_size in (row["small"] or {}).values()
        for share in by_size.values()
    ]
    yield {
        "dataset": dataset,
        "by": f"test part x {len(own)}",
        "published": own[0]["published"],
        "mean": fmean(reached),
        "least": min(reached),
        "small": min(small, default=None),
    }
    for row in rows:
        if (row["kind"], row["dataset"]) == ("folds", dataset):
            yield {**row, "by": f"{row['folds']} folds x {row['seeds']}, by {row['protocol']}"}


def verdicts(rows: Rows) -> Iterator[str]:
    """Bars that are missed."""
    for row in rows:
        for line in row["missed"]:
            yield f"missed: {line}"


def _save_figure(outcomes: Sequence[Any], path: Path) -> None:
    from glassgraph_studies.reproduce.xgnn.figure import save_figure

    save_figure(outcomes, path)


def _save_page(outcome: Any, folder: Path) -> None:
    """The history of a generated graph, for the first seed."""
    row = outcome.row
    if outcome.generated is not None and row["seed"] == 0:
        file = f"{row['dataset']}-{row['name']}-{row['max_nodes']}.html"
        outcome.generated.to_html(folder / file)


XGNN = Study(
    name="xgnn",
    help="Graphs generated for a class: how probable, and do they have what the class is about?",
    run=run,
    options=(
        several("dataset", "is-acyclic or mutag", "both", to="datasets"),
        MUTAG,
        seeds(3, "data, model and generators"),
        several("max_nodes", "Most nodes of a graph", "3-6, mutag 4-7", kind=int),
        several("target", "Class", "0 and 1, mutag 1", kind=int, to="targets"),
        count("iterations", 50, "Iterations of a fit."),
        Option(
            "fold_seeds",
            int,
            "Repetitions of ten-fold cross-validation on MUTAG.",
            3,
            0,
            convert=range,
        ),
        flag(
            "reference_model",
            "Explain the reference model of MUTAG, without weight decay.",
            to="reference",
        ),
        flag("common_atoms", "Molecules of C, N, O and Cl alone."),
    ),
    tables=tables,
    verdicts=verdicts,
    figure=Figure("Draw the most probable graphs (.png, .svg or .pdf).", _save_figure),
    pages=Pages("Folder for a page per class and size, the generation step by step.", _save_page),
)
