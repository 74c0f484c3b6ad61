"""The walks of an explanation that are worth a reader's time, and the edges they pass."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.report.protocols import LocalLike

__all__ = ["MOST_WALKS", "first_walks", "passed_edges"]

#: Walks that a report lists of one instance, and a figure draws unless told otherwise.
MOST_WALKS = 20


def first_walks(local: LocalLike, count: int = MOST_WALKS) -> tuple[Tensor, Tensor] | None:
    """The best walks ``[W, L + 1]`` (positions of nodes) and scores ``[W]``; None without walks."""
    if local.walks is None or local.walk_scores is None or not len(local.walks):
        return None
    return local.walks[:count], local.walk_scores[:count]


def passed_edges(local: LocalLike) -> list[int]:
    """Edges that the best walks pass, in the order of the walks, then of the edges.

    A node that repeats has no edge, unless the graph has a loop there. Walks know nodes alone, so
    parallel edges are all passed.
    """
    best = first_walks(local)
    if best is None:
        return []
    num_nodes = len(local.node_id)
    source, destination = local.edge_index
    key = source * num_nodes + destination
    passed: dict[int, None] = {}
    for walk in best[0]:
        own = torch.isin(key, walk[:-1] * num_nodes + walk[1:])
        passed.update(dict.fromkeys(own.nonzero().flatten().tolist()))
    return list(passed)
