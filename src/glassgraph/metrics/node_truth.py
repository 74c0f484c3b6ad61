"""Accuracy against true nodes, where any of several explanations is right.

The truth about a graph are the columns of ``LocalExplanation.node_truth``: sets of nodes, one of
which is enough (a molecule with two benzene rings has either ring, or both). As in
Sanchez-Lengeling et al., "Evaluating Attribution for Graph Neural Networks" (NeurIPS 2020,
https://github.com/google-research/graph-attribution), the ROC-AUC of an instance is the *best* over
its alternatives, and the mean over instances is reported: scores at random get more than one half
where there are several. An alternative that holds all nodes has no ranking to judge; an instance
without any other is left out, and counted, as are instances without truth (graphs that have nothing
to find).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from glassgraph.brief import brief_repr
from glassgraph.metrics.scores import Ranking, node_scores
from glassgraph.results.explanation import Explanations
from glassgraph.results.records import LocalExplanation


@dataclass(frozen=True)
class NodeTruthResult:
    """Accuracy of node scores.

    Attributes:
        method: whose explanations they are.
        auc_mean: mean of the instances' best ROC-AUC, None where no instance could be scored.
        instance_auc: ``[B]`` best ROC-AUC of each instance, NaN where it was left out.
        num_scored: instances that were scored.
        num_without_truth: instances left out because there is no truth about them.
        num_one_class: instances left out because all their nodes are true.
    """

    method: str
    auc_mean: float | None
    instance_auc: Tensor
    num_scored: int
    num_without_truth: int
    num_one_class: int

    __repr__ = brief_repr


def node_truth_accuracy(
    explanations: Explanations, *, ranking: Ranking = "signed"
) -> NodeTruthResult:
    """Hold node scores against the nodes that the data say are true.

    Args:
        explanations: what is measured; loaded ones need their graph. Methods that score edges alone
            are read as in `glassgraph.metrics.scores.node_scores`.
        ranking: ``"signed"`` or ``"absolute"`` scores.

    Raises:
        UnknownMetricError: if an explanation has no scores, or one that is not finite.
    """
    instance_auc = torch.full((len(explanations),), float("nan"), dtype=torch.float64)
    num_without_truth = num_one_class = 0
    for i in range(len(explanations)):
        local = explanations.local(i)
        if local.node_truth is None or local.node_truth.size(1) == 0:
            num_without_truth += 1
            continue
        best = _best_auc(local, local.node_truth, ranking)
        if best is None:
            num_one_class += 1
        else:
            instance_auc[i] = best
    scored = instance_auc[~instance_auc.isnan()]
    return NodeTruthResult(
        method=explanations.method,
        auc_mean=float(scored.mean()) if scored.numel() else None,
        instance_auc=instance_auc,
        num_scored=scored.numel(),
        num_without_truth=num_without_truth,
        num_one_class=num_one_class,
    )


def _best_auc(local: LocalExplanation, truth: Tensor, ranking: Ranking) -> float | None:
    """The best ROC-AUC over the columns that hold some nodes but not all."""
    score = node_scores(local, ranking).numpy()
    ranked = truth[:, ~truth.all(dim=0)]
    areas = [float(roc_auc_score(column.numpy(), score)) for column in ranked.t()]
    return max(areas) if areas else None
