"""What a prediction can see of the edges that are left."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch


def edges_in_sight(batch: InstanceBatch, is_there: Tensor) -> Tensor:
    """``[e]`` whether a prediction would see an edge beside those that are there.

    Graph tasks see all of them.

    Args:
        batch: the instances.
        is_there: ``[e]`` which edges are left.
    """
    fields, sees_behind = batch.fields, batch.wiring.needs_both_directions
    if batch.task.level == "graph":
        return torch.ones_like(is_there)
    edge = is_there.nonzero().view(-1)
    source, destination = fields.source[edge], fields.destination[edge]
    is_near = torch.zeros(batch.num_nodes, dtype=torch.bool, device=batch.device)
    is_near[fields.seed.flatten()] = True
    for _ in range(min(batch.wiring.num_hops - 1, edge.numel())):
        before = is_near.clone()
        is_near[source[before[destination]]] = True
        if sees_behind:
            is_near[destination[before[source]]] = True
        if torch.equal(before, is_near):
            break
    found = is_near[fields.destination]
    return found | is_near[fields.source] if sees_behind else found


def nodes_in_sight(batch: InstanceBatch) -> Tensor:
    """``[n]`` whether a prediction sees a node."""
    if batch.task.level == "graph":
        return torch.ones(batch.num_nodes, dtype=torch.bool, device=batch.device)
    edge = edges_in_sight(batch, torch.ones_like(batch.fields.edge, dtype=torch.bool))
    found = torch.zeros(batch.num_nodes, dtype=torch.bool, device=batch.device)
    for end in (batch.fields.source[edge], batch.fields.destination[edge], batch.fields.seed):
        found[end] = True
    return found
