"""Many subgraphs of many instances as rows of nodes, and the messages between rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.surrogate.imitation.inputs import Inputs
from glassgraph.learn.sparse_product import Pattern, Sparse, sparse_product


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
    fields, rows, num_samples = batch.fields, _Rows.of(batch, has_node), has_edge.size(1)
    edge, at = has_edge.nonzero(as_tuple=True)
    receiver = torch.cat([rows.row_of[fields.destination[edge], at], rows.row])
    sender = torch.cat([rows.row_of[fields.source[edge], at], rows.row])
    weight = torch.cat([inputs.edge[edge], inputs.loop[rows.node]])
    between = Messages.of(Pattern.of(receiver, sender, rows.size, rows.size), weight, edge)
    x = inputs.x.new_zeros((rows.size, inputs.x.size(1)))
    x = x.index_copy(0, rows.row, inputs.x[rows.node])
    x = x.view(batch.num_instances, rows.per_instance, -1)
    if batch.task.level == "graph":
        mean = _means(batch, inputs, rows, num_samples)
        return Layout(x, between, between, torch.arange(rows.size), mean, num_samples)
    read = rows.row_of[fields.seed].transpose(1, 2)  # [B, M, S]
    chosen, into = _messages_into(read, receiver, rows.size)
    last = Messages.of(
        Pattern.of(into, sender[chosen], read.numel(), rows.size),
        weight[chosen],
        edge[chosen[chosen < edge.numel()]],
    )
    return Layout(x, between, last, read.flatten(), None, num_samples)


@dataclass(frozen=True)
class _Rows:
    """Where the r nodes of all subgraphs stand.

    Attributes:
        node: ``[r]`` node of the batch.
        sample: ``[r]`` which subgraph of its instance.
        row: ``[r]`` its row.
        row_of: ``[n, M]`` the row of a node in a subgraph, -1 for none.
        per_instance: number R of rows for each instance.
        size: number of all rows.
    """

    node: Tensor
    sample: Tensor
    row: Tensor
    row_of: Tensor
    per_instance: int
    size: int

    @staticmethod
    def of(batch: InstanceBatch, has_node: Tensor) -> _Rows:
        """Subgraph after subgraph in each instance, which all have as many rows as the largest."""
        owner, num_samples = batch.node_instance, has_node.size(1)
        node, sample = has_node.nonzero(as_tuple=True)
        order = ((owner[node] * num_samples + sample) * batch.num_nodes + node).argsort()
        node, sample = node[order], sample[order]
        count = torch.bincount(owner[node], minlength=batch.num_instances)
        num_rows, first = int(count.max()), count.cumsum(0) - count
        row = torch.arange(node.numel(), device=node.device) - first[owner[node]]
        row += owner[node] * num_rows
        row_of = torch.full(has_node.shape, -1, device=node.device).index_put((node, sample), row)
        return _Rows(node, sample, row, row_of, num_rows, batch.num_instances * num_rows)


def _means(batch: InstanceBatch, inputs: Inputs, rows: _Rows, num_samples: int) -> Tensor:
    """``[B, M, R]`` what makes means of all nodes of each subgraph."""
    mean = inputs.x.new_zeros((num_samples, rows.size))
    share = 1 / inputs.num_nodes[batch.node_instance[rows.node]].to(mean.dtype)
    mean[rows.sample, rows.row] = share
    return mean.view(num_samples, batch.num_instances, rows.per_instance).transpose(0, 1)


def _messages_into(read: Tensor, receiver: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Messages to rows ``read [B, M, S]``, ascending, and which of these rows each is for."""
    place, entry = [], []
    for seed, rows in enumerate(read.unbind(dim=2)):
        position = torch.arange(rows.numel(), device=read.device) * read.size(2) + seed
        place_of = torch.full((size,), -1, device=read.device)
        place_of[rows.flatten()] = position
        entry.append((place_of[receiver] >= 0).nonzero().view(-1))
        place.append(place_of[receiver[entry[-1]]])
    chosen, into = torch.cat(entry), torch.cat(place)
    order = chosen.argsort(stable=True)  # edges stay ahead of loops
    return chosen[order], into[order]
