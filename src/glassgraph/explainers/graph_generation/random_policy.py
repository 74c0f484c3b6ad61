"""Random graphs under the same rules: what any graph of that size would get from the classifier."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glassgraph.core.random import uniform
from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.environment import (
    STREAM_RANDOM,
    Environment,
)
from glassgraph.explainers.graph_generation.policy import invert
from glassgraph.explainers.graph_generation.rule import satisfies
from glassgraph.explainers.graph_generation.trajectories import Trajectories, Transition

#: New beginnings of a graph that got stuck before it had its size.
_ATTEMPTS = 100
#: Moves that are tried on the way, for each that is needed.
_PATIENCE = 20


def run_random_policy(
    environment: Environment, initial: DenseGraphs, num_nodes: Tensor, num_edges: Tensor
) -> tuple[Trajectories, DenseGraphs]:
    """Grow graphs by moves drawn uniformly from the legal ones.

    Args:
        environment: rules and seed.
        initial: ``B`` graphs to begin with.
        num_nodes: ``[B]`` nodes that each is to have.
        num_edges: ``[B]`` edges that each is to have; -1 to stop as soon as it has its nodes.

    Returns:
        What happened, and the graphs at the end; those that got stuck again and again are smaller.
    """
    tries = 1 + _PATIENCE * int(torch.maximum(num_nodes, num_edges).max())
    steps: list[Transition] = []
    left = torch.arange(len(initial), device=num_nodes.device)
    state = initial
    for attempt in range(_ATTEMPTS):
        for step in range(tries):
            moves = environment.legal_moves(state) & _useful_moves(state, num_nodes, num_edges)
            is_open = moves.flatten(1).any(dim=1)
            row = left[is_open[left]]
            if not row.numel():
                break
            steps.append(_random_step(environment, state, moves[row], row, (attempt, step)))
            state = steps[-1].after
        is_short = (state.num_nodes < num_nodes) | (state.num_edges < num_edges)
        left = is_short.nonzero().flatten()
        if not left.numel() or attempt + 1 == _ATTEMPTS:
            break
        state = state.put(left, initial.take(left))
        steps = [each.without(is_short) for each in steps]
    return Trajectories(initial, [each for each in steps if each.episode.numel()]), state


def _random_step(
    environment: Environment,
    state: DenseGraphs,
    offered: Tensor,
    row: Tensor,
    address: tuple[int, int],
) -> Transition:
    """One move of the graphs ``row [b]``, each of those offered ``[b, V, V + K]`` as probable."""
    before = state.take(row)
    number = uniform(environment.seed, STREAM_RANDOM, row, *address)
    move = invert(offered.flatten(1).double(), number)
    start, end = move // offered.size(2), move % offered.size(2)
    after = before.after(start, end)
    is_valid = satisfies(environment.rules, after)
    unknown = torch.full_like(number, math.nan)
    return Transition(
        episode=row,
        start=start,
        end=end,
        is_valid=is_valid,
        is_accepted=is_valid,
        probability=unknown,
        reward=unknown,
        after=state.put(row, after.where(is_valid, before)),
    )


def _useful_moves(graphs: DenseGraphs, num_nodes: Tensor, num_edges: Tensor) -> Tensor:
    """Moves that lead to the size: each edge once, and none that a node still to come needs."""
    nodes_left = num_nodes - graphs.num_nodes
    edges_left = torch.where(num_edges < 0, nodes_left, num_edges - graphs.num_edges)
    pairs = (graphs.max_nodes, graphs.max_nodes)
    once = torch.ones(pairs, dtype=torch.bool, device=num_nodes.device).triu(1)
    closing = torch.where(num_edges < 0, nodes_left > 0, edges_left > nodes_left)
    old = once & closing[:, None, None]
    new = (nodes_left > 0)[:, None, None].expand(-1, graphs.max_nodes, graphs.num_types)
    return torch.cat([old, new], dim=2)
