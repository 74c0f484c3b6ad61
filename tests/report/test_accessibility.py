"""Reports without a mouse and without eyes: every control by Tab, axe-core without findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.gallery import PAGES
from tests.turns import first

pytestmark = pytest.mark.browser

#: Whatever can be chosen or typed into. In lists of options one has the focus, arrows do the rest.
CONTROLS = """() => [...document.querySelectorAll(
    "button, input, select, textarea, summary, a[href], [tabindex='0']")]
  .filter((each) => each.getClientRects().length && !each.disabled)
  .filter((each) => each.getAttribute("role") !== "option" || each.ariaSelected === "true")
  .map((each, n) => { each.dataset.control = n; return n; })"""
NAMES = "() => [...document.querySelectorAll('[data-control]')].map((each) => each.outerHTML)"


@pytest.fixture
def show(browser: Any, gallery: dict[str, Path]) -> Iterator[Callable[..., Any]]:
    contexts = []

    def shown(name: str, scheme: str, width: int) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 850}, color_scheme=scheme, bypass_csp=True
        )
        contexts.append(context)
        page = context.new_page()
        page.goto(gallery[name].as_uri())
        return page

    yield shown
    for context in contexts:
        context.close()


def findings(page: Any, axe: str) -> list[str]:
    """What axe-core finds wrong: the rule, and where."""
    page.evaluate(axe)
    found: list[str] = page.evaluate(
        "async () => (await axe.run({resultTypes: ['violations']})).violations.flatMap("
        "({id, nodes}) => nodes.map(({target}) => `${id}: ${target}`))"
    )
    return found


@pytest.mark.parametrize("name", first(list(PAGES), 2))
def test_axe_finds_nothing(show: Callable[..., Any], axe: str, name: str) -> None:
    for scheme, width in (("light", 1440), ("dark", 390)):
        assert findings(show(name, scheme, width), axe) == [], (scheme, width)


def test_axe_finds_what_is_wrong(show: Callable[..., Any], axe: str) -> None:
    page = show("walks", "light", 1440)
    page.evaluate("document.querySelector('#find').removeAttribute('aria-label')")
    page.evaluate("document.querySelector('#find').removeAttribute('placeholder')")
    page.evaluate("document.querySelector('#summary').style.color = '#ddd'")
    assert findings(page, axe) == ["color-contrast: #summary", "label: #find"]


@pytest.mark.parametrize("name", first(["hub", "leaderboard", "walks", "generation"], 2))
def test_tab_reaches_every_control(show: Callable[..., Any], name: str) -> None:
    page = show(name, "light", 1440)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    wanted = set(page.evaluate(CONTROLS))
    reached = set()
    for _ in range(len(wanted) + 2):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("Number(document.activeElement.dataset.control ?? -1)"))
    names = page.evaluate(NAMES)
    assert [names[n] for n in sorted(wanted - reached)] == []
