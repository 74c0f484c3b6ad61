"""``glassgraph reproduce``: experiments of papers, published beside measured numbers.

A file for each experiment: its command, and the tables that it prints.
"""

from __future__ import annotations

import typer

from glassgraph_studies.reproduce.benzene.command import benzene
from glassgraph_studies.reproduce.edge_gradients.command import edge_gradients
from glassgraph_studies.reproduce.graph_lime.command import graph_lime
from glassgraph_studies.reproduce.graphmask_faithfulness.command import graphmask_faithfulness
from glassgraph_studies.reproduce.infection.command import infection
from glassgraph_studies.reproduce.invariance.command import invariance
from glassgraph_studies.reproduce.motifs.command import motifs
from glassgraph_studies.reproduce.pgm.command import pgm
from glassgraph_studies.reproduce.star_graphs.command import star_graphs
from glassgraph_studies.reproduce.subgraphs.command import subgraphs
from glassgraph_studies.reproduce.xgnn.command import xgnn
from glassgraph_studies.reproduce.zorro.command import zorro

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
