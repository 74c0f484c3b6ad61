"""``glassgraph reproduce``: experiments of papers, published beside measured numbers.

A folder for each: ``study.py`` declares the command, ``experiment.py`` measures.
"""

from glassgraph_studies.reproduce.babi.study import BABI
from glassgraph_studies.reproduce.benzene.study import BENZENE
from glassgraph_studies.reproduce.counterfactuals.study import COUNTERFACTUALS
from glassgraph_studies.reproduce.edge_gradients.study import EDGE_GRADIENTS
from glassgraph_studies.reproduce.generation.study import GENERATION
from glassgraph_studies.reproduce.ginx.study import GINX
from glassgraph_studies.reproduce.gnnx_bench.study import GNNX_BENCH
from glassgraph_studies.reproduce.graph_lime.study import GRAPH_LIME
from glassgraph_studies.reproduce.graphmask_faithfulness.study import GRAPHMASK_FAITHFULNESS
from glassgraph_studies.reproduce.graphxai.study import GRAPHXAI
from glassgraph_studies.reproduce.infection.study import INFECTION
from glassgraph_studies.reproduce.invariance.study import INVARIANCE
from glassgraph_studies.reproduce.molecules.study import MOLECULES
from glassgraph_studies.reproduce.motif_settings.study import MOTIF_SETTINGS
from glassgraph_studies.reproduce.motifs.study import MOTIFS
from glassgraph_studies.reproduce.page_link.study import PAGE_LINK
from glassgraph_studies.reproduce.pgm.study import PGM
from glassgraph_studies.reproduce.qa.study import QA
from glassgraph_studies.reproduce.shapley.study import SHAPLEY
from glassgraph_studies.reproduce.srl.study import SRL
from glassgraph_studies.reproduce.star_graphs.study import STAR_GRAPHS
from glassgraph_studies.reproduce.subgraphs.study import SUBGRAPHS
from glassgraph_studies.reproduce.temporal.study import TEMPORAL
from glassgraph_studies.reproduce.xgnn.study import XGNN
from glassgraph_studies.reproduce.zorro.study import ZORRO
from glassgraph_studies.runner.command import make_group

STUDIES = (
    STAR_GRAPHS,
    GRAPHMASK_FAITHFULNESS,
    INFECTION,
    EDGE_GRADIENTS,
    BENZENE,
    MOLECULES,
    GRAPHXAI,
    GINX,
    GNNX_BENCH,
    PGM,
    INVARIANCE,
    SUBGRAPHS,
    MOTIFS,
    MOTIF_SETTINGS,
    ZORRO,
    GRAPH_LIME,
    PAGE_LINK,
    SHAPLEY,
    XGNN,
    GENERATION,
    SRL,
    QA,
    BABI,
    COUNTERFACTUALS,
    TEMPORAL,
)
#: The command.
reproduce = make_group("Repeat experiments of papers.", STUDIES)
