"""Who plays: edges or nodes of many instances, those that can reach the prediction."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch


@dataclass(frozen=True)
class Players:
    """P players over all instances, by instance.

    Attributes:
        row: ``[P]`` the edge or node of the batch that each is, ascending.
        instance: ``[P]`` whose it is.
        place: ``[P]`` its number within its instance.
        place_of: ``[e]`` or ``[n]`` the place of an edge or node; -1 if it does not play.
        count: ``[B]`` how many an instance has.
        address: ``[P]`` a number for each, by which it is drawn.
        key: ``[B]`` the number of each instance.
    """

    row: Tensor
    instance: Tensor
    place: Tensor
    place_of: Tensor
    count: Tensor
    address: Tensor
    key: Tensor

    @staticmethod
    def of(batch: InstanceBatch, is_player: Tensor, instance: Tensor, address: Tensor) -> Players:
        """Some of the edges or nodes of a batch.

        Args:
            batch: the instances.
            is_player: ``[e]`` or ``[n]`` which of them.
            instance: ``[e]`` or ``[n]`` whose they are, ascending.
            address: ``[e]`` or ``[n]`` a number for each.
        """
        row = is_player.nonzero().view(-1)
        owner = instance[row]
        count = torch.bincount(owner, minlength=batch.num_instances)
        first = count.cumsum(0) - count
        place = torch.arange(row.numel(), device=row.device) - first[owner]
        place_of = torch.full_like(instance, -1).index_copy(0, row, place)
        return Players(row, owner, place, place_of, count, address[row], batch.key)

    @property
    def width(self) -> int:
        """The largest number W of players of an instance, at least 1."""
        return max(1, int(self.count.max()))

    def there(self, mask: Tensor, variant: Tensor, item: Tensor) -> Tensor:
        """``[p]`` whether edges or nodes are there in a coalition; those that do not play are.

        Args:
            mask: ``[K, W]`` coalitions.
            variant: ``[p]`` which coalition is asked about.
            item: ``[p]`` edge or node.
        """
        place = self.place_of[item]
        return mask[variant, place.clamp_min(0)] | (place < 0)
