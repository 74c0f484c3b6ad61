"""``glassgraph bench scale``: large graphs and many explanations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from glassgraph_studies.runner.options import SEED, count, repeats, several, switch
from glassgraph_studies.runner.study import Found, Study, spelled

_PARTS = ("hub", "growth", "occlusion", "many")


def run(**options: Any) -> Iterator[Found]:
    """Each measurement."""
    from glassgraph_studies.bench.scale.experiment import run_scale_bench

    for row in run_scale_bench(**options):
        yield spelled(row)


SCALE = Study(
    name="scale",
    help="Large graphs and many explanations, against the literal way, in this process.",
    run=run,
    options=(
        several(
            "study",
            "hub, growth, occlusion or many",
            "all",
            to="studies",
            choices=_PARTS,
        ),
        count("largest", 1_000_000, "Nodes of the largest random graph.", least=1000),
        repeats(5),
        SEED,
        switch("peer", "Time PyG on the largest graph too (minutes, gigabytes).", to="with_peer"),
    ),
    has_progress=False,
)
