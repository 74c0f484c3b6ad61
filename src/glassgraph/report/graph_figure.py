"""The picture of one explanation on its graph: edges, nodes, names, and what the legend says.

Every edge is one arrow with the identity ``edge-<type>-<id>``, by which a saved SVG can be edited.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glassgraph.report.change_figure import draw_changes
from glassgraph.report.labels import clipped, node_label, write_literally
from glassgraph.report.palette import type_color, type_shape
from glassgraph.report.protocols import LocalLike
from glassgraph.report.scale import NEGATIVE_DASHES, ScoreScale, ink
from glassgraph.report.trim import ranks
from glassgraph.report.walk_figure import NEGATIVE, POSITIVE, draw_walks
from glassgraph.report.walks import first_walks

__all__ = ["GraphLook", "draw_edges", "draw_graph", "edge_scores", "node_scores", "positions"]

LAYOUT_SEED = 0
MAX_LABELED_NODES = 60
CONTEXT, TRUTH, PLAIN_NODE, NODE_EDGE, INK = "#c3c9d4", "#0fa28e", "#e3e7ef", "#8d97a8", "#171b26"
_LONGEST_NAME = 24
#: Nodes of a graph that is laid out twice.
_SMALL = 40


@dataclass(frozen=True)
class GraphLook:
    """How an explanation is drawn.

    Attributes:
        edges: colors of edges; None without scores of edges.
        nodes: colors of nodes; None without scores of nodes.
        types: all node types, in the order of their colors; empty without types.
        seeds: positions of the explained nodes.
        top_k: how many edges, or walks, are brought out; None for all edges.
    """

    edges: ScoreScale | None
    nodes: ScoreScale | None
    types: Sequence[str]
    seeds: Sequence[int]
    top_k: int | None

    def type_color(self, name: str) -> str:
        """The color of a node type."""
        return type_color(self.types.index(name))

    def type_shape(self, name: str) -> str:
        """The marker of a node type."""
        return type_shape(self.types.index(name))


def edge_scores(local: LocalLike) -> tuple[Tensor | None, str]:
    """The scores ``[e]`` by which edges are drawn, and what they are."""
    if local.edge_score is not None:
        return local.edge_score, "edge score"
    if local.layer_edge_score is not None:
        return local.layer_edge_score.abs().mean(dim=0), "edge score, mean magnitude over layers"
    return None, "edge score"


def node_scores(local: LocalLike) -> tuple[Tensor | None, str]:
    """The scores ``[n]`` of nodes; without scores of nodes and edges the sums of their features."""
    if local.node_score is not None:
        return local.node_score, "node score"
    if local.feature_score is not None and edge_scores(local)[0] is None:
        return local.feature_score.nansum(dim=1), "node score, sum over features"
    return None, "node score"


def positions(nx: Any, graph: Any) -> dict[Any, Any]:
    """Kamada-Kawai for what a reader can follow, a seeded spring layout for what is large.

    Kamada-Kawai ends in the nearest minimum, where nodes may lie on each other; of small graphs
    the better of two starts counts.
    """
    if len(graph) == 0:
        return {}
    spring = nx.spring_layout(graph, seed=LAYOUT_SEED)
    if len(graph) > 150 or not nx.is_connected(graph):
        return dict(spring)
    found: dict[Any, Any] = dict(nx.kamada_kawai_layout(graph, pos=spring))
    if len(graph) > _SMALL:
        return found
    other: dict[Any, Any] = dict(nx.kamada_kawai_layout(graph))
    hops = dict(nx.all_pairs_shortest_path_length(graph))
    return min(found, other, key=lambda place: round(_stress(place, hops), 6))


def _stress(place: Mapping[Any, Any], hops: Mapping[Any, Mapping[Any, int]]) -> float:
    """How far distances in a picture are from those in the graph, up to a common scale."""
    pairs = [
        (math.dist(place[u], place[v]), hop) for u in hops for v, hop in hops[u].items() if hop
    ]
    scale = sum(d / h for d, h in pairs) / (sum((d / h) ** 2 for d, h in pairs) or 1.0)
    return sum((scale * d / h - 1) ** 2 for d, h in pairs)


def draw_graph(
    axes: Any, local: LocalLike, position: Mapping[int, Any], look: GraphLook
) -> list[Any]:
    """Draw into axes.

    Args:
        axes: of matplotlib.
        local: the explanation.
        position: of each node.
        look: how.

    Returns:
        Entries of a legend.
    """
    size = _node_size(axes, len(position))
    handles = _draw_nodes(axes, local, position, look, size)
    handles += draw_edges(axes, local, position, look, size)
    handles += _draw_walks(axes, local, position, look)
    handles += draw_changes(axes, local, position, size)
    axes.margins(0.12)
    axes.autoscale_view()
    axes.set_axis_off()
    write_literally(axes)
    return handles


def _node_size(axes: Any, count: int) -> float:
    """Area in square points: smaller in a crowd, and where there is little room."""
    box = axes.get_window_extent()
    room = float(min(box.width, box.height)) / float(axes.figure.dpi) / 3.5
    size = 260.0 if count <= 40 else 120.0 if count <= 90 else 50.0 if count <= 220 else 20.0
    return size * min(1.0, max(0.4, room))


# Edges


def draw_edges(
    axes: Any, local: LocalLike, position: Mapping[int, Any], look: GraphLook, size: float
) -> list[Any]:
    """Draw edges in the order of their magnitude, the strongest on top; returns a legend's entries.

    Args:
        axes: of matplotlib.
        local: the explanation.
        position: of each node.
        look: how.
        size: area of a node in square points, at which edges end.
    """
    from matplotlib.lines import Line2D

    found = edge_scores(local)[0]
    count = local.edge_index.size(1)
    score = torch.zeros(count) if found is None else found.nan_to_num(0.0, 0.0, 0.0)
    has_walks = local.walks is not None and len(local.walks) > 0
    shown = 0 if has_walks else count if look.top_k is None else look.top_k
    order, scores = ranks(score).tolist(), score.tolist()
    is_strong = [order[e] <= shown and scores[e] != 0.0 for e in range(count)]
    bends, arrows = _bends(local), _Arrows(axes, local, position, 0.5 * math.sqrt(size) + 0.6)
    planted = [] if local.edge_truth is None else local.edge_truth.nonzero().flatten().tolist()
    for e in planted:
        dashes: dict[str, Any] = {"linestyle": (0, (1.2, 0.5)), "alpha": 0.55, "linewidth": 8.0}
        arrows.draw(e, bends[e], arrowstyle="-", color=TRUTH, zorder=0.9, **dashes)
    by_rank = sorted(range(count), key=lambda e: (is_strong[e], -order[e]))
    for e in by_rank:
        style: dict[str, Any] = {"color": CONTEXT, "linewidth": 0.8, "arrowstyle": "-"}
        if is_strong[e] and look.edges is not None:
            style = {
                "color": look.edges.color(scores[e]),
                "linewidth": 1.2 + 3.8 * look.edges.share(scores[e]),
                "linestyle": NEGATIVE_DASHES if scores[e] < 0 else "-",
                "arrowstyle": "-|>",
            }
        arrows.draw(e, bends[e], **style).set_gid(_edge_gid(local, e))
    _name_edges(axes, local, position, bends, [e for e in by_rank if is_strong[e]])
    handles = []
    if planted:
        line = {"color": TRUTH, "alpha": 0.55, "linewidth": 6.0, "linestyle": (0, (1.2, 0.5))}
        handles.append(Line2D([], [], label="ground truth", **line))  # type: ignore[arg-type]
    if any(is_strong[e] and scores[e] < 0 for e in by_rank) and look.edges is not None:
        color: Any = look.edges.color(-look.edges.largest)
        dash = Line2D([], [], color=color, linestyle=NEGATIVE_DASHES, linewidth=2.2)
        dash.set_label("negative edge score")
        handles.append(dash)
    if found is not None and not has_walks and not all(is_strong):
        what = "edge score 0" if look.top_k is None else f"not among the top {look.top_k}"
        handles.append(Line2D([], [], color=CONTEXT, linewidth=1.2, label=what))
    return handles


@dataclass(frozen=True)
class _Arrows:
    """Draws edges between nodes of a radius in points."""

    axes: Any
    local: LocalLike
    position: Mapping[int, Any]
    radius: float

    def draw(self, edge: int, bend: float, **style: Any) -> Any:
        """Draw one, bent to the right by a share of its length; a loop if it is one."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        start, stop = self.local.edge_index[:, edge].tolist()
        style = {"mutation_scale": 9, "zorder": 1} | style
        if start == stop:
            x, y = self._at(start)
            reach = 0.2 + bend
            corners = [(x, y), (x - reach, y + 1.4 * reach), (x + reach, y + 1.4 * reach), (x, y)]
            path = Path(corners, [Path.MOVETO, *[Path.CURVE4] * 3])
            patch = FancyArrowPatch(path=path, **style)
            self.axes.update_datalim(corners)
        else:
            patch = FancyArrowPatch(
                self._at(start),
                self._at(stop),
                connectionstyle=f"arc3,rad={bend}",
                shrinkA=self.radius,
                shrinkB=self.radius,
                **style,
            )
        # Not `add_patch`: it would count where an arrow lies before the axes have their limits.
        return self.axes.add_artist(patch)

    def _at(self, node: int) -> tuple[float, float]:
        return float(self.position[node][0]), float(self.position[node][1])


