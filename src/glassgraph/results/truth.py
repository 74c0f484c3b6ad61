"""Ground truth that comes with a graph: which edges or nodes an explanation should find.

Read from the data, where present: ``edge_motif [E]`` and ``node_motif [N]`` (number of the motif an
edge or node belongs to, -1 for none), ``true_edges [N, K]`` (numbers of the edges that explain each
node, filled up with -1) and ``ground_truth_edge_mask [E]``. For a node the truth is its
``true_edges``, or else the edges of its *own* motif; for a graph or a link it is the mask.

``node_truth [N, K]`` says which nodes are the truth about a graph, in up to K alternatives any of
which is right; columns without a true node are no alternatives. ``node_truth_parts [N, P]`` says
the same by substructures, any union of which is right (`glassgraph.datasets.alternatives`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.datasets.alternatives import unions
from glassgraph.inputs.graph import TypedGraph


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
    # Numbers of edges mean nothing any more once several graphs have been joined.
    if level == "node" and "true_edges" in data and graph.graphs is None:
        listed = data["true_edges"][seeds[0]]
        listed = listed[listed >= 0]
        return torch.isin(edge, listed) if listed.numel() else None
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


def node_truth(graph: TypedGraph, level: str, node: Tensor) -> Tensor | None:
    """Which of some nodes belong to the alternative explanations of an instance.

    Args:
        graph: the user's graph(s).
        level: level of the task.
        node: ``[n]`` flat nodes.

    Returns:
        ``[n, K]`` booleans, one column for each alternative that has a true node among these; None
        where the data hold no node truth.
    """
    if graph.is_heterogeneous or level != "graph":
        return None
    if "node_truth_parts" in graph.data:
        return unions(graph.data["node_truth_parts"][node])
    if "node_truth" not in graph.data:
        return None
    found: Tensor = graph.data["node_truth"][node].to(torch.bool)
    if found.dim() == 1:
        found = found.unsqueeze(1)
    return found[:, found.any(dim=0)]
