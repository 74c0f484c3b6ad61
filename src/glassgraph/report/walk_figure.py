"""Walks as curves over a drawn graph: red for positive scores, blue for negative ones.

A curve leads through the nodes of its walk. It keeps to the right of the straight way, so that
there and back are two arcs, and weaker walks swing out wider than stronger ones; where a node
repeats it makes a loop on the side that points away from the graph. An arrow head on the last step
says which way information flows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["draw_walks"]

POSITIVE, NEGATIVE = "#c0273d", "#1f5fb4"
#: How far a curve swings out, as a share of the step; the further, the weaker the walk.
_LEAST_SWING, _MORE_SWING = 0.08, 0.2
#: Size of a loop, as a share of the drawing's extent.
_LOOP = 0.13

Point = tuple[float, float]


def draw_walks(
    axes: Any, position: Mapping[int, Any], walks: Sequence[Sequence[int]], scores: Sequence[float]
) -> None:
    """Draw walks beneath the nodes; one whose score is zero or not finite is left out.

    Args:
        axes: matplotlib axes.
        position: where each node stands.
        walks: ``[W][L + 1]`` nodes, the best walk first.
        scores: ``[W]``; width and opacity follow the magnitude.
    """
    from matplotlib.patches import FancyArrowPatch, PathPatch
    from matplotlib.path import Path

    points = {node: (float(at[0]), float(at[1])) for node, at in position.items()}
    sizes = [abs(score) if math.isfinite(score) else 0.0 for score in scores]
    largest = max(sizes, default=0.0)
    for rank in reversed(range(len(walks))):  # the best on top
        if not sizes[rank]:
            continue
        share = sizes[rank] / largest
        look: dict[str, Any] = {
            "color": POSITIVE if scores[rank] > 0 else NEGATIVE,
            "alpha": 0.35 + 0.55 * share,
            "linewidth": 0.8 + 2.0 * share,
        }
        swing = _LEAST_SWING + _MORE_SWING * rank / len(walks)
        vertices, codes, head = _curve([points[node] for node in walks[rank]], swing, points)
        curve = Path(vertices, codes)
        axes.add_patch(PathPatch(curve, fill=False, capstyle="round", zorder=1.5, **look))
        if head is not None:
            look |= {"shrinkA": 0, "shrinkB": 0, "mutation_scale": 8, "zorder": 1.6}
            axes.add_patch(FancyArrowPatch(head[0], head[1], arrowstyle="-|>", **look))
    axes.autoscale_view()


def _curve(
    stops: Sequence[Point], swing: float, points: Mapping[int, Point]
) -> tuple[list[Point], list[int], tuple[Point, Point] | None]:
    """Vertices and codes of a curve, and a piece of its last step, None if it has none."""
    vertices, codes = [stops[0]], [1]  # Path.MOVETO
    head = None
    for start, stop in itertools.pairwise(stops):
        if start == stop:
            vertices += [*_loop(start, swing, points), stop]
            codes += [4, 4, 4]  # Path.CURVE4
            continue
        control = (
            (start[0] + stop[0]) / 2 + swing * 2 * (stop[1] - start[1]),
            (start[1] + stop[1]) / 2 - swing * 2 * (stop[0] - start[0]),
        )
        vertices += [control, stop]
        codes += [3, 3]  # Path.CURVE3
        head = (_between(start, control, stop, 0.56), _between(start, control, stop, 0.6))
    return vertices, codes, head


def _loop(at: Point, swing: float, points: Mapping[int, Point]) -> tuple[Point, Point]:
    """The two control points of a loop, away from the middle of the drawing."""
    across = [[point[axis] for point in points.values()] for axis in (0, 1)]
    middle = [sum(values) / len(values) for values in across]
    extent = max(max(values) - min(values) for values in across) or 1.0
    away = math.atan2(at[1] - middle[1], at[0] - middle[0])
    reach = _LOOP * extent * (1 + 2 * swing)
    left, right = (
        (at[0] + reach * math.cos(away + turn), at[1] + reach * math.sin(away + turn))
        for turn in (0.6, -0.6)
    )
    return left, right


def _between(start: Point, control: Point, stop: Point, share: float) -> Point:
    """A point of the quadratic Bezier curve."""
    a, b, c = (1 - share) ** 2, 2 * share * (1 - share), share**2
    return (
        a * start[0] + b * control[0] + c * stop[0],
        a * start[1] + b * control[1] + c * stop[1],
    )
