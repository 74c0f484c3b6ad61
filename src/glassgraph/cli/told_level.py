"""What one prediction of a file is about, as its labels tell: the default of ``--task``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glassgraph.errors import CommandError

_ASK = "say which is meant with --task node, graph or edge"


def told_level(graphs: Sequence[Any], name: str) -> tuple[str, str]:
    """The level of a prediction, and by what it is told.

    Args:
        graphs: what the file holds.
        name: of the file.

    Raises:
        CommandError: if labels are of several kinds, or there are none.
    """
    found = [_levels(graph) for graph in graphs]
    if len(graphs) > 1:
        of_nodes = [levels["node"] for levels in found if "node" in levels]
        if of_nodes and not any("graph" in levels for levels in found):
            raise CommandError(
                f"{name} holds {len(graphs)} graphs with {of_nodes[0]}: --task node explains one "
                "graph, so write them as one (torch_geometric.data.Batch), or say --task graph"
            )
        return "graph", f"{len(graphs)} graphs"
    (levels,) = found
    if len(levels) == 1:
        ((level, why),) = levels.items()
        return level, f"one graph with {why}"
    told = f"both {' and '.join(levels.values())}" if levels else "no labels (y, edge_label_index)"
    raise CommandError(f"{name} holds one graph with {told}; {_ASK}")


def _levels(graph: Any) -> dict[str, str]:
    """What a graph has labels of, and how that is seen."""
    found: dict[str, str] = {}
    if any("edge_label_index" in store for store in graph.stores):
        found["edge"] = "links to explain (edge_label_index)"
    for store in graph.stores:
        labels = store.get("y")
        if labels is None:
            continue
        rows = labels.size(0) if hasattr(labels, "dim") and labels.dim() else 1
        is_of_nodes = any(store is each for each in graph.node_stores)
        if is_of_nodes and rows == store.num_nodes > 1:
            found["node"] = "a label for each node (y)"
        elif rows == 1:
            found["graph"] = "one label (y)"
    return found
