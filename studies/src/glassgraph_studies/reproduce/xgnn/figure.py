"""The most probable graph of each class and size, drawn side by side as in XGNN's figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import networkx as nx

from glassgraph.errors import OutputError
from glassgraph_studies.reproduce.xgnn.experiment import Outcome

#: Of the nodes by their type, for color-blind readers too (Okabe and Ito); gray for carbon.
_COLORS = {
    "C": "#b0b0b0",
    "N": "#56b4e9",
    "O": "#d55e00",
    "F": "#009e73",
    "I": "#cc79a7",
    "Cl": "#f0e442",
    "Br": "#e69f00",
}
_OTHER = "#56b4e9"


def draw(outcomes: Sequence[Outcome]) -> Any:
    """A row for each class, a column for each largest number of nodes; of the first seed alone.

    Args:
        outcomes: as `glassgraph_studies.reproduce.xgnn.experiment.run_xgnn` returns them.

    Returns:
        The matplotlib figure; it belongs to no window.
    """
    from matplotlib.figure import Figure

    best: dict[tuple[str, str], dict[int, Outcome]] = {}
    for outcome in outcomes:
        row = outcome.row
        if outcome.generated is not None:
            own = best.setdefault((row["dataset"], row["name"]), {})
            own.setdefault(row["max_nodes"], outcome)
    columns = max(len(own) for own in best.values())
    figure = Figure(figsize=(2.2 * columns, 2.4 * len(best)), layout="constrained")
    grid = figure.subplots(len(best), columns, squeeze=False)
    for axes, ((_, name), own) in zip(grid, best.items(), strict=True):
        for ax in axes:
            ax.set_axis_off()
        for ax, (size, outcome) in zip(axes, own.items(), strict=False):
            _draw_best(ax, outcome)
            ax.set_title(
                f"{name}, at most {size}: {outcome.row['best_probability']:.3f}", fontsize=8
            )
    return figure


def _draw_best(ax: Any, outcome: Outcome) -> None:
    assert outcome.generated is not None
    graph = outcome.generated.to_networkx(0)
    kind = dict(graph.nodes(data="type"))
    is_molecule = set(kind.values()) <= set(_COLORS)
    nx.draw_networkx(
        graph,
        pos=nx.kamada_kawai_layout(graph),
        ax=ax,
        labels=kind if is_molecule else {},
        node_color=[_COLORS.get(kind[node], _OTHER) for node in graph],
        node_size=260,
        font_size=8,
        edge_color="#606060",
    )
    ax.set_axis_off()
    ax.margins(0.2)


def save_figure(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw and write.

    Raises:
        OutputError: if the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(outcomes).savefig(path, dpi=150, format=path.suffix.lstrip(".") or "png")
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {path}: {error}") from error
