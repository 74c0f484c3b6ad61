"""``glassgraph bench engine`` on a small graph."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import pytest

import glassgraph as gg
from glassgraph_studies.bench.engine.experiment import run_engine_bench
from tests.engine.in_process import InProcess


@pytest.mark.slow("jobs with several workers: tests/engine/test_local.py")
def test_one_worker_several_and_pyg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("glassgraph.engine.explain_all")
    monkeypatch.setattr(module, "LocalWorkers", InProcess)  # processes take their time to start
    rows = list(run_engine_bench(3_000, 64, features=4, peer_nodes=1, graph=tmp_path))
    one, several, ours, peer, carried = rows
    assert [(row["workers"], row["explained"]) for row in (one, several)] == [(1, 32), (2, 64)]
    assert {row["edges"] for row in (one, several, carried)} == {30_000}
    assert several["per_second"] > 0
    assert several["efficiency_wall"] == several["per_second"] / (2 * one["per_second"])
    assert ours["edges"] == peer["edges"] == 12_000
    assert peer["cpu_ms"] > 0
    assert carried["cpu_ms"] == pytest.approx(2.5 * peer["cpu_ms"])
    assert (tmp_path / "graph").is_dir()  # for the next run


@pytest.mark.slow("jobs with several workers: tests/engine/test_local.py")
def test_a_job_that_was_cut_off_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("glassgraph.engine.explain_all")
    monkeypatch.setattr(module, "LocalWorkers", InProcess)
    options = {"features": 4, "peer_nodes": 0, "graph": tmp_path, "alone": 8}
    one, several = run_engine_bench(3_000, 64, results=tmp_path / "job", **options)
    assert (one["explained"], several["explained"]) == (8, 64)
    assert len(gg.Explanations.scan(tmp_path / "job")) == 64
    _, again = run_engine_bench(3_000, 64, results=tmp_path / "job", **options)
    assert again["explained"] == 64
    assert math.isnan(again["per_second"])  # nothing was left to do
