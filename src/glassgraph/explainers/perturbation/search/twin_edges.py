"""Parallel edges that a model cannot tell apart score alike.

Two such edges have equal attributes; or at every layer they share their messages, as self-loops do
that a layer replaces by one of its own (`glassgraph.core.shared_rows`). Those that can be told
apart are, wherever they stand among the edges.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.black_box.attribute_hash import edge_hashes
from glassgraph.core import random
from glassgraph.core.addresses import edge_address, edge_kind
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.edges import parallel_rank
from glassgraph.core.undirected import attribute_rank


def mean_of_twins(batch: InstanceBatch, score: Tensor) -> Tensor:
    """Scores ``[..., e]`` of edges, each the mean over its `twin_edges`."""
    alike = twin_edges(batch).expand_as(score)
    mean = torch.zeros_like(score).scatter_reduce(-1, alike, score, "mean", include_self=False)
    return mean.gather(-1, alike)


def twin_edges(batch: InstanceBatch) -> Tensor:
    """``[e]`` a group for each edge: those that a model cannot tell apart share one.

    It is one that does not go by the order of edges.
    """
    group = torch.arange(batch.num_edges, device=batch.device)
    if not _has_parallel(batch.fields.source, batch.fields.destination):
        return group
    alike, sharing = _with_equal_attributes(batch, group), _with_shared_rows(batch, group)
    return _first_of(alike, sharing)[sharing][alike]


def order_of_ties(batch: InstanceBatch) -> Tensor:
    """``[e]`` a number for each edge, by which ties are decided.

    Like `edge_address`, but that parallel edges of a type are counted by what their attributes are;
    where they stand decides between those with equal ones alone, which are twins.
    """
    fields = batch.fields
    if not _has_parallel(fields.source, fields.destination):
        return edge_address(batch)
    order = torch.argsort(edge_hashes(batch), stable=True)
    order = order[torch.argsort(edge_kind(batch)[order], stable=True)]
    return edge_address(batch, order)


def _with_equal_attributes(batch: InstanceBatch, group: Tensor) -> Tensor:
    """``[e]`` the first of the parallel edges of a type that have the same attributes."""
    source, destination = batch.fields.source, batch.fields.destination
    looks = torch.stack([source, destination, edge_kind(batch), attribute_rank(batch)])
    same = torch.unique(looks, dim=1, return_inverse=True)[1]
    return _first_of(group, same)[same]


def _with_shared_rows(batch: InstanceBatch, group: Tensor) -> Tensor:
    """``[e]`` the first of the edges that own the same messages at every site."""
    plans = batch.intervention.plans
    if all(plan.shared is None for plan in plans):
        return group
    owned = torch.zeros_like(group)
    for site, plan in enumerate(plans):
        row, edge, _ = plan.owned(batch.num_edges)
        owned.index_add_(0, edge, random.hash64(9, row, site))  # wraps around
    _, same = torch.unique(owned, return_inverse=True)
    return _first_of(group, same)[same].where(owned != 0, group)


def _first_of(value: Tensor, group: Tensor) -> Tensor:
    """The smallest value ``[g]`` of each group, of values ``[m]`` that belong to some."""
    first = torch.full((int(group.max()) + 1,), int(value.max()), device=value.device)
    return first.scatter_reduce(0, group, value, "amin")


def _has_parallel(source: Tensor, destination: Tensor) -> bool:
    return bool(parallel_rank(source, destination).any())
