"""Scores of features, one tensor for each node type, as numbers of the nodes of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch


def flat_features(batch: InstanceBatch, feature: Sequence[Tensor | None] | None) -> Tensor | None:
    """Feature scores of all node types as ``[n, F]``, padded with NaN; None if there are none.

    Args:
        batch: the instances.
        feature: for each node type the scores ``[n_t, F_t]`` of its features, or None.
    """
    if feature is None or all(each is None for each in feature):
        return None
    if len(feature) == 1:
        return feature[0]
    width = max(each.size(1) for each in feature if each is not None)
    flat = torch.full((batch.num_nodes, width), float("nan"), device=batch.device)
    flat = flat.to(batch.dtype)
    for position, each in zip(batch.packed.node_position, feature, strict=True):
        if each is not None:
            flat[position, : each.size(1)] = each.to(batch.dtype)
    return flat


def sum_features(batch: InstanceBatch, feature: Sequence[Tensor | None]) -> Tensor:
    """Sum of each node's feature scores, ``[n]``; zero for node types without features.

    Args:
        batch: the instances.
        feature: for each node type the scores ``[n_t, F_t]`` of its features, or None.
    """
    return _reduced(batch, feature, lambda each: each.sum(dim=1))


def mean_features(batch: InstanceBatch, feature: Sequence[Tensor | None]) -> Tensor:
    """Mean of each node's feature scores, ``[n]``; zero for node types without features.

    Args:
        batch: the instances.
        feature: for each node type the scores ``[n_t, F_t]`` of its features, or None.
    """
    return _reduced(batch, feature, lambda each: each.mean(dim=1))


def _reduced(
    batch: InstanceBatch,
    feature: Sequence[Tensor | None],
    reduce: Callable[[Tensor], Tensor],
) -> Tensor:
    if len(feature) == 1 and feature[0] is not None:
        return reduce(feature[0])
    total = torch.zeros(batch.num_nodes, dtype=batch.dtype, device=batch.device)
    for position, each in zip(batch.packed.node_position, feature, strict=True):
        if each is not None:
            total[position] = reduce(each).to(batch.dtype)
    return total
