"""One explanation of a sentence: words in a row, edges as arcs over them, a row for each layer.

Edges that run on through the sentence are arcs above the words, those that run back are below.
Width and color are the scores, all layers on one scale; edges that are not brought out are thin and
gray. Words are highlighted by the scores of their nodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glassgraph.report.labels import clipped, node_label, write_literally
from glassgraph.report.payload import ReportError
from glassgraph.report.protocols import LocalLike
from glassgraph.report.scale import NEGATIVE_DASHES, ScoreScale, add_color_bar, ink
from glassgraph.report.trim import ranks
from glassgraph.results.records import explained_nodes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LETTER", "WORD_GAP", "draw_sentence", "node_highlights", "write_word"]

#: Width of a letter, of the room between two words, and of the margin in which layers are named.
LETTER, WORD_GAP, _MARGIN = 0.62, 1.0, 8.0
#: Inches of a unit; inches of a figure, at most; size of words, at most.
_INCHES, _MOST_INCHES, _FONT = 0.11, 30.0, 9.0
_GRAY = "#c3c9d4"
#: Height that a color bar takes.
_BAR_INCHES = 0.6


@dataclass(frozen=True)
class _Look:
    """How arcs look.

    Attributes:
        scale: colors.
        top_k: how many edges of a layer are brought out; None for all.
        font: size of their names.
    """

    scale: ScoreScale | None
    top_k: int | None
    font: float


def draw_sentence(
    local: LocalLike,
    ax: Axes | None,
    top_k: int | None,
    *,
    figsize: tuple[float, float] | None = None,
    colorbar: bool = True,
    scale: ScoreScale | None = None,
) -> Axes:
    """Draw it; see `plot_explanation`.

    Args:
        local: the instance.
        ax: where to draw; a new figure by default.
        top_k: how many edges of a layer are brought out; None for all.
        figsize: of a new figure; as large as the sentence by default.
        colorbar: draw the scale of the scores below.
        scale: of the scores; their own by default.

    Raises:
        ReportError: if nodes have no names.
    """
    import matplotlib.pyplot as plt

    place, width = _places(local)
    layers = _layers(local)
    rises = [_rise(place[a] - place[b]) for a, b in local.edge_index.t().tolist()]
    step = 2 * (max(rises, default=1.0) + 1.8)
    axes: Any = ax
    if axes is None:
        unit = min(_INCHES, _MOST_INCHES / width)
        size = (max(4.0, unit * (width + _MARGIN)), unit * step * len(layers) + 0.4)
        size = (size[0], size[1] + (_BAR_INCHES if colorbar else 0.0))
        axes = plt.subplots(figsize=figsize or size, layout="constrained")[1]
    room = axes.get_window_extent().width / axes.figure.dpi
    font = max(2.0, min(_FONT, _FONT * room / (_INCHES * (width + _MARGIN))))
    scale = scale or ScoreScale.of(layers, "edge score")
    look = _Look(scale, top_k, 0.75 * font)
    highlights = node_highlights(local)
    for row, scores in enumerate(layers):
        _words(axes, local, place, -row * step, font, highlights)
        if len(layers) > 1:
            what = {"ha": "right", "va": "center", "fontsize": font, "color": "gray"}
            axes.text(-1.5, -row * step, f"layer {row}", **what)
        _arcs(axes, local, place, -row * step, scores, look)
    axes.set_xlim(-1.0 if len(layers) == 1 else 1 - _MARGIN, width)
    axes.set_ylim(-(len(layers) - 0.5) * step, 0.5 * step)
    axes.set_aspect("equal")
    axes.set_axis_off()
    if colorbar:
        add_color_bar(axes, scale, "bottom")
        add_color_bar(axes, highlights[1], "bottom")
    write_literally(axes)
    return axes  # type: ignore[no-any-return]


def _places(local: LocalLike) -> tuple[dict[int, float], float]:
    """The middle of each word, in the order of the nodes' numbers, and the width of them all."""
    if local.node_names is None:
        raise ReportError(
            "a sentence is made of words: give nodes their names with "
            "explanations.named(node_names=...), or the data a list named words"
        )
    place, width = {}, 0.0
    for node in torch.argsort(local.node_id).tolist():
        size = LETTER * max(2, len(node_label(local, node)))
        place[node] = width + size / 2
        width += size + WORD_GAP
    return place, max(width, WORD_GAP)


