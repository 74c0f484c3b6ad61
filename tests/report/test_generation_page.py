"""Generated graphs on a page and in a figure."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import glassgraph as gg
from glassgraph.errors import OutputError
from glassgraph.report import ReportError, plot_generated, write_generation_report
from glassgraph.report.generation_page import render_generation_report
from tests.results.test_model_explanation import explanation


def payload_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="payload">(.*?)</script>', text, re.S)
    assert found is not None
    loaded: dict[str, Any] = json.loads(found[1])
    return loaded


def test_the_page_holds_every_step() -> None:
    payload = payload_of(render_generation_report(explanation()))
    assert [len(graph["steps"]) for graph in payload["graphs"]] == [5, 0]
    first = payload["graphs"][0]
    assert [step["probability"] for step in first["steps"]] == [0.3, 0.2, 0.75, None, 0.6]
    assert [step["accepted"] for step in first["steps"]] == [True, False, True, False, True]
    assert [step["added"] for step in first["steps"]] == [1, 0, 2, 0, -1]
    assert first["nodes"] == [0]
    assert first["taken"] == 3
    assert payload["node_types"] == ["C", "O", "F"]


def test_nothing_is_loaded_and_nothing_can_be_slipped_in() -> None:
    nasty = "</script><script>window.hacked=1</script>"
    text = render_generation_report(replace(explanation(), node_types=(nasty, "O", "F")))
    assert text.count("<script") == render_generation_report(explanation()).count("<script")
    assert "default-src 'none'" in text
    assert not re.findall(r"<(?:link|iframe|object|embed|img|base)\b", text)
    assert payload_of(text)["node_types"][0] == nasty


def test_the_same_graphs_give_the_same_bytes(tmp_path: Path) -> None:
    one = explanation().to_html(tmp_path / "one.html")
    other = write_generation_report(tmp_path / "folder", explanation())
    assert other.name == "report.html"
    assert one.read_bytes() == other.read_bytes()


def test_without_graphs_there_is_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no graph"):
        explanation()[:0].to_html(tmp_path / "page.html")
    with pytest.raises(ReportError, match="no graph"):
        explanation()[:0].plot()


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        explanation().to_html(tmp_path / "file" / "page.html")


def test_figures() -> None:
    figure = explanation().plot()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["p = 0.750", "p = 0.500"]
    labels = {text.get_text() for text in figure.axes[0].texts}
    assert labels == {"C", "O", "F"}
    assert [axes.get_title() for axes in plot_generated(explanation(), 1).axes] == ["p = 0.500"]


@pytest.mark.browser
def test_the_slider_goes_through_the_generation(browser: Any, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text))
    page.goto(explanation().to_html(tmp_path / "page.html").as_uri())

    def drawn() -> tuple[int, int, int]:
        own = [page.locator(f"#grown {what}").count() for what in ("circle", ".edge", ".lost")]
        return own[0], own[1], own[2]

    assert drawn() == (3, 2, 0)
    assert "this is the graph that the episode gives" in page.locator("#told").inner_text()
    expected = {0: (1, 0, 0), 1: (2, 1, 0), 2: (3, 2, 2), 3: (3, 2, 0), 4: (4, 3, 2), 5: (3, 3, 0)}
    for step, shapes in expected.items():
        page.locator("#step").evaluate(
            "(slider, step) => { slider.value = step; slider.dispatchEvent(new Event('input')); }",
            step,
        )
        assert drawn() == shapes, step
        assert f"Step {step} of 5" in page.locator("#told").inner_text()
    assert page.locator("#chart .dot").count() == 5
    page.locator(".entry").nth(1).click()
    assert drawn() == (1, 0, 0)
    page.locator("#theme").click()
    assert troubles == []
    page.close()


def test_random_graphs_say_so() -> None:
    found = explanation()
    marked = gg.ModelExplanation(
        found.method, found.target, found.node_types, found.graphs, {"is_random": True}
    )
    assert payload_of(render_generation_report(marked))["is_random"] is True
    assert payload_of(render_generation_report(found))["is_random"] is False
