"""``glassgraph reproduce subgraphs``: relevant subgraphs of BA-2Motifs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import count, seeds
from glassgraph_studies.runner.study import Found, Rows, Study
from glassgraph_studies.runner.tables import Column, Table, name, number

_TITLE = (
    "BA-2Motifs: ROC-AUC of the motif's nodes, percent; asked: why this class, or why not the\n"
    "other; with evidence: classes that rest on their motif, see docs/relevance.md; missed:\n"
    "graphs whose first five nodes are not the motif, and how often these are more relevant"
)
_COLUMNS = (
    name("network", "training"),
    Column("asked", lambda row: "a/b" if row["question"] == "contrast" else "a", is_name=True),
    number("alpha", "alpha", "{:.2f}"),
    number("publ.", "published", "{:.1f}"),
    number("mean", "mean", "{:.1f}"),
    number("with evidence", "supported", "{:.1f}"),
    Column("missed", lambda row: f"{row['more_relevant']} of {row['missed']}"),
    Column(
        "each seed, by class",
        lambda row: " ".join("/".join(f"{area:.0f}" for area in each) for each in row["by_class"]),
        wraps=True,
    ),
)


def run(**options: Any) -> Iterator[Found]:
    """Each seed and way of training."""
    from glassgraph_studies.reproduce.subgraphs.experiment import run_subgraphs

    for own in run_subgraphs(**options):
        first, best = own[0], max(each["auc"] for each in own)
        line = f"seed {first['seed']}, {first['training']}: network after {first['start']} starts"
        yield Found(own, [f"{line}, best {best:.1f}"])


def tables(rows: Rows) -> Iterator[Table]:
    """Areas of each seed."""
    from glassgraph_studies.reproduce.subgraphs.experiment import summarize

    yield Table(_TITLE, _COLUMNS, list(summarize(rows)))


SUBGRAPHS = Study(
    name="subgraphs",
    help="Relevant subgraphs of BA-2Motifs by GNN-LRP: do they grow from the motif?",
    run=run,
    options=(
        seeds(5, "network"),
        count("graphs", 200, "Graphs explained for each seed.", least=2),
        count("epochs", None, "Epochs of training.", otherwise="the study's own"),
    ),
    tables=tables,
)
