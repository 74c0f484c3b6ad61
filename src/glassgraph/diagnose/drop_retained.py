r"""Dropping retained messages at random: is what was retained needed, and what was shut not?

For instance ``i`` with ``K_i`` retained items, a share ``s`` of them is kept, chosen at random:
``k_i = floor(s K_i + u_i)`` with ``u_i`` uniform in (0, 1), so that ``E[k_i] = s K_i`` also where
``K_i`` is small. Repeats draw anew; within a repeat a larger share keeps what a smaller one keeps.
Three experiments run the model on the rest:

.. code-block:: text

    base      dropped   open messages                                     reads as
    masked    retained  k_i retained; every shut one stays shut           Table 5 of the paper
    original  retained  all, without n_i = min(K_i - k_i, shut) retained  is what was kept needed?
    original  shut      all, without as many (n_i) shut                   the control

A faithful explanation bends the first curve from the very start (a message that could be spared
would not have been kept), and changes many more predictions in the second experiment than in the
third. Second and third drop equally many messages of each instance.

Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577), Table 5; the experiments on the
original model are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.diagnose.effects import EFFECTS, Replacement, takes_baselines
from glassgraph.diagnose.measure import Measured, measure
from glassgraph.diagnose.metric import BoundMetric, Metric
from glassgraph.errors import HyperParameterError, InstanceError
from glassgraph.explainers.base import Explainer
from glassgraph.inputs.task import Target
from glassgraph.masking.message_sets import ORDER, ROUNDING, Members, Scene
from glassgraph.masking.rerun import Piece, Rerun
from glassgraph.metrics import Ranking
from glassgraph.results.aggregates.decisions import UNRANKED, count, rank
from glassgraph.results.explanation import Explanations

if TYPE_CHECKING:
    import pandas as pd

#: The experiments, in the order of the table: what is open at first, and what is dropped of it.
EXPERIMENTS = (("masked", "retained"), ("original", "retained"), ("original", "shut"))


def drop_retained(
    explainer: Explainer,
    data: Any,
    index: Any = None,
    target: Target = None,
    *,
    explanations: Explanations | None = None,
    shares: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
    repeats: int = 10,
    threshold: float | None = None,
    top_share: float | None = None,
    ranking: Ranking = "signed",
    replacement: Replacement = "own",
    metric: Metric | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Keep a random share of the retained messages and see how many predictions survive.

    Args:
        explainer: the method; fitted, if it is amortized.
        data: the graph(s).
        index: what to explain, see `Explainer.explain`.
        target: the explained class, see `Explainer.explain`.
        explanations: made by ``explainer`` before, instead of ``index`` and ``target``.
        shares: shares of the retained messages that are kept.
        repeats: random choices for each share.
        threshold: messages with a greater score are retained; by default the explanations' own.
        top_share: or: this share of each prediction's messages is retained, the best ones.
        ranking: ``"signed"`` or ``"absolute"`` scores.
        replacement: what a shut message becomes: the explainer's ``"own"`` baseline (zero where it
            has none), or ``"zero"``.
        metric: your own measure, ``metric(outputs, data) -> float``: of all output rows of all
            explained predictions, in their order, and of ``data`` as it was given; see
            `glassgraph.diagnose.metric`.
        seed: seed of the random choices.

    Returns:
        One row for each of the three experiments and each share, averaged over repeats and over the
        predictions that have messages: ``base``, ``dropped``, ``share``; ``dropped_items`` (mean
        number for a prediction); ``open_share`` (share of all items that were open); ``instances``;
        ``repeats``; ``changed`` (share of predictions that changed class), ``changed_std`` (its
        standard deviation over repeats); ``divergence`` from the unchanged prediction (as the
        explainer measures it, by default nats, or squared units of a regression);
        ``score_change`` (of the explained score, in the model's units); ``accuracy`` (share equal
        to the label); with a metric ``metric``, over all predictions, and ``metric_std``. NaN where
        something does not exist.

    Raises:
        HyperParameterError: for arguments out of range, or if nothing says what is retained.
        InstanceError: if no prediction has messages.
        MetricError: if the metric fails, or returns something else than one number.
        GlassgraphError: see `Explainer.explain`.

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> explainer = gg.Saliency(GCN(3, 8, 2, 2), task="node")
        >>> curve = gg.diagnose.drop_retained(explainer, data, top_share=0.5, repeats=2)
        >>> curve.query("base == 'original' and share == 1").changed.tolist()
        [0.0, 0.0]
    """
    kept = _check_shares(shares)
    if repeats < 1:
        raise HyperParameterError(f"repeats must be positive; got {repeats}")
    rerun = Rerun.of(explainer, data, index, target, explanations)
    scene = Scene.of(rerun, threshold, top_share, ranking, seed)
    scene.decided()
    draws = _Draws(scene)
    plan = [
        (repeat, column, row)
        for repeat in range(repeats)
        for column, share in enumerate(kept)
        for row in range(len(EXPERIMENTS))
        if not (repeat and _is_certain(share, row))
    ]
    found = measure(
        rerun,
        scene,
        [draws.members(repeat, kept[column], row) for repeat, column, row in plan],
        explainer.output_divergence,
        baselines=takes_baselines(replacement),
        metric=BoundMetric.of(metric, data, rerun.instances.index),
        watch=draws.watch,
    )
    number = {run: place for place, run in enumerate(plan)}
    order = [
        number.get((repeat, column, row), number[0, column, row])
        for row in range(len(EXPERIMENTS))
        for column in range(len(kept))
        for repeat in range(repeats)
    ]
    has_items = draws.num_items > 0
    if not bool(has_items.any()):
        raise InstanceError("no prediction has messages that reach it; there is nothing to drop")
    return _table(kept, repeats, found, order, draws, has_metric=metric is not None)


