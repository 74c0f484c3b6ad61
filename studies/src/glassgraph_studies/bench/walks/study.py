"""``glassgraph bench walks``: GNN-LRP's walks of largest relevance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import SEED, count, repeats, several
from glassgraph_studies.runner.study import Found, Study, spelled


def run(**options: Any) -> Iterator[Found]:
    """Each depth."""
    from glassgraph_studies.bench.walks.experiment import run_walk_bench

    for row in run_walk_bench(**options):
        yield spelled(row)


WALKS = Study(
    name="walks",
    help="GNN-LRP's walks of largest relevance, found in networks of several depths.",
    run=run,
    options=(
        several("layers", "Depth of the network", "3, 5, 7", kind=int, least=1),
        count("top", 10, "Walks to look for.", to="walks"),
        repeats(5),
        SEED,
    ),
    has_progress=False,
)
