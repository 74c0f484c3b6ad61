"""Aggregates on the page: every number, bars in proportion, and nothing that runs."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from glassgraph.report import ReportError, render_report
from glassgraph.report.aggregates import aggregates_html
from tests.report.fakes import two_methods


def table() -> pd.DataFrame:
    nan = float("nan")
    return pd.DataFrame(
        {
            "layer": [0, 1],
            "relation": ["<b>subj</b>", None],
            "count": [12, 3],
            "kept": [0.5, 0.25],
            "kept_low": [0.4, nan],
            "kept_high": [1.0, nan],
            "mean_score": [-1.0, nan],
            "mean_score_low": [-1.0, nan],
            "mean_score_high": [1.0, nan],
            "instances": [7, 1],
        }
    )


def test_every_number_is_there_and_the_ends_of_intervals_are_whiskers() -> None:
    page = aggregates_html({"By relation": table()})
    assert "By relation" in page
    heads = re.findall('<th scope="col">(.*?)</th>', page)
    assert heads == ["layer", "relation", "count", "kept", "mean score", "instances"]
    assert ">12<" in page
    assert ">7<" in page
    assert 'title="0.5 (0.4 to 1)"' in page
    assert 'title="0.25"' in page  # of one instance there is no interval
    assert page.count("<path") == 2


def test_bars_share_a_scale_from_zero() -> None:
    page = aggregates_html([table()])
    bars = [tuple(map(float, bar)) for bar in re.findall(r'<rect x="(.*?)".*?width="(.*?)"', page)]
    assert bars == [(0.0, 75.0), (0.0, 75.0), (0.0, 37.5)]  # the second from -1 to 0, of -1 to 1
    assert "By layer, relation" in page


def test_names_of_the_data_never_run() -> None:
    page = aggregates_html({"<script>": table()})
    assert "<b>" not in page
    assert "<script>" not in page


def test_the_report_has_the_section_where_there_are_aggregates() -> None:
    with_them = render_report(two_methods(), aggregates=[table()])
    without = render_report(two_methods())
    assert 'id="aggregates-section"' in with_them
    assert 'href="#aggregates-section"' in with_them
    assert 'id="aggregates-section"' not in without
    assert aggregates_html([table().iloc[:0]])


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(ReportError, match="data frame"):
        aggregates_html({"a": [1, 2]})  # type: ignore[dict-item]
