"""Sparsity: the share of a receptive field's edges that an explanation leaves out.

``1 - |{e : s_e > t}| / |E|`` for a threshold ``t``. It compares methods whose scores share a scale
(masks in [0, 1], with ``t = 0.5``); for others select at a given sparsity instead, as `fidelity`
does.

Yuan, Yu, Gui and Ji, "Explainability in Graph Neural Networks: A Taxonomic Survey" (TPAMI 2022,
https://arxiv.org/abs/2012.15445).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core.explanation import Explanations
from glassgraph.errors import UnknownMetricError
from glassgraph.metrics.scores import Ranking, edge_scores


@dataclass(frozen=True)
class SparsityResult:
    """Sparsity of B instances.

    Attributes:
        method: whose explanations they are.
        threshold: scores above it count as selected.
        sparsity: ``[B]`` share of edges at or below the threshold; NaN for an instance without
            edges.
        mean: the average over instances with edges, None if there are none.
        num_without_edges: instances without edges.
    """

    method: str
    threshold: float
    sparsity: Tensor
    mean: float | None
    num_without_edges: int


def sparsity(
    explanations: Explanations, threshold: float = 0.5, *, ranking: Ranking = "signed"
) -> SparsityResult:
    """How many edges score at or below a threshold.

    Args:
        explanations: what is measured.
        threshold: scores strictly above it count as selected.
        ranking: ``"signed"`` or ``"absolute"`` scores.

    Raises:
        UnknownMetricError: if the threshold is not finite or an explanation has no scores.
    """
    if not math.isfinite(threshold):
        raise UnknownMetricError(f"threshold must be finite; got {threshold}")
    shares = []
    for i in range(len(explanations)):
        score = edge_scores(explanations.local(i), ranking)
        shares.append(float((score <= threshold).double().mean()))  # NaN without edges
    share = torch.tensor(shares, dtype=torch.float64)
    has_edges = ~share.isnan()
    return SparsityResult(
        method=explanations.method,
        threshold=float(threshold),
        sparsity=share,
        mean=float(share[has_edges].mean()) if bool(has_edges.any()) else None,
        num_without_edges=int((~has_edges).sum()),
    )
