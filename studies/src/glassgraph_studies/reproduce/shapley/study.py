"""``glassgraph reproduce shapley``: Shapley values of edges on Cora, beside GNNShap's table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from glassgraph_studies.runner.options import CORA, ROWS, SEED, count
from glassgraph_studies.runner.study import Found, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, number

_METHODS = (
    "Cora by GNNShap's protocol: fid+ without the 10 best edges (higher is better), fid- without "
    "the worst 30 % (lower is better)"
)
_LOOP = "Coalitions together and one at a time, milliseconds of computing for one"
_EXACT = "Estimates against exact values, nodes with 9 to 16 edges"


def run(**options: Any) -> Iterator[Found]:
    """Each row of the tables."""
    from glassgraph_studies.reproduce.shapley.experiment import run_shapley

    for row in run_shapley(**options):
        yield Found([row])


def tables(rows: Rows) -> Iterator[Table]:
    """Fidelity, time, and errors."""
    from glassgraph_studies.reproduce.shapley.experiment import TABLE

    def published(row: Mapping[str, Any]) -> str:
        said = TABLE[row["row"]].published
        return "" if said is None else f"{said[0]:.3f} / {said[1]:.3f}"

    by_kind = {
        kind: [row for row in rows if row["kind"] == kind] for kind in ("method", "loop", "exact")
    }
    columns = (
        Column("method", lambda row: TABLE[row["row"]].title, is_name=True),
        number("fid+", "fid_plus", "{:.3f}"),
        number("fid-", "fid_minus", "{:.3f}"),
        Column("published", published),
        number("s / node", "seconds_per_node", "{:.3f}"),
        number("nodes", "nodes"),
    )
    yield Table(_METHODS, columns, by_kind["method"])
    columns = (
        number("nodes", "nodes"),
        number("coalitions", "coalitions"),
        number("evaluated", "evaluated"),
        number("one at a time", "one_at_a_time", "{:.3f}", 1000),
        number("together", "together", "{:.3f}", 1000),
        number("ratio", "ratio", "{:.1f}"),
    )
    yield Table(_LOOP, columns, by_kind["loop"])
    columns = (
        Column("estimator", lambda row: str(row["estimator"]), is_name=True),
        number("samples", "samples"),
        number("mean error", "error", "{:.5f}"),
        number("largest", "largest", "{:.5f}"),
        number("relative", "relative", "{:.3f}"),
        number("within 2 SE %", "within", "{:.1f}", 100),
    )
    yield Table(_EXACT, columns, by_kind["exact"])


def verdicts(rows: Rows) -> Iterator[str]:
    """Bars that are missed."""
    from glassgraph_studies.reproduce.shapley.experiment import missed

    for line in missed(rows):
        yield f"missed: {line}"


SHAPLEY = Study(
    name="shapley",
    help="Fidelity, speed and errors of Shapley values of edges on Cora, as GNNShap measures.",
    run=run,
    options=(
        CORA,
        count("nodes", 100, "Test nodes that are explained, the first ones."),
        count("samples", 10_000, "Coalitions of a node."),
        ROWS,
        count("loop", 200, "Coalitions that are evaluated one at a time; 0 for none.", least=0),
        SEED,
    ),
    tables=tables,
    verdicts=verdicts,
)
