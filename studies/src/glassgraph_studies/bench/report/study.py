"""``glassgraph bench report``: the HTML report of many explanations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from glassgraph_studies.runner.options import SEED, count, repeats, several
from glassgraph_studies.runner.study import Found, Rows, Study, one_table, spelled
from glassgraph_studies.runner.tables import name, number

_TITLE = "reports of explanations of BA-Shapes; medians, in a headless Chromium"
_COLUMNS = (
    name("methods", "methods"),
    number("instances", "instances"),
    number("MB", "megabytes", "{:.1f}"),
    number("write s", "write_s", "{:.1f}"),
    number("open s", "open_s", "{:.2f}"),
    number("switch ms", "switch_ms", "{:.0f}"),
    number("slowest ms", "slowest_switch_ms", "{:.0f}"),
)


def run(**options: Any) -> Iterator[Found]:
    """Each report."""
    from glassgraph_studies.bench.report.experiment import run_report_bench

    for row in run_report_bench(**options):
        yield spelled(row)


def verdicts(rows: Rows) -> Iterable[str]:
    """Which bars are reached."""
    from glassgraph_studies.bench.report.experiment import BARS

    for key, most in BARS.items():
        worst = max(row[key] for row in rows)
        yield f"{key} at most {most:g}: {'yes' if worst <= most else 'no'} ({worst:.3g})"


REPORT = Study(
    name="report",
    help="Size of the HTML report of many explanations, and time to open it and to switch.",
    run=run,
    options=(
        several("method", "Method", "edge_gradients, saliency", to="methods"),
        count("instances", 500, "Explained nodes.", least=1),
        count("switches", 100, "Changes to another explanation that are timed.", least=1),
        repeats(5),
        SEED,
    ),
    tables=one_table(_TITLE, _COLUMNS),
    verdicts=verdicts,
    has_progress=False,
)
