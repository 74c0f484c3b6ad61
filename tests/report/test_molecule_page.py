"""A molecule in the report: letters where chemists put them, bonds without direction."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from glassgraph.report import write_report
from tests.report.fakes import Run
from tests.report.test_molecule import formamide

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_molecule_is_drawn_as_one(browser: Any, tmp_path: Path, theme: str) -> None:
    run = Run("m", [formamide([4.0, 2.0, 0.1, 0.2, 0.3])], level="graph")
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=theme)
    page = context.new_page()
    page.goto(write_report(tmp_path / "report.html", [run], [], "T").as_uri())
    state = page.evaluate("window.glassgraph.state()")
    assert state["separate"] is False
    assert state["lines"] == 5  # bonds, not their ten directions
    drawn = page.evaluate("window.glassgraph.drawn()")
    assert [node["label"] for node in drawn] == ["C", "O", "N", "H", "H", "H"]
    assert len({node["fill"] for node in drawn}) == 1  # letters on the canvas
    at = [(node["x"], node["y"]) for node in drawn]
    lengths = [math.dist(at[a], at[b]) for a, b in [(0, 1), (0, 2), (0, 3), (2, 4), (2, 5)]]
    assert max(lengths) / min(lengths) < 1.05
    assert "C O N" not in page.inner_text("#instance-list")
    context.close()


def test_scores_fill_atoms(browser: Any, tmp_path: Path) -> None:
    import torch

    score = torch.tensor([0.0, 1.0, 0.5, 0.0, 0.0, 0.0])
    run = Run("m", [formamide([4.0, 2.0, 0.1, 0.2, 0.3], node_score=score)], level="graph")
    page = browser.new_page()
    page.goto(write_report(tmp_path / "report.html", [run], [], "T").as_uri())
    drawn = page.evaluate("window.glassgraph.drawn()")
    assert len({node["fill"] for node in drawn}) == 3
    page.close()
