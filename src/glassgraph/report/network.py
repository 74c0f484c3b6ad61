"""Learned networks of an explanation, laid out in rows: parents above their children.

A method that finds a network gives it as the table ``"network"`` with the nodes ``parent`` and
``child``; -1 stands for the prediction of a link or a graph.
"""

from __future__ import annotations

from typing import Any

from glassgraph.report.labels import node_label
from glassgraph.report.protocols import LocalLike
from glassgraph.results.records import explained_nodes

__all__ = ["network_of"]

#: Nodes that stand side by side.
_SIDE_BY_SIDE = 5
_PREDICTION = "prediction"


def network_of(local: LocalLike) -> dict[str, Any] | None:
    """Nodes ``{name, explained, row, x}`` (``x`` in (0, 1)) and edges ``[parent, child]``.

    Rows count from the top. None if the method learned no network.
    """
    table = local.tables.get("network")
    if table is None or not {"parent", "child"} <= table.keys():
        return None
    pairs = list(zip(table["parent"].tolist(), table["child"].tolist(), strict=True))
    level = _levels(pairs)
    rows: list[list[int]] = []
    for height in sorted(set(level.values()), reverse=True):
        own = sorted(node for node in level if level[node] == height)
        rows += [own[at : at + _SIDE_BY_SIDE] for at in range(0, len(own), _SIDE_BY_SIDE)]
    explained = set(explained_nodes(local))
    nodes: list[dict[str, Any]] = []
    number: dict[int, int] = {}
    for row, own in enumerate(rows):
        for place, node in enumerate(own):
            number[node] = len(nodes)
            is_node = node >= 0
            nodes.append(
                {
                    "name": node_label(local, node) if is_node else _PREDICTION,
                    "explained": not is_node or node in explained,
                    "row": row,
                    "x": round((place + 0.5) / len(own), 4),
                }
            )
    return {"nodes": nodes, "edges": [[number[parent], number[child]] for parent, child in pairs]}


def _levels(pairs: list[tuple[int, int]]) -> dict[int, int]:
    """Edges on the longest way down from each node."""
    level = {node: 0 for pair in pairs for node in pair}
    for _ in level:  # as often as a way can be long
        for parent, child in pairs:
            level[parent] = max(level[parent], 1 + level[child])
    return level
