"""Losses that end at a margin: a decision that stays, or becomes another, by enough."""

from __future__ import annotations

from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.inputs import task
from glassgraph.inputs.rows import mean_rows
from glassgraph.inputs.task import Targets, Task


class Hinges:
    """What outputs lack of a decision that is as safe as asked for, in probabilities.

    Args:
        batch: the instances; their predictions say what is decided.
        gamma: by how much one side of the decision has to be more probable than the other.
    """

    def __init__(self, batch: InstanceBatch, gamma: float) -> None:
        self._task, self._targets, self._gamma = batch.task, batch.targets, gamma
        decided = task.decision(batch.task, batch.reference, batch.targets)
        self._sign = 2 * decided.to(batch.dtype) - 1

    def factual(self, output: Tensor) -> Tensor:
        """``[B]`` what outputs ``[R, C]`` lack of the same decision."""
        return self._loss(self._sign * margin(self._task, output, self._targets))

    def counterfactual(self, output: Tensor) -> Tensor:
        """``[B]`` what outputs ``[R, C]`` lack of another decision."""
        return self._loss(-self._sign * margin(self._task, output, self._targets))

    def _loss(self, ahead: Tensor) -> Tensor:
        return mean_rows(self._targets.rows, (self._gamma - ahead).relu())


def margin(of: Task, output: Tensor, targets: Targets) -> Tensor:
    """``[R]`` probability of the explained class less that of what it is decided against.

    That is its contrast, if there is one; of several labels that it is not the case; else the most
    probable of the other classes.
    """
    probability = task.probabilities(of, output)
    chosen = targets.chosen.view(-1, 1)
    own = probability.gather(1, chosen).squeeze(1)
    if targets.contrast is not None:
        return own - probability.gather(1, targets.contrast.view(-1, 1)).squeeze(1)
    if of.mode == "binary_classification" and output.size(1) > 1:
        return 2 * own - 1
    return own - probability.scatter(1, chosen, 0.0).amax(dim=1)
