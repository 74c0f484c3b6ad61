"""What a prediction can see of the edges that are left, of a model that is only called."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.sites import OpaqueWiring


def sees_all(batch: InstanceBatch) -> bool:
    """Whether a prediction sees all nodes and edges of its graph."""
    wiring = batch.wiring
    sees_everything = isinstance(wiring, OpaqueWiring) and wiring.sees_everything
    return batch.task.level == "graph" or sees_everything


def edges_in_sight(batch: InstanceBatch, is_there: Tensor) -> Tensor:
    """``[e]`` whether a prediction would see an edge beside those that are there.

    Graph tasks see all of them, and so does a model that looks at everything.

    Args:
        batch: the instances.
        is_there: ``[e]`` which edges are left.
    """
    fields, sees_behind = batch.fields, batch.wiring.needs_both_directions
    if sees_all(batch):
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
    if sees_all(batch):
        return torch.ones(batch.num_nodes, dtype=torch.bool, device=batch.device)
    edge = edges_in_sight(batch, torch.ones_like(batch.fields.edge, dtype=torch.bool))
    found = torch.zeros(batch.num_nodes, dtype=torch.bool, device=batch.device)
    for end in (batch.fields.source[edge], batch.fields.destination[edge], batch.fields.seed):
        found[end] = True
    return found
