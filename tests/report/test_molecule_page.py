"""A molecule in the report: letters where chemists put them, bonds without direction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from glassgraph.report import write_report
from tests.report.fakes import Local, Run
from tests.report.test_gallery import looks
from tests.report.test_molecule import formamide

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_molecule_is_drawn_as_one(browser: Any, tmp_path: Path, theme: str) -> None:
    run = Run("m", [formamide([4.0, 2.0, 0.1, 0.2, 0.3])], level="graph")
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=theme)
    page = context.new_page()
    page.goto(write_report(tmp_path / "report.html", [run], [], "T").as_uri())
    state = page.evaluate("window.glassgraph.set({fold: false})")
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
    score = torch.tensor([0.0, 1.0, 0.5, 0.0, 0.0, 0.0])
    run = Run("m", [formamide([4.0, 2.0, 0.1, 0.2, 0.3], node_score=score)], level="graph")
    page = browser.new_page()
    page.goto(write_report(tmp_path / "report.html", [run], [], "T").as_uri())
    drawn = page.evaluate("window.glassgraph.drawn()")
    assert [node["label"] for node in drawn] == ["CH", "O", "NH₂"]
    assert len({node["fill"] for node in drawn}) == 3
    page.close()


Open = Callable[..., Any]
FAINT = [4.0, 2.0, 0.1, 0.2, 0.3]


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Open]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})

    def opened(*found: Local, **more: Any) -> Any:
        page = context.new_page()
        run = Run("m", list(found), level="graph")
        page.goto(write_report(tmp_path / "report.html", [run], [], "T").as_uri())
        return page

    yield opened
    context.close()


def letters(page: Any) -> list[str]:
    found: list[str] = page.evaluate("glassgraph.drawn().map((node) => node.label)")
    return found


def test_hydrogens_that_tell_little_are_letters_counted_and_summed(open_page: Open) -> None:
    page = open_page(formamide(FAINT))
    assert letters(page) == ["CH", "O", "NH₂"]
    state = page.evaluate("glassgraph.state()")
    assert (state["nodes"], state["lines"]) == (6, 5)  # nothing is lost from the totals
    sums = {group["anchors"][0]: group["edgeSum"] for group in state["folded"]}
    assert sums == {0: pytest.approx(0.1), 2: pytest.approx(0.5)}
    assert "3 hydrogens folded, their bonds score 0.6 in all" in page.inner_text("#legend")
    rows = page.locator("#folded button").all_text_contents()
    assert rows == [
        "1 hydrogen at C 101 bond, bond scores sum to 0.1",
        "2 hydrogens at N 122 bonds, bond scores sum to 0.5",
    ]
    assert page.locator("#fold-word").text_content() == "Fold hydrogens"
    assert looks(page) == {}


def test_as_in_figures_what_scores_much_stays(open_page: Open) -> None:
    page = open_page(formamide([4.0, 2.0, 0.1, 3.0, 0.3]))
    assert letters(page) == ["CH", "O", "NH", "H"]
    assert "2 hydrogens folded, their bonds score 0.4 in all" in page.inner_text("#legend")
    one_way = formamide([4.0, 2.0, 0.1, 1.5, 0.3], [4.0, 2.0, 0.1, 0.0, 0.3])
    assert letters(open_page(one_way)) == ["CH", "O", "NH₂"]  # the mean of both directions
    own = torch.tensor([0.0, 1.0, 0.0, 0.9, 0.0, 0.0])
    assert letters(open_page(formamide([0.0] * 5, node_score=own))).count("H") == 1
    truth = torch.tensor([False] * 4 + [True] + [False] * 5)
    assert letters(open_page(formamide(FAINT, edge_truth=truth))) == ["CH", "O", "NH", "H"]


@pytest.mark.parametrize("how", ["click", "Enter"])
def test_hydrogens_open_and_fold_again(open_page: Open, how: str) -> None:
    page = open_page(formamide(FAINT))

    def click(label: str) -> None:
        box = page.evaluate(
            "(label) => glassgraph.drawn().find((node) => node.label === label)", label
        )
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    if how == "click":
        click("NH₂")
    else:
        page.locator("#folded button").nth(1).press("Enter")
    page.wait_for_function("glassgraph.state().folded.length === 1")
    assert letters(page) == ["CH", "O", "N", "H", "H"]
    assert looks(page) == {}
    if how == "click":
        click("N")
    else:
        page.locator("#refold").press("Enter")
    page.wait_for_function("glassgraph.state().folded.length === 2")
    page.locator("#fold-field").click()
    assert letters(page) == ["C", "O", "N", "H", "H", "H"]


def test_a_folded_hydrogen_is_found_marked_and_told(open_page: Open) -> None:
    page = open_page(formamide(FAINT))
    at, atom = (page.evaluate(f"glassgraph.point('node', {n})") for n in (3, 0))
    assert at == atom  # where its atom stands
    page.locator("#find").fill("13")
    page.locator("#find").press("Enter")
    assert page.locator("#found").text_content() == "H, opened"
    assert letters(page) == ["C", "O", "NH₂", "H"]
    nitrogen = page.evaluate("glassgraph.point('node', 2)")
    page.mouse.move(nitrogen["x"], nitrogen["y"])
    told = page.locator("#tooltip").inner_text()
    assert "2 hydrogens, select to open" in told
    assert "0.5" in told


def test_a_molecule_without_hydrogens_has_nothing_to_fold(open_page: Open) -> None:
    import networkx as nx

    from tests.report.fakes import local_of

    ring = local_of(
        nx.cycle_graph(6), 0, [], node_names=["C"] * 6, edge_names=["aromatic"] * 12,
        edge_score=torch.ones(12),
    )  # fmt: skip
    page = open_page(ring)
    assert page.locator("#fold-field").is_hidden()
    assert letters(page) == ["C"] * 6
