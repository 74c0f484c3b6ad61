"""Accuracy against planted edges: do the true edges score above the others?

Positives are the edges of ``LocalExplanation.edge_truth``, negatives all other edges of the
receptive field; true edges that lie outside of the field cannot reach the prediction and are not
counted. Each direction of an undirected edge counts by itself. An instance without truth, or whose
field holds only true or only other edges, has no ranking to judge: it is left out, and counted.

* ROC-AUC *pooled*: over the edges of all instances together, as GNNExplainer and PGExplainer report
  it. It also asks that scores be comparable between instances.
* ROC-AUC *mean*: computed for each instance, then averaged. Only the order within counts.
* average precision, pooled and mean alike.
* precision@k and recall@k, averaged over instances, where k is the instance's number of true edges
  unless given (then both are equal). Edges that tie for the last places share them evenly, so that
  the result depends on the scores alone and not on the order of edges.

A model need not use the planted motif (Faber, Moghaddam and Wattenhofer, "When Comparing to Ground
Truth is Wrong", KDD 2021): these numbers are only as good as the model's accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from glassgraph.brief import brief_repr
from glassgraph.errors import UnknownMetricError
from glassgraph.metrics.scores import Ranking, edge_scores
from glassgraph.results.explanation import Explanations


@dataclass(frozen=True)
class GroundTruthResult:
    """Accuracy of explanations; every number is None where no instance could be scored.

    Attributes:
        method: whose explanations they are.
        auc: pooled ROC-AUC.
        auc_mean: mean ROC-AUC of the instances.
        average_precision: pooled average precision.
        average_precision_mean: mean average precision of the instances.
        precision_at_k: mean share of the k best edges that are true.
        recall_at_k: mean share of the true edges that are among the k best.
        instance_auc: ``[B]`` ROC-AUC of each instance, NaN where it was left out.
        num_scored: instances that were scored.
        num_without_truth: instances left out because the data hold no truth about them.
        num_one_class: instances left out because all their edges are true, or none is.
    """

    method: str
    auc: float | None
    auc_mean: float | None
    average_precision: float | None
    average_precision_mean: float | None
    precision_at_k: float | None
    recall_at_k: float | None
    instance_auc: Tensor
    num_scored: int
    num_without_truth: int
    num_one_class: int

    __repr__ = brief_repr


def ground_truth_accuracy(
    explanations: Explanations, k: int | None = None, *, ranking: Ranking = "signed"
) -> GroundTruthResult:
    """Hold edge scores against the ground truth that comes with the data.

    Args:
        explanations: what is measured; loaded ones need their graph.
        k: for precision@k and recall@k; each instance's own number of true edges if None.
        ranking: ``"signed"`` or ``"absolute"`` scores.

    Raises:
        UnknownMetricError: if ``k`` is not positive or an explanation has no scores.
    """
    if k is not None and (isinstance(k, bool) or k < 1):
        raise UnknownMetricError(f"k must be a positive number of edges; got {k!r}")
    scores, truths, aucs, precisions, hits = [], [], [], [], []
    instance_auc = torch.full((len(explanations),), float("nan"), dtype=torch.float64)
    num_without_truth = num_one_class = 0
    for i in range(len(explanations)):
        local = explanations.local(i)
        truth = local.edge_truth
        if truth is None:
            num_without_truth += 1
            continue
        if bool(truth.all()) or not bool(truth.any()):
            num_one_class += 1
            continue
        score = edge_scores(local, ranking)
        instance_auc[i] = float(roc_auc_score(truth.numpy(), score.numpy()))
        aucs.append(float(instance_auc[i]))
        precisions.append(float(average_precision_score(truth.numpy(), score.numpy())))
        hits.append(precision_and_recall(score, truth, k))
        scores.append(score)
        truths.append(truth)
    pooled: tuple[float | None, float | None] = (None, None)
    if scores:
        truth_all, score_all = torch.cat(truths).numpy(), torch.cat(scores).numpy()
        pooled = (
            float(roc_auc_score(truth_all, score_all)),
            float(average_precision_score(truth_all, score_all)),
        )
    return GroundTruthResult(
        method=explanations.method,
        auc=pooled[0],
        auc_mean=_mean(aucs),
        average_precision=pooled[1],
        average_precision_mean=_mean(precisions),
        precision_at_k=_mean([precision for precision, _ in hits]),
        recall_at_k=_mean([recall for _, recall in hits]),
        instance_auc=instance_auc,
        num_scored=len(scores),
        num_without_truth=num_without_truth,
        num_one_class=num_one_class,
    )


def precision_and_recall(score: Tensor, truth: Tensor, k: int | None) -> tuple[float, float]:
    """Expected values where ties at rank k are broken at random."""
    num_true = int(truth.sum())
    size = min(num_true if k is None else k, score.numel())
    last = score.sort(descending=True).values[size - 1]
    above, tied = score > last, score == last
    places = size - int(above.sum())
    found = int(truth[above].sum()) + places * int(truth[tied].sum()) / int(tied.sum())
    return found / size, found / num_true


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
