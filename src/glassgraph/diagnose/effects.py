"""What shutting messages does to predictions, in numbers."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from glassgraph.errors import HyperParameterError
from glassgraph.explainers.divergence import Divergence, divergence
from glassgraph.inputs import task as tasks
from glassgraph.inputs.rows import mean_rows, sum_rows
from glassgraph.inputs.task import Targets, Task
from glassgraph.masking.rerun import Piece

#: What a shut message becomes: the explainer's own baseline (zero where it has none), or zero.
Replacement = Literal["own", "zero"]

#: What `effect` measures, in its order.
EFFECTS = ("changed", "divergence", "score_change", "accuracy")


def takes_baselines(replacement: Replacement) -> bool:
    """Whether shut messages become the explainer's own baselines.

    Raises:
        HyperParameterError: for an unknown replacement.
    """
    if replacement not in get_args(Replacement):
        raise HyperParameterError(f"replacement must be 'own' or 'zero'; got {replacement!r}")
    return replacement == "own"


def effect(piece: Piece, output: Tensor, kind: Divergence) -> Tensor:
    """What changed with an output, ``[4, b]`` in float64 on the CPU, see `EFFECTS`.

    Whether another class is predicted; divergence from the model's own prediction; change of the
    explained score; whether the label is predicted. NaN where it does not exist. Of an instance
    with several rows it is the share of rows, the mean divergence, the change of the sum.
    """
    batch, rows = piece.batch, piece.batch.targets.rows
    nan = torch.full((piece.size,), float("nan"), dtype=torch.float64, device=batch.device)
    changed = accuracy = nan
    if batch.task.is_classification:
        after = predictions(batch.task, output, batch.targets)
        before = predictions(batch.task, batch.reference, batch.targets)
        changed = mean_rows(rows, (after != before).double())
        if piece.labels is not None and not is_multilabel(batch.task, output):
            labels = piece.labels.to(batch.device)
            is_known = (labels >= 0).double()
            accuracy = sum_rows(rows, (after == labels) * is_known) / sum_rows(rows, is_known)
    distance = divergence(batch.task, kind, output, batch.reference, batch.targets)
    score_change = tasks.score(batch.task, output, batch.targets) - tasks.score(
        batch.task, batch.reference, batch.targets
    )
    columns = [changed, distance.double(), score_change.double(), accuracy]
    return torch.stack(columns).detach().cpu()


def is_multilabel(task: Task, output: Tensor) -> bool:
    """Whether the columns are independent yes-or-no questions."""
    return task.mode == "binary_classification" and output.size(1) > 1


def predictions(task: Task, output: Tensor, targets: Targets) -> Tensor:
    """The predicted class ``[R]``; for multi-label outputs whether the explained one is chosen."""
    if is_multilabel(task, output):
        column = targets.chosen.view(-1, 1)
        return (tasks.probabilities(task, output).gather(1, column)[:, 0] > 0.5).long()
    return tasks.predicted_class(task, output)