def _rise(span: float) -> float:
    """Height of an arc: wide ones lie over narrow ones, and no sentence is a tower."""
    return 0.95 * math.sqrt(abs(span))


def _layers(local: LocalLike) -> list[Tensor]:
    """Scores ``[e]`` of each row: of the layers, or of the edges."""
    found = local.layer_edge_score
    rows = list(found) if found is not None else [local.edge_score]
    zero = torch.zeros(local.edge_index.size(1))
    return [zero if row is None else row.nan_to_num(0.0, 0.0, 0.0) for row in rows]


def node_highlights(local: LocalLike) -> tuple[list[float] | None, ScoreScale | None]:
    """Scores of nodes, or the sums of their features, and their colors; None without either."""
    found, what = local.node_score, "node score"
    if found is None and local.feature_score is not None:
        found, what = local.feature_score.nansum(dim=1), "node score, sum over features"
    if found is None:
        return None, None
    return found.nan_to_num(0.0, 0.0, 0.0).tolist(), ScoreScale.of([found], what)


def write_word(
    axes: Any, x: float, y: float, word: str, font: float, color: Any, weight: str = "normal"
) -> None:
    """Write a word in the middle of a point, highlighted in a color; None for no highlight."""
    look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": font, "zorder": 3}
    if color is not None:
        box = {"boxstyle": "round,pad=0.2", "facecolor": color, "edgecolor": "none"}
        look |= {"bbox": box, "color": ink(color[:3])}
    axes.text(x, y, word, fontweight=weight, **look)


def _words(
    axes: Any,
    local: LocalLike,
    place: dict[int, float],
    height: float,
    font: float,
    highlights: tuple[list[float] | None, ScoreScale | None],
) -> None:
    """Write the words of one row, those that are explained in bold."""
    explained = set(explained_nodes(local))
    scores, scale = highlights
    for node, x in place.items():
        weight = "bold" if node in explained else "normal"
        color = None if scores is None or scale is None else scale.color(scores[node])
        write_word(axes, x, height, node_label(local, node), font, color, weight)


def _arcs(
    axes: Any,
    local: LocalLike,
    place: dict[int, float],
    height: float,
    scores: Tensor,
    look: _Look,
) -> None:
    """Draw the arcs of one row, the strongest on top."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    rank = ranks(scores).tolist()
    for edge in sorted(range(len(rank)), key=lambda each: -rank[each]):
        score = float(scores[edge])
        start, end = (place[node] for node in local.edge_index[:, edge].tolist())
        if start == end:
            continue
        side = 1 if end > start else -1
        base, rise = height + 0.75 * side, side * _rise(end - start)
        ends = [
            (start, base),
            (start, base + rise * 4 / 3),
            (end, base + rise * 4 / 3),
            (end, base),
        ]
        is_shown = score != 0.0 and (look.top_k is None or rank[edge] <= look.top_k)
        shown: dict[str, Any] = {"color": _GRAY, "linewidth": 0.5, "arrowstyle": "-", "zorder": 1}
        if is_shown and look.scale is not None:
            width = 0.8 + 2.0 * look.scale.share(score)
            shown = {"color": look.scale.color(score), "linewidth": width, "arrowstyle": "-|>"}
            shown["linestyle"] = NEGATIVE_DASHES if score < 0 else "-"
        path = Path(ends, [1, 4, 4, 4])
        axes.add_patch(FancyArrowPatch(path=path, mutation_scale=7, **shown))
        if is_shown and local.edge_names is not None:
            name = {"ha": "center", "va": "bottom" if side > 0 else "top", "fontsize": look.font}
            x, y = (start + end) / 2, base + rise + 0.4 * side
            axes.text(x, y, clipped(local.edge_names[edge]), **name)
