"""The leaderboard's file: what `payload` counted, drawn by the parts that reports share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from glassgraph.benchmarks.leaderboard.payload import build_leaderboard
from glassgraph.report.html import render_page, write_page

if TYPE_CHECKING:
    import pandas as pd

SCRIPTS = ("palette.json", "format.js", "leaderboard_charts.js", "leaderboard.js")
DEFAULT_TITLE = "Glassgraph leaderboard"


def write_leaderboard(
    rows: pd.DataFrame, path: str | os.PathLike[str], *, title: str = DEFAULT_TITLE
) -> Path:
    """Write the leaderboard of a benchmark and return its path.

    The file appears complete or not at all, opens without a network, and the same rows give the
    same bytes. How seeds are pooled and ranks are given is told in `glassgraph.benchmarks.summary`
    and on the page.

    Args:
        rows: in the schema of the benchmark, one row for each data set × seed × method × metric ×
            level.
        path: the HTML file, or a folder (any path not ending in .html) that gets
            ``leaderboard.html``.
        title: shown on the page and in the browser's tab.

    Raises:
        OutputError: if the file cannot be written.
        ReportError: if there is no row, a column is missing, a cell stands there twice, or the rows
            are of several suites.
    """
    target = Path(path)
    if target.is_dir() or target.suffix.lower() not in {".html", ".htm"}:
        target = target / "leaderboard.html"
    return write_page(target, render_leaderboard(rows, title=title))


def render_leaderboard(rows: pd.DataFrame, *, title: str = DEFAULT_TITLE) -> str:
    """The page as the text of an HTML document; arguments are those of `write_leaderboard`."""
    return render_page("leaderboard.html", title, build_leaderboard(rows), SCRIPTS, {})
