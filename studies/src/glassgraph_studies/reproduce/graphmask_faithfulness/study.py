"""``glassgraph reproduce graphmask-faithfulness``: GraphMask on held-out predictions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import DATASETS, MUTAG, count, flag, seeds
from glassgraph_studies.runner.study import Found, Row, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, number, shown, yes_or_no

_TITLE = (
    "GraphMask on held-out predictions, in percent; own, union: AUC of edges\n"
    "drop: predictions changed without half of the kept / as many shut messages"
)
_COLUMNS = (
    Column("dataset, seed", lambda row: f"{row['dataset']} {row['seed']}", is_name=True),
    number("same", "unchanged", "{:.1f}", 100),
    number("kept", "kept", "{:.1f}", 100),
    Column(
        "by layer",
        lambda row: "/".join(shown(share, "{:.0f}", 100) for share in row["kept_by_layer"]),
    ),
    Column("drop", lambda row: f"{100 * row['drop_kept']:.1f}/{100 * row['drop_shut']:.1f}"),
    number("own", "auc_own", "{:.1f}", 100),
    number("union", "auc_union", "{:.1f}", 100),
    number("fit s", "fit_seconds", "{:.0f}"),
    yes_or_no("met", "is_met"),
)
_FREE = (
    "Gates that each held-out prediction has for itself, in percent: what it needs, and not\n"
    "what one rule for all can tell"
)
_FREE_COLUMNS = (
    _COLUMNS[0],
    number("same", "free_unchanged", "{:.1f}", 100),
    number("kept", "free_kept", "{:.1f}", 100),
)


def run(**options: Any) -> Iterator[Found]:
    """Each data set and seed."""
    from glassgraph_studies.reproduce.graphmask_faithfulness.experiment import run_faithfulness

    for row in run_faithfulness(**options):
        yield Found([row], [_line(row)])


def tables(rows: Rows) -> Iterator[Table]:
    """Amortized gates, and free ones where they were asked for."""
    yield Table(_TITLE, _COLUMNS, rows)
    free = [row for row in rows if row["free_kept"] is not None]
    if free:
        yield Table(_FREE, _FREE_COLUMNS, free)


def _line(row: Row) -> str:
    verdict = "every bar is met" if row["is_met"] else f"not met: {', '.join(row['missed'])}"
    return (
        f"{row['dataset']}, seed {row['seed']}: {verdict}  "
        f"(fit {row['fit_seconds']:.1f} s, explain {row['explain_seconds']:.1f} s, "
        f"test accuracy {row['test_accuracy']:.3f})"
    )


GRAPHMASK_FAITHFULNESS = Study(
    name="graphmask-faithfulness",
    help="GraphMask on held-out predictions: faithful, sparse, and needed what it kept?",
    run=run,
    options=(
        seeds(3, "halves and model"),
        DATASETS,
        flag("free", "Learn gates for each held-out prediction by itself, too."),
        count("steps", None, "Steps of GraphMask.", otherwise="the study's own"),
        MUTAG,
    ),
    tables=tables,
)
