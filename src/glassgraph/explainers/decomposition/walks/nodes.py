"""The user's nodes among those of a batch: sets of nodes, walks, and orders of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import InstanceError, WalkError


def masks_of(batch: InstanceBatch, node_sets: Sequence[Any] | Tensor) -> Tensor:
    """Sets of the user's nodes as ``[S, n]`` masks on a batch of one instance.

    Args:
        batch: the instance.
        node_sets: S sets of nodes, or their masks ``[S, N]``.

    Raises:
        InstanceError: if there is no such node.
    """
    is_mask = isinstance(node_sets, Tensor) and node_sets.dtype == torch.bool
    rows = []
    for each in node_sets:
        nodes = each.nonzero().view(-1) if is_mask else each
        rows.append(torch.isin(batch.fields.node, _over_all_graphs(batch, nodes)))
    return torch.stack(rows) if rows else batch.fields.node.new_zeros((0, batch.num_nodes))


def walks_in(batch: InstanceBatch, walks: Any) -> Tensor:
    """Walks along the user's nodes as walks ``[W, L + 1]`` along nodes of a batch of one instance.

    Raises:
        InstanceError: if there is no such node.
        WalkError: if nothing reaches the prediction from there.
    """
    flat = _over_all_graphs(batch, walks)
    place = torch.searchsorted(batch.fields.node, flat)
    place = place.clamp_max(max(0, batch.num_nodes - 1))
    if bool((batch.fields.node[place] != flat).any()):
        raise WalkError("a walk visits a node from which nothing reaches the prediction")
    return place


def own_nodes(batch: InstanceBatch, row: int) -> tuple[Tensor, Tensor]:
    """Which nodes of a batch are those of instance ``row``, and their numbers in its graph."""
    own = batch.node_instance == row
    node = batch.fields.node[own]
    if batch.graph.node_graph is not None and batch.graph.joined is None:
        graph = batch.graph.node_graph[node[0]]
        node = node - batch.graph.by_graph[0].pointer[graph]
    return own, node


def _over_all_graphs(batch: InstanceBatch, nodes: Any) -> Tensor:
    """The user's nodes of a batch's only graph, numbered over all graphs.

    Raises:
        InstanceError: if there is no such node.
    """
    chosen = torch.as_tensor(nodes, device=batch.device)
    chosen = chosen.long() if not chosen.numel() else chosen
    if chosen.is_floating_point() or chosen.dtype == torch.bool:
        raise InstanceError(f"nodes are given by their numbers; got {chosen.dtype}")
    graph, start, num_nodes = batch.graph, 0, batch.graph.num_nodes
    if graph.node_graph is not None and graph.joined is None:
        number = int(graph.node_graph[batch.fields.node[0]])
        start, stop = graph.by_graph[0].pointer[number : number + 2].tolist()
        num_nodes = stop - start
    if chosen.numel() and (int(chosen.min()) < 0 or int(chosen.max()) >= num_nodes):
        bad = int(chosen.min()) if int(chosen.min()) < 0 else int(chosen.max())
        raise InstanceError(f"node {bad} is out of range: there are {num_nodes} (nodes from 0)")
    return chosen.long() + start