def _bends(local: LocalLike) -> list[float]:
    """How far each edge swings out, so that opposite and parallel edges lie side by side."""
    ends = [tuple(pair) for pair in local.edge_index.t().tolist()]
    known, seen, bends = set(ends), dict.fromkeys(ends, 0), []
    for start, stop in ends:
        base = 0.1 if (stop, start) in known and start != stop else 0.0
        bends.append(base + 0.14 * seen[start, stop])
        seen[start, stop] += 1
    return bends


def _edge_gid(local: LocalLike, edge: int) -> str:
    kind = "" if local.edge_type is None else f"{local.edge_type[edge]}-"
    return f"edge-{kind}{int(local.edge_id[edge])}"


def _name_edges(
    axes: Any,
    local: LocalLike,
    position: Mapping[int, Any],
    bends: Sequence[float],
    edges: Sequence[int],
) -> None:
    """Write names on the edges that are brought out, if there are few enough to read them."""
    if local.edge_names is None or len(position) > MAX_LABELED_NODES:
        return
    labels: dict[tuple[int, int], list[int]] = {}
    for edge in edges:
        start, stop = local.edge_index[:, edge].tolist()
        labels.setdefault((start, stop), []).append(edge)
    for (start, stop), own in labels.items():
        (x, y), (u, v) = position[start], position[stop]
        bend = bends[own[0]]
        middle = ((x + u) / 2 + bend * (v - y) / 2, (y + v) / 2 - bend * (u - x) / 2)
        text = ", ".join(dict.fromkeys(clipped(local.edge_names[edge]) for edge in own))
        _write(axes, middle, text, 6.0)


