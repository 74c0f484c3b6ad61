"""``glassgraph bench nodes-per-second``: a graph of the size of ogbn-arxiv."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import DEVICE, SEED, count, several
from glassgraph_studies.runner.study import Found, Study, spelled


def run(**options: Any) -> Iterator[Found]:
    """Each method."""
    from glassgraph_studies.bench.nodes_per_second.experiment import run_nodes_per_second

    for row in run_nodes_per_second(**options):
        yield spelled(row)


NODES_PER_SECOND = Study(
    name="nodes-per-second",
    help="How many nodes of a graph of the size of ogbn-arxiv are explained in a second.",
    run=run,
    options=(
        several("method", "Method", to="methods"),
        count("instances", 1000, "Nodes to explain; GNNExplainer explains a tenth of them."),
        count("fit_on", 500, "Nodes to fit on.", least=8),
        count("nodes", None, "Nodes of the graph.", otherwise="169,343"),
        SEED,
        DEVICE,
    ),
    has_progress=False,
)
