"""Names as a reader meets them: titles, features, search, and markup that stays text."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.report.fakes import Run, star
from tests.report.test_browser import Open, open_report, tooltip
from tests.report.test_names import NASTY, named

__all__ = ["open_report"]
pytestmark = pytest.mark.browser


def rows(page: Any) -> list[str]:
    found: list[str] = page.locator("#instance-list .row:visible b").all_text_contents()
    return found


def test_titles_are_listed_and_found(open_report: Open) -> None:
    locals_ = [
        star(index=0, title="paper 0 → paper 633"),
        star(index=1, title="Ada → Bob"),
        star(index=2, title="edge 2"),
    ]
    page = open_report([Run("a", locals_, level="edge")])
    assert rows(page) == ["paper 0 → paper 633", "Ada → Bob", "Link 2"]
    for words, found in (("633", 1), ("ada bob", 1), ("link 1", 1), ("paper ada", 0)):
        page.fill("#search", words)
        assert len(rows(page)) == found, words


def test_features_have_their_names(open_report: Open) -> None:
    scores = torch.tensor([[1.0, -4], [2, 1], [0.5, 0], [0, 0]])
    local = star(feature_score=scores, feature_names=["year <i>", ""])
    page = open_report([Run("a", [local])])
    assert page.locator("#features .name").all_text_contents() == ["year <i>", "feature 1"]
    assert tooltip(page, "node", 0)[-2:] == ["feature 1: −4", "year <i>: 1"]


def test_a_regression_has_one_value_with_a_name(open_report: Open) -> None:
    local = star(prediction=torch.tensor([2.5]), class_names=["mass"])
    task = {"task": {"mode": "regression"}}
    page = open_report([Run("a", [local], task)])
    assert page.locator("#prediction .name").all_text_contents() == ["mass"]
    assert "class" not in (page.locator("#prediction").text_content() or "")


def test_without_true_edges_nothing_is_said_of_precision(open_report: Open) -> None:
    none = star(edge_truth=torch.zeros(5, dtype=torch.bool))
    some = star(index=11, edge_truth=torch.tensor([True, False, False, False, False]))
    page = open_report([Run("a", [none, some])])
    assert page.locator("#agreement").text_content() == "No true edges."
    page.locator("#next").click()
    assert (page.locator("#agreement").text_content() or "").startswith("Precision")


def test_markup_in_names_stays_text(open_report: Open) -> None:
    page = open_report([named()])  # an alert, or an error, would fail at the end
    assert page.locator("img[src=x]").count() == 0
    assert len(rows(page)[0]) == 48  # of 300
    assert tooltip(page, "node", 0)[0] == f"node: {NASTY[0]}"
    width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(width) == 0
