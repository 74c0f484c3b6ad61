"""Accuracy against planted edges and true nodes, with intervals: what tables of benchmarks show.

``auc`` and ``average_precision`` are pooled over the edges of all instances, as GNNExplainer and
PGExplainer report them, see `glassgraph.metrics.truth`; ``node_auc`` is the mean over instances of
the best alternative, see `glassgraph.metrics.node_truth`. The interval of a pooled number draws
*instances* with replacement: the edges of one prediction are not independent of each other.
Chance has an AUC of one half, and an average precision of the share of true edges.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from glassgraph.metrics.measured import Estimate, Measured
from glassgraph.metrics.node_truth import node_truth_accuracy
from glassgraph.metrics.scores import Ranking, edge_scores
from glassgraph.results.explanation import Explanations

#: Draws of the bootstrap.
DRAWS = 1000

_Numbers = npt.NDArray[np.float64]
#: Truth and scores of the edges of one instance.
_Column = tuple[npt.NDArray[np.bool_], _Numbers]


def accuracy(
    explanations: Explanations,
    *,
    ranking: Ranking = "signed",
    seed: int = 0,
) -> list[Measured]:
    """How far do true edges score above the others?

    Args:
        explanations: what is measured; loaded ones need their graph.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        seed: of the bootstrap.

    Returns:
        ``auc`` and ``average_precision``, in [0, 1]; NaN with n = 0 where there is no truth to be
        found.

    Raises:
        UnknownMetricError: if an explanation has no scores.
    """
    columns = []
    for i in range(len(explanations)):
        local = explanations.local(i)
        truth = local.edge_truth
        if truth is None or bool(truth.all()) or not bool(truth.any()):
            continue
        columns.append((truth.numpy(), edge_scores(local, ranking).numpy()))
    areas = {"auc": roc_area, "average_precision": average_precision}
    return [
        Measured(name, explanations.method, "", "higher", _pooled(columns, area, seed))
        for name, area in areas.items()
    ]


def node_accuracy(
    explanations: Explanations,
    *,
    ranking: Ranking = "signed",
) -> list[Measured]:
    """How far do true nodes score above the others, by the best of several alternatives?

    Args:
        explanations: what is measured; loaded ones need their graph.
        ranking: ``"signed"`` or ``"absolute"`` scores.

    Returns:
        ``node_auc``, in [0, 1]; NaN with n = 0 where there is no truth about nodes.

    Raises:
        UnknownMetricError: if an explanation has no scores.
    """
    found = node_truth_accuracy(explanations, ranking=ranking)
    return [Measured.of("node_auc", explanations.method, found.instance_auc)]


def roc_area(true: _Numbers, other: _Numbers) -> float:
    """The area under the ROC curve.

    Args:
        true: ``[G]`` weight of the true edges at each score, the best score first.
        other: ``[G]`` weight of the others.

    Example:
        >>> roc_area(np.array([1.0, 1.0]), np.array([0.0, 2.0]))  # one of two ties with both others
        0.75
    """
    above = np.cumsum(true) - true / 2
    return float((above * other).sum() / (true.sum() * other.sum()))


def average_precision(true: _Numbers, other: _Numbers) -> float:
    """The mean precision at the places of the true edges; arguments as in `roc_area`.

    Example:
        >>> average_precision(np.array([1.0, 1.0]), np.array([0.0, 2.0]))
        0.75
    """
    found = np.cumsum(true)
    shown = found + np.cumsum(other)
    precision = np.divide(found, shown, out=np.zeros_like(found), where=shown > 0)
    return float((precision * true).sum() / true.sum())


def _pooled(
    columns: list[_Column], area: Callable[[_Numbers, _Numbers], float], seed: int
) -> Estimate:
    """A number over all edges together, and its bootstrap over instances.

    Edges are ordered once; a draw is a weight for each instance.
    """
    if not columns:
        return Estimate(np.nan, np.nan, np.nan, 0)
    truth, score = (np.concatenate(part) for part in zip(*columns, strict=True))
    count = len(columns)
    instance = np.repeat(np.arange(count), [len(each) for each, _ in columns])
    place = np.unique(-score, return_inverse=True)[1].reshape(-1)
    size = int(place.max()) + 1

    def of(weight: _Numbers) -> float:
        of_edge = weight[instance]
        true = np.bincount(place, of_edge * truth, size).astype(np.float64)
        return area(true, np.bincount(place, of_edge, size).astype(np.float64) - true)

    value = of(np.ones(count))
    if count == 1:
        return Estimate(value, np.nan, np.nan, 1)
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), DRAWS)
    low, high = np.quantile([of(weight.astype(float)) for weight in weights], [0.025, 0.975])
    return Estimate(value, float(low), float(high), count)
