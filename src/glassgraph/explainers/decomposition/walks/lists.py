"""Relevance of walks one by one: of all of them, and of chosen ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.errors import WalkError
from glassgraph.explainers.decomposition.walks.halves import (
    Halves,
    append,
    first_halves,
    last_halves,
    prepend,
)
from glassgraph.inputs.receptive import expand
from glassgraph.relevance.walks import WalkGraph

#: Numbers that one piece of work may hold at once.
_CHUNK = 1 << 24


@dataclass(frozen=True)
class Walks:
    """Walks with their relevance, ascending by instance, the largest first.

    Attributes:
        instance: ``[W]``.
        node: ``[W, L + 1]`` nodes of the batch.
        score: ``[W]``.
    """

    instance: Tensor
    node: Tensor
    score: Tensor


def ranked(walks: WalkGraph, node: Tensor, score: Tensor, *, by_size: bool = True) -> Walks:
    """Walks in order: by instance, then by descending size (or value) of the score.

    Scores are compared in steps a little coarser than rounding; walks that are equal, as on
    symmetric graphs, come in the order of their nodes.
    """
    instance = walks.node_instance[node[:, 0]]
    largest = score.new_zeros(walks.num_instances)
    largest = largest.scatter_reduce(0, instance, score.abs(), "amax")[instance]
    step = 1e-11 if score.dtype == torch.float64 else 1e-5
    value = (score.abs() if by_size else score) / torch.where(largest == 0, 1.0, largest)
    order = torch.arange(node.size(0), device=node.device)
    for column in reversed(node.unbind(1)):
        order = order[torch.argsort(column[order], stable=True)]
    level = (value.double() / step).round()
    order = order[torch.argsort(level[order], descending=True, stable=True)]
    order = order[torch.argsort(instance[order], stable=True)]
    return Walks(instance[order], node[order], score[order])


def best_meeting(walks: WalkGraph) -> int:
    """The position where beginnings and ends are fewest."""
    totals = [
        float(first.sum() + last.sum())
        for first, last in zip(walks.num_prefixes, walks.num_suffixes, strict=True)
    ]
    return totals.index(min(totals))


def all_walks(walks: WalkGraph, *, most: int) -> Walks:
    """All walks of a batch.

    Args:
        walks: the walk graph.
        most: walks that may be listed for one instance.

    Raises:
        WalkError: if there are more.
    """
    check_number(walks, most)
    meeting = best_meeting(walks)
    first, last = first_halves(walks), last_halves(walks)
    for position in range(meeting):
        first = append(walks, first, position)
    for position in reversed(range(meeting, walks.num_layers)):
        last = prepend(walks, last, position)
    low, high = first.bounds(walks.num_nodes), last.bounds(walks.num_nodes)
    # Every beginning with every end at its node, in the order in which products are written out.
    end, beginning = expand(high, first.node)
    score = _products(first, last, low, high)
    node = torch.cat([first.trail[beginning], last.trail[end][:, 1:]], dim=1)
    return ranked(walks, node, score)


def check_number(walks: WalkGraph, most: int) -> None:
    """Refuse instances with too many walks to list.

    Raises:
        WalkError: if one has more than ``most``.
    """
    largest = float(walks.num_walks.max()) if walks.num_instances else 0.0
    if largest > most:
        many = f"{largest:,.0f}" if largest < 1e15 else f"{largest:.2g}"
        raise WalkError(
            f"an instance has {many} walks, and at most {most:,} may be listed; ask for the best "
            "ones (walks=10), or raise max_walks"
        )


def _products(first: Halves, last: Halves, low: Tensor, high: Tensor) -> Tensor:
    pieces = []
    for a, b, c, d in torch.stack([low[:-1], low[1:], high[:-1], high[1:]], dim=1).tolist():
        if a < b and c < d:
            pieces.append((first.vector[a:b] @ last.vector[c:d].t()).view(-1))
    return torch.cat(pieces) if pieces else first.vector.new_zeros(0)


def score_walks(walks: WalkGraph, node: Tensor) -> Tensor:
    """Relevance ``[W]`` of chosen walks.

    Args:
        walks: the walk graph.
        node: ``[W, L + 1]`` nodes of the batch.

    Raises:
        WalkError: if a walk has another length, or steps where there is neither message nor stay.
    """
    if node.dim() != 2 or node.size(1) != walks.num_layers + 1:
        raise WalkError(
            f"a walk has one node for each of the {walks.num_layers} layers and one more; got "
            f"shape {tuple(node.shape)}, expected [walks, {walks.num_layers + 1}]"
        )
    check_walks(walks, node)
    largest = max(
        step.block.size(1) * step.block.size(2) for layer in walks.layers for step in layer.steps
    )
    pieces = [_score(walks, part) for part in node.split(max(1, _CHUNK // max(1, largest)))]
    return torch.cat(pieces) if pieces else walks.start.new_zeros(0)


def check_walks(walks: WalkGraph, node: Tensor) -> None:
    """Refuse walks that are not in the graph.

    Raises:
        WalkError: naming the first of them.
    """
    if not node.numel():
        return
    if int(node.min()) < 0 or int(node.max()) >= walks.num_nodes:
        raise WalkError(f"nodes of a walk lie between 0 and {walks.num_nodes - 1}")
    for position, (source, destination) in enumerate(walks.pairs):
        key = destination * walks.num_nodes + source
        wanted = node[:, position + 1] * walks.num_nodes + node[:, position]
        missing = torch.ones_like(wanted, dtype=torch.bool)
        if key.numel():
            at = torch.searchsorted(key, wanted).clamp_max(key.numel() - 1)
            missing = key[at] != wanted
        if bool(missing.any()):
            walk = int(missing.nonzero()[0])
            raise WalkError(
                f"walk {walk} steps from node {int(node[walk, position])} to "
                f"{int(node[walk, position + 1])} at layer {position}, where no message runs"
            )
    is_wrong = ~walks.is_end[node[:, -1]]
    if bool(is_wrong.any()):
        walk = int(is_wrong.nonzero()[0])
        raise WalkError(
            f"walk {walk} ends at node {int(node[walk, -1])}, which the prediction does not read"
        )


def _score(walks: WalkGraph, node: Tensor) -> Tensor:
    vector = walks.start[node[:, 0]]
    for position, layer in enumerate(walks.layers):
        here, there = node[:, position], node[:, position + 1]
        value = vector.new_zeros((node.size(0), walks.widths[position + 1]))
        is_stay = (here == there).to(value.dtype).unsqueeze(1)
        value[:, layer.stay[1]] = is_stay * vector[:, layer.stay[0]]
        wanted = here * walks.num_nodes + there
        for step in layer.steps:
            key, row = (step.sender * walks.num_nodes + step.receiver).sort()
            first = torch.searchsorted(key, wanted)
            count = torch.searchsorted(key, wanted, right=True) - first
            for parallel in range(int(count.max()) if count.numel() else 0):
                walk = (count > parallel).nonzero().view(-1)
                block = step.block[row[first[walk] + parallel]]
                taken = vector[walk, step.columns].unsqueeze(1)
                value.index_add_(0, walk, torch.bmm(taken, block).squeeze(1))
        vector = value
    return vector[:, 0]
