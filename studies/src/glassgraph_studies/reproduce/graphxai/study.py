"""``glassgraph reproduce graphxai``: GraphXAI's table of benzene rings, and what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean
from typing import Any

from glassgraph_studies.runner.options import count, folder, seeds, several
from glassgraph_studies.runner.study import Found, Row, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, name, number, shown

_THREE = "{:.3f}"
#: Table 5, benzene: GEA and GEF.
PUBLISHED = {
    "subgraphx": (0.371, 0.513),
    "grad_cam": (0.291, 0.551),
    "integrated_gradients_of_loss": (0.044, 0.182),
    "gnn_explainer": (0.129, 0.444),
    "random_of_code": (0.108, 0.513),
}
_MEASURES = ("gea_code", "gef_code", "gea_rings", "gea", "gef")


def run(**options: Any) -> Iterator[Found]:
    """Each seed."""
    from glassgraph_studies.reproduce.graphxai.experiment import run_graphxai

    for scene, own in run_graphxai(**options):
        head = f"seed {scene.seed}: test accuracy {scene.accuracy['test']:.3f}"
        lines = [
            f"  {row['method']}: " + ", ".join(f"{key} {row[key]:.3f}" for key in _MEASURES)
            for row in own
        ]
        yield Found(own, [head, *lines])


def tables(rows: Rows) -> Iterator[Table]:
    """Published beside the code's way and the definitions."""
    title = (
        "Benzene rings: means over networks and molecules. GEA: high is good; GEF: low is good\n"
        "code: as GraphXAI's code has them; rings: GEA of molecules with a ring, its threshold;\n"
        "defined: on the best quarter of the atoms, GEA of molecules with a ring"
    )
    yield Table(title, _COLUMNS, summarize(rows))


def summarize(rows: Rows) -> list[Row]:
    """Means over seeds; intervals are the widest of the seeds'."""
    found: list[Row] = []
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        published = PUBLISHED.get(method, (None, None))
        entry: dict[str, Any] = {
            "method": method,
            "gea_published": published[0],
            "gef_published": published[1],
            "molecules": sum(row["molecules"] for row in own),
        }
        for key in _MEASURES:
            entry[key] = fmean(row[key] for row in own)
            entry[f"{key}_low"] = min(row[f"{key}_low"] for row in own)
            entry[f"{key}_high"] = max(row[f"{key}_high"] for row in own)
        found.append(entry)
    return found


def _measured(title: str, key: str) -> Column:
    def text(row: Row) -> str:
        low, high = (shown(row[f"{key}_{end}"], "{:.2f}") for end in ("low", "high"))
        return f"{shown(row[key], _THREE)} ({low}-{high})"

    return Column(title, text)


_COLUMNS = (
    name("method", "method"),
    number("GEA publ.", "gea_published", _THREE),
    _measured("code", "gea_code"),
    _measured("rings", "gea_rings"),
    _measured("defined", "gea"),
    number("GEF publ.", "gef_published", _THREE),
    _measured("code", "gef_code"),
    _measured("defined", "gef"),
)

GRAPHXAI = Study(
    name="graphxai",
    help="GraphXAI's accuracy and faithfulness of benzene rings: what is in its numbers?",
    run=run,
    options=(
        folder("Folder of benzene_graphs.npz, or above.", is_required=True),
        seeds(3, "network and sample"),
        several(
            "method",
            "Row of the table",
            to="methods",
            choices=(
                "subgraphx",
                "grad_cam",
                "integrated_gradients",
                "integrated_gradients_of_loss",
                "gnn_explainer",
                "random",
                "random_of_code",
            ),
        ),
        count("molecules", 400, "Molecules explained for each seed."),
        count("few", 60, "Molecules explained by SubgraphX."),
        count("epochs", 40, "Epochs of training."),
    ),
    tables=tables,
)
