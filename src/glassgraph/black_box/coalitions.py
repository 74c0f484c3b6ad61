"""Shapley values of sets of nodes that act as one player among the nodes near them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glassgraph.black_box.bits import to_masks, to_sets, union, within
from glassgraph.black_box.node_sets import Building, NodeSets
from glassgraph.core import random
from glassgraph.core.addresses import node_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.reachability import visible_edges, visible_nodes


class Coalitions:
    """Sampled Shapley values; sets of an instance's nodes are the bits of an integer.

    A random order of the players is a random number for each: before a coalition come those whose
    number is below its own. The numbers belong to the instance, so all coalitions are valued on the
    same orders.

    Args:
        batch: the instances.
        memory_budget: bytes that one pass may take.
        seed: of the orders.
        samples: number of orders.
        radius: the players are the nodes fewer than so many hops away from a coalition.
        building: how a node goes.

    Attributes:
        sets: the evaluated sets.
    """

    def __init__(
        self,
        batch: InstanceBatch,
        memory_budget: int,
        seed: int,
        samples: int,
        radius: int,
        building: Building,
    ) -> None:
        self.batch = batch
        self.sets = NodeSets(batch, memory_budget, building)
        self._place = self.sets.place
        is_seen, is_fixed = visible_nodes(batch), torch.zeros_like(self._place, dtype=torch.bool)
        is_fixed[batch.fields.seed.flatten()] = True
        self._is_player = self._pad(is_seen)
        self._is_kept = self._pad(is_fixed | ~is_seen)
        self._before = self._draw(seed, samples)
        self._neighbors = self._adjacent()
        self._near = [within(neighbors, radius - 1) for neighbors in self._neighbors]
        self._root = to_sets(self._is_player)
        self._fixed = to_sets(self._pad(is_fixed))

    def graph(self, instance: int) -> tuple[list[int], int, int]:
        """Neighbors of each node, all nodes in sight, and those the prediction is about."""
        return self._neighbors[instance], self._root[instance], self._fixed[instance]

    def values(self, instance: Sequence[int], nodes: Sequence[int]) -> list[float]:
        """Shapley values of some coalitions, rounded to what the model's numbers can tell."""
        region = [union(self._near[each], own) for each, own in zip(instance, nodes, strict=True)]
        owner = torch.tensor(instance, device=self.batch.device)
        inside = self._masks(nodes).unsqueeze(1)
        absent = self._masks(region).unsqueeze(1) & ~self._before[owner]
        without = (~absent & ~inside) | self._is_kept[owner].unsqueeze(1)
        masks = torch.stack([without, without | inside])  # [2, K, S, w]
        owners = owner.view(-1, 1).expand(masks.shape[:3])
        values = self.sets.values(owners.flatten(), masks.flatten(0, 2)).view(masks.shape[:3])
        found = (values[1] - values[0]).mean(dim=1)
        grain = torch.finfo(self.batch.dtype).eps ** 0.75
        rounded: list[float] = ((found / grain).round() * grain).tolist()
        return rounded

    def _masks(self, nodes: Sequence[int]) -> Tensor:
        return to_masks(nodes, self.sets.width).to(self.batch.device)

    def _pad(self, value: Tensor) -> Tensor:
        """Values ``[n]`` of nodes as ``[B, w]``."""
        found = value.new_zeros((self.batch.num_instances, self.sets.width))
        found[self.batch.node_instance, self._place] = value
        return found

    def _draw(self, seed: int, samples: int) -> Tensor:
        """``[B, S, w]`` who comes before a coalition."""
        batch = self.batch
        order = torch.arange(samples, device=batch.device)
        own = random.uniform(seed, 1, batch.key.view(-1, 1), order)
        address = self._pad(node_address(batch)).unsqueeze(1)
        drawn = random.uniform(seed, 2, batch.key.view(-1, 1, 1), order.view(-1, 1), address)
        return drawn < own.unsqueeze(2)

    def _adjacent(self) -> list[list[int]]:
        """For each instance the neighbors of its nodes, along or against an edge."""
        batch, fields = self.batch, self.batch.fields
        found = [[0] * count for count in batch.nodes_per_instance.tolist()]
        seen = visible_edges(batch, torch.ones_like(fields.edge, dtype=torch.bool))
        seen &= fields.source != fields.destination
        columns = (
            fields.edge_instance,
            self._place[fields.source],
            self._place[fields.destination],
        )
        for instance, source, destination in torch.stack(columns, dim=1)[seen].tolist():
            found[instance][source] |= 1 << destination
            found[instance][destination] |= 1 << source
        return found
