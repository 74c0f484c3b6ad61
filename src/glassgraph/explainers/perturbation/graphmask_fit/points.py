"""Solutions: gates with hard decisions, measured on validation predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glassgraph.explainers.divergence import Divergence, divergence
from glassgraph.explainers.perturbation.graphmask_fit.mask_network import MaskNetwork
from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch
from glassgraph.inputs.task import predicted_class
from glassgraph.learn import hard_concrete


@dataclass(frozen=True)
class Constraint:
    """What a solution has to keep.

    Attributes:
        divergence: the divergence.
        max_changed: largest share of changed predictions.
        tolerance: largest mean divergence.
    """

    divergence: Divergence
    max_changed: float
    tolerance: float

    def is_met(self, point: Point) -> bool:
        """Whether a solution satisfies it."""
        return point.divergence <= self.tolerance and point.changed <= self.max_changed

    def times(self, factor: float) -> Constraint:
        """The same, so many times as loose."""
        return replace(
            self, max_changed=factor * self.max_changed, tolerance=factor * self.tolerance
        )

    def excess(self, point: Point) -> float:
        """How far a solution is from satisfying it, 0 if it does."""
        over = (point.divergence - self.tolerance) / max(self.tolerance, 1e-6)
        return max(0.0, over) + max(0.0, point.changed - self.max_changed)


@dataclass(frozen=True)
class Point:
    """One solution.

    Attributes:
        step: when it was met.
        kept: share of the messages with an open gate.
        divergence: mean over the validation predictions.
        changed: share of them whose class changed (0 for regressions).
        num_predictions: number of validation predictions.
        kept_by_layer: share by layer, None where a layer has no messages.
        number: its number on the path.
    """

    step: int
    kept: float
    divergence: float
    changed: float
    num_predictions: int
    kept_by_layer: tuple[float | None, ...]
    number: int = 0

    def is_beaten_by(self, other: Point) -> bool:
        """Whether another keeps, diverges and changes no more."""
        mine = (self.kept, self.divergence, self.changed)
        theirs = (other.kept, other.divergence, other.changed)
        return all(b <= a for a, b in zip(mine, theirs, strict=True))


@dataclass
class Look:
    """Gates at one moment of a fit, measured on one or several sets of batches.

    Decisions that differ in their offset alone are made of the same raw scores, which are computed
    once.

    Attributes:
        network: the gates.
        sets: batches; the first are the validation predictions.
        kind: the divergence.
        step: when it is.
    """

    network: MaskNetwork
    sets: Sequence[Iterable[GatedBatch]]
    kind: Divergence
    step: int

    def __post_init__(self) -> None:
        self._raw: list[dict[int, Tensor]] = [{} for _ in self.sets]

    def measure(self, enough: Constraint | None = None) -> Point:
        """The hard decisions at the present offset; divergence and changes of the worst set.

        Args:
            enough: what misses this on the first set is not measured on the others.
        """
        point = self._measure(0)
        if enough is not None and not enough.is_met(point):
            return point
        points = [point, *(self._measure(number) for number in range(1, len(self.sets)))]
        return replace(
            point,
            divergence=max(each.divergence for each in points),
            changed=max(each.changed for each in points),
        )

    def _measure(self, number: int) -> Point:
        return _measure(self.network, self.sets[number], self._raw[number], self.kind, self.step)


@torch.no_grad()
def _measure(
    network: MaskNetwork,
    batches: Iterable[GatedBatch],
    raw: dict[int, Tensor],
    kind: Divergence,
    step: int,
) -> Point:
    """Measure on a set; ``raw`` takes in the raw scores on each batch, or has them already."""
    distances, changes, kept, number = [], [], [], []
    for position, gated in enumerate(batches):
        batch = gated.batch
        if position not in raw:
            raw[position] = network.gates(gated)
        decision = hard_concrete.hard(network.location(gated, raw[position]))
        output = network.outputs(gated, decision)
        distances.append(divergence(batch.task, kind, output, batch.reference, batch.targets))
        if batch.task.is_classification:
            before = predicted_class(batch.task, batch.reference)
            changes.append(predicted_class(batch.task, output) != before)
        kept.append(_by_layer(gated, decision))
        number.append(_by_layer(gated, torch.ones_like(decision)))
    by_layer, total = torch.stack(kept).sum(dim=0), torch.stack(number).sum(dim=0)
    return Point(
        step=step,
        kept=float(by_layer.sum() / total.sum().clamp_min(1)),
        divergence=float(torch.cat(distances).mean()),
        changed=float(torch.cat(changes).double().mean()) if changes else 0.0,
        num_predictions=sum(each.numel() for each in distances),
        kept_by_layer=tuple(
            float(part / whole) if whole else None
            for part, whole in zip(by_layer.tolist(), total.tolist(), strict=True)
        ),
    )


def _by_layer(gated: GatedBatch, value: Tensor) -> Tensor:
    """Sums ``[L]`` of values ``[K]``."""
    zeros = torch.zeros(gated.batch.num_layers, dtype=torch.float64, device=value.device)
    return zeros.index_add(0, gated.layer, value.double())
