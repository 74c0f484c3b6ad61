"""One score for each edge, whatever a method scores: edges, layers, nodes or features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from glassgraph.errors import UnknownMetricError
from glassgraph.results.records import LocalExplanation, Part

#: ``"signed"``: evidence against the prediction comes last; ``"absolute"``: by size alone.
Ranking = Literal["signed", "absolute"]


def one_per_edge(found: LocalExplanation | Part, ends: Callable[[], Tensor]) -> Tensor | None:
    """One score for each edge, ``[e]``: its own, that of its best layer, or the mean of its ends.

    Args:
        found: scores of one explanation, or of several.
        ends: ``[2, e]`` rows of the node scores that belong to the ends of each edge.

    Returns:
        None if there are no scores.
    """
    if found.edge_score is not None:
        return found.edge_score
    if found.layer_edge_score is not None:
        return found.layer_edge_score.amax(dim=0)
    node = found.node_score
    if node is None and found.feature_score is not None:
        node = found.feature_score.nansum(dim=1)
    return None if node is None else node[ends()].double().mean(dim=0)


def edges_of_part(part: Part, method: str) -> Tensor:
    """One score for each edge of a part, ``[e]``, see `one_per_edge`.

    Raises:
        UnknownMetricError: if there are no scores.
    """

    def ends() -> Tensor:
        width = int(part.node.max()) + 1 if part.node.numel() else 1
        key, order = (part.node_instance * width + part.node).sort()
        both = torch.stack([part.source, part.destination])
        return order[torch.searchsorted(key, part.edge_instance * width + both)]

    score = one_per_edge(part, ends)
    if score is None:
        raise UnknownMetricError(f"the explanations of {method} have no scores to measure")
    return score
