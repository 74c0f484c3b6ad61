"""Sparsity: the share of a receptive field's edges that an explanation leaves out.

``1 - |{e : s_e > t}| / |E|`` for a threshold ``t``. It compares methods whose scores share a scale
(masks in [0, 1], with ``t = 0.5``); for others select at a given sparsity instead, as `fidelity`
does.

`mask_entropy` asks for no threshold: the entropy of a mask that is scaled to sum 1, in nats, for
the nodes and for the features. A mask of ``k`` equal entries has ``ln k``, and 0 is the sparsest.

.. code-block:: text

    H = - sum_i p_i ln p_i,   p_i = |m_i| / sum_j |m_j|

Yuan, Yu, Gui and Ji, "Explainability in Graph Neural Networks: A Taxonomic Survey" (TPAMI 2022,
https://arxiv.org/abs/2012.15445). Funke, Khosla, Rathee and Anand, "Zorro" (TKDE 2022,
https://arxiv.org/abs/2105.08621), Definition of sparsity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.brief import brief_repr
from glassgraph.errors import UnknownMetricError
from glassgraph.metrics.scores import Ranking, edge_scores, node_scores
from glassgraph.results.explanation import Explanations


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

    __repr__ = brief_repr


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


@dataclass(frozen=True)
class MaskEntropyResult:
    """Entropies of the masks of B instances, in nats.

    Attributes:
        method: whose explanations they are.
        nodes: ``[B]`` entropy over nodes; 0 for an empty mask.
        features: ``[B]`` entropy over features, None for methods that do not score any.
        mean_nodes, mean_features: the averages; None where there is none.
    """

    method: str
    nodes: Tensor
    features: Tensor | None
    mean_nodes: float | None
    mean_features: float | None

    __repr__ = brief_repr


def mask_entropy(explanations: Explanations) -> MaskEntropyResult:
    """How far masks are spread over nodes and features.

    A node counts its score (see `glassgraph.metrics.scores.node_scores`), a feature the sum of its
    absolute scores over the nodes.

    Args:
        explanations: what is measured.

    Raises:
        UnknownMetricError: if an explanation has no scores.
    """
    nodes, features = [], []
    for i in range(len(explanations)):
        local = explanations.local(i)
        nodes.append(_entropy(node_scores(local, "absolute")))
        if local.feature_score is not None:
            features.append(_entropy(local.feature_score.double().abs().nansum(dim=0)))
    by_node = torch.tensor(nodes, dtype=torch.float64)
    by_feature = torch.tensor(features, dtype=torch.float64) if features else None
    return MaskEntropyResult(
        method=explanations.method,
        nodes=by_node,
        features=by_feature,
        mean_nodes=float(by_node.mean()) if nodes else None,
        mean_features=None if by_feature is None else float(by_feature.mean()),
    )


def _entropy(mask: Tensor) -> float:
    share = mask[mask > 0] / mask.sum()
    return float(-(share * share.log()).sum())
