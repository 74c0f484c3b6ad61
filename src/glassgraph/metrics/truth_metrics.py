r"""Accuracy against ground truth with its interval and its chance level, over edges or nodes.

`ground_truth_accuracy` and `node_truth_accuracy` define what is measured; here each number stands
beside what it is worth. Intervals are of the bootstrap over instances, of pooled numbers too: the
edges of one prediction come and go together. Chance is

.. code-block:: text

    auc                 1/2; of several alternatives, one of which is enough, more: measured
    average precision   (H_n + (n - H_n) (p - 1) / (n - 1)) / n     p of n are true, H_n = sum 1/i
    precision@k         p / n
    recall@k            k / n

(average precision at random is the prevalence ``p / n`` for many entries, and above it for few:
.36 for 12 of 40). Where it is measured, scores are dealt out anew at random within each instance.

**GEA** is the overlap of the selected entries ``S`` with the truth ``T``, the best over all truths
that are valid,

.. code-block:: text

    GEA = max over T of |S and T| / |S or T| = TP / (TP + FP + FN)

``S`` are the best ``|T|`` entries unless a number, a share or a threshold is given; the authors'
code uses fixed thresholds that differ between its explainers. Entries tied for the last places
share them.

Agarwal, Queen, Lakkaraju and Zitnik, "Evaluating Explainability for Graph Neural Networks"
(Scientific Data 2023, https://arxiv.org/abs/2208.09339).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from scipy.integrate import trapezoid
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score
from torch import Tensor

from glassgraph.errors import NoTruthError, UnknownMetricError
from glassgraph.metrics.measured import Estimate, Measured
from glassgraph.metrics.scores import Ranking, edge_scores, node_scores
from glassgraph.metrics.truth import precision_and_recall
from glassgraph.results.aggregates.aggregate import Bootstrap
from glassgraph.results.explanation import Explanations
from glassgraph.results.records import LocalExplanation

#: What the truth is about.
About = Literal["edge", "node"]
#: How often scores are dealt out anew, where chance is measured.
CHANCE_DRAWS = 20


def truth_metrics(
    explanations: Explanations,
    *,
    over: About = "edge",
    k: int | None = None,
    ranking: Ranking = "signed",
    bootstrap: Bootstrap | None = None,
    seed: int = 0,
) -> list[Measured]:
    """How well do scores find the entries that the data say are true?

    Args:
        explanations: what is measured; loaded ones need their graph.
        over: ``"edge"``, or ``"node"`` where the truth is about nodes.
        k: for precision@k and recall@k; each instance's number of true edges if None.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        bootstrap: of the intervals.
        seed: of the chance level of nodes.

    Returns:
        Of edges ``auc`` and ``average_precision`` (pooled: ``values`` is None), ``auc_mean``,
        ``average_precision_mean``, ``precision_at_k`` and ``recall_at_k``; of nodes ``node_auc``,
        the best over the alternatives. All lie in [0, 1]; instances without truth, or whose entries
        are all true or none, have NaN.

    Raises:
        NoTruthError: if the data hold no truth about any instance, or none that ranks.
        UnknownMetricError: for arguments out of range, or an explanation without scores.

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> data = Data(
        ...     x=torch.tensor([[0.0], [1], [5]]), edge_index=torch.tensor([[1, 2], [0, 0]])
        ... )
        >>> data.ground_truth_edge_mask = torch.tensor([False, True])
        >>> model = gg.Occlusion(
        ...     SimpleConv(),
        ...     gg.Task("graph", mode="regression"),
        ...     call=lambda m, d: m(d.x, d.edge_index).sum(dim=0, keepdim=True),
        ...     progress=False,
        ... )
        >>> found = truth_metrics(model.explain(data))[0]
        >>> found.metric, found.estimate.value, found.floor.value
        ('auc', 1.0, 0.5)
    """
    _check_over(over)
    if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
        raise UnknownMetricError(f"k must be a positive number of edges; got {k!r}")
    items = _read(explanations, over, ranking)
    bootstrap = bootstrap or Bootstrap()
    judged = [None if item is None else item.ranked() for item in items]
    if all(item is None for item in judged):
        raise NoTruthError(
            f"no truth that ranks: of all instances with truth every {over} is true, or none is"
        )
    if over == "node":
        values = _each(judged, lambda item: item.best_auc(item.score))
        generator = torch.Generator().manual_seed(seed)
        chance = _each(judged, lambda item: item.by_chance(item.best_auc, generator))
        floor = Estimate.of_mean(chance, bootstrap)
        return [_mean("node_auc", explanations, values, floor, bootstrap)]
    return _of_edges(explanations, judged, k, bootstrap)


def gea(
    explanations: Explanations,
    *,
    over: About = "edge",
    top_k: int | None = None,
    share: float | None = None,
    threshold: float | None = None,
    ranking: Ranking = "signed",
    bootstrap: Bootstrap | None = None,
    seed: int = 0,
) -> list[Measured]:
    """GraphXAI's accuracy: Jaccard overlap with the truth, the best over all valid truths.

    Args:
        explanations: what is measured; loaded ones need their graph.
        over: ``"edge"``, or ``"node"`` with any number of alternatives (``node_truth``).
        top_k: this number of best entries is selected; as many as the truth holds, if neither this
            nor ``share`` nor ``threshold`` is given.
        share: this share of the entries, the best ones, at least one.
        threshold: entries with a greater score.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        bootstrap: of the interval.
        seed: of the chance level.

    Returns:
        ``gea`` in [0, 1]; its level says what is selected: ``"truth"``, ``"top5"``, ``"share0.25"``
        or ``">0.5"``. The floor has the same scores dealt out at random within each instance.

    Raises:
        NoTruthError: if the data hold no truth about any instance.
        UnknownMetricError: for arguments out of range, more than one way to select, or an
            explanation without scores.
    """
    _check_over(over)
    select = _Select.of(top_k, share, threshold)
    items = _read(explanations, over, ranking)
    values = _each(items, lambda item: item.gea(item.score, select))
    generator = torch.Generator().manual_seed(seed)
    chance = _each(
        items, lambda item: item.by_chance(lambda score: item.gea(score, select), generator)
    )
    floor = Estimate.of_mean(chance, bootstrap)
    return [_mean("gea", explanations, values, floor, bootstrap, str(select))]


@dataclass(frozen=True)
class _Select:
    """Which entries count as found: the best so many, or those above a threshold."""

    top_k: int | None = None
    share: float | None = None
    threshold: float | None = None

    @staticmethod
    def of(top_k: int | None, share: float | None, threshold: float | None) -> _Select:
        if sum(each is not None for each in (top_k, share, threshold)) > 1:
            raise UnknownMetricError("give one of top_k, share and threshold, or none")
        if top_k is not None and (isinstance(top_k, bool) or top_k < 1):
            raise UnknownMetricError(f"top_k must be a positive number of entries; got {top_k!r}")
        if share is not None and not 0 < share <= 1:
            raise UnknownMetricError(f"share must lie in (0, 1]; got {share!r}")
        if threshold is not None and not math.isfinite(threshold):
            raise UnknownMetricError(f"threshold must be finite; got {threshold!r}")
        return _Select(top_k, share, threshold)

    def __str__(self) -> str:
        if self.top_k is not None:
            return f"top{self.top_k}"
        if self.share is not None:
            return f"share{self.share:g}"
        return "truth" if self.threshold is None else f">{self.threshold:g}"

    def __call__(self, score: Tensor, num_true: int) -> Tensor:
        """How far each entry is selected, ``[n]`` in [0, 1]."""
        if self.threshold is not None:
            return (score > self.threshold).double()
        size = num_true if self.top_k is None else self.top_k
        if self.share is not None:
            size = max(1, math.ceil(self.share * score.numel() - 1e-9))
        size = min(size, score.numel())
        last = score.sort(descending=True).values[size - 1]
        above, tied = score > last, score == last
        places = size - int(above.sum())
        return above.double() + tied.double() * places / int(tied.sum())


@dataclass(frozen=True)
class _Judged:
    """Scores ``[n]`` of an instance and its truths ``[n, K]``, any of which is enough."""

    score: Tensor
    truth: Tensor

    def ranked(self) -> _Judged | None:
        """With those truths alone that part the entries; None where there is none."""
        count = self.truth.sum(dim=0)
        parts = (count > 0) & (count < self.truth.size(0))
        return _Judged(self.score, self.truth[:, parts]) if bool(parts.any()) else None

    def best_auc(self, score: Tensor) -> float:
        """The best ROC-AUC: the share of pairs of a true and another entry in the right order."""
        rank, truth = rankdata(score.numpy()), self.truth.numpy()
        true = truth.sum(axis=0)
        right = rank @ truth - true * (true + 1) / 2
        return float((right / (true * (truth.shape[0] - true))).max())

    def gea(self, score: Tensor, select: _Select) -> float:
        found = []
        for truth in self.truth.t():
            chosen = select(score, int(truth.sum()))
            both = float(chosen[truth].sum())
            found.append(both / (float(chosen.sum()) + int(truth.sum()) - both))
        return max(found)

    def by_chance(self, measure: Callable[[Tensor], float], generator: torch.Generator) -> float:
        """The mean of a measure over scores that are dealt out at random."""
        size = self.score.numel()
        drawn = [
            measure(self.score[torch.randperm(size, generator=generator)])
            for _ in range(CHANCE_DRAWS)
        ]
        return sum(drawn) / len(drawn)


def _read(explanations: Explanations, over: About, ranking: Ranking) -> list[_Judged | None]:
    """Scores and truths of the instances, None for one without truth.

    Raises:
        NoTruthError: if that is all of them.
    """
    found = [_read_one(explanations.local(i), over, ranking) for i in range(len(explanations))]
    if all(each is None for each in found):
        names = (
            "edge_motif with node_motif, true_edges, or ground_truth_edge_mask"
            if over == "edge"
            else "node_truth (of graphs)"
        )
        raise NoTruthError(
            f"no truth: the data say of none of {len(found)} instances which {over}s are true; "
            f"they need {names}, on graphs without types"
        )
    return found


def _read_one(local: LocalExplanation, over: About, ranking: Ranking) -> _Judged | None:
    truth = local.edge_truth if over == "edge" else local.node_truth
    if truth is None or truth.numel() == 0:
        return None
    truth = truth.view(truth.size(0), -1)
    truth = truth[:, truth.any(dim=0)]
    if truth.size(1) == 0:
        return None
    score = edge_scores(local, ranking) if over == "edge" else node_scores(local, ranking)
    return _Judged(score, truth)


def _each(items: Sequence[_Judged | None], measure: Callable[[_Judged], float]) -> Tensor:
    """A measure of each instance, ``[B]``, NaN where there is nothing to judge."""
    values = [math.nan if item is None else measure(item) for item in items]
    return torch.tensor(values, dtype=torch.float64)


def _mean(
    metric: str,
    explanations: Explanations,
    values: Tensor,
    floor: Estimate | None,
    bootstrap: Bootstrap | None,
    level: str = "",
) -> Measured:
    return Measured(
        metric=metric,
        method=explanations.method,
        level=level,
        better="higher",
        estimate=Estimate.of_mean(values, bootstrap),
        values=values,
        floor=floor,
    )


def _of_edges(
    explanations: Explanations, items: list[_Judged | None], k: int | None, bootstrap: Bootstrap
) -> list[Measured]:
    """The numbers about edges, which have one truth each."""
    known = [item for item in items if item is not None]
    pooled = _Pooled.of(known)
    areas, precisions = pooled.estimates(bootstrap)
    half = Estimate(0.5, math.nan, math.nan, len(known))
    size = sum(item.score.numel() for item in known)
    true = sum(int(item.truth.sum()) for item in known)
    by_chance = Estimate(_random_precision(size, true), math.nan, math.nan, len(known))
    method = explanations.method
    found = [
        Measured("auc", method, "", "higher", areas, None, half),
        Measured("average_precision", method, "", "higher", precisions, None, by_chance),
    ]

    def at_k(item: _Judged) -> tuple[float, float]:
        return precision_and_recall(item.score, item.truth[:, 0], k)

    def chosen(item: _Judged) -> int:
        return min(int(item.truth.sum()) if k is None else k, item.score.numel())

    def prevalence(item: _Judged) -> float:
        return float(item.truth.double().mean())

    means: list[tuple[str, str, Callable[[_Judged], float], Callable[[_Judged], float]]] = [
        ("auc_mean", "", lambda item: item.best_auc(item.score), lambda _: 0.5),
        ("average_precision_mean", "", _precision, _chance_of_precision),
        ("precision_at_k", "k", lambda item: at_k(item)[0], prevalence),
        ("recall_at_k", "k", lambda item: at_k(item)[1], lambda i: chosen(i) / i.score.numel()),
    ]
    for metric, level, measure, chance in means:
        floor = Estimate.of_mean(_each(items, chance), bootstrap)
        word = level and ("truth" if k is None else f"top{k}")
        found.append(_mean(metric, explanations, _each(items, measure), floor, bootstrap, word))
    return found


def _precision(item: _Judged) -> float:
    return float(average_precision_score(item.truth[:, 0].numpy(), item.score.numpy()))


def _chance_of_precision(item: _Judged) -> float:
    return _random_precision(item.score.numel(), int(item.truth.sum()))


def _random_precision(size: int, num_true: int) -> float:
    """Expected average precision of a random order; see the module."""
    if size < 2:
        return float(num_true)
    harmonic = float((1 / np.arange(1, size + 1)).sum())
    return (harmonic + (size - harmonic) * (num_true - 1) / (size - 1)) / size


@dataclass(frozen=True)
class _Pooled:
    """All edges of B instances, the best first.

    Attributes:
        count: number B of instances.
        instance: ``[m]``.
        truth: ``[m]``.
        last: where each group of equal scores ends.
    """

    count: int
    instance: np.ndarray[tuple[int], np.dtype[np.int64]]
    truth: np.ndarray[tuple[int], np.dtype[np.bool_]]
    last: np.ndarray[tuple[int], np.dtype[np.int64]]

    @staticmethod
    def of(items: Sequence[_Judged]) -> _Pooled:
        score = torch.cat([item.score for item in items]).numpy()
        truth = torch.cat([item.truth[:, 0] for item in items]).numpy()
        size = [item.score.numel() for item in items]
        order = np.argsort(-score, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(score[order])), score.size - 1)
        return _Pooled(
            len(items), np.repeat(np.arange(len(items)), size)[order], truth[order], ends
        )

    def measure(self, times: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[float, float]:
        """ROC-AUC and average precision where instance i is there ``times[i]`` times."""
        weight = times[self.instance].astype(np.float64)
        true = np.cumsum(weight * self.truth)[self.last]
        false = np.cumsum(weight * ~self.truth)[self.last]
        if true[-1] == 0 or false[-1] == 0:
            return math.nan, math.nan
        area = trapezoid(np.append(0, true), np.append(0, false)) / (true[-1] * false[-1])
        seen = true + false
        share = np.divide(true, seen, out=np.zeros_like(true), where=seen > 0)
        return float(area), float((np.diff(np.append(0, true)) * share).sum() / true[-1])

    def estimates(self, bootstrap: Bootstrap) -> tuple[Estimate, Estimate]:
        """ROC-AUC and average precision with intervals over instances."""
        values = self.measure(np.ones(self.count, dtype=np.int64))
        ends = np.full((2, 2), np.nan)
        if self.count > 1:
            rng = np.random.default_rng(bootstrap.seed)
            even = np.full(self.count, 1 / self.count)
            drawn = np.array(
                [self.measure(rng.multinomial(self.count, even)) for _ in range(bootstrap.samples)]
            )
            tail = (1 - bootstrap.confidence) / 2
            ends = np.nanquantile(drawn, (tail, 1 - tail), axis=0)
        area, precision = (
            Estimate(value, float(ends[0, i]), float(ends[1, i]), self.count)
            for i, value in enumerate(values)
        )
        return area, precision


def _check_over(over: str) -> None:
    if over not in get_args(About):
        raise UnknownMetricError(f"over must be 'edge' or 'node'; got {over!r}")
