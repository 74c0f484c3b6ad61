"""``glassgraph bench occlusion``: every edge of every test node of a citation graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import CORA, SEED, count, repeats, several
from glassgraph_studies.runner.study import Found, Study, one_table, spelled
from glassgraph_studies.runner.tables import name, number

_TITLE = (
    "occlusion of every edge at every test node, seconds\n"
    "each_node: a pass over the graph for each edge, for each node; shared: once for all\n"
    "own_edges: a pass over a node's surroundings for each of its own edges"
)
_COLUMNS = (
    name("dataset", "dataset"),
    name("peer", "peer"),
    number("nodes", "nodes"),
    number("passes", "passes"),
    number("ours s", "ours_s", "{:.2f}"),
    number("peer s", "peer_s", "{:.0f}"),
    number("ratio", "ratio", "{:.0f}x"),
    number("bar", "bar", "{:g}"),
    number("error", "max_difference", "{:.0e}"),
)


def run(**options: Any) -> Iterator[Found]:
    """Each graph and peer."""
    from glassgraph_studies.bench.occlusion.experiment import run_occlusion_bench

    for row in run_occlusion_bench(**options):
        yield spelled(row)


OCCLUSION = Study(
    name="occlusion",
    help="Occlusion of every edge for all test nodes, beside one forward pass for each edge.",
    run=run,
    options=(
        CORA,
        several("dataset", "cora or citeseer", "cora", to="datasets"),
        count("nodes", None, "Test nodes that are explained.", otherwise="all"),
        repeats(3),
        SEED,
    ),
    tables=one_table(_TITLE, _COLUMNS),
)
