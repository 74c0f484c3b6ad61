"""Pictures in the documentation of figures: there, small, and said in words."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
PICTURE = re.compile(r"!\[(.*?)\]\((.*?)\)")


def test_every_picture_is_there_and_small_and_has_words() -> None:
    found = PICTURE.findall((DOCS / "figures.md").read_text(encoding="utf-8"))
    assert len(found) == 8
    for words, path in found:
        assert len(words) > 20
        assert (DOCS / path).stat().st_size < 100_000
    shown = {path for _, path in found}
    assert shown == {f"images/{path.name}" for path in (DOCS / "images").glob("figure_*")}
