"""``glassgraph bench pg-explainer``: PGExplainer beside PyG's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import DATASETS, MOLECULES, SEED, count, repeats
from glassgraph_studies.runner.study import Found, Rows, Study, spelled
from glassgraph_studies.runner.tables import Table, name, number

_COLUMNS = (
    name("dataset", "dataset"),
    number("n", "instances"),
    number("fit s", "fit_s", "{:.2f}"),
    number("PyG s", "pyg_fit_s", "{:.2f}"),
    number("ratio", "fit_ratio", "{:.1f}x"),
    number("one", "one_by_one_ratio", "{:.1f}x"),
    number("ms each", "explain_ms", "{:.2f}"),
    number("PyG ms", "pyg_explain_ms", "{:.2f}"),
    number("ratio", "explain_ratio", "{:.1f}x"),
)


def run(**options: Any) -> Iterator[Found]:
    """Each data set."""
    from glassgraph_studies.bench.pg_explainer.experiment import run_pg_explainer_bench

    for row in run_pg_explainer_bench(**options):
        yield spelled(row)


def tables(rows: Rows) -> Iterator[Table]:
    """Fitting and explaining, ours and PyG's."""
    from glassgraph_studies.bench.pg_explainer.experiment import BAR

    title = (
        f"PGExplainer beside PyG's, seconds of one processor; ratios are to be at least {BAR:g}\n"
        "one: with one prediction in a step, as PyG"
    )
    yield Table(title, _COLUMNS, rows)


PG_EXPLAINER = Study(
    name="pg-explainer",
    help="Fitting PGExplainer, and explaining with it, beside PyG's, on one thread.",
    run=run,
    options=(
        DATASETS,
        count("epochs", 10, "Visits of each prediction."),
        count("instances", 60, "Most predictions."),
        repeats(3),
        SEED,
        MOLECULES,
    ),
    tables=tables,
    has_threads=False,
)
