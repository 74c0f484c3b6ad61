"""``glassgraph bench walks``: GNN-LRP's walks of largest relevance."""

from __future__ import annotations

from typing import Annotated

import typer

from glassgraph.cli.console import friendly
from glassgraph_studies.runner.measured import Json, Kept, Seed, Threads


@friendly
def walks(
    layers: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Depth of the network; repeat for several. [default: 3, 5, 7]"),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Walks to look for.")] = 10,
    repeats: Annotated[int, typer.Option(min=1, help="Timed repetitions.")] = 5,
    threads: Threads = 1,
    seed: Seed = 0,
    json: Json = None,
) -> None:
    """GNN-LRP's walks of largest relevance, found in networks of several depths."""
    kept = Kept(json)
    from glassgraph_studies.bench.walks.experiment import LAYERS, run_walk_bench

    run_walk_bench(
        layers or LAYERS,
        walks=top,
        repeats=repeats,
        threads=threads,
        seed=seed,
        report=kept.add_one,
    )
    kept.show()
