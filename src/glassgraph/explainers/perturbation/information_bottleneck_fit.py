"""Fitting the information bottleneck; see `glassgraph.explainers.InformationBottleneck`."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glassgraph.core.divergence import divergence
from glassgraph.explainers.amortized import Lessons
from glassgraph.explainers.gates import Lesson
from glassgraph.explainers.perturbation.information_bottleneck_network import Bottleneck
from glassgraph.learn.multiplier import Multiplier

if TYPE_CHECKING:
    from glassgraph.explainers.perturbation.information_bottleneck import InformationBottleneck

#: How often gates are measured on validation predictions, over a whole fit.
LOOKS = 30
#: A mean over fewer predictions than this is taken over several draws of the noise, so that gates
#: are not chosen for one lucky draw; but over no more draws than that.
_ENOUGH, _MOST_DRAWS = 256, 16


@dataclass(frozen=True)
class Measure:
    """What gates do on a set of predictions.

    Attributes:
        divergence: mean over the predictions, with noise.
        information: mean over the numbers of all messages, in nats.
        gate: mean gate.
    """

    divergence: float
    information: float
    gate: float


@dataclass(frozen=True)
class Found:
    """Gates, and what they do on the validation predictions.

    Attributes:
        network: the gates.
        measure: what they do.
        tolerance: bound on the divergence, None if there is none.
    """

    network: Bottleneck
    measure: Measure
    tolerance: float | None

    @property
    def is_met(self) -> bool:
        """Whether the divergence is within the bound."""
        return self.tolerance is None or self.measure.divergence <= self.tolerance


class Fit:
    """The optimization, step by step.

    Args:
        method: its settings.
        network: the gates that learn.
        validation: predictions to choose on.
        tolerance: bound of the Lagrangian, None for a given weight.
    """

    def __init__(
        self,
        method: InformationBottleneck,
        network: Bottleneck,
        validation: Lessons,
        tolerance: float | None,
    ) -> None:
        self._method, self._network, self._validation = method, network, validation
        self._tolerance = tolerance
        self._optimizer = torch.optim.Adam(
            network.parameters(), lr=method.learning_rate, fused=True
        )
        of = next(network.parameters(), torch.zeros(()))
        self._device = of.device
        self._generator = torch.Generator(of.device).manual_seed(method.seed)
        self._multiplier = Multiplier(
            1, method.multiplier_learning_rate, dtype=of.dtype, device=of.device
        )
        self._last: dict[str, float] = {}
        self.best: Found | None = None

    def step(self, lesson: Lesson) -> None:
        """Learn from a batch.

        Raises:
            FitError: if the loss is not finite.
        """
        with torch.enable_grad():
            distance, information, _ = self._evaluate(lesson, self._generator)
            distance = distance.mean()
            information = information / max(1, self._network.num_numbers(lesson))
            loss = self._loss(distance, information)
            self._network.gates.check_finite(loss, lesson)
            self._optimizer.zero_grad(set_to_none=True)
            if loss.requires_grad:  # not so where a batch has no messages
                loss.backward()
        self._optimizer.step()
        if self._tolerance is not None:
            self._multiplier.ascend((distance - self._tolerance).view(1))
        self._last = {
            "loss": float(loss.detach()),
            "train_divergence": float(distance.detach()),
            "train_information": float(information.detach()),
        }

    def _loss(self, distance: Tensor, information: Tensor) -> Tensor:
        if self._tolerance is None:
            return distance + self._method.weight * information
        return information + self._multiplier.value[0] * (distance - self._tolerance)

    def _evaluate(self, lesson: Lesson, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Divergences ``[B]``, nats in all, and gates ``[K]``."""
        network, batch = self._network, lesson.batch
        location = network(lesson)
        gate = torch.sigmoid(location)
        shut = network.noise(lesson, generator)
        output = batch.output(lesson.gates(gate), baselines=shut)
        distance = divergence(batch.task, self._method.kind, output, batch.reference, batch.targets)
        return distance, network.information(lesson, location).sum(), gate

    def look(self) -> dict[str, Any]:
        """Measure on the validation predictions, and keep the gates if they are the best so far."""
        measure = self._measure()
        if self.best is None or self._rank(measure) < self._rank(self.best.measure):
            network = copy.deepcopy(self._network).requires_grad_(False)
            self.best = Found(network, measure, self._tolerance)
        row = {**self._last, **asdict(measure)}
        if self._tolerance is not None:
            row["multiplier"] = float(self._multiplier.value[0])
        return row

    @torch.no_grad()
    def _measure(self) -> Measure:
        # The same noise at every look: gates are compared, not draws.
        generator = torch.Generator(self._device).manual_seed(self._method.seed)
        distances, gates, nats, number = [], [], 0.0, 0
        for lesson in self._draws():
            distance, information, gate = self._evaluate(lesson, generator)
            distances.append(distance)
            gates.append(gate)
            nats += float(information)
            number += self._network.num_numbers(lesson)
        gate = torch.cat(gates)
        return Measure(
            divergence=float(torch.cat(distances).mean()),
            information=nats / max(1, number),
            gate=float(gate.mean()) if gate.numel() else 0.0,
        )

    def _draws(self) -> Iterator[Lesson]:
        """Validation lessons, once for each draw of their noise."""
        num_draws = math.ceil(_ENOUGH / max(1, self._validation.num_predictions))
        for lesson in self._validation:
            yield from itertools.repeat(lesson, min(num_draws, _MOST_DRAWS))

    def _rank(self, measure: Measure) -> tuple[float, float]:
        """Least first."""
        if self._tolerance is None:
            return 0.0, measure.divergence + self._method.weight * measure.information
        return max(0.0, measure.divergence - self._tolerance), measure.information
