"""The cost study on a small budget: what it times, its rows, and its table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glassgraph_studies.bench.graphmask_cost import experiment as graphmask_cost
from tests.cli.helpers import run

KEYS = {
    "dataset", "predictions", "messages", "model_s", "graphmask_s", "ratio", "is_met",
    "unmasked_s", "ratio_with_unmasked", "iterations",
}  # fmt: skip


def test_rows_on_star_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphmask_cost, "_STARS", (67, 5, 5))
    (row,) = graphmask_cost.run_cost_bench(["star-graphs"], iterations=7, repeats=2, progress=False)
    assert set(row) == KEYS
    assert row["predictions"] == graphmask_cost.GRAPHS
    assert row["iterations"] == 2 * 7
    assert row["ratio"] == pytest.approx(row["graphmask_s"] / row["model_s"])
    assert row["is_met"] == (row["ratio"] <= graphmask_cost.BAR)
    together = row["graphmask_s"] + row["unmasked_s"]
    assert row["ratio_with_unmasked"] == pytest.approx(together / row["model_s"])


def test_only_counted_iterations_are_kept_and_the_model_moves_at_each() -> None:
    steps: list[int] = []
    watch = graphmask_cost._Stopwatch(lambda: steps.append(1))
    watch.start()
    for _ in range(graphmask_cost._WARM_UP + 3):
        watch.update(1)
    assert len(steps) == graphmask_cost._WARM_UP + 3
    assert len(watch.model) == len(watch.graphmask) == 3


def test_the_command_prints_the_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphmask_cost, "_STARS", (67, 5, 5))
    result = run(
        "bench", "graphmask-cost", "--dataset", "star-graphs", "--iterations", 3, "--repeats", 1,
        "--json", tmp_path / "rows.json", "--quiet",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["dataset"] for row in rows] == ["star-graphs"]
    assert "at most 2" in result.stdout
    line = next(line for line in result.stdout.splitlines() if "star-graphs" in line)
    assert f"{rows[0]['ratio']:.2f}" in line.split()
    assert max(map(len, result.stdout.splitlines())) <= 80
