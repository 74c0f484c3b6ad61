"""Connected subgraphs around predictions, drawn by address, and what a model says of them.

A subgraph grows from the explained nodes (for a graph from a random node): each edge into a node
that has been reached is kept with the subgraph's own probability, and what is kept reaches its
sender; until nothing is added. The first subgraph is everything.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.black_box.variants import Variants
from glassgraph.core import random
from glassgraph.core.addresses import edge_address, node_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.inputs import task

_RATE, _COIN, _START = 1, 2, 3


@dataclass(frozen=True)
class Samples:
    """S subgraphs of each instance.

    Attributes:
        has_edge: ``[e, S]`` which edges a subgraph keeps.
        has_node: ``[n, S]`` which nodes the prediction is still connected with; all nodes of a
            graph, since they are pooled.
        score: ``[B, S]`` the explained score on it.
    """

    has_edge: Tensor
    has_node: Tensor
    score: Tensor


def draw_samples(
    batch: InstanceBatch, budget: int, num_samples: int, keep: float, seed: int
) -> Samples:
    """Draw subgraphs and ask the model about all of them.

    Args:
        batch: the instances.
        budget: bytes that one pass may take.
        num_samples: number S of subgraphs.
        keep: the least probability with which a subgraph keeps an edge.
        seed: of all random numbers.
    """
    has_edge, has_node = _grown(batch, num_samples, keep, seed)
    edge, sample = has_edge.nonzero(as_tuple=True)
    variant = batch.edge_instance[edge] * num_samples + sample
    order = (variant * max(1, batch.num_edges) + edge).argsort()
    everyone = torch.arange(batch.num_instances, device=batch.device)
    instance = everyone.repeat_interleave(num_samples)
    output = Variants(batch, budget).on_edges(instance, variant[order], edge[order])
    score = task.score(batch.task, output, batch.targets.take(instance))
    return Samples(has_edge, has_node, score.view(-1, num_samples))


def _grown(batch: InstanceBatch, num_samples: int, keep: float, seed: int) -> tuple[Tensor, Tensor]:
    """Which edges ``[e, S]`` and nodes ``[n, S]`` subgraphs have."""
    fields, sample = batch.fields, torch.arange(num_samples, device=batch.device)
    key = random.hash64(seed, batch.key).view(-1, 1)
    rate = keep + (1 - keep) * random.uniform(_RATE, key, sample)
    rate[:, 0] = 1
    address = edge_address(batch).view(-1, 1)
    draw = random.uniform(_COIN, key[batch.edge_instance], address, sample)
    is_open = draw < rate[batch.edge_instance]
    is_in = _starts(batch, key, sample)
    looks_ahead = batch.wiring.needs_both_directions or batch.task.level == "graph"
    source, destination = fields.source, fields.destination
    while True:
        before = is_in
        is_in = _spread(is_in, is_open, destination, source)
        if looks_ahead:
            is_in = _spread(is_in, is_open, source, destination)
        if bool((is_in == before).all()):
            break
    has_edge = is_open & (is_in[destination] | (is_in[source] if looks_ahead else False))
    has_edge[:, 0] = True
    is_in[:, 0] = True
    return has_edge, torch.ones_like(is_in) if batch.task.level == "graph" else is_in


def _starts(batch: InstanceBatch, key: Tensor, sample: Tensor) -> Tensor:
    """``[n, S]`` where subgraphs begin."""
    is_in = torch.zeros((batch.num_nodes, sample.numel()), dtype=torch.bool, device=batch.device)
    if batch.task.level != "graph":
        is_in[batch.fields.seed.flatten()] = True
        return is_in
    owner = batch.node_instance
    draw = random.uniform(_START, key[owner], node_address(batch).view(-1, 1), sample)
    least = torch.ones_like(draw[: batch.num_instances]).scatter_reduce(
        0, owner.view(-1, 1).expand_as(draw), draw, "amin"
    )
    return draw == least[owner]


def _spread(is_in: Tensor, is_open: Tensor, here: Tensor, there: Tensor) -> Tensor:
    """Nodes with those added that open edges lead to."""
    reached = (is_in[here] & is_open).to(torch.int32)
    count = torch.zeros_like(is_in, dtype=torch.int32).index_add_(0, there, reached)
    return is_in | (count > 0)
