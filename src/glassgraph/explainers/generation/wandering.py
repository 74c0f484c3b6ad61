"""Random graphs under the same rules: what any graph of that size would get from the classifier."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glassgraph.core.random import uniform
from glassgraph.explainers.generation.ground import STREAM_WANDER, Episodes, Ground, Recorded, keeps
from glassgraph.explainers.generation.policy import invert
from glassgraph.explainers.generation.states import Graphs

#: New beginnings of a graph that got stuck before it had its size.
_ATTEMPTS = 100
#: Moves that are tried on the way, for each that is needed.
_PATIENCE = 20


def wander(ground: Ground, begin: Graphs, nodes: Tensor, edges: Tensor) -> tuple[Episodes, Graphs]:
    """Grow graphs by moves drawn uniformly from the legal ones.

    Args:
        ground: rules and seed.
        begin: ``B`` beginnings.
        nodes: ``[B]`` nodes that each is to have.
        edges: ``[B]`` edges that each is to have; -1 to stop as soon as it has its nodes.

    Returns:
        What happened, and the graphs at the end; those that got stuck again and again are smaller.
    """
    tries = 1 + _PATIENCE * int(torch.maximum(nodes, edges).max())
    found: list[Recorded] = []
    left = torch.arange(len(begin), device=nodes.device)
    state = begin
    for attempt in range(_ATTEMPTS):
        for step in range(tries):
            room = _room(state, nodes, edges)
            moves = ground.legal(state) & room
            is_open = moves.flatten(1).any(dim=1)
            row = left[is_open[left]]
            if not row.numel():
                break
            before, offered = state.take(row), moves[row]
            number = uniform(ground.seed, STREAM_WANDER, row, attempt, step)
            flat = invert(offered.flatten(1).double(), number)
            start = flat // offered.size(2)
            end = flat % offered.size(2)
            after = before.after(start, end)
            none = torch.full_like(number, math.nan)
            is_valid = keeps(ground.rules, after)
            state = state.put(row, after.where(is_valid, before))
            found.append(Recorded(row, start, end, is_valid, is_valid, none, none, state))
        is_short = (state.size < nodes) | (state.num_edges < edges)
        stuck = is_short.nonzero().flatten()
        if not stuck.numel() or attempt + 1 == _ATTEMPTS:
            break
        left = stuck
        state = state.put(stuck, begin.take(stuck))
        found = [_without(step, is_short) for step in found]
    return Episodes(begin, [step for step in found if step.row.numel()]), state


def _room(graphs: Graphs, nodes: Tensor, edges: Tensor) -> Tensor:
    """Moves that lead to the size: each edge once, and none that a node still to come needs."""
    nodes_left = nodes - graphs.size
    edges_left = torch.where(edges < 0, nodes_left, edges - graphs.num_edges)
    once = torch.ones(graphs.room, graphs.room, dtype=torch.bool, device=nodes.device).triu(1)
    closing = torch.where(edges < 0, nodes_left > 0, edges_left > nodes_left)
    old = once & closing[:, None, None]
    new = (nodes_left > 0)[:, None, None].expand(-1, graphs.room, graphs.num_types)
    return torch.cat([old, new], dim=2)


def _without(step: Recorded, forgotten: Tensor) -> Recorded:
    """The step without what stuck graphs did before they began anew."""
    kept = ~forgotten[step.row]
    return Recorded(
        step.row[kept],
        step.start[kept],
        step.end[kept],
        step.is_valid[kept],
        step.is_accepted[kept],
        step.probability[kept],
        step.reward[kept],
        step.after,
    )
