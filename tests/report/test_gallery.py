"""Pages of every kind as a reader sees them: wide and narrow, light and dark.

Pictures are kept in the folder that ``GLASSGRAPH_SCREENSHOTS`` names, or else with pytest's
temporary files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.report.gallery import PAGES

pytestmark = pytest.mark.browser

LOOKS = Path(__file__).with_name("looks.js").read_text(encoding="utf-8")
SIZES = {1440: 900, 390: 844}


def looks(page: Any) -> dict[str, list[str]]:
    """What is wrong with a page, by kind; only what there is."""
    found: dict[str, list[str]] = page.evaluate(LOOKS)
    return {kind: each for kind, each in found.items() if each}


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_cut_or_covered(
    browser: Any, gallery: dict[str, Path], tmp_path: Path, name: str
) -> None:
    kept = Path(os.environ.get("GLASSGRAPH_SCREENSHOTS") or tmp_path)
    for width, height in SIZES.items():
        context = browser.new_context(viewport={"width": width, "height": height})
        page = context.new_page()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(gallery[name].as_uri())
            assert looks(page) == {}, (width, scheme)
            page.screenshot(path=kept / f"{name}-{width}-{scheme}.png", full_page=True)
        context.close()
