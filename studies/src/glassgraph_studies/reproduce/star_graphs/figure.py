"""One star graph and what each method keeps of it, as in Figure 2 of the GraphMask paper."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.errors import OutputError
from glassgraph_studies.reproduce.star_graphs.experiment import FURTHER, TABLE, Outcome, Scene

#: Six colors that stay apart for color-blind readers too (Okabe and Ito).
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
NAMES = ("blue", "vermilion", "green", "pink", "orange", "sky")
_COLUMNS = 4


def example(scene: Scene) -> int:
    """Which test graph to show: the first that is predicted 1 and has all kinds of edges.

    That is at least two edges of color x, one of color y, two of others, and at least eight leaves;
    the first test graph if there is none.
    """
    for position, graph in enumerate(scene.graphs("test")):
        x, y = asked(graph)
        num_x, num_y = int((graph.edge_type == x).sum()), int((graph.edge_type == y).sum())
        others = graph.num_edges - num_x - num_y
        if int(graph.y) == 1 and num_x >= 2 and num_y >= 1 and others >= 2 and num_x + others >= 7:
            return position
    return 0


def asked(graph: Data) -> tuple[int, int]:
    """The colors x and y that a star's leaves ask about."""
    one_hot_x, one_hot_y = graph.x[1].chunk(2)
    return int(one_hot_x.argmax()), int(one_hot_y.argmax())


def kept_edges(scene: Scene, outcomes: list[Outcome], position: int) -> dict[str, Tensor]:
    """For each method, which edges of one test graph it keeps."""
    sizes = [graph.num_edges for graph in scene.graphs("test")]
    return {
        (TABLE | FURTHER)[outcome.row["method"]].title: outcome.kept.split(sizes)[position]
        for outcome in outcomes
    }


def draw_star(graph: Data, kept: Mapping[str, Tensor]) -> Any:
    """A panel for the star itself and one for each method: kept edges strong, dropped ones faint.

    Args:
        graph: a star graph, with its truth.
        kept: for each title, which edges ``[E]`` are kept.

    Returns:
        The matplotlib figure; it belongs to no window.
    """
    from matplotlib.figure import Figure

    x, y = asked(graph)
    question = f"more {_name(x)} (x) than {_name(y)} (y)?"
    panels = {question: torch.ones_like(graph.ground_truth_edge_mask), **kept}
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(2.6 * columns, 2.9 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, (title, mask) in zip(axes, panels.items(), strict=False):
        _draw_panel(ax, graph, mask, (x, y))
        ax.set_title(title, fontsize=9)
    return figure


def save_figure(scene: Scene, outcomes: list[Outcome], path: Path) -> None:
    """Draw the example of a seed into a file; the ending says the format.

    Raises:
        OutputError: if it cannot be written.
    """
    position = example(scene)
    kept = kept_edges(scene, outcomes, position)
    figure = draw_star(scene.graphs("test")[position], kept)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, format=path.suffix.lstrip(".") or "png")
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {path}: {error}") from error


def _draw_panel(ax: Any, graph: Data, mask: Tensor, colors: tuple[int, int]) -> None:
    """Leaves on a circle around the centroid, each edge in its color."""
    num_leaves = graph.num_edges
    for edge, (leaf, color) in enumerate(
        zip(graph.edge_index[0].tolist(), graph.edge_type.tolist(), strict=True)
    ):
        angle = math.pi / 2 - 2 * math.pi * (leaf - 1) / num_leaves
        at = (math.cos(angle), math.sin(angle))
        is_kept = bool(mask[edge])
        ax.plot(
            [0.0, at[0]],
            [0.0, at[1]],
            color=COLORS[color % len(COLORS)],
            linewidth=3.2 if is_kept else 1.2,
            alpha=1.0 if is_kept else 0.4,
            linestyle="solid" if is_kept else (0, (2, 2)),
            zorder=1,
        )
        ax.scatter(*at, s=70, color="#e3e7ef", edgecolors="#aab3c4", linewidths=0.8, zorder=2)
        if color in colors:
            letter = "xy"[colors.index(color)]
            ax.text(1.22 * at[0], 1.22 * at[1], letter, ha="center", va="center", fontsize=9)
    ax.scatter(0, 0, s=110, color="#e3e7ef", edgecolors="#171b26", linewidths=2.0, zorder=2)
    ax.set_xlim(-1.4, 1.4)
    ax.set_ylim(-1.4, 1.4)
    ax.set_aspect("equal")


def _name(color: int) -> str:
    return NAMES[color] if color < len(NAMES) else f"color {color}"
