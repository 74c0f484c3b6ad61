"""Fitting the information bottleneck; see `glassgraph.explainers.InformationBottleneck`."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from glassgraph.explainers.divergence import Divergence, divergence
from glassgraph.explainers.perturbation.bottleneck_fit.bottleneck import Bottleneck
from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch
from glassgraph.explainers.training_batches import TrainingBatches
from glassgraph.learn.multiplier import Multiplier

#: How often gates are measured on validation predictions, over a whole fit.
MEASUREMENTS = 30
#: A mean over fewer predictions than this is taken over several draws of the noise, so that gates
#: are not chosen for one lucky draw; but over no more draws than that.
_ENOUGH, _MOST_DRAWS = 256, 16


@dataclass(frozen=True)
class FitSettings:
    """Hyper-parameters of the optimization.

    Attributes:
        seed: seed of the noise.
        divergence: the divergence.
        tolerance: bound of the Lagrangian, None for a given weight.
        weight: of the information, where there is no tolerance.
        learning_rate: of Adam, on the gate networks.
        multiplier_learning_rate: of RMSProp, on the Lagrangian's multiplier.
    """

    seed: int
    divergence: Divergence
    tolerance: float | None
    weight: float
    learning_rate: float
    multiplier_learning_rate: float


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
class Solution:
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
        settings: hyper-parameters.
        network: the gates that learn.
        validation: predictions to choose on.
    """

    def __init__(
        self,
        settings: FitSettings,
        network: Bottleneck,
        validation: TrainingBatches[GatedBatch],
    ) -> None:
        self._settings, self._network, self._validation = settings, network, validation
        self._optimizer = torch.optim.Adam(
            network.parameters(), lr=settings.learning_rate, fused=True
        )
        of = next(network.parameters(), torch.zeros(()))
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._multiplier = Multiplier(
            1, settings.multiplier_learning_rate, dtype=of.dtype, device=of.device
        )
        self._last: dict[str, float] = {}
        self.best: Solution | None = None

    def step(self, gated: GatedBatch) -> None:
        """Learn from a batch.

        Raises:
            FitError: if the loss is not finite.
        """
        with torch.enable_grad():
            distance, information, _ = self._evaluate(gated, self._generator)
            distance = distance.mean()
            information = information / max(1, self._network.num_numbers(gated))
            loss = self._loss(distance, information)
            self._network.gates.check_finite(loss, gated)
            self._optimizer.zero_grad(set_to_none=True)
            if loss.requires_grad:  # not so where a batch has no messages
                loss.backward()
        self._optimizer.step()
        if self._settings.tolerance is not None:
            self._multiplier.ascend((distance - self._settings.tolerance).view(1))
        self._last = {
            "loss": float(loss.detach()),
            "train_divergence": float(distance.detach()),
            "train_information": float(information.detach()),
        }

    def _loss(self, distance: Tensor, information: Tensor) -> Tensor:
        settings = self._settings
        if settings.tolerance is None:
            return distance + settings.weight * information
        return information + self._multiplier.value[0] * (distance - settings.tolerance)

    def _evaluate(self, gated: GatedBatch, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Divergences ``[B]``, nats in all, and gates ``[K]``."""
        network, batch = self._network, gated.batch
        location = network(gated)
        gate = torch.sigmoid(location)
        noise = network.noise(gated, generator)
        output = batch.output(gated.gates(gate), baselines=noise)
        kind = self._settings.divergence
        distance = divergence(batch.task, kind, output, batch.reference, batch.targets)
        return distance, network.information(gated, location).sum(), gate

    def measure(self) -> dict[str, Any]:
        """Measure on the validation predictions, and keep the gates if they are the best so far."""
        measure, tolerance = self._measure(), self._settings.tolerance
        if self.best is None or self._rank(measure) < self._rank(self.best.measure):
            network = copy.deepcopy(self._network).requires_grad_(False)
            self.best = Solution(network, measure, tolerance)
        row = {**self._last, **asdict(measure)}
        if tolerance is not None:
            row["multiplier"] = float(self._multiplier.value[0])
        return row

    @torch.no_grad()
    def _measure(self) -> Measure:
        # The same noise each time: gates are compared, not draws.
        generator = torch.Generator().manual_seed(self._settings.seed)
        distances, gates, nats, number = [], [], 0.0, 0
        for gated in self._draws():
            distance, information, gate = self._evaluate(gated, generator)
            distances.append(distance)
            gates.append(gate)
            nats += float(information)
            number += self._network.num_numbers(gated)
        gate = torch.cat(gates)
        return Measure(
            divergence=float(torch.cat(distances).mean()),
            information=nats / max(1, number),
            gate=float(gate.mean()) if gate.numel() else 0.0,
        )

    def _draws(self) -> Iterator[GatedBatch]:
        """Validation batches, once for each draw of their noise."""
        num_draws = math.ceil(_ENOUGH / max(1, self._validation.num_predictions))
        for gated in self._validation:
            yield from itertools.repeat(gated, min(num_draws, _MOST_DRAWS))

    def _rank(self, measure: Measure) -> tuple[float, float]:
        """Least first."""
        settings = self._settings
        if settings.tolerance is None:
            return 0.0, measure.divergence + settings.weight * measure.information
        return max(0.0, measure.divergence - settings.tolerance), measure.information
