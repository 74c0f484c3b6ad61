"""What coalitions are worth where the others' messages are shut, or their features are zero."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.black_box.node_sets import NodeSets
from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.perturbation.search.edge_subsets import Subsets
from glassgraph.explainers.perturbation.shapley_values.deletion import Worth
from glassgraph.explainers.perturbation.shapley_values.players import Players


class Silence:
    """Values of sets of edges: messages of the others are zero at every layer.

    Args:
        batch: the instances.
        budget: bytes that one pass may take.
        players: edges.
        worth: what a prediction is worth.

    Attributes:
        num_evaluated: ``[B]`` how many copies of an instance went through the model.
    """

    def __init__(self, batch: InstanceBatch, budget: int, players: Players, worth: Worth) -> None:
        self.batch, self._worth, self._place = batch, worth, players.place_of
        self.num_evaluated = torch.zeros_like(batch.edges_per_instance)
        self._subsets = Subsets(batch, False, budget)

    def values(self, instance: Tensor, mask: Tensor) -> Tensor:
        """Values ``[K]``, see `Deletion.values`."""
        place = self._subsets.pad(self._place.double() + 1).long() - 1  # [B, I]
        place = place[instance]
        is_open = mask.gather(1, place.clamp_min(0)) | (place < 0)
        output = self._subsets.outputs(instance, is_open)
        self.num_evaluated += torch.bincount(instance, minlength=self.batch.num_instances)
        targets = self.batch.targets.take(instance)
        return self._worth(self.batch.task, output, targets).double()


class ZeroFeatures:
    """Values of sets of nodes: features of the others are zero.

    Args:
        batch: the instances.
        budget: bytes that one pass may take.
        players: nodes.
        worth: what a prediction is worth.

    Attributes:
        num_evaluated: ``[B]`` how many copies of an instance went through the model.
    """

    def __init__(self, batch: InstanceBatch, budget: int, players: Players, worth: Worth) -> None:
        self.batch = batch
        self.num_evaluated = torch.zeros_like(batch.edges_per_instance)
        self._sets = NodeSets(batch, budget, "zero_filling", worth)
        place = self._sets.place.new_full((batch.num_instances, self._sets.width), -1)
        place[batch.node_instance, self._sets.place] = players.place_of
        self._player = place

    def values(self, instance: Tensor, mask: Tensor) -> Tensor:
        """Values ``[K]``, see `Deletion.values`."""
        place = self._player[instance]
        is_left = mask.gather(1, place.clamp_min(0)) | (place < 0)
        before = self._sets.rows_evaluated.clone()
        found = self._sets.values(instance, is_left)
        rows = self.batch.nodes_per_instance + self.batch.edges_per_instance
        self.num_evaluated += (self._sets.rows_evaluated - before) // rows.clamp_min(1)
        return found
