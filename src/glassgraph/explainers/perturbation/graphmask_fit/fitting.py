"""What both solvers share: random batches, sampled gates, a step of Adam, measuring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from glassgraph.explainers.divergence import divergence
from glassgraph.explainers.perturbation.graphmask_fit.mask_network import MaskNetwork
from glassgraph.explainers.perturbation.graphmask_fit.points import Constraint, Look, Point
from glassgraph.explainers.perturbation.graphmask_fit.regularization_path import RegularizationPath
from glassgraph.explainers.perturbation.graphmask_fit.settings import SolverSettings
from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch
from glassgraph.explainers.training_batches import TrainingBatches
from glassgraph.learn import hard_concrete

#: How often solutions are measured, over a whole fit.
MEASUREMENTS = 40


@dataclass
class Fitting:
    """What a solver works on.

    Attributes:
        settings: its hyper-parameters.
        network: the gates that learn.
        train: batches to learn from.
        validation: batches to measure on.
        path: takes in the solutions.
        history: takes in a row for each of them.
        bar: the progress bar.
    """

    settings: SolverSettings
    network: MaskNetwork
    train: TrainingBatches[GatedBatch]
    validation: TrainingBatches[GatedBatch]
    path: RegularizationPath
    history: list[dict[str, Any]]
    bar: Any
    _noise: torch.Generator = field(init=False)
    _measured: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        # The same numbers for the same seed on any device, whatever the user draws in between.
        self._noise = torch.Generator().manual_seed(self.settings.seed)
        sample = _first(self.train, self.validation.num_predictions)
        self._measured = [self.validation, sample]

    def batches(self) -> Iterator[tuple[int, GatedBatch]]:
        """The steps, each with the batch to learn from."""
        return enumerate(self.train.shuffled(self.settings.steps, self.settings.seed))

    def optimizer(self, learning_rate: float) -> torch.optim.Optimizer:
        """Adam on gates and baselines."""
        return torch.optim.Adam(self.network.gates.parameters(), lr=learning_rate, fused=True)

    def divergence(self, gated: GatedBatch, location: Tensor, scale: float = 1.0) -> Tensor:
        """Mean divergence under sampled gates; ``scale`` shrinks the noise."""
        batch = gated.batch
        noise = torch.rand(location.shape, generator=self._noise, dtype=location.dtype)
        output = self.network.outputs(
            gated, hard_concrete.sample(location, noise.to(location.device), scale)
        )
        kind = self.path.constraint.divergence
        return divergence(batch.task, kind, output, batch.reference, batch.targets).mean()

    def backward(self, optimizer: torch.optim.Optimizer, loss: Tensor, gated: GatedBatch) -> None:
        """Gradients of a loss.

        Raises:
            FitError: if the loss is not finite.
        """
        self.network.gates.check_finite(loss, gated)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()

    def is_measured(self, step: int) -> bool:
        """Whether to measure after this step."""
        steps = self.settings.steps
        return step % max(1, -(-steps // MEASUREMENTS)) == 0 or step == steps - 1

    def look(self, step: int) -> Look:
        """The gates as they are, to be measured."""
        return Look(self.network, self._measured, self.path.constraint.divergence, step)

    def measure(
        self,
        look: Look,
        train_divergence: Tensor,
        enough: Constraint | None = None,
        **columns: Any,
    ) -> Point:
        """Measure the hard decisions, and note them on the path and in the history."""
        point = look.measure(enough)
        self.path.add(self.network, point)
        self.history.append(
            {
                "step": point.step,
                **columns,
                "train_divergence": float(train_divergence.detach()),
                "divergence": point.divergence,
                "changed": point.changed,
                "kept": point.kept,
                **{f"layer_{at}": share for at, share in enumerate(point.kept_by_layer)},
            }
        )
        return point


def _first(train: TrainingBatches[GatedBatch], size: int) -> list[GatedBatch]:
    """Batches with ``size`` predictions or more; small validation sets mislead alone."""
    found: list[GatedBatch] = []
    for gated in train:
        found.append(gated)
        size -= gated.batch.num_predictions
        if size <= 0:
            break
    return found
