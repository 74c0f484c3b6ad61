"""``glassgraph reproduce``: experiments of papers, published beside measured numbers.

A file for each experiment: its command, and the tables that it prints.
"""

from __future__ import annotations

import typer

from glassgraph.cli.reproduce.benzene import benzene
from glassgraph.cli.reproduce.edge_gradients import edge_gradients
from glassgraph.cli.reproduce.graph_lime import graph_lime
from glassgraph.cli.reproduce.graphmask_faithfulness import graphmask_faithfulness
from glassgraph.cli.reproduce.infection import infection
from glassgraph.cli.reproduce.invariance import invariance
from glassgraph.cli.reproduce.motifs import motifs
from glassgraph.cli.reproduce.pgm import pgm
from glassgraph.cli.reproduce.star_graphs import star_graphs
from glassgraph.cli.reproduce.subgraphs import subgraphs
from glassgraph.cli.reproduce.xgnn import xgnn
from glassgraph.cli.reproduce.zorro import zorro

reproduce = typer.Typer(help="Repeat experiments of papers.", no_args_is_help=True)


@reproduce.callback()
def about() -> None:
    """Repeat experiments of papers, published beside measured numbers."""


for _command in (
    star_graphs,
    graphmask_faithfulness,
    infection,
    edge_gradients,
    benzene,
    pgm,
    invariance,
    subgraphs,
    motifs,
    zorro,
    graph_lime,
    xgnn,
):
    reproduce.command()(_command)
