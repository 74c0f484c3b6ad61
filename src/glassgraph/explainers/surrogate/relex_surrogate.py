r"""Graph networks that imitate one prediction each, many of them trained side by side.

For an instance with normalized features ``x`` and a subgraph with weights ``a`` on its edges,

.. code-block:: text

    h = [x, is explained] W_0 + b_0
    h = h + ReLU(A(a) h W_l + b_l)                         residual blocks l = 1 .. layers
    y = h[explained nodes] v + c                           (of a graph: the mean of all h)

``A(a)[v, u] = a_uv / sqrt((1 + in-degree of v) (1 + out-degree of u))`` with ``a = 1`` from each
node to itself. Degrees are those of the whole field: an edge that is missing takes its message with
it and changes nothing else, so that ``y`` is smooth in ``a``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.core.batch import InstanceBatch
from glassgraph.learn.sparse_product import Pattern, Sparse, sparse_product

#: Part of the addresses of weights.
_WEIGHT = 5


@dataclass(frozen=True)
class Inputs:
    """What surrogates know of the instances.

    Attributes:
        x: ``[n, F + 1]`` normalized features, and whether a node is explained.
        edge: ``[e]`` entry of A for each edge.
        loop: ``[n]`` entry of A from each node to itself.
        num_nodes: ``[B]``.
    """

    x: Tensor
    edge: Tensor
    loop: Tensor
    num_nodes: Tensor

    @staticmethod
    def of(batch: InstanceBatch) -> Inputs:
        """Features and degrees of a batch; of heterogeneous graphs, the features side by side."""
        dtype, fields, owner = batch.dtype, batch.fields, batch.node_instance
        ones = torch.ones(batch.num_edges, dtype=dtype, device=batch.device)
        zeros = torch.zeros(batch.num_nodes, dtype=dtype, device=batch.device)
        into = 1 + zeros.index_add(0, fields.destination, ones)
        out = 1 + zeros.index_add(0, fields.source, ones)
        is_seed = zeros.index_fill(0, fields.seed.flatten(), 1).view(-1, 1)
        known = [is_seed]
        for x, at in zip(batch.features, batch.packed.node_position, strict=True):
            if x is not None:
                own = _normalized(x.detach().to(dtype), owner[at], batch.num_instances)
                known.insert(-1, own.new_zeros((batch.num_nodes, x.size(1))).index_copy(0, at, own))
        weight = (into[fields.destination] * out[fields.source]).rsqrt()
        return Inputs(
            torch.cat(known, dim=1), weight, (into * out).rsqrt(), batch.nodes_per_instance
        )


def _normalized(x: Tensor, owner: Tensor, num_instances: int) -> Tensor:
    """Features with mean 0 and deviation 1 in each instance; those that do not vary are 0."""
    index = owner.view(-1, 1).expand_as(x)
    level = x.new_zeros((num_instances, x.size(1)))
    mean = level.scatter_reduce(0, index, x, "mean", include_self=False)
    centered = x - mean[owner]
    variance = level.scatter_reduce(0, index, centered.square(), "mean", include_self=False)
    floor = (1e3 * torch.finfo(x.dtype).eps * (1 + mean.abs())).square()
    return centered * torch.where(variance > floor, variance, math.inf).rsqrt()[owner]


@dataclass(frozen=True)
class Messages:
    """Entries of A: those of edges, then each node to itself.

    Attributes:
        pattern: where they stand.
        weight: ``[K]`` their values for open edges.
        edge: ``[k]`` the edges of the first k of them.
        matrix: all of it, for open edges.
    """

    pattern: Pattern
    weight: Tensor
    edge: Tensor
    matrix: Sparse

    @staticmethod
    def of(pattern: Pattern, weight: Tensor, edge: Tensor) -> Messages:
        """Messages from their entries."""
        return Messages(pattern, weight, edge, Sparse.of(pattern, weight))

    def heard(self, h: Tensor, gates: Tensor | None) -> Tensor:
        """What rows of states hear, under gates ``[e]`` on the edges."""
        if gates is None:
            return self.matrix @ h
        first = self.weight[: self.edge.numel()] * gates[self.edge]
        return sparse_product(self.pattern, torch.cat([first, self.weight[self.edge.numel() :]]), h)


@dataclass(frozen=True)
class Layout:
    """M subgraphs of each of B instances as rows of nodes, R rows for each instance.

    The last block is computed where it is read: Q rows of each instance, those of the explained
    nodes of all subgraphs; of graphs all R.

    Attributes:
        x: ``[B, R, F + 1]`` inputs.
        between: messages from rows to rows.
        last: messages from rows to rows that are read.
        read: ``[B * Q]`` the rows that are read.
        mean: ``[B, M, R]`` for graphs, what makes means of all nodes.
        num_samples: M.
    """

    x: Tensor
    between: Messages
    last: Messages
    read: Tensor
    mean: Tensor | None
    num_samples: int


def lay_out(batch: InstanceBatch, inputs: Inputs, has_edge: Tensor, has_node: Tensor) -> Layout:
    """Rows for subgraphs with some edges ``[e, M]`` and nodes ``[n, M]``."""
    fields, owner = batch.fields, batch.node_instance
    num_instances, num_samples = batch.num_instances, has_edge.size(1)
    node, sample = has_node.nonzero(as_tuple=True)
    order = ((owner[node] * num_samples + sample) * batch.num_nodes + node).argsort()
    node, sample = node[order], sample[order]
    count = torch.bincount(owner[node], minlength=num_instances)
    num_rows, first = int(count.max()), count.cumsum(0) - count
    row = torch.arange(node.numel(), device=node.device) - first[owner[node]]
    row += owner[node] * num_rows
    row_of = torch.full(has_node.shape, -1, device=node.device).index_put((node, sample), row)
    size = num_instances * num_rows
    edge, at = has_edge.nonzero(as_tuple=True)
    receiver = torch.cat([row_of[fields.destination[edge], at], row])
    sender = torch.cat([row_of[fields.source[edge], at], row])
    weight = torch.cat([inputs.edge[edge], inputs.loop[node]])
    between = Messages.of(Pattern.of(receiver, sender, size, size), weight, edge)
    x = inputs.x.new_zeros((size, inputs.x.size(1))).index_copy(0, row, inputs.x[node])
    x = x.view(num_instances, num_rows, -1)
    if batch.task.level == "graph":
        mean = x.new_zeros((num_samples, size))
        mean[sample, row] = 1 / inputs.num_nodes[owner[node]].to(x.dtype)
        mean = mean.view(num_samples, num_instances, num_rows).transpose(0, 1)
        return Layout(x, between, between, torch.arange(size), mean, num_samples)
    read = row_of[fields.seed].transpose(1, 2)  # [B, M, S]
    place, entry = [], []
    for seed, rows in enumerate(read.unbind(dim=2)):
        position = torch.arange(rows.numel(), device=node.device) * read.size(2) + seed
        place_of = torch.full((size,), -1, device=node.device)
        place_of[rows.flatten()] = position
        entry.append((place_of[receiver] >= 0).nonzero().view(-1))
        place.append(place_of[receiver[entry[-1]]])
    chosen, into = torch.cat(entry), torch.cat(place)
    order = chosen.argsort(stable=True)  # edges stay ahead of loops
    chosen, into = chosen[order], into[order]
    last = Messages.of(
        Pattern.of(into, sender[chosen], read.numel(), size),
        weight[chosen],
        edge[chosen[chosen < edge.numel()]],
    )
    return Layout(x, between, last, read.flatten(), None, num_samples)


class Surrogates:
    """B networks with weights of their own.

    Args:
        key: ``[B]`` addresses of their initial weights.
        num_features: width of their inputs.
        hidden: width H.
        layers: number of residual blocks.
        num_seeds: explained nodes of an instance; 0 for graphs.
        dtype: floating type.
    """

    def __init__(
        self,
        key: Tensor,
        num_features: int,
        hidden: int,
        layers: int,
        num_seeds: int,
        dtype: torch.dtype,
    ) -> None:
        sizes = [(num_features, hidden), *[(hidden, hidden)] * layers]
        sizes.append((hidden * max(1, num_seeds), 1))
        self.weights = [_initial(key, number, size, dtype) for number, size in enumerate(sizes)]
        self.biases = [torch.zeros_like(weight[:, :1]).requires_grad_() for weight in self.weights]

    @property
    def parameters(self) -> list[Tensor]:
        """Everything that is trained."""
        return [*self.weights, *self.biases]

    def __call__(self, layout: Layout, gates: Tensor | None = None) -> Tensor:
        """Predictions ``[B, M]``, under gates ``[e]`` on the edges."""
        h = torch.baddbmm(self.biases[0], layout.x, self.weights[0])
        blocks = list(zip(self.weights[1:-1], self.biases[1:-1], strict=True))
        for number, (weight, bias) in enumerate(blocks):
            is_last = number == len(blocks) - 1
            flat = h.flatten(0, 1)
            heard = (layout.last if is_last else layout.between).heard(flat, gates)
            h = flat[layout.read].view(h.size(0), -1, h.size(2)) if is_last else h
            h = h + torch.baddbmm(bias, heard.view_as(h), weight).relu()
        read = h if layout.mean is None else layout.mean @ h
        read = read.reshape(h.size(0), layout.num_samples, -1)
        return torch.baddbmm(self.biases[-1], read, self.weights[-1]).squeeze(2)


def _initial(key: Tensor, number: int, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Weights ``[B, rows, columns]`` by address, with variance 2 / rows (He et al. 2015)."""
    position = torch.arange(size[0] * size[1], device=key.device)
    draw = random.normal(_WEIGHT, key.view(-1, 1), number, position)
    weight = (draw * math.sqrt(2 / size[0])).to(dtype).view(-1, *size)
    return weight.requires_grad_()
