"""What coalitions are worth where the others' edges are deleted from the graph.

The model is called and nothing else. Edges from which the prediction cannot be reached any more
make no difference, so coalitions that differ in these alone are evaluated once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from glassgraph.black_box.variants import Variants
from glassgraph.core import random
from glassgraph.core.batch import InstanceBatch
from glassgraph.inputs.receptive import expand, pointer_of
from glassgraph.inputs.task import Targets, Task

#: What a prediction is worth: of outputs ``[R, C]`` a number for each instance.
Worth: TypeAlias = Callable[[Task, Tensor, Targets], Tensor]
#: Which of some edges ``[p]`` are there in coalitions: masks, number of the coalition, edge.
Left: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
#: Pairs of a coalition and an edge that are looked at together.
_PAIRS_AT_ONCE = 1 << 22


class Deletion:
    """Values of coalitions, each distinct one evaluated once.

    Args:
        batch: the instances.
        budget: bytes that one pass may take.
        left: which edges a coalition leaves.
        worth: what a prediction is worth.

    Attributes:
        num_evaluated: ``[B]`` how many graphs of an instance went through the model.
    """

    def __init__(self, batch: InstanceBatch, budget: int, left: Left, worth: Worth) -> None:
        self.batch, self._left, self._worth = batch, left, worth
        self.num_evaluated = torch.zeros_like(batch.edges_per_instance)
        self._variants = Variants(batch, budget, share_sources=True)
        self._pointer = pointer_of(batch.edges_per_instance)
        edge = torch.arange(batch.num_edges, device=batch.device)
        #: [e] a set of edges is known by the sum of its members' numbers.
        self._number = random.hash64(20, edge)

    @torch.no_grad()
    def values(self, instance: Tensor, mask: Tensor) -> Tensor:
        """Values ``[K]``, float64.

        Args:
            instance: ``[K]`` whose players they are, ascending.
            mask: ``[K, W]`` who belongs to each coalition.
        """
        size = max(1, _PAIRS_AT_ONCE // max(1, int(self.batch.edges_per_instance.max())))
        parts = zip(instance.split(size), mask.split(size), strict=True)
        return torch.cat([self._part(*part) for part in parts])

    def _part(self, instance: Tensor, mask: Tensor) -> Tensor:
        edge, variant = expand(self._pointer, instance)
        is_left = self._left(mask, variant, edge)
        edge, variant = edge[is_left], variant[is_left]
        kept = self._variants.within_reach(instance, variant, edge)
        edge, variant = edge[kept], variant[kept]
        name = random.hash64(21, instance).index_add(0, variant, self._number[edge])
        first, same = _first_of_each(name)
        chosen = torch.full_like(instance, -1)
        chosen[first] = torch.arange(first.numel(), device=first.device)
        is_chosen = chosen[variant] >= 0
        output = self._variants.on_edges(
            instance[first], chosen[variant[is_chosen]], edge[is_chosen]
        )
        targets = self.batch.targets.take(instance[first])
        self.num_evaluated += torch.bincount(instance[first], minlength=self.batch.num_instances)
        return self._worth(self.batch.task, output, targets).double()[same]


def _first_of_each(name: Tensor) -> tuple[Tensor, Tensor]:
    """Where each different number comes first, ascending, and which of them each entry has."""
    unique, group = torch.unique(name, return_inverse=True)
    position = torch.arange(name.numel(), device=name.device)
    first = torch.full_like(unique, name.numel()).scatter_reduce(0, group, position, "amin")
    order = first.argsort()
    rank = torch.empty_like(order)
    rank[order] = torch.arange(order.numel(), device=order.device)
    return first[order], rank[group]
