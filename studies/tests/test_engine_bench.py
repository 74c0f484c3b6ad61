"""``glassgraph bench engine`` on a small graph."""

from __future__ import annotations

import math
from pathlib import Path

from glassgraph_studies.bench.engine.experiment import _over, run_engine_bench


def test_one_worker_several_and_the_peer(tmp_path: Path) -> None:
    rows = list(run_engine_bench(6_000, 256, features=4, peer_nodes=1, graph=tmp_path))
    one, two, peer = rows
    assert (one["workers"], two["workers"]) == (1, 2)
    assert (one["explained"], two["explained"], two["edges"]) == (128, 256, 60_000)
    assert peer["cpu_ms"] > 0
    assert (tmp_path / "graph").is_dir()


def test_a_job_that_was_over_before_it_was_looked_at_has_no_rate() -> None:
    assert math.isnan(_over(0.0, 3.0))
    assert math.isnan(_over(3.0, 0.0))
    assert _over(3.0, 2.0) == 1.5
