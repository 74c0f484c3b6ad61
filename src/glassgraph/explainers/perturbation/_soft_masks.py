"""Soft masks on edges and features, with penalties whose gradients are closed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.core.addresses import edge_address, node_address
from glassgraph.core.batch import InstanceBatch

#: PyG's words: one value per feature; per node and feature; per node; none.
FeatureMask = Literal["common_attributes", "attributes", "object", "none"]


@dataclass(frozen=True)
class Penalty:
    """What mask values cost.

    Attributes:
        size: weight of the mask values: of their sum if ``size_is_sum``, else of their mean.
        entropy: weight of their mean entropy.
        size_is_sum: see ``size``.
    """

    size: float
    entropy: float
    size_is_sum: bool


class Mask:
    """Mask logits and their penalties.

    Args:
        logits: initial values.
        owner: which instance each row of the logits belongs to.
        num_instances: number of instances.
        penalty: what mask values cost.
    """

    def __init__(self, logits: Tensor, owner: Tensor, num_instances: int, penalty: Penalty) -> None:
        self.logits = logits.requires_grad_()
        self._owner, self._num_instances, self._penalty = owner, num_instances, penalty
        self._is_live = torch.ones_like(logits, dtype=torch.bool)
        self._size_weight = self._entropy_weight = torch.zeros_like(logits)

    def settle(self, gradient: Tensor) -> None:
        """Leave out the entries that cannot change the score: their gradient is zero."""
        self._is_live = gradient != 0
        live = self._is_live.to(self.logits.dtype)
        per_row = live if live.dim() == 1 else live.sum(dim=1)
        count = per_row.new_zeros(self._num_instances).index_add_(0, self._owner, per_row)
        count = count.clamp_min(1)[self._owner].view(-1, *[1] * (live.dim() - 1))
        self._entropy_weight = self._penalty.entropy * live / count
        self._size_weight = self._penalty.size * live / (1 if self._penalty.size_is_sum else count)

    @torch.no_grad()
    def penalty_gradient(self) -> Tensor:
        """``s'(M) * (size - entropy * M)``, weighted."""
        value = self.logits.sigmoid()
        inner = torch.addcmul(self._size_weight, self._entropy_weight, self.logits, value=-1)
        return inner.mul_(value).mul_(1 - value)

    @torch.no_grad()
    def scores(self) -> Tensor:
        """Final mask values, zero for entries that were left out."""
        return self.logits.sigmoid() * self._is_live


class EdgeMask(Mask):
    """One value for each edge, or for each edge at each layer, layer after layer.

    Args:
        batch: the instances.
        seed: of the initial logits.
        num_masks: 1, or the number of layers.
        init_mean: mean of the initial logits.
        init_scale: their standard deviation; None for the published one.
        penalty: what mask values cost.
    """

    def __init__(
        self,
        batch: InstanceBatch,
        seed: int,
        *,
        num_masks: int,
        init_mean: float,
        init_scale: float | None,
        penalty: Penalty,
    ) -> None:
        self.num_masks = num_masks
        owner = batch.edge_instance.repeat(num_masks)
        address = edge_address(batch)
        higher = [random.hash64(layer, address) for layer in range(1, num_masks)]
        address = torch.cat([address, *higher])
        if init_scale is None:
            scale = math.sqrt(2.0) * batch.nodes_per_instance[owner].double().rsqrt()
        else:
            scale = torch.full_like(owner, 1, dtype=torch.double) * init_scale
        noise = random.normal(seed, batch.key[owner], address)
        logits = (init_mean + scale * noise).to(batch.dtype)
        super().__init__(logits, owner, batch.num_instances, penalty)

    def gates(self) -> Tensor:
        """Mask values ``[e]``, or ``[L, e]``."""
        value = self.logits.sigmoid()
        return value if self.num_masks == 1 else value.view(self.num_masks, -1)


class FeatureMasks:
    """Masks on the features of every node type that has any.

    Args:
        batch: the instances.
        seed: of the initial logits.
        kind: what has a mask value of its own.
        penalty: what mask values cost.
    """

    def __init__(
        self, batch: InstanceBatch, seed: int, kind: FeatureMask, penalty: Penalty
    ) -> None:
        self.masks: list[Mask] = []
        self._table: list[tuple[Tensor, Mask, Tensor | None] | None] = []
        addresses = node_address(batch) if kind in ("attributes", "object") else None
        for x, position in zip(batch.features, batch.packed.node_position, strict=True):
            if x is None or kind == "none":
                self._table.append(None)
                continue
            owner = batch.node_instance[position]
            everyone = torch.arange(batch.num_instances, device=x.device)
            if addresses is None:
                logits = x.new_zeros((batch.num_instances, x.size(1)))
            else:
                column = torch.arange(1 if kind == "object" else x.size(1), device=x.device)
                address = addresses[position].view(-1, 1)
                key = batch.key[owner].view(-1, 1)
                logits = (0.1 * random.normal(seed, key, address, column)).to(x.dtype)
            rows = everyone if addresses is None else owner
            mask = Mask(logits, rows, batch.num_instances, penalty)
            self.masks.append(mask)
            self._table.append((x, mask, owner if addresses is None else None))

    def masked(self) -> list[Tensor | None] | None:
        """Features under their masks."""
        if not self.masks:
            return None
        return [
            entry and entry[0] * _spread(entry[1].logits.sigmoid(), entry) for entry in self._table
        ]

    def scores(self) -> list[Tensor | None] | None:
        """Final mask values ``[n_t, F_t]``."""
        if not self.masks:
            return None
        return [
            entry and _spread(entry[1].scores(), entry).expand_as(entry[0]).clone()
            for entry in self._table
        ]


def _spread(value: Tensor, entry: tuple[Tensor, Mask, Tensor | None]) -> Tensor:
    """Values of a mask for each node."""
    owner = entry[2]
    return value if owner is None else value.index_select(0, owner)
