"""Many subgraphs of many instances as rows of nodes, and the messages between rows.

Block l of L is computed at the rows from which L - l further blocks reach a row that is read: rows
are in the order of their distance to the explained nodes, so these are the first ones. Of a graph
all rows are read, and computed in every block.
"""

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
        num_rows: rows of each instance that hear them.
    """

    pattern: Pattern
    weight: Tensor
    edge: Tensor
    matrix: Sparse
    num_rows: int

    def heard(self, h: Tensor, gates: Tensor | None) -> Tensor:
        """What rows hear ``[B, Q, H]`` of states ``[B, R, H]``, under gates ``[e]`` on edges."""
        flat = h.flatten(0, 1)
        if gates is None:
            found = self.matrix @ flat
        else:
            first = self.weight[: self.edge.numel()] * gates[self.edge]
            weight = torch.cat([first, self.weight[self.edge.numel() :]])
            found = sparse_product(self.pattern, weight, flat)
        return found.view(h.size(0), self.num_rows, h.size(2))


@dataclass(frozen=True)
class Layout:
    """M subgraphs of each of B instances as rows of nodes, R rows for each instance.

    Attributes:
        x: ``[B, R, F + 2]`` inputs, and a one.
        blocks: the messages of each block, to the first rows of those of the block before.
        first: ``[B, 2 Q, F + 2]`` the inputs of the Q rows of the first block, then what these rows
            hear of all inputs. Where edges are open it is the same in every step.
        read: ``[B * M * S]`` rows of the last block that are read; None for all, in their order.
        mean: ``[B, M, R]`` for graphs, what makes means of all nodes.
        num_samples: M.
    """

    x: Tensor
    blocks: tuple[Messages, ...]
    first: Tensor
    read: Tensor | None
    mean: Tensor | None
    num_samples: int


def lay_out(
    batch: InstanceBatch, inputs: Inputs, has_edge: Tensor, has_node: Tensor, layers: int
) -> Layout:
    """Rows for subgraphs with some edges ``[e, M]`` and nodes ``[n, M]``, of that many blocks."""
    rows = _Rows.of(batch, inputs.distance, has_node & (inputs.distance <= layers)[:, None])
    blocks = tuple(_messages(batch, inputs, rows, has_edge, layers))
    x = inputs.x.new_zeros((rows.size, inputs.x.size(1) + 1))
    x = x.index_copy(
        0, rows.row, torch.cat([inputs.x, inputs.x.new_ones(len(inputs.x), 1)], 1)[rows.node]
    )
    x = x.view(batch.num_instances, rows.per_instance, -1)
    first = torch.cat([x[:, : blocks[0].num_rows], blocks[0].heard(x, None)], dim=1)
    num_samples = has_edge.size(1)
    if batch.task.level == "graph":
        mean = _means(batch, inputs, rows, num_samples)
        return Layout(x, blocks, first, None, mean, num_samples)
    read = None
    if batch.fields.seed.size(1) > 1:
        of_all = rows.row_of[batch.fields.seed].transpose(1, 2)  # [B, M, S]
        read = rows.among_first(of_all.flatten(), blocks[-1].num_rows)
    return Layout(x, blocks, first, read, None, num_samples)


def _messages(
    batch: InstanceBatch, inputs: Inputs, rows: _Rows, has_edge: Tensor, layers: int
) -> list[Messages]:
    """Those of each block."""
    fields = batch.fields
    edge, at = has_edge.nonzero(as_tuple=True)
    is_near = inputs.distance[fields.destination[edge]] < layers
    edge, at = edge[is_near], at[is_near]
    receiver = torch.cat([rows.row_of[fields.destination[edge], at], rows.row])
    sender = torch.cat([rows.row_of[fields.source[edge], at], rows.row])
    weight = torch.cat([inputs.edge[edge], inputs.loop[rows.node]])
    distance = inputs.distance[torch.cat([fields.destination[edge], rows.node])]
    blocks: list[Messages] = []
    num_senders = rows.per_instance
    for left in reversed(range(layers)):
        num_rows = rows.num_within(left)
        if blocks and num_rows == num_senders == blocks[-1].num_rows:
            is_same = bool((distance <= left).all())
            if is_same:
                blocks.append(blocks[-1])
                continue
        heard = (distance <= left).nonzero().view(-1)
        pattern = Pattern.of(
            rows.among_first(receiver[heard], num_rows),
            rows.among_first(sender[heard], num_senders),
            batch.num_instances * num_rows,
            batch.num_instances * num_senders,
        )
        of_edges = edge[heard[heard < edge.numel()]]
        own = weight[heard]
        blocks.append(Messages(pattern, own, of_edges, Sparse.of(pattern, own), num_rows))
        num_senders = num_rows
    return blocks


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
        count: ``[B, D]`` how many rows of an instance have each distance.
    """

    node: Tensor
    sample: Tensor
    row: Tensor
    row_of: Tensor
    per_instance: int
    size: int
    count: Tensor

    @staticmethod
    def of(batch: InstanceBatch, distance: Tensor, has_node: Tensor) -> _Rows:
        """The nearest rows first, of these subgraph after subgraph, in each instance.

        All instances have as many rows as the largest.
        """
        owner, num_samples = batch.node_instance, has_node.size(1)
        levels = int(distance[has_node.any(dim=1)].max()) + 1
        node, sample = has_node.nonzero(as_tuple=True)
        level = owner[node] * levels + distance[node]
        order = ((level * num_samples + sample) * batch.num_nodes + node).argsort()
        node, sample, level = node[order], sample[order], level[order]
        counts = torch.bincount(level, minlength=batch.num_instances * levels)
        counts = counts.view(batch.num_instances, levels)
        count = counts.sum(dim=1)
        num_rows, first = int(count.max()), count.cumsum(0) - count
        row = torch.arange(node.numel(), device=node.device) - first[owner[node]]
        row += owner[node] * num_rows
        row_of = torch.full(has_node.shape, -1, device=node.device).index_put((node, sample), row)
        size = batch.num_instances * num_rows
        return _Rows(node, sample, row, row_of, num_rows, size, counts)

    def num_within(self, distance: int) -> int:
        """The most rows that an instance has at this distance or nearer."""
        return int(self.count[:, : distance + 1].sum(dim=1).max())

    def among_first(self, row: Tensor, num_rows: int) -> Tensor:
        """Numbers of rows where each instance has its first ``num_rows`` alone."""
        return row // self.per_instance * num_rows + row % self.per_instance


def _means(batch: InstanceBatch, inputs: Inputs, rows: _Rows, num_samples: int) -> Tensor:
    """``[B, M, R]`` what makes means of all nodes of each subgraph."""
    mean = inputs.x.new_zeros((num_samples, rows.size))
    share = 1 / inputs.num_nodes[batch.node_instance[rows.node]].to(mean.dtype)
    mean[rows.sample, rows.row] = share
    return mean.view(num_samples, batch.num_instances, rows.per_instance).transpose(0, 1)
