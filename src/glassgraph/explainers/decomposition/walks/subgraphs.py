"""Subgraphs by the relevance of the walks in them, and nodes in the order in which they add most.

With an indicator ``M`` of a set of nodes S, the walks that stay in S are those of
``M T_0 M T_1 ... M``: one sweep for any number of walks. With the weight ``alpha`` for every visit
outside of S, walks that leave S count too, and those that never touch it are taken off,

    R_S(alpha) = R[1 on S, alpha elsewhere] - R[0 on S, alpha elsewhere]

Xiong, Schnake, Montavon, Mueller and Nakajima, "Efficient Computation of Higher-Order Subgraph
Attribution via Message Passing" (ICML 2022, https://proceedings.mlr.press/v162/xiong22a.html).
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.relevance.walks import WalkGraph


def subgraph_relevance(walks: WalkGraph, inside: Tensor, alpha: float = 0.0) -> Tensor:
    """Relevance of sets of nodes in each instance.

    Args:
        walks: the walk graph.
        inside: ``[S, n]`` 1 for the nodes of a set, 0 for others.
        alpha: weight of a visit outside, from 0 to 1.

    Returns:
        ``[S, B]``.
    """
    inside = inside.to(walks.start.dtype)
    outside = alpha * (1 - inside)
    relevance = walks.relevance(inside + outside)
    return relevance if alpha == 0 else relevance - walks.relevance(outside)


def greedy_order(walks: WalkGraph, alpha: float = 0.0) -> Tensor:
    """The step at which each node joins a subgraph that grows by the best node each time.

    The *local best guess* of Xiong et al.: from the empty set, the node is added with which the
    subgraph is most relevant, until all are in. All instances grow side by side.

    Args:
        walks: the walk graph.
        alpha: see `subgraph_relevance`.

    Returns:
        ``[n]``, 0 for the first node of each instance.
    """
    instance, num_instances = walks.node_instance, walks.num_instances
    count = torch.bincount(instance, minlength=num_instances)
    own = torch.arange(instance.numel(), device=instance.device)
    place = own - (count.cumsum(0) - count)[instance]  # a node's number within its instance
    most = int(count.max()) if count.numel() else 0
    order = torch.zeros_like(instance)
    inside = torch.zeros(instance.numel(), dtype=torch.bool, device=instance.device)
    candidate = place == torch.arange(most, device=instance.device).unsqueeze(1)  # [most, n]
    for step in range(most):
        relevance = subgraph_relevance(walks, inside | candidate, alpha)
        value = relevance[place, instance].masked_fill(inside, float("-inf"))
        best = torch.full_like(relevance[0], float("-inf"))
        best = best.scatter_reduce(0, instance, value, "amax")
        is_best = ~inside & (value == best[instance])
        first = torch.full_like(count, instance.numel())
        first = first.scatter_reduce(0, instance[is_best], own[is_best], "amin")
        chosen = first[first < instance.numel()]
        inside[chosen], order[chosen] = True, step
    return order
