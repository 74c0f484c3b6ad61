"""Runs of the explained predictions under several conditions, and what each of them did.

A condition says which messages are open (`glassgraph.masking.message_sets`). Predictions are
prepared once for all conditions; only where a user's metric wants the outputs of all predictions
at once, and these do not fit the memory budget for every condition, once for some of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from glassgraph.diagnose.effects import EFFECTS, effect
from glassgraph.diagnose.metric import BoundMetric
from glassgraph.explainers.divergence import Divergence
from glassgraph.masking.message_sets import Members, Scene
from glassgraph.masking.rerun import Piece, Rerun
from glassgraph.results.aggregates.decisions import count


@dataclass(frozen=True)
class Measured:
    """What K conditions did to B predictions.

    Attributes:
        num_open: ``[K, B]`` how many items were open.
        effects: ``[K, 4, B]``, see `EFFECTS`.
        metric: ``[K]`` the user's metric, NaN where there is none.
        metric_before: that of the unchanged model.
    """

    num_open: Tensor
    effects: Tensor
    metric: Tensor
    metric_before: float


def measure(
    rerun: Rerun,
    scene: Scene,
    conditions: Sequence[Members],
    kind: Divergence,
    *,
    baselines: bool,
    metric: BoundMetric | None = None,
    watch: Callable[[Piece], None] | None = None,
) -> Measured:
    """Run the model under each condition.

    Args:
        rerun: the predictions.
        scene: their scores and decisions.
        conditions: which messages are open.
        kind: how far outputs are apart.
        baselines: see `Rerun.pieces`.
        metric: of the user.
        watch: is shown every piece before it runs.

    Raises:
        MetricError: if the metric returns something else than one number.
    """
    number = len(conditions)
    num_open = torch.zeros(number, len(rerun), dtype=torch.long)
    effects = torch.zeros(number, len(EFFECTS), len(rerun), dtype=torch.float64)
    values = torch.full((number,), float("nan"), dtype=torch.float64)
    before, groups = float("nan"), [range(number)]
    if metric is not None:
        outputs = RunOutputs.of_reference(rerun)
        before = outputs.measured(metric)
        groups = list(_groups(number, outputs.num_bytes, rerun.explainer.memory_budget))
    for group in groups:
        kept = {which: RunOutputs() for which in group} if metric is not None else {}
        with rerun.pieces(baselines=baselines) as pieces:
            for piece in pieces:
                at = piece.position.cpu()
                if watch is not None:
                    watch(piece)
                for which in group:
                    is_open = conditions[which](piece)
                    output = piece.output(is_open)
                    item, is_open = scene.items(piece, is_open)
                    num_open[which, at] = count(is_open & item, piece.instance, piece.size).cpu()
                    effects[which][:, at] = effect(piece, output, kind)
                    if metric is not None:
                        kept[which].add(piece, output)
        for which, outputs in kept.items():
            assert metric is not None
            values[which] = outputs.measured(metric)
    return Measured(num_open, effects, values, before)


@dataclass
class RunOutputs:
    """The rows of one run, as they come.

    Attributes:
        rows: ``[r, C]`` of each piece.
        instances: ``[r]`` which prediction each belongs to.
    """

    rows: list[Tensor] = field(default_factory=list)
    instances: list[Tensor] = field(default_factory=list)

    @staticmethod
    def of_reference(rerun: Rerun) -> RunOutputs:
        """Those of the unchanged model."""
        found = RunOutputs()
        with rerun.pieces(baselines=False) as pieces:
            for piece in pieces:
                found.add(piece, piece.batch.reference)
        return found

    def add(self, piece: Piece, output: Tensor) -> None:
        """Those of a piece."""
        self.rows.append(output.detach())
        self.instances.append(piece.row_instance)

    @property
    def num_bytes(self) -> int:
        """Memory that they take."""
        return sum(each.numel() * each.element_size() for each in self.rows)

    def measured(self, metric: BoundMetric) -> float:
        """The metric of all rows, in the order of the predictions."""
        instance = torch.cat(self.instances)
        order = torch.argsort(instance, stable=True)
        return metric(torch.cat(self.rows)[order], instance[order])


def _groups(number: int, num_bytes: int, budget: int) -> Iterator[range]:
    """As many conditions at once as outputs of all predictions fit."""
    size = max(1, budget // max(1, num_bytes))
    for start in range(0, number, size):
        yield range(start, min(start + size, number))
