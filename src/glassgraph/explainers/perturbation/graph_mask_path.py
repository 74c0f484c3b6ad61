"""What GraphMask's solvers find on their way: solutions, and the choice among them.

A solution (`Point`) is a set of gates with hard decisions, measured on validation predictions: the
share of messages kept, the mean divergence, the share of changed predictions. A `Path` keeps those
that no other beats in both sparsity and divergence, so that another tolerance can be chosen later.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.core.divergence import Divergence, divergence
from glassgraph.core.task import predicted_class
from glassgraph.explainers.gates import Kind, Lesson, MessageGates
from glassgraph.learn import hard_concrete

#: Solutions that a path keeps, at most.
MOST_POINTS = 32


@dataclass(frozen=True)
class Aim:
    """The constraint.

    Attributes:
        kind: the divergence.
        max_changed: largest share of changed predictions.
        tolerance: largest mean divergence.
    """

    kind: Divergence
    max_changed: float
    tolerance: float

    def is_met(self, point: Point) -> bool:
        """Whether a solution satisfies it."""
        return point.divergence <= self.tolerance and point.changed <= self.max_changed

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


class MaskNetwork(nn.Module):
    """Gates with the numbers that turn a raw score ``g`` into a location.

        location = grip (g - mean) / std + offset

    ``mean`` and ``std`` are running values over training batches. Layers below ``lowest`` have no
    gates yet: everything is open there.

    Args:
        kinds: kinds of messages.
        hidden_channels: width of the scorers.
    """

    mean: Tensor
    std: Tensor
    grip: Tensor
    offset: Tensor
    lowest: Tensor

    def __init__(self, kinds: Sequence[Kind], hidden_channels: int | None) -> None:
        super().__init__()
        self.gates = MessageGates(kinds, hidden_channels)
        for name, value in (("mean", 0.0), ("std", 1.0), ("grip", 1.0), ("offset", 0.0)):
            self.register_buffer(name, torch.tensor(value))
        self.register_buffer("lowest", torch.tensor(0))

    def forward(self, lesson: Lesson) -> Tensor:
        """Locations ``[K]`` of the messages of a batch."""
        location: Tensor = self.grip * (self.gates(lesson) - self.mean) / self.std + self.offset
        if int(self.lowest) > 0:
            return torch.where(lesson.layer >= self.lowest, location, torch.inf)
        return location

    def outputs(self, lesson: Lesson, value: Tensor) -> Tensor:
        """The model's outputs ``[B, C]`` under gates ``[K]`` with the learned baselines."""
        shut = self.gates.shut_values(lesson)
        return lesson.batch.output(lesson.gates(value), baselines=shut)


