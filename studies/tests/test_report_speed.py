"""``glassgraph bench report``: what it measures, in a browser of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from glassgraph_studies.bench.report.study import verdicts

MAIN = "from glassgraph.cli import app; app()"


@pytest.mark.browser
@pytest.mark.slow("a process for each report; verdicts: test_verdicts_speak_of_the_worst_report")
def test_a_small_report_is_measured(tmp_path: Path) -> None:
    """In a process of its own: one process drives one browser."""
    pytest.importorskip("playwright")
    rows = tmp_path / "rows.json"
    command = [
        "bench", "report", "--method", "saliency", "--instances", "3", "--switches", "2",
        "--repeats", "1", "--json", str(rows),
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(rows.read_text())
    assert (row["methods"], row["instances"]) == ("saliency", 3)
    assert 0.4 < row["megabytes"] < 2
    assert row["open_s"] > 0
    assert 0 < row["switch_ms"] <= row["slowest_switch_ms"]
    assert "open_s at most 2" in done.stderr


def test_verdicts_speak_of_the_worst_report() -> None:
    good = {"megabytes": 4.0, "open_s": 0.5, "switch_ms": 90.0}
    assert list(verdicts([good, good | {"megabytes": 10.5}])) == [
        "megabytes at most 10: no (10.5)",
        "open_s at most 2: yes (0.5)",
        "switch_ms at most 200: yes (90)",
    ]
