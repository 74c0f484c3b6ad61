"""Which nodes of which subgraphs a surrogate cannot tell apart.

Before the first block a node's state depends on its inputs alone, and after every block on its own
state and on those it hears: so two nodes whose inputs are equal, and that hear equal nodes with
equal weights, have equal states, whatever the weights of the surrogate. They are one class, and a
surrogate computes each class once. A subgraph that lacks edges elsewhere leaves a node in its
class, and where a subgraph ends, nodes hear nothing.

Classes are found by refining colors (Weisfeiler and Leman 1968): a color is a 64-bit hash of what a
state depends on, so that two classes of n share one by accident with a chance of n^2 / 2^65. Colors
are made of features, degrees and edges, not of the numbers of nodes or instances.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.surrogate.imitation.inputs import Inputs


@dataclass(frozen=True)
class Classes:
    """The c classes of the states at one height, as rows: Q for each of B instances.

    Attributes:
        row_of: ``[n, M]`` the row of a node in a subgraph; -1 where its state is not asked for.
        node: ``[c]`` a node of each class.
        sample: ``[c]`` the subgraph it is in.
        row: ``[c]`` the row of the class.
        num_rows: Q, as many as the instance with the most classes has.
    """

    row_of: Tensor
    node: Tensor
    sample: Tensor
    row: Tensor
    num_rows: int

    @staticmethod
    def of(color: Tensor, is_asked: Tensor, batch: InstanceBatch) -> Classes:
        """Classes of the nodes in subgraphs ``[n, M]`` that are asked for, by their colors."""
        node, sample = is_asked.nonzero(as_tuple=True)
        order = color[node, sample].argsort(stable=True)
        order = order[batch.node_instance[node[order]].argsort(stable=True)]
        node, sample = node[order], sample[order]
        own, owner = color[node, sample], batch.node_instance[node]
        is_new = torch.ones_like(own, dtype=torch.bool)
        is_new[1:] = (own[1:] != own[:-1]) | (owner[1:] != owner[:-1])
        first = is_new.nonzero().view(-1)
        count = torch.bincount(owner[first], minlength=batch.num_instances)
        num_rows = int(count.max())
        before = torch.arange(batch.num_instances, device=own.device) * num_rows
        row = torch.arange(first.numel(), device=own.device)
        row = row + (before - (count.cumsum(0) - count))[owner[first]]
        row_of = torch.full(is_asked.shape, -1, device=own.device)
        row_of[node, sample] = row[is_new.cumsum(0) - 1]
        return Classes(row_of, node[first], sample[first], row, num_rows)


def refined(
    batch: InstanceBatch, inputs: Inputs, has_edge: Tensor, layers: int
) -> Iterator[Tensor]:
    """Colors before the first block ``[n, 1]``, then after each block ``[n, M]``.

    Args:
        batch: the instances.
        inputs: what surrogates know of them.
        has_edge: ``[e, M]`` which edges subgraphs have.
        layers: number of blocks.
    """
    color = _bits(inputs.loop)
    for column in inputs.x.unbind(dim=1):
        color = random.hash64(0, color, _bits(column))
    color = color.view(-1, 1)
    weight = random.hash64(1, _bits(inputs.edge)).view(-1, 1)
    source, destination = batch.fields.source, batch.fields.destination
    yield color
    color, weight = color.expand(-1, has_edge.size(1)), (weight | 1) * has_edge
    for _ in range(layers):
        said = torch.zeros_like(color).index_add(0, destination, color[source] * weight)
        color = random.hash64(2, color, said)
        yield color


def _bits(value: Tensor) -> Tensor:
    """Floating-point numbers as integers that are equal where they are."""
    kinds = {8: torch.int64, 4: torch.int32, 2: torch.int16}
    return value.contiguous().view(kinds[value.element_size()]).long()
