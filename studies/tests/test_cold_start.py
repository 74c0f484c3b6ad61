"""``glassgraph bench cold-start``: what it runs, and what explaining must not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

from glassgraph.errors import CommandError
from glassgraph_studies.bench.cold_start import experiment as cold_start

#: What only results and data sets need; PyG itself loads pandas, and that pyarrow.
UNUSED = ("networkx", "scipy", "glassgraph.datasets.load")


def test_a_first_explanation_loads_nothing_that_it_does_not_need() -> None:
    """It took a fifth longer than PyG's, most of it for networkx and scipy."""
    ours = cold_start.programs("gnn_explainer")["ours"]
    ask = f"\nimport sys\nprint([name for name in {UNUSED!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ours + ask],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_ratios_are_those_of_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter([(90.0, 90.0), (90.0, 90.0), (3.0, 9.0), (2.0, 6.0), (5.0, 7.0), (4.0, 7.0)])
    monkeypatch.setattr(cold_start, "_run", lambda program: next(taken))
    (row,) = cold_start.run_cold_start_bench(["saliency"], repeats=2)
    assert (row["ours_cpu_s"], row["pyg_cpu_s"]) == (4.0, 3.0)
    assert row["cpu_ratio"] == pytest.approx(4 / 3)
    assert row["ratio"] == pytest.approx(8 / 6.5)
    assert not row["is_met"]


def test_a_program_that_fails_is_told() -> None:
    with pytest.raises(CommandError, match="no such thing"):
        cold_start._run("raise SystemExit('no such thing')")


def test_times_are_those_of_the_process() -> None:
    cpu, clock = cold_start._run("import time; time.sleep(0.2)")
    assert clock >= 0.2
    assert 0 < cpu < clock


def test_a_method_without_a_peer_is_refused() -> None:
    with pytest.raises(CommandError, match="choose from gnn_explainer, saliency"):
        next(cold_start.run_cold_start_bench(["lrp"]))
