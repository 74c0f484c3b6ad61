"""The measurement of nodes per second, on a small graph."""

from __future__ import annotations

import pytest

from glassgraph_studies.bench.nodes_per_second.experiment import METHODS, run_nodes_per_second


@pytest.mark.slow("methods on chunks of a graph: tests/engine/test_tasks.py")
def test_every_method_is_measured() -> None:
    rows = list(run_nodes_per_second(instances=20, fit_on=12, nodes=400))
    assert [row["method"] for row in rows] == list(METHODS)
    assert all(row["nodes_per_second"] > 0 for row in rows)
    assert [row["fit_s"] is not None for row in rows] == [False, False, False, True, True]
    assert {row["edges"] for row in rows} == {2755}
