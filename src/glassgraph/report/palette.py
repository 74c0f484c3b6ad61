"""Colors and shapes by which pictures tell kinds apart: the same in figures and on pages.

They lie in ``assets/palette.json``, which the scripts of a page read as well. Colors of types are
those of Okabe and Ito, lightened, which most color-blind readers tell apart; shapes go along.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["change_color", "element_color", "type_color", "type_shape"]


def type_color(number: int) -> str:
    """The color of the node type with this number.

    Colors shift by one after each round of shapes, so that both together tell 64 types apart.
    """
    colors = _palette()["types"]
    return str(colors[(number + number // len(_palette()["shapes"])) % len(colors)])


def type_shape(number: int) -> str:
    """The marker of the node type with this number, in matplotlib's letters."""
    shapes = _palette()["shapes"]
    return str(shapes[number % len(shapes)]["figure"])


def element_color(symbol: str) -> str | None:
    """The color of an element's letter on paper; None for the color of text."""
    found = _palette()["elements"]["light"].get(symbol)
    return None if found is None else str(found)


def change_color(kind: str) -> str:
    """The color of a change on paper: ``"deleted"``, ``"inserted"`` or ``"feature"``."""
    return str(_palette()["changes"]["light"][kind])


@cache
def _palette() -> dict[str, Any]:
    text = files("glassgraph.report").joinpath("assets", "palette.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
