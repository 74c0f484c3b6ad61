"""One explanation, or the curve of a fit, as a matplotlib figure.

Thickness and color are the scores, the target has a thick border, ground truth a dashed outline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glassgraph.report.curve import Curve, read_curve, read_rows
from glassgraph.report.labels import MOST_LETTERS, clipped, node_label, write_literally
from glassgraph.report.payload import ReportError
from glassgraph.report.protocols import LocalLike, RunLike
from glassgraph.report.sentence import draw_sentence
from glassgraph.report.trim import ranks
from glassgraph.report.walk_figure import draw_walks
from glassgraph.report.walks import first_walks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_curve", "plot_explanation"]

LAYOUT_SEED = 0
MAX_LABELED_NODES = 60


def plot_explanation(
    local: LocalLike, ax: Axes | None = None, top_k: int | None = None, layout: str = "organic"
) -> Axes:
    """Draw an instance's receptive field with its scores; never shows a window.

    Edges are drawn in the order of their magnitude, the strongest on top; negative scores are blue,
    positive ones red, and a non-negative explanation uses one warm ramp. An explanation without
    edge scores shows its layers' mean magnitude if it has layers, else plain edges. Nodes are
    colored by their scores, where there are any. An explanation with walks shows these as curves
    over plain edges, width and opacity being the score.

    Args:
        local: the instance.
        ax: where to draw; a new figure by default.
        top_k: color only the k strongest edges, all by default; or the k best walks, 20 by default.
        layout: ``"organic"``, or ``"sentence"`` for named nodes in a row with edges as arcs.

    Returns:
        The matplotlib axes.

    Raises:
        ReportError: for an unknown layout, or one that needs names that are not there.
    """
    if layout == "sentence":
        return draw_sentence(local, ax, top_k)
    if layout != "organic":
        raise ReportError(f"layout must be 'organic' or 'sentence'; got {layout!r}")
    import matplotlib.pyplot as plt
    import networkx as nx
    from matplotlib.colors import Normalize

    axes: Any = ax if ax is not None else plt.subplots(figsize=(6.0, 5.0), layout="constrained")[1]
    graph = nx.MultiDiGraph()
    nodes = local.node_id.tolist()
    graph.add_nodes_from(range(len(nodes)))
    source, destination = local.edge_index.tolist() if local.edge_index.numel() else ([], [])
    score = _edge_scores(local, len(source))
    order, scores = ranks(score).tolist(), score.tolist()
    walks = first_walks(local) if top_k is None else first_walks(local, top_k)
    shown = len(source) if top_k is None else top_k
    if local.walks is not None and len(local.walks):
        shown = 0
    largest = max((abs(s) for s in scores), default=0.0)
    signed = any(s < 0 for s in scores)
    colors = plt.get_cmap("coolwarm" if signed else "YlOrRd")
    scale = Normalize(-largest if signed else -0.35 * largest, largest or 1.0)

    simple = nx.Graph()
    simple.add_nodes_from(graph)
    simple.add_edges_from(zip(source, destination, strict=True))
    position = positions(nx, simple)
    twoway = set(zip(source, destination, strict=True))

    def draw(edges: list[int], **look: Any) -> None:
        for curved in (False, True):
            chosen = [e for e in edges if ((destination[e], source[e]) in twoway) == curved]
            if not chosen:
                continue
            picked = {
                name: [value[e] for e in chosen] if isinstance(value, dict) else value
                for name, value in look.items()
            }
            nx.draw_networkx_edges(
                nx.DiGraph([(source[e], destination[e]) for e in chosen]),
                position,
                edgelist=[(source[e], destination[e]) for e in chosen],
                ax=axes,
                node_size=260,
                connectionstyle="arc3,rad=0.08" if curved else "arc3",
                **picked,
            )

    by_rank = sorted(range(len(source)), key=lambda e: -order[e])
    strong = [e for e in by_rank if order[e] <= shown and scores[e] != 0.0]
    weak = [e for e in by_rank if not (order[e] <= shown and scores[e] != 0.0)]
    planted = [] if local.edge_truth is None else local.edge_truth.nonzero().flatten().tolist()
    draw(
        planted,
        edge_color="#0fa28e",
        width=8.0,
        alpha=0.55,
        style=(0, (1.2, 0.5)),
        arrows=True,
        arrowstyle="-",
    )
    draw(weak, edge_color="#c3c9d4", width=0.8, arrows=True, arrowstyle="-")
    draw(
        strong,
        edge_color={e: tuple(colors(scale(scores[e]))) for e in strong},
        width={e: 1.2 + 3.8 * abs(scores[e]) / largest for e in strong},
        arrows=True,
        arrowstyle="-|>",
        arrowsize=9,
    )
    if walks is not None:
        draw_walks(axes, position, walks[0].tolist(), walks[1].tolist())
    _draw_nodes(nx, simple, position, local, axes)
    _name_edges(nx, position, local, strong, axes)
    axes.set_title(f"{_what(local)}, {_target(local)}")
    write_literally(axes)
    axes.set_axis_off()
    return axes  # type: ignore[no-any-return]


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


def _edge_scores(local: LocalLike, num_edges: int) -> Tensor:
    scores = local.edge_score
    if scores is None and local.layer_edge_score is not None:
        scores = local.layer_edge_score.abs().mean(dim=0)
    return torch.zeros(num_edges) if scores is None else scores.nan_to_num(0.0, 0.0, 0.0)


def positions(nx: Any, graph: Any) -> dict[int, Any]:
    """Kamada-Kawai for what a reader can follow, a seeded spring layout for what is large."""
    if len(graph) == 0:
        return {}
    spring = nx.spring_layout(graph, seed=LAYOUT_SEED)
    if len(graph) <= 150 and nx.is_connected(graph):
        return dict(nx.kamada_kawai_layout(graph, pos=spring))
    return dict(spring)


def _draw_nodes(nx: Any, graph: Any, position: Any, local: LocalLike, axes: Any) -> None:
    seeds = set(_seed_positions(local))
    look: dict[str, Any] = {"node_color": "#e3e7ef"}
    if local.node_score is not None:
        values = local.node_score.nan_to_num(0.0, 0.0, 0.0).tolist()
        bound = max((abs(v) for v in values), default=0.0) or 1.0
        signed = any(v < 0 for v in values)
        look = {
            "node_color": values,
            "cmap": "coolwarm" if signed else "YlOrRd",
            "vmin": -bound if signed else 0.0,
            "vmax": bound,
        }
    nx.draw_networkx_nodes(
        graph,
        position,
        nodelist=list(graph),
        ax=axes,
        node_size=260,
        edgecolors=["#171b26" if n in seeds else "#aab3c4" for n in graph],
        linewidths=[2.8 if n in seeds else 0.8 for n in graph],
        **look,
    )
    if len(graph) <= MAX_LABELED_NODES:
        label_box = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.6}
        nx.draw_networkx_labels(
            graph,
            position,
            labels={n: node_label(local, n) for n in graph},
            font_size=7,
            bbox=None if local.node_score is None else label_box,
            ax=axes,
        )


def _name_edges(nx: Any, position: Any, local: LocalLike, edges: list[int], axes: Any) -> None:
    """Write names on the edges that are brought out, if there are few enough to read them."""
    if local.edge_names is None or len(position) > MAX_LABELED_NODES:
        return
    source, destination = local.edge_index.tolist()
    labels: dict[tuple[int, int], list[str]] = {}
    for edge in edges:
        labels.setdefault((source[edge], destination[edge]), []).append(
            clipped(local.edge_names[edge])
        )
    nx.draw_networkx_edge_labels(
        nx.DiGraph(list(labels)),
        position,
        edge_labels={ends: ", ".join(dict.fromkeys(names)) for ends, names in labels.items()},
        font_size=6,
        bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.7},
        connectionstyle="arc3,rad=0.08",
        ax=axes,
    )


def _seed_positions(local: LocalLike) -> list[int]:
    """Where the explained nodes stand; of typed nodes only one whose id no other type bears."""
    nodes, seeds = local.node_id.tolist(), local.seeds.tolist()
    if local.node_type is None:
        return [nodes.index(seed) for seed in seeds if seed in nodes]
    bearers = [n for n, node in enumerate(nodes) if node == local.index]
    return bearers if len(seeds) == 1 and len(bearers) == 1 else []


def _what(local: LocalLike) -> str:
    if local.title:
        return clipped(local.title, 2 * MOST_LETTERS)
    seeds = local.seeds.tolist()
    if len(seeds) == 1:
        return f"node {local.index}"
    if len(seeds) == 2:
        return f"link {local.index}"
    return f"graph {local.index}"


def _target(local: LocalLike) -> str:
    if local.target_name:
        return clipped(local.target_name, 2 * MOST_LETTERS)
    target = local.target
    if target is None:
        return "the classes of its rows"
    names = dict(enumerate(local.class_names or ()))
    if isinstance(target, int):
        return names.get(target, f"class {target}")
    first, second = target
    return f"{names.get(first, f'class {first}')} rather than {names.get(second, second)}"
