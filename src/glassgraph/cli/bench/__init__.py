"""``glassgraph bench``: measurements against other libraries and literal versions.

A file for each measurement: its command, and the tables that it prints.
"""

from __future__ import annotations

import typer

from glassgraph.cli.bench.graphmask_cost import graphmask_cost
from glassgraph.cli.bench.occlusion import occlusion
from glassgraph.cli.bench.pg_explainer import pg_explainer
from glassgraph.cli.bench.scale import scale
from glassgraph.cli.bench.speed import speed
from glassgraph.cli.bench.walks import walks

bench = typer.Typer(
    help="Measure against other libraries and literal versions.", no_args_is_help=True
)


@bench.callback()
def about() -> None:
    """Measure against other libraries and literal versions."""


for _command in (speed, walks, scale, occlusion, graphmask_cost, pg_explainer):
    bench.command()(_command)
