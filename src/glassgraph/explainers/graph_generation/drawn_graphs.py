"""From drawn graphs to graphs that keep the rules: grown edge by edge, surest edge first.

A drawn graph may be in pieces and may break rules. Growing begins at one of its nodes and takes
drawn edges that touch what has grown, the most probable first, each only if the graph after it
keeps all rules. What is left is a connected part of the drawn graph, mended where rules ask for it;
edges that were refused are steps of its history.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.distributions import Draws
from glassgraph.explainers.graph_generation.environment import Environment
from glassgraph.explainers.graph_generation.rule import satisfies
from glassgraph.explainers.graph_generation.trajectories import Trajectories, Transition


@dataclass(frozen=True)
class Drawn:
    """B drawn graphs.

    Attributes:
        node_type: ``[B, V]``.
        adjacency: ``[B, V, V]`` bool, symmetric.
        weight: ``[B, V, V]`` probability of each edge, symmetric.
    """

    node_type: Tensor
    adjacency: Tensor
    weight: Tensor

    @staticmethod
    def of(draws: Draws, probability: Tensor, pairs: Tensor) -> Drawn:
        """Draws that are graphs, and how probable ``[B, P]`` each edge was."""
        first, second = pairs
        count, size = draws.node_type.shape[:2]
        weight = probability.new_zeros((count, size, size))
        adjacency = torch.zeros_like(weight, dtype=torch.bool)
        for one, other in ((first, second), (second, first)):
            weight[:, one, other] = probability
            adjacency[:, one, other] = draws.edge > 0.5
        return Drawn(draws.node_type.argmax(dim=-1), adjacency, weight)

    def graphs(self, num_types: int) -> DenseGraphs:
        """All nodes and edges as they were drawn."""
        return DenseGraphs(self.node_type, self.adjacency, num_types)


def grow(
    environment: Environment, drawn: Drawn, initial: DenseGraphs, is_given: bool
) -> Trajectories:
    """Grow graphs of drawn edges.

    Args:
        environment: the rules; the model is not asked.
        drawn: B drawn graphs.
        initial: what growing may begin with: one graph whose nodes are the first of the drawn ones
            if ``is_given``, else graphs of one node.
        is_given: whether the beginning is given.
    """
    state, place = _given(drawn, initial) if is_given else _first_nodes(drawn, initial)
    trajectories = Trajectories(state)
    left = drawn.adjacency & ~state.adjacency
    size = drawn.node_type.size(1)
    while True:
        inside = place >= 0
        touching = left & inside[:, :, None]
        row = touching.flatten(1).any(dim=1).nonzero().flatten()
        if not row.numel():
            return trajectories
        chosen = drawn.weight[row].masked_fill(~touching[row], -1.0).flatten(1).argmax(dim=1)
        first, second = chosen // size, chosen % size
        left[row, first, second] = left[row, second, first] = False
        before = state.take(row)
        is_new = ~inside[row, second]
        end = torch.where(is_new, size + drawn.node_type[row, second], place[row, second])
        after = before.after(place[row, first], end)
        is_valid = satisfies(environment.rules, after)
        unknown = torch.full_like(drawn.weight[row, first, second], math.nan)
        state = state.put(row, after.where(is_valid, before))
        step = Transition(
            row, place[row, first], end, is_valid, is_valid, unknown, unknown.clone(), state
        )
        trajectories.steps.append(step)
        added = is_new & is_valid
        place[row, second] = torch.where(added, before.num_nodes, place[row, second])


def _given(drawn: Drawn, initial: DenseGraphs) -> tuple[DenseGraphs, Tensor]:
    """The given graph for all, and where each drawn node is in it; -1 for nowhere."""
    count, size = drawn.node_type.shape
    number = torch.arange(size, device=drawn.node_type.device)
    place = torch.where(initial.is_node[0], number, -1)
    return initial.take(torch.zeros_like(drawn.node_type[:, 0])), place.repeat(count, 1)


def _first_nodes(drawn: Drawn, initial: DenseGraphs) -> tuple[DenseGraphs, Tensor]:
    """A node of each graph to begin with, as it is wanted: of a type that may, in a large piece.

    Where no drawn node has a type that may begin, one gets such a type.
    """
    count, size = drawn.node_type.shape
    may = torch.isin(drawn.node_type, initial.node_type[:, 0])
    expected = (drawn.weight * drawn.adjacency).sum(dim=2)
    value = _piece_sizes(drawn.adjacency) + expected / (1 + size)
    first = torch.where(may, value, value - 2 * size).argmax(dim=1)
    row = torch.arange(count, device=first.device)
    types = torch.full_like(drawn.node_type, -1)
    kind, other = drawn.node_type[row, first], initial.node_type[0, 0]
    types[:, 0] = torch.where(may[row, first], kind, other)
    place = torch.full_like(drawn.node_type, -1)
    place[row, first] = 0
    nothing = torch.zeros_like(drawn.adjacency)
    return DenseGraphs(types, nothing, initial.num_types), place


def _piece_sizes(adjacency: Tensor) -> Tensor:
    """How many nodes can be reached from each node, itself among them, ``[B, V]``."""
    size = adjacency.size(1)
    reached = adjacency | torch.eye(size, dtype=torch.bool, device=adjacency.device)
    for _ in range(max(1, math.ceil(math.log2(size)))):
        steps = reached.to(torch.float32)
        reached = steps @ steps > 0
    return reached.sum(dim=2)
