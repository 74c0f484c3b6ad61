r"""Agreement across seeds: does another seed tell another story?

Runs of one method that differ in their seed alone are like raters who judge the same items, each
message being retained or not. Fleiss' kappa holds how often two of them agree against how often
they would by chance. With ``n`` raters, ``N`` items, and ``n_ij`` raters who give item ``i``
category ``j``,

.. code-block:: text

    P_i   = (sum_j n_ij^2 - n) / (n (n - 1))      pairs of raters who agree on item i
    p_j   = sum_i n_ij / (N n)                    share of category j
    kappa = (mean_i P_i - sum_j p_j^2) / (1 - sum_j p_j^2)

1 is perfect agreement, 0 what chance gives, below 0 is worse. Where every rater gives every item
the same category, chance alone explains the agreement and kappa is 0 / 0. The result is NaN then,
not 1: a method that always shuts everything has shown nothing about its stability.

Fleiss, "Measuring nominal scale agreement among many raters" (Psychological Bulletin 1971,
https://doi.org/10.1037/h0031619). For explanations: Schlichtkrull, De Cao and Titov, "Interpreting
Graph Neural Networks for NLP With Differentiable Edge Masking" (ICLR 2021,
https://arxiv.org/abs/2010.00577).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glassgraph.errors import (
    ExplanationFileError,
    HyperParameterError,
    InstanceError,
    UnknownMetricError,
)
from glassgraph.explainers.base import Explainer
from glassgraph.masking.rerun import Rerun
from glassgraph.metrics import Ranking
from glassgraph.results.aggregates.decisions import Rule, ScoreTable
from glassgraph.results.explanation import Explanations
from glassgraph.results.instance_columns import in_order


def fleiss_kappa(masks: Tensor) -> float:
    """Agreement of raters beyond chance.

    Args:
        masks: ``[raters, items]`` category of each item by each rater: booleans or integers from 0.

    Returns:
        kappa, at most 1; NaN where all raters give all items one and the same category.

    Raises:
        UnknownMetricError: if there are fewer than two raters, no items, or something else than
            categories.

    Example:
        >>> fleiss_kappa(torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]))
        0.657...
    """
    _check_masks(masks)
    categories = masks.long()
    num_raters, num_items = categories.shape
    votes = torch.zeros(int(categories.max()) + 1, num_items, dtype=torch.float64)
    votes.scatter_add_(0, categories.cpu(), torch.ones(num_raters, num_items, dtype=torch.float64))
    share = votes.sum(dim=1) / (num_raters * num_items)
    if bool((share == 1).any()):
        return float("nan")
    chance = share.square().sum()
    return float((_pairwise(votes, num_raters) - chance) / (1 - chance))


def _pairwise(votes: Tensor, num_raters: int) -> Tensor:
    """Share of pairs of raters who agree on an item, mean over items."""
    agreed = votes.square().sum(dim=0) - num_raters
    return (agreed / (num_raters * (num_raters - 1))).mean()


def _check_masks(masks: Tensor) -> None:
    if masks.dim() != 2 or masks.size(0) < 2 or masks.size(1) < 1:
        raise UnknownMetricError(
            "agreement needs masks [raters, items] of at least two raters and one item; got shape "
            f"{tuple(masks.shape)}"
        )
    if masks.is_floating_point() or masks.is_complex():
        raise UnknownMetricError(
            f"masks hold categories: booleans, or integers from 0; got {masks.dtype}"
        )
    if masks.dtype != torch.bool and int(masks.min()) < 0:
        raise UnknownMetricError(f"categories count from 0; got {int(masks.min())}")


@dataclass(frozen=True)
class SeedAgreement:
    """How far runs agree on what is retained.

    Attributes:
        kappa: Fleiss' kappa over all items of all instances; NaN if no run retains anything, or
            every run everything.
        agreement: share of items on which two runs agree, mean over pairs of runs, in [0, 1].
        num_runs: number of runs.
        num_items: number of items.
        retained_share: for each run the share of items that it retains.
    """

    kappa: float
    agreement: float
    num_runs: int
    num_items: int
    retained_share: tuple[float, ...]


def seed_agreement(
    runs: Sequence[Explanations],
    *,
    explainer: Explainer | None = None,
    data: Any = None,
    threshold: float | None = None,
    top_share: float | None = None,
    ranking: Ranking = "signed",
) -> SeedAgreement:
    """Agreement of runs with different seeds on which messages are retained.

    Items are the (instance, layer, edge) triples of methods that score every layer, else the
    (instance, edge) pairs. Messages that cannot reach the prediction would be agreed upon for free.
    They are known exactly where ``explainer`` and ``data`` are given; otherwise an item is left out
    if it belongs to a method with scores for each layer and every run scores it exactly 0.

    Args:
        runs: explanations of the same predictions by the same method, one for each seed.
        explainer: one of the explainers, to know which messages can reach the predictions.
        data: the explained graph(s), with ``explainer``.
        threshold: messages with a greater score are retained; by default each run's own.
        top_share: or: this share of each prediction's messages is retained, the best ones.
        ranking: ``"signed"`` or ``"absolute"`` scores.

    Raises:
        UnknownMetricError: if there are fewer than two runs, or no items.
        InstanceError: if the runs explain different predictions or classes.
        ExplanationFileError: if they come from different methods, models or data.
        HyperParameterError: for arguments out of range, or if nothing says what is retained.

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> model = GCN(3, 8, 2, 2)
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> runs = [gg.Random(model, task="node", seed=seed).explain(data) for seed in range(5)]
        >>> seed_agreement(runs, threshold=0.5).num_items
        5
    """
    runs = list(runs)
    if len(runs) < 2:
        raise UnknownMetricError(f"agreement needs at least two runs; got {len(runs)}")
    if (explainer is None) != (data is None):
        raise HyperParameterError("give explainer and data together, or neither")
    rules = [Rule.of(run, threshold, top_share) for run in runs]
    for run in runs[1:]:
        _check_same(runs[0], run)
    tables = [ScoreTable.read(run, ranking) for run in runs]
    for table in tables[1:]:
        if table.score.shape != tables[0].score.shape or not torch.equal(table.key, tables[0].key):
            raise InstanceError("the runs score different edges; explain the same data each time")
    item = torch.ones_like(tables[0].score, dtype=torch.bool)
    if explainer is not None:
        item = _reaching(Rerun.of(explainer, data, explanations=runs[0]), tables[0])
    elif tables[0].is_layerwise:
        item = torch.stack([table.score != 0 for table in tables]).any(dim=0)
    if not bool(item.any()):
        raise UnknownMetricError("the runs score no messages; there is nothing to agree on")
    masks = torch.stack(
        [
            rule.retained(table.score, item, table.position, len(runs[0]))[item]
            for table, rule in zip(tables, rules, strict=True)
        ]
    )
    yes = masks.double().sum(dim=0)
    votes = torch.stack([len(runs) - yes, yes])
    return SeedAgreement(
        kappa=fleiss_kappa(masks),
        agreement=float(_pairwise(votes, len(runs))),
        num_runs=len(runs),
        num_items=masks.size(1),
        retained_share=tuple(masks.double().mean(dim=1).tolist()),
    )


def _check_same(one: Explanations, other: Explanations) -> None:
    """Refuse runs that differ in more than their seed."""
    for name in ("method", "level", "num_layers"):
        first, second = getattr(one, name), getattr(other, name)
        if first != second:
            raise ExplanationFileError(
                f"the runs differ in more than their seed: {name} {first!r} and {second!r}"
            )
    for name in ("model_fingerprint", "graph"):
        first, second = one.provenance.get(name), other.provenance.get(name)
        if first != second:
            raise ExplanationFileError(
                f"the runs differ in more than their seed: {name} is not the same"
            )
    columns = [_identity(each) for each in (one, other)]
    if columns[0].shape != columns[1].shape:
        raise InstanceError(
            f"the runs explain {columns[0].size(1)} and {columns[1].size(1)} predictions; explain "
            "the same ones each time"
        )
    different = (columns[0] != columns[1]).any(dim=0)
    if bool(different.any()):
        raise InstanceError(
            f"the runs explain different predictions or classes at {int(different.sum())} of "
            f"{different.numel()} positions; give the same index and target each time"
        )


def _identity(run: Explanations) -> Tensor:
    """Index, graph, target and contrast of each instance, ``[4, B]``."""
    names = ("index", "graph", "target", "contrast")
    return torch.stack([in_order(run, name) for name in names])


def _reaching(rerun: Rerun, table: ScoreTable) -> Tensor:
    """Which of a table's items have a message that can reach the prediction, ``[R, n]``."""
    item = torch.zeros_like(table.score, dtype=torch.bool)
    with rerun.pieces(baselines=False) as pieces:
        for piece in pieces:
            position = piece.position[piece.instance].cpu()
            column, is_known = table.locate(position, piece.batch.fields.edge.cpu())
            reach = piece.reach.cpu()
            if not table.is_layerwise:
                reach = reach.any(dim=0, keepdim=True)
            item[:, column[is_known]] = reach[:, is_known]
    return item
