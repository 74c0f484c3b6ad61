"""A real Ray cluster of this machine, shared by the tests: what its actors explain and survive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from glassgraph.engine.ray_workers import RayWorkers, require_ray
from glassgraph.errors import EngineError
from tests.engine.killed_driver import explain, kill_and_resume
from tests.engine.models import DIES, HANGS, NODES, RAISES

pytestmark = pytest.mark.slow("the same jobs with processes of this machine: test_local.py")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a cluster with two processors; each job connects to it, and leaves it."""
    require_ray()
    from ray.cluster_utils import Cluster

    cluster = Cluster(True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


@pytest.mark.usefixtures("in_process")
@pytest.mark.filterwarnings("ignore:.*its lock is taken over:UserWarning")
def test_actor_and_driver_die_and_rows_are_those_of_one_process(
    tmp_path: Path, address: str
) -> None:
    """A node raises, an actor is killed, and a driver when one block is left."""
    ours, theirs = tmp_path / "ray", tmp_path / "local"
    for folder in (ours, theirs):
        folder.mkdir()
    found = kill_and_resume(ours, "ray", address)
    assert (ours / str(DIES)).exists()  # an actor was killed
    assert found.failures()["index"].tolist() == [RAISES]
    for node in (DIES, HANGS):
        (theirs / str(node)).touch()
    alone = explain(theirs, "local")
    table, expected = (each.dataset.to_table().sort_by("position") for each in (found, alone))
    assert table["position"].to_pylist() == list(range(NODES))
    assert table.equals(expected)


def test_more_workers_than_processors_are_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(EngineError, match="has 2 processors, and 3 workers need one each"):
        RayWorkers(tmp_path, None, 3, address)
    assert not require_ray().is_initialized()


def test_an_address_without_a_cluster_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"no Ray cluster at 127\.0\.0\.1:9"):
        RayWorkers(tmp_path, None, 1, "127.0.0.1:9")


def test_another_cluster_than_that_of_the_process_is_refused(tmp_path: Path, address: str) -> None:
    ray = require_ray()
    ray.init(address=address, log_to_driver=False, logging_level="error")
    try:
        with pytest.raises(EngineError, match=r"and 127\.0\.0\.1:9 is asked for"):
            RayWorkers(tmp_path, None, 1, "127.0.0.1:9")
        RayWorkers(tmp_path, None, 1, address).close()
        assert ray.is_initialized()  # it was the user's
    finally:
        ray.shutdown()
