"""What things are called in pictures: names where there are any, else numbers.

Names are whatever a user has: they may be empty, hold lines, ``$`` or markup, and go on for pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glassgraph.report.protocols import LocalLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Letters of a name that a picture has room for.
MOST_LETTERS = 40


def clipped(name: str, most: int = MOST_LETTERS) -> str:
    """A name in one line, cut.

    Example:
        >>> clipped("a  long name", 8)
        'a long …'
    """
    line = " ".join(name.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def node_label(local: LocalLike, node: int) -> str:
    """A node by its name, or by type and number."""
    name = clipped(local.node_names[node]) if local.node_names is not None else ""
    kind = "" if local.node_type is None else f"{local.node_type[node]} "
    return name or f"{kind}{int(local.node_id[node])}"


def feature_label(names: Any, node_type: str | None, feature: int) -> str | None:
    """A feature by its name; None if it has none.

    Args:
        names: of features; by node type where there are types.
        node_type: of the node.
        feature: column of the scores.
    """
    own = names.get(node_type) if isinstance(names, dict) else names
    return (own[feature] or None) if own is not None and feature < len(own) else None


def write_literally(axes: Axes) -> None:
    """Have matplotlib write names as they are: ``$`` begins no formula."""
    for text in (*axes.texts, axes.title):
        text.set_parse_math(False)
