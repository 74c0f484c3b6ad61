"""The solutions that a solver met on its way, and the choice among them.

Those are kept that no other beats in sparsity, divergence and changed predictions, so that another
tolerance can be chosen later.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.explainers.divergence import Divergence
from glassgraph.explainers.perturbation.graphmask_fit.mask_network import MaskNetwork
from glassgraph.explainers.perturbation.graphmask_fit.points import Constraint, Point
from glassgraph.explainers.perturbation.message_gates.groups import MessageGroup

#: Solutions that a path keeps, at most.
MOST_POINTS = 32


@dataclass
class RegularizationPath:
    """The solutions that a solver met.

    Attributes:
        constraint: what is asked of them.
        groups: groups of messages.
        hidden_channels: width of the scorers.
        points: solutions that none beats, densest first.
        chosen: the one in use.
    """

    constraint: Constraint
    groups: Sequence[MessageGroup]
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
        met = [point for point in self.points if self.constraint.is_met(point)]
        if met:
            return min(met, key=lambda point: (point.kept, point.divergence))
        return min(self.points, key=lambda point: (self.constraint.excess(point), point.kept))

    def nearly(self, factor: float) -> Point:
        """The sparsest solution whose divergence is within ``factor`` tolerances, else the best."""
        loose = self.constraint.times(factor)
        met = [point for point in self.points if loose.is_met(point)]
        return min(met, key=lambda point: (point.kept, point.divergence)) if met else self.best()

    def restart(self, network: MaskNetwork, point: Point) -> None:
        """Put a solution back into a network that goes on learning."""
        network.load_state_dict(self._states[point.number])

    def choose(self, constraint: Constraint) -> Point:
        """Make the best solution for a constraint the chosen one."""
        self.constraint = constraint
        self.chosen = self.best()
        return self.chosen

    def network(self, point: Point) -> MaskNetwork:
        """The gates of a solution."""
        state = self._states[point.number]
        with torch.device("meta"):  # draws no random numbers
            network = MaskNetwork(self.groups, self.hidden_channels)
        nothing = {"shut": torch.zeros(network.shut.shape, dtype=torch.bool)}  # of older files
        network.load_state_dict(nothing | copy.deepcopy(state), assign=True)
        return network.requires_grad_(False)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each solution, for tables and drawings."""
        return [
            {
                "kept": point.kept,
                "divergence": point.divergence,
                "changed": point.changed,
                **{f"layer_{at}": share for at, share in enumerate(point.kept_by_layer)},
                "is_met": self.constraint.is_met(point),
                "is_chosen": point == self.chosen,
            }
            for point in self.points
        ]

    def outcome(self) -> dict[str, Any]:
        """The chosen solution, and whether it satisfies the constraint."""
        assert self.chosen is not None
        return {
            "is_met": self.constraint.is_met(self.chosen),
            "tolerance": self.constraint.tolerance,
            "max_changed": self.constraint.max_changed,
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
            "tolerance": self.constraint.tolerance,
            "max_changed": self.constraint.max_changed,
            "groups": [asdict(group) for group in self.groups],
            "hidden_channels": self.hidden_channels,
            "points": [asdict(point) for point in self.points],
            "chosen": self.chosen.number,
        }

    @staticmethod
    def restore(
        tensors: dict[str, Tensor], about: dict[str, Any], divergence: Divergence
    ) -> RegularizationPath:
        """The inverse of `modules` and `about`."""
        path = RegularizationPath(
            Constraint(divergence, about["max_changed"], about["tolerance"]),
            [MessageGroup.restore(each) for each in about["groups"]],
            about["hidden_channels"],
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
