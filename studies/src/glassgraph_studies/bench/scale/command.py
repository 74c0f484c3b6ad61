"""``glassgraph bench scale``: large graphs and many explanations."""

from __future__ import annotations

from typing import Annotated

import typer

from glassgraph.cli.console import friendly
from glassgraph.errors import CommandError
from glassgraph_studies.runner.measured import Json, Kept, Seed, Threads


@friendly
def scale(
    study: Annotated[
        list[str] | None,
        typer.Option(help="hub, growth, occlusion or many; repeat for several. [default: all]"),
    ] = None,
    largest: Annotated[
        int, typer.Option(min=1000, help="Nodes of the largest random graph.")
    ] = 1_000_000,
    repeats: Annotated[int, typer.Option(min=1, help="Timed repetitions.")] = 5,
    threads: Threads = 1,
    seed: Seed = 0,
    peer: Annotated[
        bool, typer.Option(help="Time PyG on the largest graph too (minutes, gigabytes).")
    ] = True,
    json: Json = None,
) -> None:
    """Large graphs and many explanations, against the literal way, in this process."""
    kept = Kept(json)
    from glassgraph_studies.bench.scale.experiment import STUDIES, run_scale_bench

    unknown = sorted(set(study or ()) - set(STUDIES))
    if unknown:
        raise CommandError(f"--study must be one of {', '.join(STUDIES)}; got {unknown[0]!r}")
    run_scale_bench(
        study or STUDIES,
        largest=largest,
        repeats=repeats,
        threads=threads,
        seed=seed,
        with_peer=peer,
        report=kept.add_one,
    )
    kept.show()
