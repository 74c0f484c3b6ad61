"""``glassgraph bench graphmask-cost``: an iteration of GraphMask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import DATASETS, MUTAG, SEED, count
from glassgraph_studies.runner.study import Found, Rows, Study, spelled
from glassgraph_studies.runner.tables import Table, name, number, yes_or_no

_COLUMNS = (
    name("dataset", "dataset"),
    number("n", "predictions"),
    number("messages", "messages"),
    number("model", "model_s", "{:.2f}", 1000),
    number("GraphMask", "graphmask_s", "{:.2f}", 1000),
    number("ratio", "ratio", "{:.2f}"),
    yes_or_no("met", "is_met"),
    number("unmasked", "unmasked_s", "{:.2f}", 1000),
    number("ratio+", "ratio_with_unmasked", "{:.2f}"),
)


def run(**options: Any) -> Iterator[Found]:
    """Each data set."""
    from glassgraph_studies.bench.graphmask_cost.experiment import run_cost_bench

    for row in run_cost_bench(**options):
        yield spelled(row)


def tables(rows: Rows) -> Iterator[Table]:
    """An iteration of both."""
    from glassgraph_studies.bench.graphmask_cost.experiment import BAR

    title = f"milliseconds of an iteration; GraphMask / model is to be at most {BAR:g}"
    yield Table(title, _COLUMNS, rows)


GRAPHMASK_COST = Study(
    name="graphmask-cost",
    help="A training iteration of GraphMask beside one of the model, on one thread.",
    run=run,
    options=(
        DATASETS,
        count("iterations", 500, "Timed iterations in a repeat."),
        count("repeats", 3, "Repeats."),
        SEED,
        MUTAG,
    ),
    tables=tables,
    has_threads=False,
)
