r"""Shutting one layer at a time: does the model use the layers that the method says it uses?

Tables 6 and 7 of the paper side by side. For each layer ``l`` the model runs with all messages of
that layer shut and every other one open; beside what that does to the predictions stands how much
of the explanations lies at that layer, with score ``s_e^l`` and ``M_l`` the messages that reach:

.. code-block:: text

    attribution_share(l) = mean over instances of  sum_e |s_e^l| / sum_(k, e) |s_e^k|
    kept_share(l)        = retained messages at l / retained messages, over all instances
    message_share(l)     = M_l / sum_k M_k,                            over all instances

A layer without which predictions break, and to which the explanations give next to nothing, is a
sign of unfaithfulness: the paper finds methods that put most of their attribution at the top layer
of a model whose bottom layer matters most. A method with one score for each edge says the same of
every layer; its score then counts at each layer at which the edge's message reaches the prediction,
so that its shares follow ``message_share`` and should not be read as a claim about layers.

Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577), Tables 6 and 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glassgraph.diagnose.decisions import Replacement, Rule, ScoreTable
from glassgraph.diagnose.rerun import EFFECTS, Piece, Rerun
from glassgraph.errors import InstanceError
from glassgraph.explainers.base import Explainer
from glassgraph.inputs.task import Target
from glassgraph.metrics import Ranking
from glassgraph.results.explanation import Explanations

if TYPE_CHECKING:
    import pandas as pd


def layer_knockout(
    explainer: Explainer,
    data: Any,
    index: Any = None,
    target: Target = None,
    *,
    explanations: Explanations | None = None,
    threshold: float | None = None,
    top_share: float | None = None,
    ranking: Ranking = "signed",
    replacement: Replacement = "own",
) -> pd.DataFrame:
    """Shut all messages of one layer at a time, beside the attribution that the layer gets.

    Args:
        explainer: the method; fitted, if it is amortized.
        data: the graph(s).
        index: what to explain, see `Explainer.explain`.
        target: the explained class, see `Explainer.explain`.
        explanations: made by ``explainer`` before, instead of ``index`` and ``target``.
        threshold: messages with a greater score are retained; by default the explanations' own.
        top_share: or: this share of each prediction's messages is retained, the best ones.
        ranking: ``"signed"`` or ``"absolute"`` scores, for what is retained.
        replacement: what a shut message becomes: the explainer's ``"own"`` baseline (zero where it
            has none), or ``"zero"``.

    Returns:
        One row for each layer, over the predictions that have messages: ``layer``; ``messages``
        (mean number for a prediction that can reach it); ``instances``; ``changed`` (share of
        predictions that changed class); ``divergence`` from the unchanged prediction (nats, or
        squared units of a regression); ``score_change`` (of the explained score, in the model's
        units); ``accuracy`` (share equal to the label) and ``accuracy_before`` (that of the
        unchanged model); ``message_share``, ``attribution_share`` and ``kept_share`` (see the
        module). NaN where something does not exist: effects of a layer that sends no messages which
        could be shut, ``kept_share`` where nothing says what is retained.

    Raises:
        HyperParameterError: for arguments out of range.
        InstanceError: if no prediction has messages.
        GlassgraphError: see `Explainer.explain`.

    Example:
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> explainer = gg.Occlusion(GCN(3, 8, 2, 2), task="node", layerwise=True)
        >>> gg.diagnose.layer_knockout(explainer, data, index=[2, 3]).messages.tolist()
        [2.0, 1.0]
    """
    rerun = Rerun.of(explainer, data, index, target, explanations)
    rule = Rule.find(rerun.explanations, threshold, top_share)
    table = ScoreTable.read(rerun.explanations, ranking, rerun.device)
    num_layers = rerun.preparation.wiring.num_layers
    effect = torch.zeros(num_layers, len(EFFECTS), len(rerun), dtype=torch.float64)
    before = torch.zeros(len(EFFECTS), len(rerun), dtype=torch.float64)
    sums = torch.zeros(3, num_layers, len(rerun), dtype=torch.float64)
    with rerun.pieces(replacement) as pieces:
        for piece in pieces:
            at = piece.position.cpu()
            before[:, at] = piece.effect(piece.batch.reference)
            sums[:, :, at] = _sums(piece, table, rule)
            for layer in range(num_layers):
                is_open = torch.ones_like(piece.reach)
                is_open[layer] = False
                effect[layer][:, at] = piece.effect(piece.output(is_open))
    messages = sums[0]
    has_messages = messages.sum(dim=0) > 0
    if not bool(has_messages.any()):
        raise InstanceError("no prediction has messages that reach it; there is no layer to shut")
    return _table(
        effect[..., has_messages],
        before[:, has_messages],
        sums[..., has_messages],
        has_rule=rule is not None,
    )


def _sums(piece: Piece, table: ScoreTable, rule: Rule | None) -> Tensor:
    """Messages, retained messages and absolute scores of each layer and instance, ``[3, L, b]``."""
    item, retained, score = piece.decide(table, rule)
    reach = piece.reach
    values = [(reach & item).double(), (reach & retained).double(), reach * score.abs()]
    found = torch.zeros(3, len(reach), piece.size, dtype=torch.float64, device=reach.device)
    return found.index_add_(2, piece.instance, torch.stack(values)).cpu()


def _table(effect: Tensor, before: Tensor, sums: Tensor, *, has_rule: bool) -> pd.DataFrame:
    """One row for each layer; see `layer_knockout`."""
    import pandas as pd

    messages, kept, score = sums
    total = score.sum(dim=0)
    shares = (score[:, total > 0] / total[total > 0]).mean(dim=1)
    nan = float("nan")
    rows: list[dict[str, object]] = []
    for layer, each in enumerate(effect):
        mean = dict(zip(EFFECTS, each.nanmean(dim=1).tolist(), strict=True))
        if float(messages[layer].sum()) == 0:
            mean = dict.fromkeys(EFFECTS, nan)
        rows.append(
            {
                "layer": layer,
                "messages": float(messages[layer].mean()),
                "instances": messages.size(1),
                **mean,
                "accuracy_before": float(before[EFFECTS.index("accuracy")].nanmean()),
                "message_share": float(messages[layer].sum() / messages.sum()),
                "attribution_share": float(shares[layer]),
                "kept_share": float(kept[layer].sum() / kept.sum()) if has_rule else nan,
            }
        )
    return pd.DataFrame(rows)