# Nodes


def _draw_nodes(
    axes: Any, local: LocalLike, position: Mapping[int, Any], look: GraphLook, size: float
) -> list[Any]:
    """Draw nodes, one collection for each type, and their names."""
    seeds, count = set(look.seeds), len(position)
    fills = _fills(local, look, count)
    kinds = local.node_type if look.types and local.node_type is not None else [""] * count
    for kind in dict.fromkeys(kinds):
        own = [n for n in range(count) if kinds[n] == kind]
        axes.scatter(
            [float(position[n][0]) for n in own],
            [float(position[n][1]) for n in own],
            s=size,
            c=[fills[n] for n in own],
            marker=look.type_shape(kind) if kind else "o",
            edgecolors=[INK if n in seeds else NODE_EDGE for n in own],
            linewidths=[2.8 if n in seeds else 0.8 for n in own],
            zorder=2,
        ).set_gid(f"nodes-{kind}" if kind else "nodes")
    _name_nodes(axes, local, position, fills, seeds, size)
    handles = [] if not seeds else [_marker("o", "white", _what_is_explained(local), border=2.4)]
    for kind in [each for each in look.types if each in kinds]:
        fill = look.type_color(kind) if look.nodes is None else "white"
        handles.append(_marker(look.type_shape(kind), fill, kind))
    return handles


