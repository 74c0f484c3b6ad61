"""One explanation of a sentence with its phrases: words in a row, phrases as dots above them.

Words and dots are highlighted by the scores of their nodes, edges drawn as on any graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glassgraph.report.graph_figure import GraphLook, draw_edges
from glassgraph.report.labels import node_label, write_literally
from glassgraph.report.phrase_tree import PhraseTree
from glassgraph.report.protocols import LocalLike
from glassgraph.report.scale import add_color_bar
from glassgraph.report.sentence import LETTER, WORD_GAP, node_highlights, write_word

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_phrase_tree"]

#: Inches of a unit across, and of a level; of a figure, at most.
_INCHES, _LEVEL_INCHES, _MOST_INCHES = 0.11, 0.42, 30.0
#: Points of a word's half height and of a dot's radius, as areas that edges end at.
_WORD_SIZE, _DOT_SIZE = 300.0, 46.0


def draw_phrase_tree(
    local: LocalLike,
    tree: PhraseTree,
    ax: Axes | None,
    look: GraphLook,
    *,
    figsize: tuple[float, float] | None = None,
    colorbar: bool = True,
) -> Axes:
    """Draw it; see `plot_explanation`.

    Args:
        local: the instance.
        tree: its phrases.
        ax: where to draw; a new figure by default.
        look: colors of edges.
        figsize: of a new figure; as large as the sentence by default.
        colorbar: draw the scales of the scores.
    """
    import matplotlib.pyplot as plt

    names = [node_label(local, node) for node in range(len(local.node_id))]
    place = tree.places([LETTER * max(2, len(name)) + 1.5 * WORD_GAP for name in names])
    width = max(x for x, _ in place.values()) + LETTER * len(names[tree.words[-1]])
    levels = max(height for _, height in place.values())
    axes: Any = ax
    if axes is None:
        unit = min(_INCHES, _MOST_INCHES / width)
        size = (max(4.0, unit * width + 1.6), min(_MOST_INCHES, _LEVEL_INCHES * (levels + 2)))
        axes = plt.subplots(figsize=figsize or size, layout="constrained")[1]
    scores, scale = node_highlights(local)
    # Limits first: an arrow ends at points around its node.
    axes.set_xlim(-1.0, width + 1.0)
    axes.set_ylim(-0.6, levels + 0.5)
    draw_edges(axes, local, place, look, _WORD_SIZE if levels < 1 else _DOT_SIZE)
    words = set(tree.words)
    for node, (x, y) in place.items():
        color = None if scale is None or scores is None else scale.color(scores[node])
        if node in words:
            write_word(axes, x, y, names[node], 9.0, color)
        else:
            _dot(axes, x, y, color)
    axes.set_axis_off()
    axes.set_title(local.title, fontsize=9)
    if colorbar:
        for each in (scale, look.edges):
            add_color_bar(axes, each)
    write_literally(axes)
    return axes  # type: ignore[no-any-return]


def _dot(axes: Any, x: float, y: float, color: Any) -> None:
    axes.scatter([x], [y], s=_DOT_SIZE, c=[color or "white"], edgecolors="#8d97a8", zorder=3)
