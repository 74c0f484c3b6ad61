"""Predictions where some nodes are left and the others are gone, each set evaluated once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from glassgraph.black_box.variants import Copies, Variants
from glassgraph.core import random
from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import HyperParameterError, UnsupportedModelError
from glassgraph.inputs import task
from glassgraph.inputs.receptive import expand, pointer_of
from glassgraph.inputs.task import Targets, Task

#: How a node goes: its features become zero, or its edges are deleted.
Building = Literal["zero_filling", "split"]
#: Entries of masks that are looked at together.
_ENTRIES_AT_ONCE = 1 << 22


class NodeSets:
    """Values of sets of nodes: the probability of the explained class, a regression's value.

    Args:
        batch: the instances.
        memory_budget: bytes that one pass may take.
        building: how a node goes.
        worth: another value of predictions, from task, outputs ``[R, C]`` and targets.

    Attributes:
        width: the largest number w of nodes of an instance.
        place: ``[n]`` number of a node within its instance.
        rows_evaluated: ``[B]`` nodes and edges that went through the model so far.
    """

    def __init__(
        self,
        batch: InstanceBatch,
        memory_budget: int,
        building: Building,
        worth: Callable[[Task, Tensor, Targets], Tensor] = task.explained_probability,
    ) -> None:
        if building not in get_args(Building):
            raise HyperParameterError(
                f"subgraph_building must be 'zero_filling' or 'split'; got {building!r}"
            )
        if building == "zero_filling" and all(x is None for x in batch.features):
            raise UnsupportedModelError(
                "there are no floating features to fill with zeros; use subgraph_building='split'"
            )
        self.batch, self.building, self._worth = batch, building, worth
        count = batch.nodes_per_instance
        self.width = max(1, int(count.max()))
        self.rows_evaluated = torch.zeros_like(count)
        self._rows = count + batch.edges_per_instance
        first = count.cumsum(0) - count
        self.place = torch.arange(batch.num_nodes, device=batch.device)
        self.place -= first[batch.node_instance]
        self._edge_pointer = pointer_of(batch.edges_per_instance)
        instance = torch.arange(batch.num_instances, device=batch.device).view(-1, 1)
        column = torch.arange(self.width, device=batch.device)
        #: [B, w] a set is known by the sum of its members' numbers.
        self._number = random.hash64(10, instance, column)
        self._known: dict[int, float] = {}
        self._variants = Variants(batch, memory_budget)

    def values(self, instance: Tensor, mask: Tensor) -> Tensor:
        """Values ``[K]``, float64.

        Args:
            instance: ``[K]`` whose nodes they are.
            mask: ``[K, w]`` which of them are left.
        """
        size = max(1, _ENTRIES_AT_ONCE // self.width)
        parts = zip(instance.split(size), mask.split(size), strict=True)
        keys = [(self._number[i] * m).sum(dim=1) for i, m in parts]
        key = random.hash64(11, instance, torch.cat(keys))
        unique, same = torch.unique(key, return_inverse=True)
        names = unique.tolist()
        known = list(map(self._known.get, names))
        unknown = [number for number, value in enumerate(known) if value is None]
        if unknown:
            position = torch.empty_like(unique)
            position[same] = torch.arange(key.numel(), device=key.device)
            new = position[torch.tensor(unknown, device=key.device)]
            order = torch.argsort(instance[new], stable=True)
            found = torch.empty(new.numel(), dtype=torch.float64, device=key.device)
            found[order] = self._evaluate(instance[new[order]], mask[new[order]])
            for number, value in zip(unknown, found.tolist(), strict=True):
                self._known[names[number]] = known[number] = value
        return torch.tensor(known, dtype=torch.float64, device=key.device)[same]

    def _evaluate(self, instance: Tensor, mask: Tensor) -> Tensor:
        self.rows_evaluated += (
            torch.bincount(instance, minlength=self.batch.num_instances) * self._rows
        )
        fills = self.building == "zero_filling"
        outputs = self._filled(instance, mask) if fills else self._cut(instance, mask)
        targets = self.batch.targets.take(instance)
        return self._worth(self.batch.task, outputs, targets).double()

    def _filled(self, instance: Tensor, mask: Tensor) -> Tensor:
        column = torch.arange(self.width, device=mask.device)
        count = self.batch.nodes_per_instance[instance].view(-1, 1)
        # Copies lie one after the other, and the nodes of each in the order of its columns.
        is_left = mask[column < count].view(-1, 1)
        end = count.view(-1).cumsum(0)

        def fill(copies: Copies) -> list[Tensor | None]:
            first = int(copies.number[0])
            stop = int(end[first + copies.batch.num_instances - 1])
            own = is_left[stop - copies.batch.num_nodes : stop]
            nodes = copies.batch.packed.node_position
            return [
                None if x is None else x * own[position]
                for x, position in zip(copies.batch.features, nodes, strict=True)
            ]

        return self._variants.with_features(instance, fill)

    def _cut(self, instance: Tensor, mask: Tensor) -> Tensor:
        size = max(1, _ENTRIES_AT_ONCE // max(1, int(self.batch.edges_per_instance.max())))
        parts = zip(instance.split(size), mask.split(size), strict=True)
        return torch.cat([self._cut_part(*part) for part in parts])

    def _cut_part(self, instance: Tensor, mask: Tensor) -> Tensor:
        edge, variant = expand(self._edge_pointer, instance)
        source, destination = self.batch.fields.source[edge], self.batch.fields.destination[edge]
        is_left = mask[variant, self.place[source]] & mask[variant, self.place[destination]]
        return self._variants.on_edges(instance, variant[is_left], edge[is_left])
