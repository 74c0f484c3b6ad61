"""What imitations know of instances: normalized features, and degrees."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch


@dataclass(frozen=True)
class Inputs:
    """What surrogates know of the instances.

    Attributes:
        x: ``[n, F + 2]`` normalized features, whether a node is explained, and a one.
        edge: ``[e]`` entry of A for each edge.
        loop: ``[n]`` entry of A from each node to itself.
        num_nodes: ``[B]``.
        distance: ``[n]`` messages from a node to an explained one, at most ``layers + 1``; of
            graphs, whose nodes are all pooled, 0.
    """

    x: Tensor
    edge: Tensor
    loop: Tensor
    num_nodes: Tensor
    distance: Tensor

    @staticmethod
    def of(batch: InstanceBatch, layers: int) -> Inputs:
        """Features and degrees of a batch; of heterogeneous graphs, the features side by side."""
        dtype, fields, owner = batch.dtype, batch.fields, batch.node_instance
        ones = torch.ones(batch.num_edges, dtype=dtype, device=batch.device)
        zeros = torch.zeros(batch.num_nodes, dtype=dtype, device=batch.device)
        into = 1 + zeros.index_add(0, fields.destination, ones)
        out = 1 + zeros.index_add(0, fields.source, ones)
        is_seed = zeros.index_fill(0, fields.seed.flatten(), 1).view(-1, 1)
        known = [is_seed, torch.ones_like(is_seed)]
        for x, at in zip(batch.features, batch.packed.node_position, strict=True):
            if x is not None:
                own = _normalized(x.detach().to(dtype), owner[at], batch.num_instances)
                known.insert(-2, own.new_zeros((batch.num_nodes, x.size(1))).index_copy(0, at, own))
        weight = (into[fields.destination] * out[fields.source]).rsqrt()
        return Inputs(
            x=torch.cat(known, dim=1),
            edge=weight,
            loop=(into * out).rsqrt(),
            num_nodes=batch.nodes_per_instance,
            distance=_distances(batch, layers),
        )


def _distances(batch: InstanceBatch, most: int) -> Tensor:
    """``[n]`` messages from a node to an explained one; ``most + 1`` where there are more."""
    found = torch.zeros(batch.num_nodes, dtype=torch.long, device=batch.device)
    if batch.task.level == "graph":
        return found
    found = (found + most + 1).index_fill(0, batch.fields.seed.flatten(), 0)
    for _ in range(most):
        ahead = found[batch.fields.destination] + 1
        found = found.scatter_reduce(0, batch.fields.source, ahead, "amin")
    return found


def _normalized(x: Tensor, owner: Tensor, num_instances: int) -> Tensor:
    """Features with mean 0 and deviation 1 in each instance; those that do not vary are 0."""
    index = owner.view(-1, 1).expand_as(x)
    level = x.new_zeros((num_instances, x.size(1)))
    mean = level.scatter_reduce(0, index, x, "mean", include_self=False)
    centered = x - mean[owner]
    variance = level.scatter_reduce(0, index, centered.square(), "mean", include_self=False)
    floor = (1e3 * torch.finfo(x.dtype).eps * (1 + mean.abs())).square()
    return centered * torch.where(variance > floor, variance, math.inf).rsqrt()[owner]
