"""``glassgraph bench``: measurements against other libraries and literal versions.

A folder for each: ``study.py`` declares the command, ``experiment.py`` measures.
"""

from glassgraph_studies.bench.cold_start.study import COLD_START
from glassgraph_studies.bench.engine.study import ENGINE
from glassgraph_studies.bench.graphmask_cost.study import GRAPHMASK_COST
from glassgraph_studies.bench.graphmask_fit.study import GRAPHMASK_FIT
from glassgraph_studies.bench.nodes_per_second.study import NODES_PER_SECOND
from glassgraph_studies.bench.occlusion.study import OCCLUSION
from glassgraph_studies.bench.pg_explainer.study import PG_EXPLAINER
from glassgraph_studies.bench.report.study import REPORT
from glassgraph_studies.bench.scale.study import SCALE
from glassgraph_studies.bench.scan.study import SCAN
from glassgraph_studies.bench.speed.study import SPEED
from glassgraph_studies.bench.store.study import STORE
from glassgraph_studies.bench.walks.study import WALKS
from glassgraph_studies.runner.command import make_group

STUDIES = (
    SPEED,
    COLD_START,
    WALKS,
    SCALE,
    STORE,
    ENGINE,
    SCAN,
    NODES_PER_SECOND,
    OCCLUSION,
    GRAPHMASK_COST,
    GRAPHMASK_FIT,
    PG_EXPLAINER,
    REPORT,
)
#: The command.
bench = make_group("Measure against other libraries and literal versions.", STUDIES)
