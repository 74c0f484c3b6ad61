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
from glassgraph.diagnose.decisions import UNRANKED, Replacement, Rule, ScoreTable, count, rank
from glassgraph.diagnose.rerun import EFFECTS, Piece, Rerun, item_noise
from glassgraph.errors import HyperParameterError, InstanceError
from glassgraph.explainers.base import Explainer
from glassgraph.inputs.task import Target
from glassgraph.metrics import Ranking
from glassgraph.results.explanation import Explanations

if TYPE_CHECKING:
    import pandas as pd

#: The experiments, in the order of the table: what is open at first, and what is dropped of it.
EXPERIMENTS = (("masked", "retained"), ("original", "retained"), ("original", "shut"))

#: What is counted in each run, before `EFFECTS`.
_COUNTS = ("dropped", "open")
#: Streams of random numbers.
_ORDER, _ROUNDING = 1, 2


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
        seed: seed of the random choices.

    Returns:
        One row for each of the three experiments and each share, averaged over repeats and over the
        predictions that have messages: ``base``, ``dropped``, ``share``; ``dropped_items`` (mean
        number for a prediction); ``open_share`` (share of all items that were open); ``instances``;
        ``repeats``; ``changed`` (share of predictions that changed class), ``changed_std`` (its
        standard deviation over repeats); ``divergence`` from the unchanged prediction (nats, or
        squared units of a regression); ``score_change`` (of the explained score, in the model's
        units); ``accuracy`` (share equal to the label). NaN where something does not exist.

    Raises:
        HyperParameterError: for arguments out of range, or if nothing says what is retained.
        InstanceError: if no prediction has messages.
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
    rule = Rule.of(rerun.explanations, threshold, top_share)
    table = ScoreTable.read(rerun.explanations, ranking, rerun.device)
    shape = (len(EXPERIMENTS), len(kept), repeats, len(_COUNTS) + len(EFFECTS), len(rerun))
    found = torch.zeros(shape, dtype=torch.float64)
    num_items = torch.zeros(len(rerun), dtype=torch.long)
    with rerun.pieces(replacement) as pieces:
        for piece in pieces:
            at = piece.position.cpu()
            item, retained, _ = piece.decide(table, rule)
            num_items[at] = count(item, piece.instance, piece.size).cpu()
            for repeat in range(repeats):
                draw = _Draw.of(piece, item, retained, int(seed), repeat)
                for column, share in enumerate(kept):
                    for row, dropped in enumerate(draw.dropped(share)):
                        cell = found[row, column]
                        is_certain = share == 1 or (share == 0 and row == 0)
                        if repeat and is_certain:  # nothing was drawn: the run would be the same
                            cell[repeat][:, at] = cell[0][:, at]
                        else:
                            base = item if EXPERIMENTS[row][0] == "original" else retained
                            cell[repeat][:, at] = _run(piece, item, base, dropped)
    has_items = num_items > 0
    if not bool(has_items.any()):
        raise InstanceError("no prediction has messages that reach it; there is nothing to drop")
    return _table(kept, found[..., has_items], num_items[has_items])


@dataclass(frozen=True)
class _Draw:
    """One random order of the items of a piece's instances.

    Attributes:
        rank_retained: ``[R, e]`` place of each retained item in the order.
        rank_shut: ``[R, e]`` place of each shut item.
        num_retained: ``[b]`` K.
        num_shut: ``[b]``.
        rounding: ``[b]`` the uniform u.
        instance: ``[e]``.
    """

    rank_retained: Tensor
    rank_shut: Tensor
    num_retained: Tensor
    num_shut: Tensor
    rounding: Tensor
    instance: Tensor

    @staticmethod
    def of(piece: Piece, item: Tensor, retained: Tensor, seed: int, repeat: int) -> _Draw:
        """Draw by address: seed, repeat, instance, endpoints of the edge, layer."""
        instance, size, key = piece.instance, piece.size, piece.batch.key
        shut = item & ~retained
        noise = item_noise(piece, len(item), seed, _ORDER, repeat)
        return _Draw(
            rank_retained=rank(retained, noise, instance, size),
            rank_shut=rank(shut, noise, instance, size),
            num_retained=count(retained, instance, size),
            num_shut=count(shut, instance, size),
            rounding=random.uniform(seed, _ROUNDING, repeat, key),
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


def _run(piece: Piece, item: Tensor, base: Tensor, dropped: Tensor) -> Tensor:
    """Counts and effects ``[6, b]`` of a run with the base's items open, but for the dropped."""
    is_open = base & ~dropped
    counts = [count(pool, piece.instance, piece.size).double().cpu() for pool in (dropped, is_open)]
    return torch.cat([torch.stack(counts), piece.effect(piece.output(is_open | ~item))])


def _check_shares(shares: Sequence[float]) -> list[float]:
    found = [float(share) for share in shares]
    if not found or any(not 0 <= share <= 1 for share in found):
        raise HyperParameterError(f"shares must be numbers in [0, 1]; got {shares!r}")
    return found


def _table(shares: Sequence[float], found: Tensor, num_items: Tensor) -> pd.DataFrame:
    """One row for each experiment and share; see `drop_retained`."""
    import pandas as pd

    repeats, instances = found.size(2), found.size(4)
    rows: list[dict[str, object]] = []
    for (base, dropped), experiment in zip(EXPERIMENTS, found, strict=True):
        for share, cell in zip(shares, experiment, strict=True):
            number, is_open, *_ = cell.unbind(dim=1)
            mean = dict(zip(EFFECTS, cell[:, len(_COUNTS) :].nanmean(dim=(0, 2)), strict=True))
            rows.append(
                {
                    "base": base,
                    "dropped": dropped,
                    "share": share,
                    "dropped_items": float(number.mean()),
                    "open_share": float(is_open.mean() / num_items.double().mean()),
                    "instances": instances,
                    "repeats": repeats,
                    "changed": float(mean["changed"]),
                    "changed_std": float(cell[:, len(_COUNTS)].mean(dim=1).std(correction=0)),
                    "divergence": float(mean["divergence"]),
                    "score_change": float(mean["score_change"]),
                    "accuracy": float(mean["accuracy"]),
                }
            )
    return pd.DataFrame(rows)
