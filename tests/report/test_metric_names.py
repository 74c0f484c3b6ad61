"""Metrics by names that can be read, in groups, with columns that can be hidden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import glassgraph as gg
from glassgraph.benchmarks.metrics import GROUPS, metric_names
from glassgraph.metrics import evaluate
from glassgraph.report import write_report
from glassgraph.report.metric_names import readable
from tests.metrics.scenes import TwoLayers, random_graph
from tests.report.fakes import Run, two_methods

ROW = {"method": "plain", "auc": 0.9, "n": 3, "fidelity_plus@0.7": 0.2, "my_own": 1.5}


def test_every_metric_of_evaluate_has_a_name_and_a_group() -> None:
    model, data = TwoLayers("gin"), random_graph()
    found = gg.EdgeGradients(model).explain(data, [7, 2])
    (row,) = evaluate([found], model, data)
    for column in row:
        told = readable(column)
        assert told["group"] not in ("", "Others"), column
        assert "_" not in told["name"]


def test_every_metric_of_a_benchmark_has_a_group() -> None:
    for metric in set(metric_names()) - set(GROUPS):
        told = readable(metric)
        assert told["group"] != "Others", metric
        assert "_" not in told["name"]
    assert readable("stability_seeds_rank")["name"] == "Stability over seeds, rank"


def test_levels_and_unknown_columns_keep_what_they_say() -> None:
    assert readable("fidelity_minus@0.9")["name"] == "Fidelity− at 0.9"
    assert readable("robust_fidelity_delta@0.5")["group"] == "Fidelity"
    own = readable("my_own")
    assert (own["name"], own["group"]) == ("my own", "Others")


@pytest.mark.browser
def test_columns_stand_in_groups_and_can_be_hidden(browser: Any, tmp_path: Path) -> None:
    runs: list[Run] = two_methods()
    page = browser.new_page()
    page.goto(write_report(tmp_path, runs, [ROW, {**ROW, "method": "layered"}], "T").as_uri())

    def heads() -> list[str]:
        own: list[str] = page.locator("#metrics th[data-column]").all_text_contents()
        return own

    assert heads() == ["Method", "Instances", "AUC", "Fidelity+ at 0.7", "my own"]
    groups = page.locator("#metrics .groups th")
    assert groups.all_text_contents() == ["Run", "Ground truth", "Fidelity", "Others"]
    assert page.locator("#metrics tbody tr").first.locator("td").all_text_contents() == [
        "plain", "3", "0.9", "0.2", "1.5"
    ]  # fmt: skip
    page.locator(".columns summary").click()
    page.locator("#columns label", has_text="AUC").click()
    assert heads() == ["Method", "Instances", "Fidelity+ at 0.7", "my own"]
    assert page.locator("#columns-count").text_content() == "1 of 5 hidden"
    page.locator("#columns legend label", has_text="Others").click()
    page.locator("#columns legend label", has_text="Run").click()
    assert heads() == ["Method", "Fidelity+ at 0.7"]  # the methods always stay
    page.locator("#columns legend label", has_text="Run").click()
    assert heads() == ["Method", "Instances", "Fidelity+ at 0.7"]
    page.close()
