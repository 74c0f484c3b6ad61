"""Where random numbers of edges and nodes are found: by endpoints, and by nothing else.

Together with the key of an instance (`InstanceBatch.key`) an address picks random numbers that
depend neither on the batch nor on the order in which nodes or edges are listed. ::

    random.uniform(seed, batch.key[batch.edge_instance], edge_address(batch))
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.edges import parallel_rank
from glassgraph.inputs.graph import TypedGraph


def edge_address(batch: InstanceBatch, order: Tensor | None = None) -> Tensor:
    """``[e]`` a number for each edge that depends on its endpoints alone.

    Of parallel edges, each type has numbers of its own, and so has each copy within a type.

    Args:
        batch: the instances.
        order: ``[e]`` in which order copies are counted; as they are listed if None.
    """
    fields = batch.fields
    source = within_graph(batch.graph, fields.node[fields.source])
    destination = within_graph(batch.graph, fields.node[fields.destination])
    if order is None:
        rank = parallel_rank(fields.source, fields.destination)
    else:
        rank = torch.empty_like(order)
        rank[order] = parallel_rank(fields.source[order], fields.destination[order])
    return random.hash64(0, source, destination, edge_kind(batch), rank)


def edge_kind(batch: InstanceBatch) -> Tensor:
    """``[e]`` the number of each edge's type."""
    bounds = torch.tensor(batch.graph.edge_offset[1:], device=batch.device)
    return torch.searchsorted(bounds, batch.fields.edge, right=True)


def node_address(batch: InstanceBatch) -> Tensor:
    """``[n]`` a number for each node, as `edge_address` for edges."""
    return random.hash64(1, within_graph(batch.graph, batch.fields.node))


def pair_address(graph: TypedGraph) -> Tensor:
    """``[E]`` a number for each of the user's edges that depends on its two nodes alone.

    It is the same for all edges between them, in either direction.
    """
    ends = torch.stack([within_graph(graph, end) for end in (graph.source, graph.destination)])
    return random.hash64(2, ends.min(dim=0).values, ends.max(dim=0).values)


def within_graph(graph: TypedGraph, node: Tensor) -> Tensor:
    """Flat nodes as numbers within their own graph, where the user gave several."""
    if graph.node_graph is None or graph.is_heterogeneous:
        return node
    return node - graph.by_graph[0].pointer[graph.node_graph[node]]
