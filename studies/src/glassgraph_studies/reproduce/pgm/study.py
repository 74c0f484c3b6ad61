"""``glassgraph reproduce pgm``: PGM-Explainer's experiments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from glassgraph_studies.runner.options import ROWS, count, folder, seeds, several, switch
from glassgraph_studies.runner.study import Found, Rows, Study, spelled
from glassgraph_studies.runner.tables import Column, Table, name, number

_TRUST_TITLE = (
    "trust networks: precision of the top 3/4/5 nodes, percent\n"
    "published: with a ground truth that is not available"
)
_TRUST_COLUMNS = (
    name("dataset", "dataset"),
    name("method", "row"),
    Column("published", lambda row: _percentages(row["published"])),
    Column("measured", lambda row: _percentages(row["precision"])),
    number("n", "nodes"),
    number("s each", "seconds", "{:.2f}"),
)
_MOTIF_TITLE = "motif nodes found among as many as the motif has, percent"
_MOTIF_COLUMNS = (
    name("dataset", "dataset"),
    number("published", "published", "{:.1f}"),
    number("measured", "recall", "{:.1f}"),
    number("random", "random", "{:.1f}"),
    number("n", "nodes"),
    number("ms each", "seconds_per_node", "{:.0f}", 1000),
)


def run(
    root: Path | None = None, *, motifs: bool, progress: bool, **options: Any
) -> Iterator[Found]:
    """Each network and seed, then each data set with motifs."""
    from glassgraph_studies.reproduce.pgm.experiment import run_motifs, run_trust

    for own in () if root is None else run_trust(root, progress=progress, **options):
        yield Found(own, [_trust_line(own)])
    for row in run_motifs(progress=progress) if motifs else ():
        yield spelled(row)


def _trust_line(own: Rows) -> str:
    first = own[0]
    return (
        f"{first['dataset']}, seed {first['seed']}: test accuracy {first['accuracy']:.3f} "
        f"(worse class {first['least_class_accuracy']:.3f}), {first['nodes']} nodes"
    )


def tables(rows: Rows) -> Iterator[Table]:
    """Precision on trust networks, and motif nodes found."""
    from glassgraph_studies.reproduce.pgm.experiment import summarize

    trust = [row for row in rows if "row" in row]
    summaries = []
    for (dataset, method), precision in summarize(trust).items():
        own = [row for row in trust if (row["dataset"], row["row"]) == (dataset, method)]
        seconds = fmean(row["seconds_per_node"] for row in own)
        summary = {"precision": precision, "seconds": seconds}
        summaries.append({**own[0], **summary, "nodes": sum(row["nodes"] for row in own)})
    if summaries:
        yield Table(_TRUST_TITLE, _TRUST_COLUMNS, summaries)
    motifs = [row for row in rows if "row" not in row]
    if motifs:
        yield Table(_MOTIF_TITLE, _MOTIF_COLUMNS, motifs)


def _percentages(values: Sequence[float] | None) -> str:
    return "-" if values is None else "/".join(f"{value:.1f}" for value in values)


PGM = Study(
    name="pgm",
    help="PGM-Explainer's experiments: whose ratings decide, and which nodes are the motif?",
    run=run,
    options=(
        folder("Folder of bitcoinalpha.csv and bitcoinotc.csv; without it, motifs."),
        seeds(3, "split and network"),
        several("network", "bitcoin-alpha or bitcoin-otc", "both", to="networks"),
        ROWS,
        count("nodes", 100, "Nodes explained for each seed.", least=2),
        count("samples", 400, "Samples of PGM-Explainer.", least=2),
        switch("motifs", "Look for motif nodes, too."),
    ),
    tables=tables,
)
