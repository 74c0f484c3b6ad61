"""``glassgraph reproduce motif-settings``: settings of a method, judged by the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.reproduce.motif_settings.judged import NAMED
from glassgraph_studies.runner.options import DATASETS, MOLECULES, Option, count, several
from glassgraph_studies.runner.study import Found, Row, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, name, number

_THREE = "{:.3f}"


def run(**options: Any) -> Iterator[Found]:
    """Each setting on each data set and seed."""
    from glassgraph_studies.reproduce.motif_settings.experiment import run_search

    for row in run_search(**options):
        line = (
            f"{row['dataset']} {row['data_seed']}, {row['name']}: robust delta "
            f"{row['robust_delta']:.4f}, AUC {row['auc']:.3f} ({row['seconds']:.1f} s)"
        )
        yield Found([row], [line])


def tables(rows: Rows) -> Iterator[Table]:
    """Settings, the best first; then the best of each data set by either criterion."""
    from glassgraph_studies.reproduce.motif_settings.experiment import best_of_each, ranked

    title = (
        "Robust fidelity on other seeds: 0 random scores, 1 the best of a data set and seed;\n"
        "means over data sets and seeds, and the least"
    )
    yield Table(title, _SETTINGS, ranked(rows))
    yield Table("The best settings of each data set", _BEST, best_of_each(rows))


_SETTINGS = (
    name("settings", "name"),
    number("share", "share", "{:.2f}"),
    number("least", "least", "{:.2f}"),
    number("AUC", "auc", _THREE),
    number("s", "seconds", "{:.1f}"),
    Column("what", lambda row: _words(row["settings"]), wraps=True),
)
_BEST = (
    name("dataset", "dataset"),
    name("by", "by"),
    name("settings", "name"),
    number("delta", "robust_delta", _THREE),
    number("AUC", "auc", _THREE),
    Column("what", lambda row: _words(row["settings"]), wraps=True),
)


def _words(settings: Row) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items()) or "-"


MOTIF_SETTINGS = Study(
    name="motif-settings",
    help="Settings of a method, judged on models of other seeds than a table reports.",
    run=run,
    options=(
        DATASETS,
        several(
            "data_seed",
            "Seed of data, model and halves",
            "100, 101",
            to="data_seeds",
            kind=int,
            least=0,
        ),
        Option("method", str, "Whose settings: " + ", ".join(NAMED) + ".", "gnn_explainer"),
        count("draws", 24, "Random settings of gnn_explainer.", least=0),
        count("instances", 15, "Most predictions to explain."),
        MOLECULES,
    ),
    tables=tables,
)
