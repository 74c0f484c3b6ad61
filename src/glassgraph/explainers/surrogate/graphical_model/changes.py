"""When has a prediction changed?"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.inputs.task import Task, probabilities

#: The drop of a node's or link's probability that counts as a change; the paper's.
_DROP = 0.1
#: Of graphs and regressions, one in so many samples counts as changed; the paper's.
_ONE_IN = 8


def drop(
    task: Task, reference: Tensor, output: Tensor, chosen: Tensor, contrast: Tensor | None
) -> Tensor:
    """``[r, k]`` how far probabilities fall; of regressions, how far values move.

    Args:
        task: the task.
        reference: ``[k, C]`` outputs on the unchanged input.
        output: ``[r, k, C]`` outputs of samples.
        chosen: ``[k]`` the class.
        contrast: ``[k]`` the class whose probability is subtracted, -1 for none.
    """

    def value(each: Tensor) -> Tensor:
        chance = probabilities(task, each.flatten(0, -2)).view(*each.shape[:-1], -1)
        at = chosen.view(-1, 1).expand(*each.shape[:-1], 1)
        found = chance.gather(-1, at).squeeze(-1)
        if contrast is None:
            return found
        at = contrast.clamp_min(0).view(-1, 1).expand(*each.shape[:-1], 1)
        return found - chance.gather(-1, at).squeeze(-1).where(contrast >= 0, 0)

    fall = value(reference) - value(output)
    return fall if task.is_classification else fall.abs()


def has_changed(task: Task, fall: Tensor, min_drop: float | None) -> Tensor:
    """``[k, R]`` in which samples a prediction has changed.

    Args:
        task: the task.
        fall: ``[k, R]`` how far each prediction falls in each sample.
        min_drop: how far it has to fall; None for what the paper takes.
    """
    rounding = 100 * torch.finfo(fall.dtype).eps * (1 + fall.abs().amax(dim=1, keepdim=True))
    is_by_value = task.level != "graph" and task.is_classification
    least = _DROP if min_drop is None and is_by_value else min_drop
    if least is not None:
        return fall > rounding.clamp_min(least)
    most = max(1, fall.size(1) // _ONE_IN)
    border = fall.topk(most, dim=1).values[:, -1:]
    return (fall >= border - rounding) & (fall > rounding)
