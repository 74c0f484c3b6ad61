r"""Shutting one layer at a time: does the model use the layers that the method says it uses?

Tables 6 and 7 of the paper side by side. With ``by`` an attribute of the edges, such as their
relation, each of its values is shut at each layer alone. For each layer ``l`` the model runs with
all messages of that layer shut and every other one open; beside what that does to the predictions
stands how much of the explanations lies at that layer, with score ``s_e^l`` and ``M_l`` the
messages that reach:

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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glassgraph.diagnose.effects import EFFECTS, Replacement, effect, takes_baselines
from glassgraph.diagnose.measure import Measured, measure
from glassgraph.diagnose.metric import BoundMetric, Metric
from glassgraph.errors import HyperParameterError, InstanceError
from glassgraph.explainers.base import Explainer
from glassgraph.inputs.task import Target
from glassgraph.masking.message_sets import Members, Scene
from glassgraph.masking.rerun import Piece, Rerun
from glassgraph.metrics import Ranking
from glassgraph.results.aggregates.aggregate import factorize
from glassgraph.results.explanation import Explanations

if TYPE_CHECKING:
    import pandas as pd

#: Columns of the table that are not the user's to name.
_OWN = (
    *("layer", "messages", "instances", *EFFECTS, "accuracy_before", "metric", "metric_before"),
    *("message_share", "attribution_share", "kept_share"),
)


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
    by: str | Sequence[str] | None = None,
    columns: Mapping[str, Any] | None = None,
    metric: Metric | None = None,
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
        by: shut the messages of a layer in parts, by one or several columns of the edges, as in
            `Explanations.aggregate`: ``"edge_type"``, an attribute of the edges, or of the nodes at
            their ends after ``source_`` or ``destination_``, a key of ``columns``.
        columns: columns of your own by name: a value for each edge of the data, or a function of a
            `LocalExplanation` that returns ``[e]``.
        metric: your own measure, ``metric(outputs, data) -> float``: of all output rows of all
            explained predictions, in their order, and of ``data`` as it was given; see
            `glassgraph.diagnose.metric`.

    Returns:
        One row for each layer (and each group, with the columns of ``by``), over the
        predictions that have messages: ``layer``; ``messages`` (mean number for a prediction that
        can reach it); ``instances``; ``changed`` (share of predictions that changed class);
        ``divergence`` from the unchanged prediction (as the explainer measures it, by default nats,
        or squared units of a regression); ``score_change`` (of the explained score, in the model's
        units); ``accuracy`` (share equal to the label) and ``accuracy_before`` (that of the
        unchanged model); ``message_share``, ``attribution_share`` and ``kept_share`` (see the
        module); with a metric ``metric`` and ``metric_before``, over all predictions. NaN where
        something does not exist: effects of a layer that sends no messages which could be shut,
        ``kept_share`` where nothing says what is retained.

    Raises:
        HyperParameterError: for arguments out of range, or a column that does not exist.
        GraphError: if a column has not one value for each edge.
        InstanceError: if no prediction has messages.
        MetricError: if the metric fails, or returns something else than one number.
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
    scene = Scene.of(rerun, threshold, top_share, ranking)
    cells = _Cells.of(scene, by, columns or {})
    sums = torch.zeros(3, len(cells), len(rerun), dtype=torch.float64)
    before = torch.zeros(len(EFFECTS), len(rerun), dtype=torch.float64)

    def watch(piece: Piece) -> None:
        at = piece.position.cpu()
        before[:, at] = effect(piece, piece.batch.reference, explainer.output_divergence)
        sums[:, :, at] = cells.sums(piece)

    found = measure(
        rerun,
        scene,
        [cells.without(number) for number in range(len(cells))],
        explainer.output_divergence,
        baselines=takes_baselines(replacement),
        metric=BoundMetric.of(metric, data, rerun.instances.index),
        watch=watch,
    )
    has_messages = sums[0].sum(dim=0) > 0
    if not bool(has_messages.any()):
        raise InstanceError("no prediction has messages that reach it; there is no layer to shut")
    table = _table(
        cells,
        found.effects[..., has_messages],
        before[:, has_messages],
        sums[..., has_messages],
        has_rule=scene.rule is not None,
    )
    return table if metric is None else _with_metric(table, found)


@dataclass(frozen=True)
class _Cells:
    """What is shut at a time: a layer, or the edges of one group at a layer.

    Attributes:
        scene: the explanations.
        names: the columns that make groups; none for whole layers.
        groups: their values, one tuple for each group; an empty one for whole layers.
        group: ``[n]`` which group each column of the scene's table is in.
    """

    scene: Scene
    names: Sequence[str]
    groups: Sequence[tuple[Any, ...]]
    group: Tensor

    @staticmethod
    def of(scene: Scene, by: str | Sequence[str] | None, columns: Mapping[str, Any]) -> _Cells:
        """Find the groups, see `layer_knockout`.

        Raises:
            HyperParameterError: if there is no such column, or no edge.
            GraphError: if it has not one value for each edge.
        """
        names = [by] if isinstance(by, str) else list(by or ())
        taken = [name for name in names if name in _OWN or names.count(name) > 1]
        if taken or not all(isinstance(name, str) for name in names):
            raise HyperParameterError(
                "by names columns of the edges, each once, and none that the table has of its own "
                f"({', '.join(_OWN)}); got {by!r}"
            )
        found = [factorize(scene.column(name, columns)) for name in names]
        keys = list(zip(*(codes.tolist() for codes, _ in found), strict=True))
        distinct = sorted(set(keys)) if names else [()]
        place = {key: number for number, key in enumerate(distinct)}
        group = [place[key] for key in keys] if names else [0] * scene.table.position.numel()
        groups = [
            tuple(values[code] for (_, values), code in zip(found, key, strict=True))
            for key in distinct
        ]
        device = scene.graph.device
        return _Cells(scene, names, groups, torch.tensor(group, dtype=torch.long, device=device))

    def __len__(self) -> int:
        return self.scene.num_layers * len(self.groups)

    def row(self, number: int) -> dict[str, Any]:
        """Layer and values of a cell."""
        layer, group = divmod(number, len(self.groups))
        return {"layer": layer, **dict(zip(self.names, self.groups[group], strict=True))}

    def without(self, number: int) -> Members:
        """All messages but those of a cell."""
        layer, group = divmod(number, len(self.groups))
        in_group = self.scene.spread((self.group == group).unsqueeze(0))

        def members(piece: Piece) -> Tensor:
            is_open = torch.ones_like(piece.reach)
            is_open[layer] = ~in_group(piece) if self.names else False
            return is_open

        return members

    def sums(self, piece: Piece) -> Tensor:
        """Messages, retained messages and absolute scores, ``[3, cells, b]``."""
        item, retained, score = piece.decide(self.scene.table, self.scene.rule)
        reach, (place, _) = piece.reach, piece.locate(self.scene.table)
        values = [(reach & item).double(), (reach & retained).double(), reach * score.abs()]
        group = self.group[place] if self.group.numel() else place
        shape = (3, self.scene.num_layers, len(self.groups) * piece.size)
        found = torch.zeros(shape, dtype=torch.float64, device=reach.device)
        found.index_add_(2, group * piece.size + piece.instance, torch.stack(values))
        return found.view(3, len(self), piece.size).cpu()


def _table(
    cells: _Cells, effect: Tensor, before: Tensor, sums: Tensor, *, has_rule: bool
) -> pd.DataFrame:
    """One row for each layer, or part of one; see `layer_knockout`."""
    import pandas as pd

    messages, kept, score = sums
    total = score.sum(dim=0)
    shares = (score[:, total > 0] / total[total > 0]).mean(dim=1)
    nan = float("nan")
    rows: list[dict[str, object]] = []
    for at, each in enumerate(effect):
        mean = dict(zip(EFFECTS, each.nanmean(dim=1).tolist(), strict=True))
        if float(messages[at].sum()) == 0:
            mean = dict.fromkeys(EFFECTS, nan)
        rows.append(
            {
                **cells.row(at),
                "messages": float(messages[at].mean()),
                "instances": messages.size(1),
                **mean,
                "accuracy_before": float(before[EFFECTS.index("accuracy")].nanmean()),
                "message_share": float(messages[at].sum() / messages.sum()),
                "attribution_share": float(shares[at]),
                "kept_share": float(kept[at].sum() / kept.sum()) if has_rule else nan,
            }
        )
    return pd.DataFrame(rows)


def _with_metric(table: pd.DataFrame, found: Measured) -> pd.DataFrame:
    """The table with the user's metric, NaN where nothing was shut."""
    import numpy as np

    metric = np.where(table["messages"] > 0, found.metric.numpy(), np.nan)
    return table.assign(metric=metric, metric_before=found.metric_before)
