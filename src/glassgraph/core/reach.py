"""Which messages can reach a prediction, wherever it is explained; scores of nodes on edges."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.outside.sight import edges_in_sight, sees_all
from glassgraph.core.receptive import receptive_fields
from glassgraph.core.sites import OpaqueWiring


def reaching_messages(batch: InstanceBatch) -> Tensor:
    """``[L, e]`` whether an edge has a message at a layer that can reach the prediction.

    A receptive field knows it by distances (`InstanceBatch.has_message`). On the user's full graph
    (the fall-back) nothing is known of distances, and a message counts if the explained score has a
    gradient with respect to it. Of a model that is only called, every edge counts that it sees.
    """
    if isinstance(batch.wiring, OpaqueWiring):
        is_seen = edges_in_sight(batch, batch.ones().bool())
        return is_seen.expand(batch.num_layers, -1)
    sent = batch.has_message()
    if not batch.is_whole or batch.task.level == "graph":
        return sent
    gates = batch.ones(layerwise=True).requires_grad_()
    with torch.enable_grad():
        (gradient,) = batch.gradients(batch.score(gates), [gates])
    return sent & (gradient != 0)


def edges_of_nodes(batch: InstanceBatch, node: Tensor) -> Tensor:
    """Score ``[e]`` of each edge: the mean of its two ends, as the metrics read node scores.

    Edges that cannot reach the prediction score 0.

    Args:
        batch: the instances.
        node: ``[n]`` score of each node.
    """
    mean = (node[batch.fields.source] + node[batch.fields.destination]) / 2
    return mean * reaching_messages(batch).any(dim=0)


def hops_away(batch: InstanceBatch) -> Tensor:
    """``[n]`` hops from each node to the prediction, one more than the reach for those beyond it.

    0 everywhere for graph tasks, and for a model that looks at everything.
    """
    fields, wiring = batch.fields, batch.wiring
    if not batch.is_whole or sees_all(batch):
        return fields.distance
    near = receptive_fields(
        batch.graph, fields.node[fields.seed], wiring.num_hops, wiring.needs_both_directions
    )
    found = torch.full_like(fields.node, wiring.num_hops + 1)
    found[torch.searchsorted(fields.node, near.node)] = near.distance
    return found