@dataclass
class Path:
    """The solutions that a solver met.

    Attributes:
        aim: the constraint.
        kinds: kinds of messages.
        hidden_channels: width of the scorers.
        points: solutions that none beats, densest first.
        chosen: the one in use.
    """

    aim: Aim
    kinds: Sequence[Kind]
    hidden_channels: int | None
    points: list[Point] = field(default_factory=list)
    chosen: Point | None = None
    _states: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    _taken: int = 0

    def add(self, network: MaskNetwork, point: Point) -> None:
        """Take in a solution, and drop those that it beats."""
        self._taken += 1
        point = replace(point, number=self._taken)
        if any(point.is_beaten_by(other) for other in self.points):
            return
        self.points = [other for other in self.points if not other.is_beaten_by(point)]
        self.points.append(point)
        self._states[point.number] = copy.deepcopy(network.state_dict())
        self.points.sort(key=lambda each: (-each.kept, each.divergence))
        while len(self.points) > MOST_POINTS:  # the closest pair in sparsity loses one
            gaps = [a.kept - b.kept for a, b in zip(self.points[:-1], self.points[1:], strict=True)]
            spare = [at for at in range(1, len(self.points) - 1) if self.points[at] != self.best()]
            del self.points[min(spare, key=lambda at: gaps[at - 1] + gaps[at])]
        kept = {each.number for each in self.points}
        self._states = {number: state for number, state in self._states.items() if number in kept}

    def best(self) -> Point:
        """The sparsest solution within the tolerance, else the nearest to it."""
        met = [point for point in self.points if self.aim.is_met(point)]
        if met:
            return min(met, key=lambda point: (point.kept, point.divergence))
        return min(self.points, key=lambda point: (self.aim.excess(point), point.kept))

    def nearly(self, factor: float) -> Point:
        """The sparsest solution whose divergence is within ``factor`` tolerances, else the best."""
        aim = Aim(self.aim.kind, factor * self.aim.max_changed, factor * self.aim.tolerance)
        met = [point for point in self.points if aim.is_met(point)]
        return min(met, key=lambda point: (point.kept, point.divergence)) if met else self.best()

    def restart(self, network: MaskNetwork, point: Point) -> None:
        """Put a solution back into a network that goes on learning."""
        network.load_state_dict(self._states[point.number])

    def choose(self, aim: Aim) -> Point:
        """Make the best solution for a constraint the chosen one."""
        self.aim = aim
        self.chosen = self.best()
        return self.chosen

    def network(self, point: Point) -> MaskNetwork:
        """The gates of a solution."""
        state = self._states[point.number]
        with torch.device("meta"):  # draws no random numbers
            network = MaskNetwork(self.kinds, self.hidden_channels)
        network.load_state_dict(copy.deepcopy(state), assign=True)
        return network.requires_grad_(False)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each solution, for tables and drawings."""
        return [
            {
                "kept": point.kept,
                "divergence": point.divergence,
                "changed": point.changed,
                **{f"layer_{at}": share for at, share in enumerate(point.kept_by_layer)},
                "is_met": self.aim.is_met(point),
                "is_chosen": point == self.chosen,
            }
            for point in self.points
        ]

    def outcome(self) -> dict[str, Any]:
        """The chosen solution, and whether it satisfies the constraint."""
        assert self.chosen is not None
        return {
            "is_met": self.aim.is_met(self.chosen),
            "tolerance": self.aim.tolerance,
            "max_changed": self.aim.max_changed,
            "divergence": self.chosen.divergence,
            "changed": self.chosen.changed,
            "kept": self.chosen.kept,
            "kept_by_layer": list(self.chosen.kept_by_layer),
        }

    # Files

    def modules(self) -> dict[str, nn.Module]:
        """The gates of every solution."""
        return {f"point{point.number}": self.network(point) for point in self.points}

    def about(self) -> dict[str, Any]:
        """What `restore` needs, JSON-able."""
        assert self.chosen is not None
        return {
            "tolerance": self.aim.tolerance,
            "max_changed": self.aim.max_changed,
            "kinds": [asdict(kind) for kind in self.kinds],
            "hidden_channels": self.hidden_channels,
            "points": [asdict(point) for point in self.points],
            "chosen": self.chosen.number,
        }

    @staticmethod
    def restore(tensors: dict[str, Tensor], about: dict[str, Any], kind: Divergence) -> Path:
        """The inverse of `modules` and `about`."""
        kinds = [
            Kind(**{**each, "sites": tuple(each["sites"]), "widths": tuple(each["widths"])})
            for each in about["kinds"]
        ]
        path = Path(
            Aim(kind, about["max_changed"], about["tolerance"]), kinds, about["hidden_channels"]
        )
        for each in about["points"]:
            point = Point(**{**each, "kept_by_layer": tuple(each["kept_by_layer"])})
            prefix = f"point{point.number}."
            path.points.append(point)
            path._states[point.number] = {
                name.removeprefix(prefix): value
                for name, value in tensors.items()
                if name.startswith(prefix)
            }
            if point.number == about["chosen"]:
                path.chosen = point
        return path


def measure(
    network: MaskNetwork, lessons: Sequence[Iterable[Lesson]], kind: Divergence, step: int
) -> Point:
    """Hard decisions on one or several sets of lessons; divergence and changes of the worst set."""
    points = [_measure(network, each, kind, step) for each in lessons]
    return replace(
        points[0],
        divergence=max(point.divergence for point in points),
        changed=max(point.changed for point in points),
    )


@torch.no_grad()
def _measure(network: MaskNetwork, lessons: Iterable[Lesson], kind: Divergence, step: int) -> Point:
    """Hard decisions on lessons."""
    distances, changes, kept, number = [], [], [], []
    for lesson in lessons:
        batch = lesson.batch
        decision = hard_concrete.hard(network(lesson))
        output = network.outputs(lesson, decision)
        distances.append(divergence(batch.task, kind, output, batch.reference, batch.targets))
        if batch.task.is_classification:
            before = predicted_class(batch.task, batch.reference)
            changes.append(predicted_class(batch.task, output) != before)
        zeros = torch.zeros(batch.num_layers, dtype=torch.float64, device=batch.device)
        kept.append(zeros.index_add(0, lesson.layer, decision.double()))
        number.append(zeros.index_add(0, lesson.layer, torch.ones_like(decision).double()))
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
