"""What a counterfactual changes, on a figure: deleted edges struck out, inserted ones in green."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glassgraph.report.changes import ShownChanges
from glassgraph.report.palette import change_color
from glassgraph.report.protocols import LocalLike

__all__ = ["draw_changes"]


def draw_changes(
    axes: Any, local: LocalLike, position: Mapping[int, Any], size: float = 260.0
) -> list[Any]:
    """Mark changes, where there are any; returns a legend's entries.

    Args:
        axes: of matplotlib.
        local: the explanation.
        position: of each node that is drawn.
        size: area of a node in square points.
    """
    from matplotlib.lines import Line2D

    found = ShownChanges.of(local)
    if found is None:
        return []
    handles: list[Any] = []
    ends = local.edge_index.t().tolist()
    struck = {tuple(sorted(ends[e])) for e in found.deleted}
    middles = [_middle(position, *pair) for pair in sorted(struck) if set(pair) <= set(position)]
    if middles:
        cross: dict[str, Any] = {"marker": "x", "color": change_color("deleted"), "zorder": 5}
        at = list(zip(*middles, strict=True))
        axes.scatter(*at, marker="x", color="white", s=110.0, linewidths=5.5, zorder=4.9)
        marks = axes.scatter(*at, s=70.0, linewidths=2.2, **cross)
        marks.set_gid("deleted")
        line: dict[str, Any] = {"linestyle": "none", "markersize": 7, "markeredgewidth": 2}
        handles.append(Line2D([], [], label="deleted", **cross, **line))
    for number, pair in enumerate(found.lines):
        style: dict[str, Any] = {"color": change_color("inserted"), "linewidth": 2.8}
        _draw_inserted(axes, found, position, pair, style).set_gid(f"inserted-{number}")
        if not number:
            handles.append(Line2D([], [], label="inserted", **style))
    nodes = sorted({feature[0] for feature in found.features} & set(position))
    if nodes:
        ring: dict[str, Any] = {"linestyle": (0, (2.0, 1.0)), "zorder": 2.5}
        color = change_color("feature")
        rings = axes.scatter(
            [float(position[n][0]) for n in nodes],
            [float(position[n][1]) for n in nodes],
            s=1.9 * size,
            facecolors="none",
            edgecolors=color,
            linewidths=1.8,
            **ring,
        )
        rings.set_gid("features-set")
        look: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": color}
        handles.append(
            Line2D([], [], linestyle="none", marker="o", markersize=9, label="feature set", **look)
        )
    return handles


def _middle(position: Mapping[int, Any], a: int, b: int) -> tuple[float, float]:
    (x, y), (u, v) = position[a], position[b]
    return float(x + u) / 2, float(y + v) / 2


def _draw_inserted(
    axes: Any,
    found: ShownChanges,
    position: Mapping[int, Any],
    pair: tuple[int, int],
    style: Mapping[str, Any],
) -> Any:
    from matplotlib.patches import FancyArrowPatch

    (x, y), (u, v) = (map(float, position[node]) for node in pair)
    patch = FancyArrowPatch(
        (x, y),
        (u, v),
        arrowstyle="-" if found.is_undirected else "-|>",
        mutation_scale=11,
        shrinkA=8,
        shrinkB=8,
        zorder=1.5,
        **style,
    )
    return axes.add_artist(patch)
