"""Items of a search: single edges, or the two directions of an undirected edge together."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.core.addresses import edge_kind
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.edges import parallel_rank
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.links import edge_attributes


def edges_of_items(batch: InstanceBatch, *, pairs: bool) -> Tensor:
    """``[I, 2]`` the edges of each item, ordered by the first; the second is -1 for a single edge.

    Args:
        batch: the instances.
        pairs: whether an edge and its reverse are one item. Of parallel edges of a type, ordered by
            their attributes, the first goes with the first; an edge without a reverse, and a loop,
            stays alone.
    """
    number = torch.arange(batch.num_edges, device=batch.device)
    if not pairs or not batch.num_edges:
        return torch.stack([number, torch.full_like(number, -1)], dim=1)
    source, destination = batch.fields.source, batch.fields.destination
    kind = edge_kind(batch)
    rank = _rank_of_parallel(batch, kind)
    low, high = torch.minimum(source, destination), torch.maximum(source, destination)
    joined = torch.unique(low * batch.num_nodes + high, return_inverse=True)[1]
    look = (joined * (int(kind.max()) + 1) + kind) * (int(rank.max()) + 1) + rank
    group = torch.unique(look, return_inverse=True)[1]
    first = torch.full_like(number, batch.num_edges).scatter_reduce(0, group, number, "amin")
    last = torch.full_like(number, -1).scatter_reduce(0, group, number, "amax")
    used = torch.unique(group)
    item = torch.stack([first[used], last[used].where(last[used] > first[used], -1)], dim=1)
    return item[torch.argsort(item[:, 0])]


def is_undirected(graph: TypedGraph) -> bool:
    """Whether every edge of a graph has its reverse.

    Not known, and so denied, of graphs with types and of large ones on disk.
    """
    return not (graph.must_stay_cut or graph.is_heterogeneous) and graph.has_all_reverses


def takes_pairs(graph: TypedGraph, pairs: bool | None) -> bool:
    """Whether both directions of an edge go together: as asked, or where the graph is undirected.

    Args:
        graph: the user's graph(s).
        pairs: what was asked for; None for what the graph says.
    """
    return is_undirected(graph) if pairs is None else pairs


def _rank_of_parallel(batch: InstanceBatch, kind: Tensor) -> Tensor:
    """``[e]`` how many parallel edges of a type have smaller attributes, or come first."""
    source, destination = batch.fields.source, batch.fields.destination
    source = source * (int(kind.max()) + 1) + kind
    rank = parallel_rank(source, destination)
    if bool(rank.any()):
        order = torch.argsort(attribute_rank(batch), stable=True)
        rank[order] = parallel_rank(source[order], destination[order])
    return rank


def attribute_rank(batch: InstanceBatch) -> Tensor:
    """``[e]`` numbers by which edges of a type are ordered, the same where attributes are equal."""
    found = torch.zeros(batch.num_edges, dtype=torch.long, device=batch.device)
    is_heterogeneous = batch.graph.is_heterogeneous
    names = batch.graph.edge_types if is_heterogeneous else [None]
    for name, view in zip(names, batch.packed.views, strict=True):
        data, own = batch.packed.data, batch.graph.data
        store, own = (data[name], own[name]) if is_heterogeneous else (data, own)
        values = [store.get(key, None) for key in sorted(edge_attributes(own))]
        rows = [v.flatten(1) if v.dim() > 1 else v.view(-1, 1) for v in values if v is not None]
        columns = [
            torch.unique(each, dim=0, return_inverse=True)[1]
            for each in rows
            if each.size(0) == view.position.numel()
        ]
        if columns:
            looks = torch.stack(columns, dim=1)
            found[view.position] = torch.unique(looks, dim=0, return_inverse=True)[1]
    return found
