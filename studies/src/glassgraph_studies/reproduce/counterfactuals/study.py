"""``glassgraph reproduce counterfactuals``: CF-GNNExplainer on its authors' networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import DATASETS, ROWS, count, folder
from glassgraph_studies.runner.study import Found, Row, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, name, number, shown

_TITLE = (
    "Counterfactuals on the networks of CF-GNNExplainer's authors; p: published\n"
    "fid: share of classes that stay; exact: share with the smallest size, where\n"
    "it is known (?: where not); s: CPU seconds a node; x: times the literal loop"
)
_TWO = "{:.2f}"


def run(**options: Any) -> Iterator[Found]:
    """Each row of the table."""
    from glassgraph_studies.reproduce.counterfactuals.experiment import run_counterfactuals

    for row in run_counterfactuals(**options):
        yield Found([row], list(_verdict(row)))


def _verdict(row: Row) -> Iterator[str]:
    if row["is_met"] is not None and row["row"] == "cf_gnn_explainer":
        verdict = "none of four numbers is worse" if row["is_met"] else "some number IS worse"
        yield f"{row['dataset']}: {verdict} than published"


def tables(rows: Rows) -> Iterator[Table]:
    """Measured beside published."""
    columns = (
        name("data", "dataset"),
        name("method", "row"),
        number("fid", "fidelity", _TWO),
        _published(0),
        number("size", "size", _TWO),
        _published(1),
        number("spars", "sparsity", _TWO),
        _published(2),
        number("acc", "accuracy", _TWO),
        _published(3),
        number("exact", "exact", "{:.3f}"),
        number("?", "unknown"),
        number("s", "seconds_per_node", "{:.3f}"),
        number("x", "speedup", "{:.0f}"),
    )
    yield Table(_TITLE, columns, rows)


def _published(position: int) -> Column:
    """The published number beside the column to the left."""
    return Column("p", lambda row: shown(row["published"][position], _TWO))


COUNTERFACTUALS = Study(
    name="counterfactuals",
    help="CF-GNNExplainer on its authors' networks, beside the smallest counterfactuals.",
    run=run,
    options=(
        folder("Folder of cf_gnnexplainer and synthetic_reference.", is_required=True),
        DATASETS,
        ROWS,
        count("nodes", None, "Nodes of each graph.", otherwise="all that are tested"),
        count("max_size", 5, "Undirected edges that a counterfactual may have."),
        count("budget", 20_000, "Evaluations of the exact search for a node."),
        count("literal", 3, "Nodes on which the literal loop is timed; 0 for none.", least=0),
    ),
    tables=tables,
)
