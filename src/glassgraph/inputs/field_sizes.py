"""How large receptive fields are, counted before their edges are read.

How many edges enter a node stands in the index. So the search for a field goes only as far as its
size stays within bounds, and a node with a million edges costs nothing but its count.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.inputs.graph import CompressedIndex, TypedGraph
from glassgraph.inputs.receptive import expand, not_in, unique_sorted


@dataclass(frozen=True)
class FieldSizes:
    """Sizes of the fields of B instances.

    Attributes:
        edges: ``[B]`` edges of the field, each as often as it is crossed; at least so many where
            counting stopped.
        around: ``[B]`` edges that enter or leave one of its nodes, likewise.
        is_exact: ``[B]`` whether counting went through.
    """

    edges: Tensor
    around: Tensor
    is_exact: Tensor


def field_sizes(
    graph: TypedGraph, seeds: Tensor, num_hops: int, both_directions: bool, most: int
) -> FieldSizes:
    """Count the edges of receptive fields, see `receptive_fields`.

    Args:
        graph: the user's graph.
        seeds: ``[B, S]`` flat nodes that each instance is about.
        num_hops: hops K.
        both_directions: whether edges are also followed from sender to receiver.
        most: edges of a field at which counting may stop.
    """
    span, num_instances = max(graph.num_nodes, 1), seeds.size(0)
    instance = torch.arange(num_instances, device=seeds.device).view(-1, 1)
    last = seen = unique_sorted((instance * span + seeds).flatten())
    edges = seen.new_zeros(num_instances)
    indices = (graph.incoming, graph.outgoing)[: 2 if both_directions else 1]
    ends = (graph.source, graph.destination)
    for _ in range(num_hops):
        for index in indices:
            edges += _degrees(index, last, span, num_instances)
        last = last[edges[last // span] <= most]
        reached = unique_sorted(
            torch.cat(
                [
                    _neighbors(index, end, last, span)
                    for index, end in zip(indices, ends, strict=False)
                ]
            )
        )
        last = reached[not_in(reached, seen)]
        seen = torch.cat([seen, last]).sort().values
        if not last.numel():
            break
    both = (graph.incoming, graph.outgoing)
    around = sum((_degrees(index, seen, span, num_instances) for index in both), 0 * edges)
    return FieldSizes(edges, torch.maximum(around, edges), edges <= most)


def _degrees(index: CompressedIndex, key: Tensor, span: int, num_instances: int) -> Tensor:
    """``[B]`` how many edges an index lists for the nodes of each instance."""
    node, instance = key % span, key // span
    degree = index.pointer[node + 1] - index.pointer[node]
    return degree.new_zeros(num_instances).index_add_(0, instance, degree)


def _neighbors(index: CompressedIndex, end: Tensor, key: Tensor, span: int) -> Tensor:
    """Keys of the nodes at the other ends of these edges."""
    position, origin = expand(index.pointer, key % span)
    other = end[index.edge[position]] if index.other is None else index.other[position]
    return (key // span)[origin] * span + other
