r"""One number from both fidelities, and one mask against another: PyG's, on plain tensors.

.. code-block:: text

    characterization   (w+ + w-) / (w+ / fid+  +  w- / (1 - fid-))      w+ + w- = 1
    curve area         trapezoids of  fid+ / (1 - fid-)  over x

The first is a harmonic mean: near 1 if an explanation is both necessary and sufficient. Where they
part from ``torch_geometric.explain.metric``:

* ``fid+ = 0``: PyG divides by zero, which is 0 for tensors and an error for numbers. It is 0 here.
  A signed ``fid+`` below 0, or ``fid-`` at or above 1, is 0 too: PyG's formula leaves [0, 1] there.
* `groundtruth_metrics`: PyG needs ``torchmetrics``, which sends masks through a sigmoid if any
  entry lies outside of [0, 1]; here scores are held against the threshold as they are. Of a truth
  with one class alone the area is NaN, not 0.

Amara et al., "GraphFramEx: Towards Systematic Evaluation of Explainability Methods for Graph Neural
Networks" (LoG 2022, https://arxiv.org/abs/2206.09677).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from glassgraph.calling.call import Call
from glassgraph.errors import UnknownMetricError
from glassgraph.inputs.task import Task
from glassgraph.metrics.fidelity import fidelity
from glassgraph.metrics.measured import Estimate, Measured
from glassgraph.metrics.removal import Removal
from glassgraph.metrics.run import DEFAULT_MEMORY_BUDGET
from glassgraph.metrics.scores import Ranking
from glassgraph.results.aggregates.aggregate import Bootstrap
from glassgraph.results.explanation import Explanations

#: Which fidelities are joined.
Of = Literal["prob", "acc"]


def characterization_score(
    pos_fidelity: Tensor,
    neg_fidelity: Tensor,
    pos_weight: float = 0.5,
    neg_weight: float = 0.5,
) -> Tensor:
    """The weighted harmonic mean of ``fid+`` and ``1 - fid-``, element by element.

    Args:
        pos_fidelity: ``fid+``.
        neg_fidelity: ``fid-``.
        pos_weight: ``w+``.
        neg_weight: ``w-``.

    Raises:
        UnknownMetricError: if the weights are not positive or do not sum to 1.

    Example:
        >>> characterization_score(torch.tensor([1.0, 0.5, 0.0]), torch.tensor([0.0, 0.5, 0.0]))
        tensor([1.0000, 0.5000, 0.0000])
    """
    if not math.isclose(pos_weight + neg_weight, 1.0) or min(pos_weight, neg_weight) < 0:
        raise UnknownMetricError(
            f"weights must not be negative, and sum to 1; got {pos_weight} and {neg_weight}"
        )
    plus, rest = torch.as_tensor(pos_fidelity), 1 - torch.as_tensor(neg_fidelity)
    score = 1 / (pos_weight / plus + neg_weight / rest)
    return torch.where((plus <= 0) | (rest <= 0), torch.zeros_like(score), score)


def fidelity_curve_auc(pos_fidelity: Tensor, neg_fidelity: Tensor, x: Tensor) -> Tensor:
    """The area under ``fid+ / (1 - fid-)``, by trapezoids.

    Args:
        pos_fidelity: ``fid+`` at each point.
        neg_fidelity: ``fid-`` at each point.
        x: the points, ascending.

    Raises:
        UnknownMetricError: if ``x`` does not ascend, or ``fid-`` is 1 somewhere.

    Example:
        >>> points = torch.tensor([0.0, 1.0])
        >>> fidelity_curve_auc(torch.tensor([1.0, 0.5]), torch.tensor([0.0, 0.5]), points)
        tensor(1.)
    """
    if bool((neg_fidelity == 1).any()):
        raise UnknownMetricError("fid- is 1 at some point, where fid+ / (1 - fid-) has no value")
    if bool((x.diff() < 0).any()):
        raise UnknownMetricError("x must be given in ascending order")
    return torch.trapezoid(pos_fidelity / (1 - neg_fidelity), x)


def groundtruth_metrics(
    pred_mask: Tensor,
    target_mask: Tensor,
    metrics: str | Sequence[str] | None = None,
    threshold: float = 0.5,
) -> float | tuple[float, ...]:
    """Accuracy, recall, precision, F1 and ROC-AUC of a mask against a true one.

    Args:
        pred_mask: scores; those above the threshold count as found.
        target_mask: the truth; entries at or above the threshold are true.
        metrics: of ``"accuracy"``, ``"recall"``, ``"precision"``, ``"f1_score"``, ``"auroc"``; all
            of them, in this order, if None.
        threshold: see the masks.

    Raises:
        UnknownMetricError: for an unknown metric, or masks of different sizes.

    Example:
        >>> found = groundtruth_metrics(torch.tensor([0.9, 0.6, 0.2]), torch.tensor([1, 0, 0]))
        >>> [round(each, 2) for each in found]
        [0.67, 1.0, 0.5, 0.67, 1.0]
    """
    names = [metrics] if isinstance(metrics, str) else list(metrics or _OF_MASKS)
    unknown = [name for name in names if name not in _OF_MASKS]
    if unknown:
        raise UnknownMetricError(
            f"unknown metric {unknown[0]!r}; known are {', '.join(map(repr, _OF_MASKS))}"
        )
    score, truth = pred_mask.flatten().cpu(), (target_mask >= threshold).flatten().cpu()
    if score.shape != truth.shape:
        raise UnknownMetricError(
            f"the masks have {score.numel()} and {truth.numel()} entries; give as many of each"
        )
    values = tuple(_OF_MASKS[name](score, truth, threshold) for name in names)
    return values if len(values) > 1 else values[0]


def _accuracy(score: Tensor, truth: Tensor, threshold: float) -> float:
    return float(((score > threshold) == truth).double().mean())


def _recall(score: Tensor, truth: Tensor, threshold: float) -> float:
    return _share((score > threshold) & truth, truth)


def _precision(score: Tensor, truth: Tensor, threshold: float) -> float:
    return _share((score > threshold) & truth, score > threshold)


def _f1(score: Tensor, truth: Tensor, threshold: float) -> float:
    found = score > threshold
    both = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / both if both else 0.0


def _auroc(score: Tensor, truth: Tensor, _: float) -> float:
    true, other = int(truth.sum()), int((~truth).sum())
    if not true or not other:
        return math.nan
    rank = rankdata(score.double().numpy())[truth.numpy()].sum()
    return float((rank - true * (true + 1) / 2) / (true * other))


def _share(part: Tensor, whole: Tensor) -> float:
    return int(part.sum()) / int(whole.sum()) if bool(whole.any()) else 0.0


_OF_MASKS: dict[str, Callable[[Tensor, Tensor, float], float]] = {
    "accuracy": _accuracy,
    "recall": _recall,
    "precision": _precision,
    "f1_score": _f1,
    "auroc": _auroc,
}


def characterization(
    explanations: Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    *,
    task: str | Task | None = None,
    removal: Removal = "shut",
    sparsity: float | Sequence[float] = (0.5, 0.7, 0.9),
    top_k: int | Sequence[int] | None = None,
    ranking: Ranking = "signed",
    of: Of = "prob",
    pos_weight: float = 0.5,
    neg_weight: float = 0.5,
    call: Call | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
    bootstrap: Bootstrap | None = None,
) -> list[Measured]:
    """The characterization score of hard fidelities, at each level.

    Args:
        explanations: what is measured.
        model: the explained model, see `fidelity` for it and for what follows.
        data: the explained graph(s).
        task: the task.
        removal: ``"shut"`` or ``"delete"``.
        sparsity: shares of edges that are not selected.
        top_k: numbers of selected edges, instead.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        of: fidelities ``"prob"``, or ``"acc"`` as GraphFramEx and PyG have it.
        pos_weight: of ``fid+``.
        neg_weight: of ``1 - fid-``.
        call: how to call the model.
        memory_budget: bytes that one batch may take.
        bootstrap: of the intervals, for which both fidelities are drawn together.

    Returns:
        ``characterization`` at each level, in [0, 1], of the mean fidelities; ``values`` is None,
        since it is no mean over instances. A ``fid-`` below 0 (surer than on the whole graph)
        counts as 0. For its floor measure explanations at random.

    Raises:
        UnknownMetricError: for arguments out of range, or accuracy of a regression.
        GlassgraphError: see `fidelity`.
    """
    if of not in ("prob", "acc"):
        raise UnknownMetricError(f"of must be 'prob' or 'acc'; got {of!r}")
    found = fidelity(
        explanations,
        model,
        data,
        task=task,
        removal=removal,
        sparsity=sparsity,
        top_k=top_k,
        ranking=ranking,
        call=call,
        memory_budget=memory_budget,
    )
    plus, minus = (
        (found.plus_prob, found.minus_prob) if of == "prob" else (found.plus_acc, found.minus_acc)
    )
    if bool(plus.isnan().any()):
        raise UnknownMetricError("a regression has no accuracy; give of='prob'")

    def score(times: Tensor) -> Tensor:
        means = [(each * times).sum(dim=1) / times.sum() for each in (plus, minus)]
        return characterization_score(means[0], means[1].clamp_min(0), pos_weight, neg_weight)

    low, value, high = _interval(score, plus.size(1), bootstrap or Bootstrap())
    return [
        Measured(
            metric="characterization",
            method=explanations.method,
            level=level,
            better="higher",
            estimate=Estimate(float(value[k]), float(low[k]), float(high[k]), plus.size(1)),
        )
        for k, level in enumerate(found.levels)
    ]


def _interval(
    measure: Callable[[Tensor], Tensor], count: int, bootstrap: Bootstrap
) -> tuple[Tensor, Tensor, Tensor]:
    """A function of how often each instance is there, and the ends of its interval."""
    value = measure(torch.ones(count, dtype=torch.float64))
    if count < 2:
        return torch.full_like(value, math.nan), value, torch.full_like(value, math.nan)
    rng = np.random.default_rng(bootstrap.seed)
    even = np.full(count, 1 / count)
    draws = rng.multinomial(count, even, bootstrap.samples)
    drawn = torch.stack([measure(torch.from_numpy(times).double()) for times in draws])
    tail = (1 - bootstrap.confidence) / 2
    ends = drawn.quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64), dim=0)
    return ends[0], value, ends[1]
