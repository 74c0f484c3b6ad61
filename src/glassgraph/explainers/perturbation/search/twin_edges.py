"""Parallel edges that a model cannot tell apart score alike."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.edges import parallel_rank
from glassgraph.inputs.links import edge_attributes


def mean_of_twins(batch: InstanceBatch, score: Tensor) -> Tensor:
    """Scores ``[..., e]`` of edges, each the mean over its `twin_edges`."""
    alike = twin_edges(batch).expand_as(score)
    mean = torch.zeros_like(score).scatter_reduce(-1, alike, score, "mean", include_self=False)
    return mean.gather(-1, alike)


def twin_edges(batch: InstanceBatch) -> Tensor:
    """``[e]`` a group for each edge: parallel edges of one type with equal attributes share one.

    A model that does not go by the order of edges cannot tell them apart.
    """
    group = torch.arange(batch.num_edges, device=batch.device)
    is_heterogeneous = batch.graph.is_heterogeneous
    names = batch.graph.edge_types if is_heterogeneous else [None]
    for name, view in zip(names, batch.packed.views, strict=True):
        data, own = batch.packed.data, batch.graph.data
        store, own = (data[name], own[name]) if is_heterogeneous else (data, own)
        position = view.position
        if not bool(parallel_rank(view.source, view.destination).any()):
            continue
        columns = [view.source.view(-1, 1), view.destination.view(-1, 1)]
        for key in edge_attributes(own):
            value = store.get(key, None)
            if value is not None and value.size(0) == position.numel():
                rows = value.view(-1, 1) if value.dim() == 1 else value.flatten(1)
                rank = torch.unique(rows, dim=0, return_inverse=True)[1]
                columns.append(rank.view(-1, 1))
        _, same = torch.unique(torch.cat(columns, dim=1), dim=0, return_inverse=True)
        first = torch.full((int(same.max()) + 1,), batch.num_edges, device=batch.device)
        group[position] = first.scatter_reduce(0, same, position, "amin")[same]
    return group
