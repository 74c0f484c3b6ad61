"""Generated graphs as a matplotlib figure: nodes in the color of their type, probability on top."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from glassgraph.report.graph_figure import positions
from glassgraph.report.payload import ReportError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from glassgraph.results.model_explanation import ModelExplanation

__all__ = ["COLORS", "plot_generated"]

#: Of node types, in order, as in the reports; they begin again after the last.
COLORS = (
    "#7aa6d8",
    "#e3a857",
    "#6fb89a",
    "#c58bc9",
    "#9aa3b2",
    "#d98080",
    "#8f8fdc",
    "#b7b25a",
)
_COLUMNS = 5


def plot_generated(explanation: ModelExplanation, position: int | None = None) -> Figure:
    """Draw generated graphs; never shows a window.

    Args:
        explanation: the graphs.
        position: one of them; a grid of all by default.

    Raises:
        ReportError: if there are no graphs.
    """
    import matplotlib.pyplot as plt
    import networkx as nx

    if not len(explanation):
        raise ReportError("there is no graph to draw")
    chosen = list(range(len(explanation))) if position is None else [position]
    columns = min(_COLUMNS, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(2.6 * columns, 2.7 * rows), layout="constrained", squeeze=False
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for number, axes in zip(chosen, grid.flat, strict=False):
        graph: Any = explanation.to_networkx(number)
        kinds = explanation[number].node_type.tolist()
        place = positions(nx, graph)
        nx.draw_networkx_edges(graph, place, ax=axes, edge_color="#6c7587", width=1.6)
        nx.draw_networkx_nodes(
            graph,
            place,
            ax=axes,
            node_size=260,
            node_color=[COLORS[kind % len(COLORS)] for kind in kinds],
            edgecolors="#aab3c4",
        )
        if len(explanation.node_types) > 1:
            names = {node: explanation.node_types[kind] for node, kind in enumerate(kinds)}
            nx.draw_networkx_labels(
                graph, place, labels=names, ax=axes, font_size=8, font_color="#171b26"
            )
        axes.set_title(f"p = {float(explanation.probability[number]):.3f}", fontsize=9)
        axes.margins(0.15)
    figure.suptitle(f"{explanation.method}, class {explanation.target}", fontsize=11)
    return figure
