"""Does a prediction stay, when only some edges do?"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.perturbation.search.edge_subsets import Subsets
from glassgraph.inputs import task

#: The share of the edges' effect that has to stay of a regression, if nothing else is asked for.
_OF_REGRESSION = 0.9


class KeptPrediction:
    """What has to stay of the predictions of B instances.

    Args:
        batch: the instances.
        subsets: evaluates masks on their items.
        keep_effect: share of the edges' effect on the score that has to stay, None for the decision
            alone.

    Attributes:
        rounding: ``[B]`` how large a change of the score may be rounding.
        full: ``[B]`` the explained score with all items.
        needs_none: ``[B]`` whether a prediction stays without any item.
    """

    def __init__(self, batch: InstanceBatch, subsets: Subsets, keep_effect: float | None) -> None:
        self._batch, self._subsets, self._keep = batch, subsets, keep_effect
        if keep_effect is None and not batch.task.is_classification:
            self._keep = _OF_REGRESSION
        items = subsets.items
        everyone = torch.arange(batch.num_instances, device=items.device).repeat_interleave(2)
        ends = torch.stack([items, torch.zeros_like(items)], dim=1).flatten(0, 1)
        output = subsets.outputs(everyone, ends)
        score = task.score(batch.task, output, batch.targets.take(everyone))
        self.full, self._empty = score[::2], score[1::2]
        size = score.abs().nan_to_num(0).view(-1, 2).amax(dim=1)
        self.rounding = torch.finfo(score.dtype).eps ** 0.75 * size
        is_full = torch.arange(0, everyone.numel(), 2, device=items.device)
        of_full = batch.targets.take(everyone).rows_of(is_full)
        self._first_decision = self._decision(everyone, output)[of_full]
        self.needs_none = self._stays(everyone, output, score)[1::2]

    def evaluate(self, instance: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The explained score ``[K]`` under each mask ``[K, I]``, and whether the prediction stays.

        Args:
            instance: ``[K]`` whose mask it is, ascending.
            mask: ``[K, I]`` the items that are left.
        """
        output = self._subsets.outputs(instance, mask)
        score = task.score(self._batch.task, output, self._batch.targets.take(instance))
        return score, self._stays(instance, output, score)

    def quality(self, instance: Tensor, score: Tensor) -> Tensor:
        """What makes one set better than another of its size."""
        return score if self._keep is None else -(score - self.full[instance]).abs()

    def _stays(self, instance: Tensor, output: Tensor, score: Tensor) -> Tensor:
        stays = ~score.isnan()  # without a node there is no prediction
        if self._batch.task.is_classification:
            targets = self._batch.targets
            first = self._first_decision[targets.rows_of(instance)]
            same = self._decision(instance, output) == first
            stays &= same if targets.rows is None else targets.rows.take(instance).all(same)
        if self._keep is not None:
            loss = (1 - self._keep) * (self.full - self._empty)[instance].abs()
            stays &= (score - self.full[instance]).abs() <= loss + self.rounding[instance]
        return stays

    def _decision(self, instance: Tensor, output: Tensor) -> Tensor:
        """Whether a classifier decides for the explained class, for each row of the output."""
        return task.decision(self._batch.task, output, self._batch.targets.take(instance))
