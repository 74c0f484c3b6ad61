"""``glassgraph bench``: measurements against other libraries and literal versions.

A file for each measurement: its command, and the tables that it prints.
"""

from __future__ import annotations

import typer

from glassgraph_studies.bench.graphmask_cost.command import graphmask_cost
from glassgraph_studies.bench.occlusion.command import occlusion
from glassgraph_studies.bench.pg_explainer.command import pg_explainer
from glassgraph_studies.bench.scale.command import scale
from glassgraph_studies.bench.speed.command import speed
from glassgraph_studies.bench.walks.command import walks

bench = typer.Typer(
    help="Measure against other libraries and literal versions.", no_args_is_help=True
)


@bench.callback()
def about() -> None:
    """Measure against other libraries and literal versions."""


for _command in (speed, walks, scale, occlusion, graphmask_cost, pg_explainer):
    bench.command()(_command)
