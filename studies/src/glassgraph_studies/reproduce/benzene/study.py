"""``glassgraph reproduce benzene``: molecules with benzene rings."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean
from typing import Any

from glassgraph_studies.runner.options import count, folder, seeds, several
from glassgraph_studies.runner.study import Found, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, name, number, shown

_AREA = "{:.4f}"
_COLUMNS = (
    name("method", "method"),
    number("mean", "mean", _AREA),
    Column(
        "each seed",
        lambda row: " ".join(shown(each, _AREA) for each in row["each"]),
        wraps=True,
    ),
    number("molecules", "molecules"),
    number("ms each", "seconds", "{:.2f}", 1000),
)


def run(**options: Any) -> Iterator[Found]:
    """Each seed."""
    from glassgraph_studies.reproduce.benzene.experiment import run_benzene

    for scene, own in run_benzene(**options):
        accuracy, size = scene.trained.accuracy["test"], len(scene.sample)
        lines = [f"seed {scene.seed}: test accuracy {accuracy:.4f}, {size} molecules"]
        lines += [f"  {each['method']}: AUC {shown(each['auc'], _AREA)}" for each in own]
        yield Found(own, lines)


def tables(rows: Rows) -> Iterator[Table]:
    """The areas of each method."""
    title = "Benzene rings: ROC-AUC of atoms, mean over molecules"
    yield Table(title, _COLUMNS, [_over_seeds(rows, method) for method in _methods(rows)])


def _methods(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["method"] for row in rows))


def _over_seeds(rows: Rows, method: str) -> dict[str, Any]:
    own = [row for row in rows if row["method"] == method]
    areas = [row["auc"] for row in own]
    known = [area for area in areas if area is not None]
    return {
        "method": method,
        "mean": fmean(known) if known else None,
        "each": areas,
        "molecules": sum(row["scored"] for row in own),
        "seconds": fmean(row["seconds_per_molecule"] for row in own),
    }


BENZENE = Study(
    name="benzene",
    help="Molecules with benzene rings: who finds the atoms of the ring?",
    run=run,
    options=(
        folder("Folder of benzene_graphs.npz.", is_required=True),
        seeds(3, "network and sample"),
        several("method", "Method of 'glassgraph methods'", "nine", to="methods"),
        count("molecules", 300, "Molecules explained for each seed."),
    ),
    tables=tables,
)
