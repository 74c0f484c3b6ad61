"""Which edges of a large instance to draw, and the rank of every edge.

A receptive field may have thousands of edges; a picture of them shows nothing. Where an instance
has more than ``limit`` edges the report draws the strongest edges of every method and layer, the
ways from them to the explained node, and as much of their surroundings as fits. Ranks are always
those among *all* edges.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice

import torch
from torch import Tensor

__all__ = ["choose_edges", "ranks", "sum_of_others"]

STRONGEST_SHARE = 0.8
"""Part of the edges for the strongest and their ways to the seeds; the rest is for the others."""


def ranks(scores: Tensor) -> Tensor:
    """1-based ranks ``[e]`` of scores ``[e]`` by magnitude; equals keep their order.

    A score that is not finite counts as zero.

    Example:
        >>> ranks(torch.tensor([0.1, -0.9, float("nan"), 0.1])).tolist()
        [2, 1, 4, 3]
    """
    order = _order(scores)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(1, len(order) + 1)
    return rank


def sum_of_others(scores: Tensor, kept: Tensor) -> float:
    """Sum of the scores ``[e]`` at other positions than those kept; a NaN counts as zero.

    Example:
        >>> sum_of_others(torch.tensor([1.0, 0.5, -0.25]), torch.tensor([0]))
        0.25
    """
    others = torch.ones(len(scores), dtype=torch.bool).index_fill(0, kept, False)
    return float(scores[others].double().nansum())


def choose_edges(
    source: Sequence[int],
    destination: Sequence[int],
    seeds: Sequence[int],
    rankings: Sequence[Tensor],
    truth: Sequence[int] | None,
    limit: int,
    first: Sequence[int] = (),
) -> list[int]:
    """Positions of at most ``limit`` edges worth drawing, ascending; all of them if they fit.

    ``rankings`` holds scores ``[e]`` for each method and layer; they take turns, strongest first,
    so that every method shows its own top. Each edge brings the ways from its ends to the seeds.
    Ground-truth edges come next, then the surroundings. The edges ``first`` come before all others.
    """
    num_edges = len(source)
    if num_edges <= limit:
        return list(range(num_edges))
    hop, way = _ways_to_seeds(source, destination, seeds)
    kept: set[int] = set()
    for edges, room in (
        (chain(first, _in_turns(rankings)), int(limit * STRONGEST_SHARE)),
        (_true(truth), limit),
    ):
        for edge in edges:
            more = {edge, *_way(source[edge], way), *_way(destination[edge], way)} - kept
            if len(kept) + len(more) > room:
                break
            kept |= more
    nodes = {end for e in kept for end in (source[e], destination[e])} | set(seeds)
    best = [0] * num_edges
    if rankings:
        best = torch.stack([ranks(scores) for scores in rankings]).amin(dim=0).tolist()

    def closeness(e: int) -> tuple[int, int, int]:
        u, v = source[e], destination[e]
        outside = (u not in nodes) + (v not in nodes)
        return outside, min(hop.get(u, num_edges), hop.get(v, num_edges)), best[e]

    surroundings = sorted((e for e in range(num_edges) if e not in kept), key=closeness)
    kept.update(surroundings[: limit - len(kept)])
    return sorted(kept)


def _order(scores: Tensor) -> Tensor:
    """Positions from the largest magnitude to the smallest, stable."""
    size = scores.detach().nan_to_num(0.0, 0.0, 0.0).abs()
    return torch.argsort(size, descending=True, stable=True)


def _in_turns(rankings: Sequence[Tensor]) -> Iterator[int]:
    """The strongest edge of each ranking, then each one's second, and so on; zeros never."""
    strong = []
    for scores in rankings:
        order = _order(scores)
        count = int((scores.nan_to_num(0.0, 0.0, 0.0) != 0).sum())
        strong.append(order[:count].tolist())
    for position in range(max(map(len, strong), default=0)):
        for edges in strong:
            yield from islice(edges, position, position + 1)


def _true(truth: Sequence[int] | None) -> list[int]:
    return [] if truth is None else [e for e, is_true in enumerate(truth) if is_true]


def _way(node: int, way: Mapping[int, tuple[int, int]]) -> Iterator[int]:
    while node in way:
        edge, node = way[node]
        yield edge


def _ways_to_seeds(
    source: Sequence[int], destination: Sequence[int], seeds: Sequence[int]
) -> tuple[dict[int, int], dict[int, tuple[int, int]]]:
    """Hops to the nearest seed, and per node the (edge, next node) of a shortest way there."""
    touching: dict[int, list[tuple[int, int]]] = {}
    for edge, (u, v) in enumerate(zip(source, destination, strict=True)):
        touching.setdefault(u, []).append((edge, v))
        touching.setdefault(v, []).append((edge, u))
    hop = dict.fromkeys(seeds, 0)
    way: dict[int, tuple[int, int]] = {}
    queue = deque(seeds)
    while queue:
        node = queue.popleft()
        for edge, neighbor in touching.get(node, ()):
            if neighbor not in hop:
                hop[neighbor] = hop[node] + 1
                way[neighbor] = (edge, node)
                queue.append(neighbor)
    return hop, way
