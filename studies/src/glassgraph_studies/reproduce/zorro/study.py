"""``glassgraph reproduce zorro``: RDT-fidelity and sparsity on Cora."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import CORA, ROWS, SEED, count
from glassgraph_studies.runner.study import Found, Row, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, number, shown

_TITLE = (
    "ZORRO on Cora: RDT-fidelity by the search's own noise (mean, least) and by other noise\n"
    "valid: the same with zeros; entropies of masks over nodes and features; p: published\n"
    "s: seconds for a node; literal: those of the search written out"
)
_TWO = "{:.2f}"


def run(**options: Any) -> Iterator[Found]:
    """Each row of the table."""
    from glassgraph_studies.reproduce.zorro.experiment import run_zorro

    for row in run_zorro(**options):
        yield Found([row], list(_verdict(row)))


def _verdict(row: Row) -> Iterator[str]:
    if row["is_met"] is not None:
        verdict = "is reached" if row["is_met"] else "is NOT reached"
        yield f"{row['row']}: tau {row['tau']} {verdict} at every node"


def tables(rows: Rows) -> Iterator[Table]:
    """Fidelity and sparsity of masks."""
    from glassgraph_studies.reproduce.zorro.experiment import TABLE

    columns = (
        Column("method", lambda row: TABLE[row["row"]].title, is_name=True),
        number("own", "search_fidelity", _TWO),
        number("least", "least_search_fidelity", _TWO),
        number("fresh", "fidelity", _TWO),
        _published(0),
        number("valid", "validity", _TWO),
        number("nodes", "node_entropy", _TWO),
        _published(1),
        number("features", "feature_entropy", _TWO),
        _published(2),
        number("s", "seconds_per_node", _TWO),
        number("literal", "literal_seconds_per_node", _TWO),
    )
    yield Table(_TITLE, columns, rows)


def _published(position: int) -> Column:
    """The published number beside the column to the left."""
    return Column("p", lambda row: shown(row["published"][position], _TWO))


ZORRO = Study(
    name="zorro",
    help="RDT-fidelity and sparsity of explanations on Cora, as in ZORRO's paper.",
    run=run,
    options=(
        CORA,
        count("nodes", 20, "Test nodes that are explained."),
        ROWS,
        SEED,
    ),
    tables=tables,
)
