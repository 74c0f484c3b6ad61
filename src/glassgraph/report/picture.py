"""One explanation as a small SVG, for notebooks: no matplotlib, no script, bounded in size."""

from __future__ import annotations

import html
import math

import torch

from glassgraph.results.records import LocalExplanation, explained_nodes

#: Edges and nodes that are drawn at most, and the longest name.
MAX_EDGES, MAX_NODES, _LONGEST = 60, 40, 16
_WIDTH, _HEIGHT, _MARGIN, _RADIUS = 480, 320, 34, 8
#: Evidence for, evidence against (color-blind safe, readable on light and dark).
_FOR, _AGAINST, _NODE, _SEED = "#d55e00", "#0072b2", "#8a8a8a", "#009e73"


def svg_picture(local: LocalExplanation) -> str:
    """The strongest edges between their nodes; explained nodes are green. What is left out is said.

    Colors and widths go by the score: orange for, blue against (negative scores), gray for zero.
    """
    edges, nodes = _drawn(local)
    place = _layout(local, edges, nodes)
    score = torch.zeros(local.edge_index.size(1))
    if local.edge_score is not None:
        score = local.edge_score.double().nan_to_num()
    highest = float(score.abs().max()) if score.numel() else 0.0
    parts = [
        _edge(place[source], place[end], float(score[edge]), highest)
        for edge in reversed(edges)  # the strongest on top
        for source, end in [local.edge_index[:, edge].tolist()]
    ]
    seeds = explained_nodes(local)
    parts += [_node(local, node, place[node], is_seed=node in seeds) for node in nodes]
    left = local.edge_index.size(1) - len(edges)
    note = f"{left:,} weaker edges are not drawn" if left else ""
    title = html.escape(local.title or f"instance {local.index}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}" '
        f'font-family="sans-serif" font-size="10">'
        f"<title>{title}</title>{''.join(parts)}"
        f'<text x="6" y="{_HEIGHT - 6}" fill="{_NODE}">{note}</text></svg>'
    )


def _drawn(local: LocalExplanation) -> tuple[list[int], list[int]]:
    """The strongest edges, the best first, and their nodes, explained ones first."""
    count = local.edge_index.size(1)
    order = torch.arange(count)
    if local.edge_score is not None:
        order = local.edge_score.abs().nan_to_num().argsort(descending=True, stable=True)
    nodes = explained_nodes(local)[: MAX_NODES // 2]
    edges: list[int] = []
    for edge in order.tolist():
        new = [end for end in dict.fromkeys(local.edge_index[:, edge].tolist()) if end not in nodes]
        if len(nodes) + len(new) <= MAX_NODES and len(edges) < MAX_EDGES:
            nodes += new
            edges.append(edge)
        if len(edges) == MAX_EDGES:
            break
    if not nodes:
        nodes = [*range(min(MAX_NODES, local.node_id.numel()))]
    return edges, nodes


def _layout(
    local: LocalExplanation, edges: list[int], nodes: list[int]
) -> dict[int, tuple[float, float]]:
    """Where nodes stand, in pixels; always the same."""
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(local.edge_index[:, edge].tolist() for edge in edges)
    found = nx.spring_layout(graph, seed=0, iterations=60) if len(nodes) > 1 else {}
    width, height = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    spots = {node: found.get(node, (0.0, 0.0)) for node in nodes}
    reach = max((abs(float(c)) for spot in spots.values() for c in spot), default=0.0) or 1.0
    return {
        node: (
            round(_MARGIN + width * (float(x) / reach + 1) / 2, 1),
            round(_MARGIN + height * (float(y) / reach + 1) / 2, 1),
        )
        for node, (x, y) in spots.items()
    }


def _edge(
    source: tuple[float, float], end: tuple[float, float], score: float, highest: float
) -> str:
    share = abs(score) / highest if highest else 0.0
    color = _NODE if not score else _FOR if score > 0 else _AGAINST
    opacity = f"{0.3 + 0.7 * share:.2f}"
    style = f'stroke="{color}" stroke-width="{0.6 + 3 * share:.1f}" stroke-opacity="{opacity}"'
    (x, y), (u, v) = source, end
    if source == end:
        return f'<circle cx="{x}" cy="{y - 1.6 * _RADIUS:.1f}" r="{_RADIUS}" fill="none" {style}/>'
    length = math.hypot(u - x, v - y) or 1.0
    a, b = (u - x) / length, (v - y) / length
    tip = (u - a * _RADIUS, v - b * _RADIUS)
    wings = " ".join(
        f"{tip[0] - 7 * a + side * 3 * b:.1f},{tip[1] - 7 * b - side * 3 * a:.1f}"
        for side in (1, -1)
    )
    return (
        f'<line x1="{x}" y1="{y}" x2="{tip[0]:.1f}" y2="{tip[1]:.1f}" {style}/>'
        f'<polygon points="{tip[0]:.1f},{tip[1]:.1f} {wings}" fill="{color}" '
        f'fill-opacity="{opacity}"/>'
    )


def _node(local: LocalExplanation, node: int, spot: tuple[float, float], *, is_seed: bool) -> str:
    name = str(int(local.node_id[node]))
    if local.node_type is not None:
        name = f"{local.node_type[node]} {name}"
    if local.node_names is not None:
        name = local.node_names[node] or name
    name = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    x, y = spot
    return (
        f'<circle cx="{x}" cy="{y}" r="{_RADIUS}" fill="{_SEED if is_seed else _NODE}"/>'
        f'<text x="{x}" y="{y + 2.2 * _RADIUS:.1f}" text-anchor="middle" '
        f'fill="currentColor">{html.escape(name)}</text>'
    )
