"""``glassgraph bench store`` on a small graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from glassgraph_studies.bench.store import experiment
from glassgraph_studies.bench.store.experiment import run_store_bench


@pytest.mark.parametrize("tabulate", [True, False])
@pytest.mark.slow("the store and its explanations: tests/data")
def test_a_graph_is_built_and_explained(tabulate: bool) -> None:
    rows = list(run_store_bench(["gcn"], [6_000], 4, explained=5, tabulate=tabulate))
    (row,) = rows
    assert (row["nodes"], row["edges"], row["explained"]) == (6_000, 60_000, 5)
    assert row["disk_mb"] > 60_000 * 16 / 1e6  # both ends of every edge at least
    assert row["build_peak_mb"] > 50
    assert row["cpu_ms_per_node"] > 0
    assert (row["tabulate_cpu_s"] > 0) == tabulate


def test_graphs_of_several_sizes_are_explained_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def here(run: Callable[..., Any], *arguments: Any) -> Any:
        calls.append(run.__name__)
        return run(*arguments)

    monkeypatch.setattr(experiment, "_alone", here)  # a process for each takes its time to start
    sizes = [1_000, 2_000]
    rows = list(run_store_bench(["sage"], sizes, 4, explained=3, repeats=3, tabulate=False))
    assert calls == ["_build"] * 2 + ["_explain"] * 6
    assert [row["edges"] for row in rows] == [10_000, 20_000]
    assert rows[0]["growth"] == 1.0
    assert rows[1]["growth"] == rows[1]["cpu_ms_per_node"] / rows[0]["cpu_ms_per_node"]
