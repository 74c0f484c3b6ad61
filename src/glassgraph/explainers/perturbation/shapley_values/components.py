"""Only connected players can do something together: Myerson's value.

In Myerson's game a coalition is worth what its connected components are worth by themselves:

    v_M(S) = v(none) + sum over components C of S in the graph of   (v(C) - v(none))

Myerson, "Graphs and Cooperation in Games" (1977, https://doi.org/10.1287/moor.2.3.225).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.perturbation.shapley_values.games import Game
from glassgraph.explainers.perturbation.shapley_values.players import Players
from glassgraph.inputs.receptive import expand, pointer_of

#: Pairs of a coalition and a node or an edge that are looked at together.
_PAIRS_AT_ONCE = 1 << 22


class Components:
    """Values of sets of nodes, as sums over their components.

    Nodes that do not play, as those that are explained, are always there, and join what lies on
    either side of them.

    Args:
        game: what sets of nodes are worth.
        batch: the instances.
        players: nodes.
    """

    def __init__(self, game: Game, batch: InstanceBatch, players: Players) -> None:
        self._game, self._batch, self._players = game, batch, players
        self._nodes = pointer_of(batch.nodes_per_instance)
        self._edges = pointer_of(batch.edges_per_instance)
        self._rows = batch.nodes_per_instance + batch.edges_per_instance

    @property
    def num_evaluated(self) -> Tensor:
        """``[B]`` how many graphs of an instance went through the model."""
        return self._game.num_evaluated

    def values(self, instance: Tensor, mask: Tensor) -> Tensor:
        """Values ``[K]``, float64.

        Args:
            instance: ``[K]`` whose nodes they are, ascending.
            mask: ``[K, W]`` who belongs to each coalition.
        """
        size = max(1, _PAIRS_AT_ONCE // max(1, int(self._rows.max())))
        parts = zip(instance.split(size), mask.split(size), strict=True)
        return torch.cat([self._part(*part) for part in parts])

    def _part(self, instance: Tensor, mask: Tensor) -> Tensor:
        owner, member = self._components(instance, mask)
        alone, which = torch.unique_consecutive(instance, return_inverse=True)
        everyone = torch.cat([alone, instance[owner]])
        nobody = member.new_zeros((alone.numel(), member.size(1)))
        order = everyone.argsort(stable=True)
        found = torch.empty(everyone.numel(), dtype=torch.float64, device=mask.device)
        found[order] = self._game.values(everyone[order], torch.cat([nobody, member])[order])
        without, worth = found[: alone.numel()][which], found[alone.numel() :]
        return without.index_add(0, owner, worth - without[owner])

    def _components(self, instance: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The components of coalitions: whose each is ``[c]``, and its players ``[c, W]``."""
        fields, players = self._batch.fields, self._players
        node, variant = expand(self._nodes, instance)
        count = self._batch.nodes_per_instance[instance]
        start = count.cumsum(0) - count - self._nodes[instance]  # from a node to its copy
        edge, of = expand(self._edges, instance)
        source, destination = fields.source[edge], fields.destination[edge]
        is_left = players.there(mask, of, source) & players.there(mask, of, destination)
        ends = torch.stack([source + start[of], destination + start[of]])[:, is_left].cpu().numpy()
        graph = coo_array((np.ones(ends.shape[1], dtype=bool), ends), shape=(node.numel(),) * 2)
        label = torch.from_numpy(connected_components(graph, directed=False)[1].astype(np.int64))
        place = players.place_of[node]
        is_member = (place >= 0) & players.there(mask, variant, node)
        variant, place = variant[is_member], place[is_member]
        key = variant * node.numel() + label.to(mask.device)[is_member]
        unique, group = torch.unique(key, return_inverse=True)
        member = torch.zeros((unique.numel(), mask.size(1)), dtype=torch.bool, device=mask.device)
        member[group, place] = True
        return unique // max(1, node.numel()), member
