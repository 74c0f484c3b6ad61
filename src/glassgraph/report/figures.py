"""One explanation, or the curve of a fit, as a matplotlib figure.

Thickness and color are the scores, the target has a thick border, ground truth a dashed outline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from glassgraph.report.curve import Curve, read_curve, read_rows
from glassgraph.report.graph_figure import (
    GraphLook,
    draw_graph,
    edge_scores,
    node_scores,
    positions,
)
from glassgraph.report.labels import MOST_LETTERS, clipped, write_literally
from glassgraph.report.molecule import draw_molecule
from glassgraph.report.molecule_parts import is_molecule
from glassgraph.report.payload import ReportError, seed_positions
from glassgraph.report.phrase_tree import PhraseTree
from glassgraph.report.phrase_tree_figure import draw_phrase_tree
from glassgraph.report.protocols import LocalLike, RunLike
from glassgraph.report.scale import ScoreScale, add_color_bar
from glassgraph.report.sentence import draw_sentence

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["LAYOUTS", "plot_curve", "plot_explanation"]

#: How a graph may be laid out.
LAYOUTS = ("auto", "organic", "molecule", "sentence")


def plot_explanation(
    local: LocalLike,
    ax: Axes | None = None,
    top_k: int | None = None,
    layout: str = "auto",
    *,
    figsize: tuple[float, float] | None = None,
    colorbar: bool = True,
    legend: bool = True,
    run: RunLike | None = None,
) -> Axes:
    """Draw an instance's receptive field with its scores; never shows a window.

    Edges are drawn in the order of their magnitude, the strongest on top; negative scores are blue
    and dashed, positive ones red, and a non-negative explanation uses one warm ramp. An explanation
    without edge scores shows its layers' mean magnitude if it has layers, else plain edges. Nodes
    are colored by their scores, where there are any (of an explanation of features alone by their
    sum), else by their types, which have shapes of their own as well. An explanation with walks
    shows these as curves over plain edges, width and opacity being the score.

    Args:
        local: the instance.
        ax: where to draw; a new figure by default.
        top_k: color only the k strongest edges, all by default; or the k best walks, 20 by default.
        layout: ``"organic"``; ``"molecule"`` for atoms and bonds; ``"sentence"`` for named nodes in
            a row with edges as arcs, or below their phrases where these are a tree; ``"auto"``
            draws molecules and trees of phrases as such.
        figsize: width and height of a new figure in inches.
        colorbar: draw the scale of the scores beside the graph.
        legend: say below the graph what else is drawn.
        run: what the instance is part of, which knows the node types.

    Returns:
        The matplotlib axes.

    Raises:
        ReportError: for an unknown layout, or one that needs names that are not there, for a size
            that is none, or one beside ``ax``.
    """
    check_figsize(figsize, ax)
    check_layout(layout)
    tree = PhraseTree.of(local) if layout in ("auto", "sentence") else None
    if tree is not None:
        look = look_of([local], run, top_k)
        return draw_phrase_tree(local, tree, ax, look, figsize=figsize, colorbar=colorbar)
    if layout == "sentence":
        return draw_sentence(local, ax, top_k, figsize=figsize, colorbar=colorbar)
    import matplotlib.pyplot as plt

    axes: Any = ax
    if axes is None:
        axes = plt.subplots(figsize=figsize or (6.0, 5.0), layout="constrained")[1]
    look = look_of([local], run, top_k)
    if layout == "molecule" or (layout == "auto" and is_molecule(local)):
        handles = draw_molecule(axes, local, look)
    else:
        handles = draw_graph(axes, local, place(local), look)
    axes.set_title(title_of(local, run))
    if colorbar:
        add_color_bar(axes, look.nodes)
        add_color_bar(axes, None if local.walks is not None and len(local.walks) else look.edges)
    if legend and handles:
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "frameon": False}
        axes.legend(handles=handles, ncols=min(3, len(handles)), fontsize=8, **below)
    write_literally(axes)
    return axes  # type: ignore[no-any-return]


def check_layout(layout: str) -> None:
    """Raise a `ReportError` for an unknown layout."""
    if layout not in LAYOUTS:
        listed = ", ".join(map(repr, LAYOUTS))
        raise ReportError(f"layout must be one of {listed}; got {layout!r}")


def check_figsize(figsize: Any, ax: Any = None) -> None:
    """Raise a `ReportError` for a size that is none, or where axes are given."""
    if figsize is None:
        return
    if ax is not None:
        raise ReportError("figsize is the size of a new figure; with ax leave it out")
    is_pair = isinstance(figsize, Sequence) and not isinstance(figsize, str) and len(figsize) == 2
    if not is_pair or not all(
        isinstance(each, int | float) and 0 < each < float("inf") for each in figsize
    ):
        raise ReportError(f"figsize must be (width, height) in inches; got {figsize!r}")


def look_of(locals_: Sequence[LocalLike], run: RunLike | None, top_k: int | None) -> GraphLook:
    """How explanations are drawn on common scales; the seeds are those of the first."""
    if top_k is not None and (isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 0):
        raise ReportError(f"top_k must be a number of edges, from 0; got {top_k!r}")
    kinds = dict.fromkeys(kind for local in locals_ for kind in local.node_type or ())
    known = [kind for kind in getattr(run, "node_types", ()) if kind is not None]
    edges, nodes = ([read(local) for local in locals_] for read in (edge_scores, node_scores))
    return GraphLook(
        edges=ScoreScale.of([score for score, _ in edges], edges[0][1]),
        nodes=ScoreScale.of([score for score, _ in nodes], nodes[0][1]),
        types=known if set(kinds) <= set(known) else sorted(kinds),
        seeds=seeds_of(locals_[0], run),
        top_k=top_k,
    )


def place(local: LocalLike) -> dict[int, Any]:
    """Where each node stands."""
    import networkx as nx

    simple = nx.Graph()
    simple.add_nodes_from(range(len(local.node_id)))
    simple.add_edges_from(local.edge_index.t().tolist())
    return positions(nx, simple)


def title_of(local: LocalLike, run: RunLike | None = None) -> str:
    """What is explained, in words."""
    return f"{what_is_explained(local)}, {target_of(local, run)}"


def plot_curve(source: pd.DataFrame | RunLike, ax: Axes | None = None) -> Axes:
    """Draw sparsity against faithfulness of a fit; never shows a window.

    The share of kept messages runs to the right, the mean divergence upwards (logarithmic, linear
    near zero), the share of changed predictions upwards on an axis of its own at the right. Filled
    points satisfy the constraint, the chosen one has a ring.

    Args:
        source: `GraphMask.curve`, or explanations of a fitted GraphMask; these know the tolerance,
            too, which is drawn as a line.
        ax: where to draw; a new figure by default.

    Returns:
        The matplotlib axes of the divergence.

    Raises:
        ReportError: if there is no curve.
    """
    import matplotlib.pyplot as plt

    curve = _curve_of(source)
    axes: Any = ax if ax is not None else plt.subplots(figsize=(6.0, 4.0), layout="constrained")[1]
    kept = [each.kept for each in curve.solutions]
    divergence = [each.divergence for each in curve.solutions]
    positive = [value for value in [*divergence, curve.tolerance or 0.0] if value > 0]
    axes.set_yscale("symlog", linthresh=min(positive, default=1.0))
    axes.plot(kept, divergence, color="#4755d8", linewidth=1.0, label="divergence")
    axes.scatter(
        kept,
        divergence,
        s=[90 if each.is_chosen else 28 for each in curve.solutions],
        facecolors=["#4755d8" if each.is_met else "white" for each in curve.solutions],
        edgecolors=["#171b26" if each.is_chosen else "#4755d8" for each in curve.solutions],
        linewidths=[2.2 if each.is_chosen else 1.2 for each in curve.solutions],
        zorder=3,
    )
    if curve.tolerance is not None:
        axes.axhline(curve.tolerance, color="#0fa28e", linestyle="--", label="tolerance")
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("share of messages kept")
    axes.set_ylabel("mean divergence")
    other = axes.twinx()
    changed = [each.changed for each in curve.solutions]
    other.plot(kept, changed, color="#f0923b", linewidth=1.0, marker=".", label="changed")
    other.set_ylim(0.0, max(0.02, 1.05 * max(changed)))
    other.set_ylabel("share of predictions that change")
    handles, labels = axes.get_legend_handles_labels()
    more, names = other.get_legend_handles_labels()
    axes.legend(handles + more, labels + names, loc="best")
    chosen = curve.chosen
    if chosen is not None:
        axes.set_title("constraint met" if chosen.is_met else "constraint not met")
    return axes  # type: ignore[no-any-return]


def _curve_of(source: pd.DataFrame | RunLike) -> Curve:
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        curve = read_rows(source.to_dict("records"))
    else:
        curve = read_curve(source.provenance)
    if curve is None:
        raise ReportError(
            "there is no curve to draw: give GraphMask.curve, or explanations of a GraphMask that "
            "was fitted"
        )
    return curve


def seeds_of(local: LocalLike, run: RunLike | None) -> list[int]:
    """Where the explained nodes stand; of typed nodes only one whose id no other type bears."""
    found = [] if run is None else seed_positions(local, run)
    nodes, seeds = local.node_id.tolist(), local.seeds.tolist()
    if found or local.node_type is None:
        return found or [nodes.index(seed) for seed in seeds if seed in nodes]
    bearers = [n for n, node in enumerate(nodes) if node == local.index]
    return bearers if len(seeds) == 1 and len(bearers) == 1 else []


def what_is_explained(local: LocalLike) -> str:
    """The instance in words."""
    if local.title:
        return clipped(local.title, 2 * MOST_LETTERS)
    kinds = {1: "node", 2: "link"}
    return f"{kinds.get(len(local.seeds), 'graph')} {local.index}"


def target_of(local: LocalLike, run: RunLike | None = None) -> str:
    """The explained output in words."""
    if local.target_name:
        return clipped(local.target_name, 2 * MOST_LETTERS)
    task = {} if run is None else run.provenance.get("task")
    if isinstance(task, Mapping) and task.get("mode") == "regression":
        return "value" if local.target in (0, None) else f"value {local.target}"
    target = local.target
    if target is None:
        return "the classes of its rows"
    names = dict(enumerate(local.class_names or ()))
    if isinstance(target, int):
        return names.get(target, f"class {target}")
    first, second = target
    return f"{names.get(first, f'class {first}')} rather than {names.get(second, second)}"
