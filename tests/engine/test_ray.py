"""The same job on Ray: equal to the local engine's, and it survives a host that is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import glassgraph as gg
from glassgraph.data import GraphStore
from glassgraph.errors import EngineError
from tests.data import graphs
from tests.engine.models import loops, model

ray = pytest.importorskip("ray")

NODES = 61


@pytest.fixture(scope="module")
def cluster() -> Any:
    """Two hosts with a processor each, on this machine."""
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield found
    ray.shutdown()
    found.shutdown()


def rows(folder: Path) -> Any:
    table = gg.Explanations.scan(folder).dataset.to_table()
    return table.sort_by("position")


def test_ray_writes_what_local_workers_write(tmp_path: Path) -> None:
    store = GraphStore.build(graphs.rich_graph(), tmp_path / "graph")
    for engine in ("local", "ray"):
        gg.explain_all(
            graphs.GCN(),
            store,
            "edge_gradients",
            out=tmp_path / engine,
            engine=engine,
            workers=2,
            block=16,
            progress=False,
        )
    assert rows(tmp_path / "local").equals(rows(tmp_path / "ray"))


def test_more_workers_than_processors_are_refused(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="1 processors, and 2 workers need one each"):
        gg.explain_all(
            model(),
            loops(4),
            "edge_gradients",
            out=tmp_path,
            engine="ray",
            workers=2,
            address=cluster.address,
            progress=False,
        )