def _fills(local: LocalLike, look: GraphLook, count: int) -> list[Any]:
    """The color of each node: its score, else its type."""
    found = node_scores(local)[0]
    if found is not None and look.nodes is not None:
        return [look.nodes.color(score) for score in found.nan_to_num(0.0, 0.0, 0.0).tolist()]
    if look.types and local.node_type is not None:
        return [look.type_color(kind) for kind in local.node_type]
    return [PLAIN_NODE] * count


def _marker(shape: str, fill: Any, label: str, border: float = 0.8) -> Any:
    """An entry of a legend."""
    from matplotlib.lines import Line2D

    color = INK if border > 1 else NODE_EDGE
    look: dict[str, Any] = {"markeredgecolor": color, "markeredgewidth": border, "markersize": 9}
    return Line2D([], [], linestyle="none", marker=shape, markerfacecolor=fill, label=label, **look)


def _what_is_explained(local: LocalLike) -> str:
    return "explained node" if len(local.seeds) == 1 else "explained link"


def _name_nodes(
    axes: Any,
    local: LocalLike,
    position: Mapping[int, Any],
    fills: Sequence[Any],
    seeds: set[int],
    size: float,
) -> None:
    """Write short names into nodes, long ones below; of a crowd those of explained nodes alone."""
    named = range(len(position)) if len(position) <= MAX_LABELED_NODES else sorted(seeds)
    for node in named:
        name = clipped(node_label(local, node), _LONGEST_NAME)
        font = 7.0 if size >= 200 else 6.0
        if len(name) <= (3 if size >= 150 else 2):
            look: dict[str, Any] = {"color": ink(fills[node]), "fontsize": font, "zorder": 3}
            axes.text(*map(float, position[node]), name, ha="center", va="center", **look)
        else:
            _write(axes, position[node], name, font, below=0.5 * math.sqrt(size) + 1.5)


def _write(axes: Any, at: Any, text: str, font: float, below: float = 0.0) -> None:
    """Write a text that stays readable over lines, some points below a place or right there."""
    axes.annotate(
        text,
        (float(at[0]), float(at[1])),
        xytext=(0, -below),
        textcoords="offset points",
        ha="center",
        va="top" if below else "center",
        fontsize=font,
        color=INK,
        zorder=4,
        # No outline of letters: what has path effects is no text in an SVG any more.
        bbox={
            "boxstyle": "round,pad=0.12",
            "facecolor": "white",
            "edgecolor": "none",
            "alpha": 0.75,
        },
        annotation_clip=False,
    )


# Walks


def _draw_walks(
    axes: Any, local: LocalLike, position: Mapping[int, Any], look: GraphLook
) -> list[Any]:
    """Draw the best walks as curves."""
    from matplotlib.lines import Line2D

    walks = first_walks(local) if look.top_k is None else first_walks(local, look.top_k)
    if walks is None:
        return []
    draw_walks(axes, position, walks[0].tolist(), walks[1].tolist())
    signs = ((POSITIVE, "walk for it", walks[1] > 0), (NEGATIVE, "walk against it", walks[1] < 0))
    return [
        Line2D([], [], color=color, linewidth=2.2, label=label)
        for color, label, which in signs
        if bool(which.any())
    ]
