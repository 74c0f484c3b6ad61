"""Past events of links on a page."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from glassgraph.errors import OutputError
from glassgraph.report import ReportError, write_event_report
from glassgraph.report.event_page import MOST_DRAWN, build_event_payload, render_event_report
from glassgraph.temporal import EventExplanation, EventExplanations
from tests.report.test_accessibility import findings
from tests.report.test_generation_page import payload_of


def explained(
    method: str, score: list[float], events: list[int], index: int = 30
) -> EventExplanation:
    """A link at time 90, and events at ten times their number."""
    past = torch.tensor(events)
    return EventExplanation(
        method, index, (1, 4), 90, 2.5, past, past % 5, past % 3 + 5, past * 2, torch.tensor(score)
    )


ONE = explained("perturb_one", [0.5, -2.0, 1.5], [3, 7, 8])
OTHER = explained("saliency", [0.25, 4.0], [8, 11])
METRICS = [{"method": "perturb_one", "size": 3, "without": 1.25, "only_error": float("nan")}]


def test_each_event_is_there_once_with_the_score_of_each_method() -> None:
    payload = build_event_payload([ONE, OTHER], METRICS, {1: "Ada", 7: "shop", 40: "nobody"})
    (link,) = payload["links"]
    assert link["id"] == [3, 7, 8, 11]
    assert link["pairs"] == [[3, 5], [2, 6], [3, 7], [1, 7]]
    assert link["t"] == [6, 14, 16, 22]
    assert link["scores"] == [[0.5, -2.0, 1.5, None], [None, None, 0.25, 4.0]]
    assert payload["names"] == {"1": "Ada", "7": "shop"}
    assert [each["signed"] for each in payload["methods"]] == [True, False]
    assert payload["metrics"]["rows"][0]["only_error"] is None


def test_links_of_one_method_alone_have_no_scores_of_the_other() -> None:
    second = dataclasses.replace(OTHER, index=31, time=91)
    payload = build_event_payload([ONE, second])
    assert [link["scores"] for link in payload["links"]] == [
        [[0.5, -2.0, 1.5], None],
        [None, [0.25, 4.0]],
    ]


def test_of_many_events_the_strongest_of_each_method_are_drawn() -> None:
    count = 3 * MOST_DRAWN
    events = list(range(count))
    rising = explained("perturb_one", [float(each) for each in events], events)
    falling = explained("saliency", [float(-each) for each in reversed(events)], events)
    (link,) = build_event_payload([rising, falling])["links"]
    half = MOST_DRAWN // 2
    assert link["id"] == [*range(half), *range(count - half, count)]
    assert link["all"] == count


def test_nothing_is_loaded_and_nothing_can_be_slipped_in() -> None:
    nasty = "</script><script>window.hacked=1</script>"
    text = render_event_report([ONE], METRICS, "title", {1: nasty})
    assert text.count("<script") == render_event_report([ONE]).count("<script")
    assert "default-src 'none'" in text
    assert not re.findall(r"<(?:link|iframe|object|embed|img|base)\b", text)
    assert payload_of(text)["names"]["1"] == nasty


def test_explanations_write_their_own_page(tmp_path: Path) -> None:
    own = EventExplanations([ONE]).to_html(
        tmp_path / "a.html", others=[OTHER], metrics=METRICS, node_names=["Bob"], title="T"
    )
    same = write_event_report(tmp_path / "b.html", [ONE, OTHER], METRICS, "T", ["Bob"])
    assert own.read_bytes() == same.read_bytes()


def test_what_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no explanation"):
        write_event_report(tmp_path, [])
    with pytest.raises(ReportError, match=r"perturb_one explains the link .* twice"):
        write_event_report(tmp_path, [ONE, ONE])
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_event_report(tmp_path / "file" / "page.html", [ONE])


@pytest.mark.browser
def test_a_reader_follows_an_event_through_the_methods(browser: Any, tmp_path: Path) -> None:
    second = dataclasses.replace(OTHER, index=31, time=91)
    path = write_event_report(tmp_path, [ONE, OTHER, second], METRICS, node_names={1: "Ada"})
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text))
    page.goto(path.as_uri())
    assert page.locator("#instance-list .entry").count() == 2
    assert page.locator("#link-name").inner_text() == "Ada → 4"
    assert page.locator("#timeline .event").count() == 4
    assert page.locator("#timeline .rank").all_text_contents() == ["3", "2", "1"]
    assert page.locator("#top tbody tr").first.locator("td").all_inner_texts()[2:] == ["16", "1.5"]
    assert page.locator("#metrics tbody tr").count() == 1
    page.select_option("#marked", "0")
    assert page.locator("#timeline .rank").count() == 0
    page.locator('#timeline [data-event="8"]').click()
    assert "event 8: 3 → 7 at 16, score 1.5" in page.locator("#told").inner_text()
    page.select_option("#method", "1")
    assert "event 8: 3 → 7 at 16, score 0.25" in page.locator("#told").inner_text()
    assert page.locator("#top tr.chosen td").first.inner_text() == "2"
    page.locator("#instance-list .entry").nth(1).click()
    page.select_option("#method", "0")
    assert page.locator("#top-title").inner_text() == "This method did not explain this link"
    page.locator("#theme").click()
    assert troubles == []
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_the_page_is_read_without_eyes_and_without_a_mouse(
    browser: Any, tmp_path: Path, axe: str, scheme: str, width: int
) -> None:
    path = write_event_report(tmp_path, [ONE, OTHER], METRICS, node_names={1: "Ada"})
    context = browser.new_context(
        viewport={"width": width, "height": 850}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    page.goto(path.as_uri())
    assert findings(page, axe) == []
    page.locator("#top .choose").nth(1).focus()
    page.keyboard.press("Enter")
    assert "event 3: 3 → 5 at 6, score 0.5" in page.locator("#told").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
