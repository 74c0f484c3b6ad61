"""``glassgraph reproduce page-link``: paths that carry predicted links."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import ROWS, SEED, count, folder
from glassgraph_studies.runner.study import Found, Row, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, number

_TITLE = (
    "PaGE-Link's graph and network: mask AUC; share of links with a true path among the k best\n"
    "pairs: edges count either way; s: seconds for all links; controls know no prediction"
)
_TWO, _THREE = "{:.2f}", "{:.3f}"


def run(**options: Any) -> Iterator[Found]:
    """Each row of the table."""
    from glassgraph_studies.reproduce.page_link.experiment import run_page_link

    for row in run_page_link(**options):
        line = f"{row['row']}: AUC {row['auc']:.3f}, path hit at 5 {row['hits_5']:.2f}"
        yield Found([row], [line])


def tables(rows: Rows) -> Iterator[Table]:
    """Areas and hit rates."""
    from glassgraph_studies.reproduce.page_link.experiment import AT, TABLE

    def title(row: Row) -> str:
        entry = TABLE[row["row"]]
        return f"{entry.title} (control)" if entry.is_control else entry.title

    columns = (
        Column("method", title, is_name=True),
        number("AUC", "auc", _THREE),
        *(number(f"hit {k}", f"hits_{k}", _TWO) for k in AT),
        number("AUC, pairs", "pair_auc", _THREE),
        *(number(f"hit {k}, pairs", f"pair_hits_{k}", _TWO) for k in AT),
        number("s", "seconds", "{:.0f}"),
    )
    yield Table(_TITLE, columns, rows)


def verdicts(rows: Rows) -> Iterator[str]:
    """Whether the best method reaches the bars."""
    from glassgraph_studies.reproduce.page_link.experiment import LEAST_AUC, LEAST_HITS, TABLE

    asked = [row for row in rows if not TABLE[row["row"]].is_control]
    if not asked:
        return
    best = max(asked, key=lambda row: float(row["auc"]))
    is_met = best["auc"] >= LEAST_AUC and best["hits_5"] >= LEAST_HITS
    verdict = "are reached" if is_met else "are NOT reached"
    yield (
        f"AUC {LEAST_AUC} and path hit at 5 of {LEAST_HITS} {verdict}: {best['row']} has "
        f"{best['auc']:.3f} and {best['hits_5']:.2f}"
    )


PAGE_LINK = Study(
    name="page-link",
    help="Paths that carry predicted links, on PaGE-Link's graph with its authors' network.",
    run=run,
    options=(
        folder("Folder of PaGE-Link's graph, links and weights.", is_required=True),
        count("links", 200, "Predicted links that are explained."),
        ROWS,
        SEED,
    ),
    tables=tables,
    verdicts=verdicts,
)
