"""Pages of every kind as a reader sees them: wide and narrow, light and dark.

Pictures are kept in the folder that ``GLASSGRAPH_SCREENSHOTS`` names, in continuous integration in
``out/screenshots``, or else with pytest's temporary files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.report.gallery import PAGES
from tests.turns import first

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
LOOKS = Path(__file__).with_name("looks.js").read_text(encoding="utf-8")
SIZES = {1440: 900, 390: 844}


def looks(page: Any) -> dict[str, list[str]]:
    """What is wrong with a page, by kind; only what is there to stay.

    A page that was resized is drawn anew a little later, on a busy machine much later.
    """
    for _ in range(30):
        found: dict[str, list[str]] = page.evaluate(LOOKS)
        wrong = {kind: each for kind, each in found.items() if each}
        if not wrong:
            break
        page.wait_for_timeout(100)
    return wrong


def screenshots() -> Path | None:
    """Where pictures are kept for people to look at."""
    named = os.environ.get("GLASSGRAPH_SCREENSHOTS")
    if not named and not os.environ.get("CI"):
        return None
    folder = Path(named or ROOT / "out" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("name", first(list(PAGES), 3))
def test_nothing_is_cut_or_covered(
    browser: Any, gallery: dict[str, Path], tmp_path: Path, name: str
) -> None:
    kept = screenshots() or tmp_path
    for width, height in SIZES.items():
        context = browser.new_context(viewport={"width": width, "height": height})
        page = context.new_page()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(gallery[name].as_uri())
            assert looks(page) == {}, (width, scheme)
            page.screenshot(path=kept / f"{name}-{width}-{scheme}.png", full_page=True)
        context.close()


#: Every instance with every method and layout: what is wrong, by what was chosen. A long sentence
#: runs out of the canvas.
TOUR = f"""async () => {{
  const found = {{}};
  const payload = JSON.parse(document.getElementById("payload").textContent);
  const layouts = [...document.getElementById("layout").options].map((each) => each.value);
  for (const instance of payload.instances.keys()) {{
    for (const method of payload.methods.keys()) {{
      for (const layout of layouts.filter((each) => each !== "sentence")) {{
        glassgraph.set({{instance, method, layout}});
        const wrong = Object.entries({LOOKS}).filter(([, each]) => each.length);
        if (wrong.length) found[[instance, method, layout]] = Object.fromEntries(wrong);
      }}
    }}
  }}
  return found;
}}"""


@pytest.mark.parametrize(
    "name", first(["hub", "heterogeneous", "molecules", "link", "layers", "walks"], 2)
)
def test_whatever_is_chosen_can_be_read(browser: Any, gallery: dict[str, Path], name: str) -> None:
    for width, height in SIZES.items():
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(gallery[name].as_uri())
        assert page.evaluate(TOUR) == {}, width
        page.close()
