"""The k best paths through a layered graph, by the sum of scores along the way.

Exact dynamic programming from the top: for each node and layer the k best ways to the end are kept,
since a part of one of the k best paths is one of the k best parts. All nodes at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moves:
    """What is possible at one layer.

    Attributes:
        source: ``[P]`` node before.
        destination: ``[P]`` node after.
        score: ``[P]``.
    """

    source: Tensor
    destination: Tensor
    score: Tensor


@dataclass(frozen=True)
class Paths:
    """Paths from position 0 to L.

    Attributes:
        node: ``[K, L + 1]``.
        move: ``[K, L]`` which move is taken at each layer.
        score: ``[K]``.
    """

    node: Tensor
    move: Tensor
    score: Tensor


def best_of_each(group: Tensor, value: Tensor, k: int) -> Tensor:
    """Positions of the k largest values of each group, ascending by group, the largest first.

    >>> best_of_each(torch.tensor([1, 0, 1, 1]), torch.tensor([5.0, 1.0, 7.0, 6.0]), 2)
    tensor([1, 2, 3])
    """
    order = torch.argsort(value, descending=True, stable=True)
    order = order[torch.argsort(group[order], stable=True)]
    found = group[order]
    start = torch.searchsorted(found, found)
    rank = torch.arange(found.numel(), device=found.device) - start
    return order[rank < k]


def best_paths(
    layers: Sequence[Moves], owner: Tensor, starts: Tensor, ends: Tensor, k: int
) -> Paths:
    """The k best paths of each owner.

    Args:
        layers: moves of each layer.
        owner: ``[n]`` group of each node; moves stay within a group.
        starts: ``[n]`` whether a path may start at a node.
        ends: ``[n]`` whether it may end there.
        k: how many.

    Returns:
        Paths ascending by owner, the best first.
    """
    node = ends.nonzero().view(-1)
    dtype = layers[0].score.dtype
    trail, moves = node.view(-1, 1), node.new_zeros((node.numel(), 0))
    score = torch.zeros(node.numel(), dtype=dtype, device=node.device)
    for layer in reversed(layers):
        # Paths so far are ascending by their first node.
        low = torch.searchsorted(node, layer.destination)
        count = torch.searchsorted(node, layer.destination, right=True) - low
        move = torch.repeat_interleave(count)
        within = torch.arange(move.numel(), device=move.device) - (count.cumsum(0) - count)[move]
        rest = low[move] + within
        new = layer.score[move] + score[rest]
        kept = best_of_each(layer.source[move], new, k)
        move, rest, score = move[kept], rest[kept], new[kept]
        node = layer.source[move]
        trail = torch.cat([node.view(-1, 1), trail[rest]], dim=1)
        moves = torch.cat([move.view(-1, 1), moves[rest]], dim=1)
    allowed = starts[node].nonzero().view(-1)
    best = allowed[best_of_each(owner[node[allowed]], score[allowed], k)]
    return Paths(trail[best], moves[best], score[best])
