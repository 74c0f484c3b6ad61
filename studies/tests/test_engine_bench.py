"""``glassgraph bench engine`` on a small graph."""

from __future__ import annotations

from pathlib import Path

from glassgraph_studies.bench.engine.experiment import run_engine_bench


def test_one_worker_several_and_the_peer(tmp_path: Path) -> None:
    rows = list(run_engine_bench(6_000, 256, features=4, peer_nodes=1, graph=tmp_path))
    one, two, peer = rows
    assert (one["workers"], two["workers"]) == (1, 2)
    assert (one["explained"], two["explained"], two["edges"]) == (128, 256, 60_000)
    for row in (one, two):
        assert row["cpu_ms"] > 0
        assert row["per_second"] > 0
    assert two["ratio"] == peer["cpu_ms"] / two["cpu_ms"]
    assert (tmp_path / "graph").is_dir()
