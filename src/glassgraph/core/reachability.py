"""What can reach a prediction: messages inside a model, edges and nodes a called model sees."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.copies import instances_are_apart
from glassgraph.core.sites import OpaqueWiring
from glassgraph.errors import NoGradientError
from glassgraph.inputs.receptive import receptive_fields


def reaching_messages(batch: InstanceBatch) -> Tensor:
    """``[L, e]`` whether an edge has a message at a layer that can reach the prediction.

    A receptive field knows it by distances (`near_messages`). On whole graphs
    nothing is known of distances, and a message counts if the explained score has a
    gradient with respect to it; so it is in a field that is all of the graph, if the model mixes
    nodes. Of a model that is only called, every edge counts that it sees.
    """
    if isinstance(batch.wiring, OpaqueWiring):
        is_seen = visible_edges(batch, batch.ones().bool())
        return is_seen.expand(batch.num_layers, -1)
    sent = messages_within_reach(batch)
    if _knows_distances(batch):
        return sent
    gates = batch.ones(layerwise=True).requires_grad_()
    try:
        with torch.enable_grad():
            (gradient,) = batch.gradients(batch.score(gates), [gates])
    except NoGradientError:  # then nothing is known of reach either
        return sent
    return sent & (gradient != 0)


def messages_within_reach(batch: InstanceBatch) -> Tensor:
    """``[L, e]`` whether an edge has a message at a layer that is near enough to the prediction.

    Every message that is sent, where distances say nothing.
    """
    if _knows_distances(batch):
        return near_messages(batch)
    return near_messages(batch, torch.zeros_like(batch.fields.distance))


def _knows_distances(batch: InstanceBatch) -> bool:
    """Whether what is too far from a prediction in its field cannot change it."""
    is_cut = not (batch.is_whole or batch.keeps_graphs)
    return batch.task.level == "graph" or (is_cut and not _is_mixed_whole(batch))


def _is_mixed_whole(batch: InstanceBatch) -> bool:
    """Whether a field holds a whole graph, and a model reads it that looks at all nodes at once.

    Such fields are right as they are, since nothing is missing and nothing lies beside them.
    """
    graph = batch.graph
    holds_all = batch.num_nodes == graph.num_nodes and batch.num_edges == graph.num_edges
    return batch.num_instances == 1 and holds_all and not instances_are_apart(batch)


def near_messages(batch: InstanceBatch, distance: Tensor | None = None) -> Tensor:
    """``[L, e]`` whether an edge has a message at a layer that is near enough to the prediction.

    Args:
        batch: the instances.
        distance: ``[n]`` hops from each node to the prediction; as the fields say if None.
    """
    fields, wiring, num_edges = batch.fields, batch.wiring, batch.num_edges
    distance = fields.distance if distance is None else distance
    found = torch.zeros((batch.num_layers, num_edges), dtype=torch.bool, device=batch.device)
    for site, plan in zip(wiring.sites, batch.intervention.plans, strict=True):
        if plan.row_edge is None:
            continue
        is_sent = torch.zeros(num_edges + 1, dtype=torch.bool, device=batch.device)
        is_sent[plan.row_edge] = True  # the last one stands for rows that are no user edge
        if plan.shared is not None:
            is_sent[plan.shared.edge] = True
        is_reversed = site.is_flipped != (wiring.channels[site.channel].receiver == 0)
        receiver = fields.source if is_reversed else fields.destination
        found[site.layer] |= is_sent[:-1] & (distance[receiver] <= site.height)
    return found


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


def sees_all(batch: InstanceBatch) -> bool:
    """Whether a prediction sees all nodes and edges of its graph."""
    wiring = batch.wiring
    sees_everything = isinstance(wiring, OpaqueWiring) and wiring.sees_everything
    return batch.task.level == "graph" or batch.keeps_graphs or sees_everything


def visible_edges(batch: InstanceBatch, is_there: Tensor) -> Tensor:
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
    for _ in range(min(batch.wiring.most_steps - 1, edge.numel())):
        before = is_near.clone()
        is_near[source[before[destination]]] = True
        if sees_behind:
            is_near[destination[before[source]]] = True
        if torch.equal(before, is_near):
            break
    found = is_near[fields.destination]
    return found | is_near[fields.source] if sees_behind else found


def visible_nodes(batch: InstanceBatch) -> Tensor:
    """``[n]`` whether a prediction sees a node."""
    if sees_all(batch):
        return torch.ones(batch.num_nodes, dtype=torch.bool, device=batch.device)
    edge = visible_edges(batch, torch.ones_like(batch.fields.edge, dtype=torch.bool))
    found = torch.zeros(batch.num_nodes, dtype=torch.bool, device=batch.device)
    for end in (batch.fields.source[edge], batch.fields.destination[edge], batch.fields.seed):
        found[end] = True
    return found
