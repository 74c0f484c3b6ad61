"""The leaderboard's data, and the page as a reader meets it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from glassgraph.benchmarks.leaderboard import render_leaderboard, write_leaderboard
from glassgraph.benchmarks.leaderboard.payload import build_leaderboard
from glassgraph.report import ReportError
from tests.benchmarks.leaderboard.frames import row, survey

NASTY = "</script><script>window.hacked=1</script>\"'é"


def test_seeds_are_pooled_and_each_is_a_view() -> None:
    rows = [
        row(seed=s, value=v, low=v, high=v, floor=0.0, ceiling=1.0, n=5)
        for s, v in ((0, 0.25), (1, 0.75))
    ]
    found = build_leaderboard(pd.DataFrame(rows))
    assert [view["seeds"] for view in found["views"]] == [[0, 1], [0], [1]]
    values = [view["boards"][0]["cells"][0][0] for view in found["views"]]
    assert [cell[0] for cell in values] == [0.5, 0.25, 0.75]
    assert [cell[3] for cell in values] == [10, 5, 5]
    assert values[0][10] == 0.5


def test_ranks_are_those_of_each_network() -> None:
    # On each seed occlusion lies above; the intervals of the two means overlap.
    rows = [
        row(method=method, seed=seed, value=value, low=value - 0.1, high=value + 0.1)
        for method, values in {"occlusion": (0.9, 0.4), "saliency": (0.6, 0.1)}.items()
        for seed, value in enumerate(values)
    ]
    rows.append(row(method="zorro", seed=1, value=0.7, low=0.6, high=0.8))
    found = build_leaderboard(pd.DataFrame(rows))
    assert [name for name, _ in found["methods"]] == ["occlusion", "saliency", "zorro"]
    both, first, second = (view["boards"][0] for view in found["views"])
    assert (first["ranks"], first["networks"]) == ([[1], [2], [None]], 1)
    assert (second["ranks"], second["networks"]) == ([[2], [3], [1]], 1)
    assert (both["ranks"], both["networks"]) == ([[1.5], [2.5], [1]], 2)
    assert both["places"] == [[2, 1, 1.0, 1], [0, 2, 1.5, 2], [1, 3, 2.5, 2]]


@pytest.mark.parametrize(
    ("status", "metric", "word"),
    [("timeout", "", "timeout"), ("no_truth", "auc", "no truth"), ("failed", "", "failed")],
)
def test_a_cell_without_a_number_says_why(status: str, metric: str, word: str) -> None:
    rows = [row(value=0.5, n=1), row(method="zorro", metric=metric, status=status, reason="why")]
    cells = build_leaderboard(pd.DataFrame(rows))["views"][0]["boards"][0]["cells"]
    assert cells[1][0] == {"word": word, "reason": "why", "commands": [0]}


def test_rows_that_cannot_be_shown_are_refused() -> None:
    good = pd.DataFrame([row(value=0.5)])
    for bad, words in (
        (good.iloc[:0], "no row"),
        (good.drop(columns="floor"), "floor"),
        (pd.concat([good, good]), "twice"),
        (pd.concat([good, good.assign(suite="other")]), "one suite"),
    ):
        with pytest.raises(ReportError, match=words):
            build_leaderboard(bad)


def test_a_real_one_is_small_and_the_same_bytes(tmp_path: Path) -> None:
    path = write_leaderboard(survey(), tmp_path)
    assert path.name == "leaderboard.html"
    assert path.stat().st_size < 3e6


def test_names_are_inert() -> None:
    text = render_leaderboard(pd.DataFrame([row(method=NASTY, value=0.5)]), title=NASTY)
    assert "<script>window.hacked" not in text
    assert "default-src 'none'" in text


@pytest.mark.browser
@pytest.mark.parametrize("width", [1440, 390])
def test_filters_and_the_panel(browser: Any, tmp_path: Path, width: int) -> None:
    rows = survey(8, 6, 2)
    rows.loc[rows["method"] == "zorro", "method"] = NASTY
    rows.loc[rows["method"] == "saliency", "method"] = NASTY
    page = browser.new_page(viewport={"width": width, "height": 900})
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text))
    page.goto(write_leaderboard(rows, tmp_path / "page.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#board tbody tr").count() == 8
    assert page.locator("#curve-chart .way").count() > 0
    assert page.locator("#curve-chart .chance").count() == 1
    assert page.locator("#stability-chart circle").count() > 0
    page.select_option("#family", "gradient")
    assert 0 < page.locator("#board tbody tr").count() < 8
    page.select_option("#family", "")
    page.select_option("#metric", "auc")
    page.select_option("#view", "1")
    page.locator("#board button:not(.none)").first.press("Enter")
    assert "glassgraph benchmark --suite survey" in page.locator("#cell code").first.inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#cell").is_hidden()
    page.locator("#theme").click()
    assert page.evaluate("window.hacked") is None
    assert troubles == []
    page.close()
