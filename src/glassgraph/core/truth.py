"""Ground truth that comes with a graph: which edges an explanation should find.

Read from the data, where present: ``edge_motif [E]`` and ``node_motif [N]`` (number of the motif an
edge or node belongs to, -1 for none) and ``ground_truth_edge_mask [E]``. For a node the truth is
the edges of the node's *own* motif; for a graph or a link it is the mask.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.core.graph import TypedGraph


def edge_truth(graph: TypedGraph, level: str, seeds: Tensor, edge: Tensor) -> Tensor | None:
    """Which of some edges belong to the ground truth of an instance.

    Args:
        graph: the user's graph(s).
        level: level of the task.
        seeds: flat nodes that the instance is about.
        edge: ``[e]`` flat edges.

    Returns:
        ``[e]`` booleans, None where the data hold no ground truth for this instance.
    """
    if graph.is_heterogeneous:
        return None
    data = graph.data
    if level == "node" and "edge_motif" in data and "node_motif" in data:
        motif = data["node_motif"][seeds[0]]
        if int(motif) < 0:
            return None
        found: Tensor = data["edge_motif"][edge] == motif
        return found
    if "ground_truth_edge_mask" in data:
        mask: Tensor = data["ground_truth_edge_mask"][edge]
        return mask.to(torch.bool)
    return None
