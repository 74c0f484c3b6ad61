"""Random scores in the place of explanations: what a metric says of those who know nothing.

Every number of a metric is to be read beside this floor, on the very same predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.results.explanation import Explanations
from glassgraph.results.records import ROWS, Part


def random_scores(
    explanations: Explanations, seed: int = 0, *, in_pairs: bool = False
) -> Explanations:
    """Explanations of the same predictions with random scores, uniform in (0, 1).

    They have the same instances, targets, nodes, edges and kinds of scores; scores of edges where
    there are none at all. A score depends on seed, instance and what it is about, and on nothing
    else that is explained. Walks, tables and remarks are left out.

    Args:
        explanations: whose place they take.
        seed: of the scores.
        in_pairs: whether all edges between the same two nodes have the same score, in either
            direction.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SGConv
        >>> data = Data(x=torch.eye(3), edge_index=torch.tensor([[0, 1, 1], [1, 0, 2]]))
        >>> model = SGConv(3, 2, K=2, bias=False)
        >>> explanations = gg.Saliency(model, progress=False).explain(data, index=[0])
        >>> found = random_scores(explanations, seed=1, in_pairs=True)
        >>> first, second = found.local(0).edge_score
        >>> found.method, bool(first == second), 0 < float(first) < 1
        ('random', True, True)
    """
    found = in_place_of(explanations, "random", lambda part: _drawn(part, seed, in_pairs=in_pairs))
    return replace(found, provenance=found.provenance | {"seed": seed})


def in_place_of(
    explanations: Explanations, method: str, scores: Callable[[Part], dict[str, Tensor | None]]
) -> Explanations:
    """Explanations of the same predictions with scores from elsewhere, and nothing else found.

    Args:
        explanations: whose place they take.
        method: what they are called.
        scores: from columns to the columns of scores that replace theirs, by name.
    """
    scored = ("edge_score", "layer_edge_score", "node_score", "feature_score")
    nothing = dict.fromkeys((*scored, "total", "walk_instance", "walk", "walk_score"))
    told: dict[str, Any] = {"method": method, "hyper_parameters": {}, "threshold": None}

    def replaced(part: Part) -> Part:
        rows = {name: table for name, table in part.tables.items() if name == ROWS}
        columns: dict[str, Any] = nothing | scores(part)
        return replace(part, **columns, tables=rows, remark=())

    return replace(
        explanations,
        method=method,
        provenance=explanations.provenance | told,
        parts=[replaced(part) for part in explanations.own_parts()],
        _where=[],
        _bounds={},
    )


def _drawn(part: Part, seed: int, *, in_pairs: bool) -> dict[str, Tensor | None]:
    nodes = part.index[part.node_instance], part.node
    ends = torch.stack([part.source, part.destination])
    about = (ends.min(dim=0).values, ends.max(dim=0).values) if in_pairs else (part.edge, 0)
    edges = part.index[part.edge_instance], *about
    names = ("edge_score", "layer_edge_score", "node_score", "feature_score")
    old: dict[str, Tensor] = {
        name: score for name in names if (score := getattr(part, name)) is not None
    }
    if not old:
        old = {"edge_score": torch.zeros(part.edge.numel())}
    found: dict[str, Tensor | None] = {}
    for stream, name in enumerate(names):
        if name not in old:
            continue
        score, address = old[name], nodes if name in ("node_score", "feature_score") else edges
        if name == "layer_edge_score":
            address = (*address, torch.arange(score.size(0)).view(-1, 1))
        if name == "feature_score":
            address = *(each.view(-1, 1) for each in address), torch.arange(score.size(1))
        drawn = random.uniform(seed, stream, *address).to(score.dtype)
        found[name] = torch.where(score.isnan(), score, drawn)
    return found