def _is_certain(share: float, row: int) -> bool:
    """Whether nothing is drawn, so that every repeat is the same run."""
    return share == 1 or (share == 0 and row == 0)


class _Draws:
    """Random orders of the items, and what is open by them.

    Args:
        scene: scores and decisions of the predictions.

    Attributes:
        num_items: ``[B]`` number of items of each prediction.
        num_retained: ``[B]``.
    """

    def __init__(self, scene: Scene) -> None:
        number = len(scene.explanations)
        self.num_items, self.num_retained = torch.zeros(2, number, dtype=torch.long)
        self._scene = scene
        self._last: tuple[Piece, int, _Draw] | None = None

    def watch(self, piece: Piece) -> None:
        """Count what a piece holds."""
        item, retained, _ = piece.decide(self._scene.table, self._scene.decided())
        at = piece.position.cpu()
        self.num_items[at] = count(item, piece.instance, piece.size).cpu()
        self.num_retained[at] = count(retained, piece.instance, piece.size).cpu()

    def members(self, repeat: int, share: float, row: int) -> Members:
        """What is open in an experiment, and what is no item."""

        def members(piece: Piece) -> Tensor:
            draw = self._draw(piece, repeat)
            base = draw.item if EXPERIMENTS[row][0] == "original" else draw.retained
            return (base & ~draw.dropped(share)[row]) | ~draw.item

        return members

    def _draw(self, piece: Piece, repeat: int) -> _Draw:
        """The draw of a piece; the last one is remembered, for all its shares."""
        if self._last is None or self._last[0] is not piece or self._last[1] != repeat:
            self._last = piece, repeat, _Draw.of(piece, self._scene, repeat)
        return self._last[2]


@dataclass(frozen=True)
class _Draw:
    """One random order of the items of a piece's instances.

    Attributes:
        item: ``[R, e]`` what is decided about.
        retained: ``[R, e]``.
        rank_retained: ``[R, e]`` place of each retained item in the order.
        rank_shut: ``[R, e]`` place of each shut item.
        num_retained: ``[b]`` K.
        num_shut: ``[b]``.
        rounding: ``[b]`` the uniform u.
        instance: ``[e]``.
    """

    item: Tensor
    retained: Tensor
    rank_retained: Tensor
    rank_shut: Tensor
    num_retained: Tensor
    num_shut: Tensor
    rounding: Tensor
    instance: Tensor

    @staticmethod
    def of(piece: Piece, scene: Scene, repeat: int) -> _Draw:
        """Draw by address: seed, repeat, instance, endpoints of the edge, layer."""
        item, retained, _ = piece.decide(scene.table, scene.decided())
        instance, size, key = piece.instance, piece.size, piece.batch.key
        shut = item & ~retained
        noise = piece.noise(len(item), scene.seed, ORDER, repeat)
        return _Draw(
            item=item,
            retained=retained,
            rank_retained=rank(retained, noise, instance, size),
            rank_shut=rank(shut, noise, instance, size),
            num_retained=count(retained, instance, size),
            num_shut=count(shut, instance, size),
            rounding=random.uniform(scene.seed, ROUNDING, repeat, key),
            instance=instance,
        )

    def dropped(self, share: float) -> list[Tensor]:
        """Which items ``[R, e]`` are dropped in each experiment."""
        kept = (share * self.num_retained + self.rounding).floor().long()
        kept = kept.minimum(self.num_retained)
        both = (self.num_retained - kept).minimum(self.num_shut)
        last = self.rank_retained != UNRANKED
        return [
            last & (self.rank_retained >= kept[self.instance]),
            last & (self.rank_retained >= (self.num_retained - both)[self.instance]),
            self.rank_shut < both[self.instance],
        ]


def _check_shares(shares: Sequence[float]) -> list[float]:
    found = [float(share) for share in shares]
    if not found or any(not 0 <= share <= 1 for share in found):
        raise HyperParameterError(f"shares must be numbers in [0, 1]; got {shares!r}")
    return found


def _table(
    shares: Sequence[float],
    repeats: int,
    found: Measured,
    order: Sequence[int],
    draws: _Draws,
    *,
    has_metric: bool,
) -> pd.DataFrame:
    """One row for each experiment and share; see `drop_retained`."""
    import pandas as pd

    has_items = draws.num_items > 0
    num_items = draws.num_items[has_items].double()
    at = torch.tensor(order).view(len(EXPERIMENTS), len(shares), repeats)
    rows: list[dict[str, object]] = []
    for (base, dropped), experiment in zip(EXPERIMENTS, at, strict=True):
        size = draws.num_items if base == "original" else draws.num_retained
        for share, runs in zip(shares, experiment, strict=True):
            is_open = found.num_open[runs][:, has_items]
            effects = found.effects[runs][..., has_items]
            mean = dict(zip(EFFECTS, effects.nanmean(dim=(0, 2)), strict=True))
            row: dict[str, object] = {
                "base": base,
                "dropped": dropped,
                "share": share,
                "dropped_items": float((size[has_items] - is_open).double().mean()),
                "open_share": float(is_open.double().mean() / num_items.mean()),
                "instances": int(has_items.sum()),
                "repeats": repeats,
                "changed": float(mean["changed"]),
                "changed_std": float(effects[:, 0].mean(dim=1).std(correction=0)),
                "divergence": float(mean["divergence"]),
                "score_change": float(mean["score_change"]),
                "accuracy": float(mean["accuracy"]),
            }
            if has_metric:
                row["metric"] = float(found.metric[runs].mean())
                row["metric_std"] = float(found.metric[runs].std(correction=0))
            rows.append(row)
    return pd.DataFrame(rows)
