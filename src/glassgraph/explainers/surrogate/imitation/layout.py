"""Many subgraphs of many instances as rows of states, and the messages between rows.

A row is a class of nodes in subgraphs that a surrogate cannot tell apart (`classes`). Block l of L
is computed at the nodes from which L - l further blocks reach a row that is read; of a graph all
nodes are read, and computed in every block.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.surrogate.imitation.classes import Classes, refined
from glassgraph.explainers.surrogate.imitation.inputs import Inputs
from glassgraph.learn.sparse_product import Pattern, Sparse


@dataclass(frozen=True)
class Block:
    """What a block takes from R rows of each instance to Q.

    Attributes:
        heard: ``[B * 2 * Q, B * R]``: of each instance first a one where a row was before the
            block, Q rows; then entries of A for open edges, and from each node to itself, Q rows.
        receiver: ``[K]`` the row of each entry, by row.
        gate: ``[K]`` its edge; e for those of no edge.
        gate_by_column: ``[K]`` the same by column.
        num_rows: Q.
    """

    heard: Sparse
    receiver: Tensor
    gate: Tensor
    gate_by_column: Tensor
    num_rows: int

    def under(self, gates: Tensor | None) -> Sparse:
        """What rows hear under gates ``[e + 1]`` on the edges, of which the last is 1."""
        if gates is None:
            return self.heard
        by_row = self.heard.by_row * gates[self.gate]
        by_column = self.heard.by_column * gates[self.gate_by_column]
        return Sparse(self.heard.pattern, by_row, by_column)


@dataclass(frozen=True)
class Layout:
    """M subgraphs of each of B instances as rows.

    Attributes:
        x: ``[B, R, F + 2]`` inputs of the rows that the first block hears.
        x_heard: ``[B, 2 * Q, F + 2]`` what it hears of them.
        blocks: the messages of each block.
        read: ``[B * M, B * Q * S]`` what predictions read of the last block's rows: for graphs the
            mean over all nodes, otherwise each of S explained nodes.
        num_samples: M.
    """

    x: Tensor
    x_heard: Tensor
    blocks: tuple[Block, ...]
    read: Sparse
    num_samples: int


def lay_out(
    batch: InstanceBatch, inputs: Inputs, has_edge: Tensor, has_node: Tensor, layers: int
) -> Layout:
    """Rows for subgraphs with some edges ``[e, M]`` and nodes ``[n, M]``, of that many blocks."""
    return _rows(batch, inputs, has_edge, has_node, [*refined(batch, inputs, has_edge, layers)])


def lay_out_whole(batch: InstanceBatch, inputs: Inputs, layers: int) -> Layout:
    """Rows for whole fields, one for each node: gates on edges tell all of them apart."""
    device = batch.device
    node = torch.arange(batch.num_nodes, device=device).view(-1, 1)
    has_edge = torch.ones((batch.num_edges, 1), dtype=torch.bool, device=device)
    has_node = torch.ones((batch.num_nodes, 1), dtype=torch.bool, device=device)
    return _rows(batch, inputs, has_edge, has_node, [node] * (layers + 1))


def _rows(
    batch: InstanceBatch,
    inputs: Inputs,
    has_edge: Tensor,
    has_node: Tensor,
    colors: list[Tensor],
) -> Layout:
    num_samples, layers = has_edge.size(1), len(colors) - 1
    near = inputs.distance.view(-1, 1)
    known = (has_node & (near <= layers)).any(dim=1, keepdim=True)
    below = first = Classes.of(colors[0], known, batch)
    blocks = []
    for left, color in zip(reversed(range(layers)), colors[1:], strict=True):
        above = Classes.of(color, has_node & (near <= left), batch)
        blocks.append(_block(batch, inputs, has_edge, below, above))
        below = above
    x = inputs.x.new_zeros((batch.num_instances * first.num_rows, inputs.x.size(1)))
    x = x.index_copy(0, first.row, inputs.x[first.node])
    x_heard = blocks[0].heard @ x
    return Layout(
        x=x.view(batch.num_instances, first.num_rows, -1),
        x_heard=x_heard.view(batch.num_instances, 2 * blocks[0].num_rows, -1),
        blocks=tuple(blocks),
        read=_read(batch, inputs, below),
        num_samples=num_samples,
    )


def _block(
    batch: InstanceBatch, inputs: Inputs, has_edge: Tensor, below: Classes, above: Classes
) -> Block:
    """What the rows above hear of those below, at one node of each class."""
    fields, rows = batch.fields, below.row_of.expand(-1, has_edge.size(1))
    is_computed = torch.zeros_like(above.row_of, dtype=torch.bool)
    is_computed[above.node, above.sample] = True
    edge, at = (has_edge & is_computed[fields.destination]).nonzero(as_tuple=True)
    own = rows[above.node, above.sample]
    # Row q of instance b comes twice: b * 2Q + q is what it was, b * 2Q + Q + q what it hears.
    kept = above.row + above.row // above.num_rows * above.num_rows
    receiver = above.row_of[fields.destination[edge], at]
    receiver = receiver + (receiver // above.num_rows + 1) * above.num_rows
    sender = torch.cat([own, rows[fields.source[edge], at], own])
    weight = torch.cat([inputs.edge[edge], inputs.loop[above.node]])
    weight = torch.cat([torch.ones_like(weight[: own.numel()]), weight])
    ungated = torch.full_like(own, batch.num_edges)
    gate = torch.cat([ungated, edge, ungated])
    pattern = Pattern.of(
        torch.cat([kept, receiver, kept + above.num_rows]),
        sender,
        2 * batch.num_instances * above.num_rows,
        batch.num_instances * below.num_rows,
    )
    return Block(
        heard=Sparse.of(pattern, weight),
        receiver=pattern.row[pattern.by_row],
        gate=gate[pattern.by_row],
        gate_by_column=gate[pattern.by_column],
        num_rows=above.num_rows,
    )


def _read(batch: InstanceBatch, inputs: Inputs, rows: Classes) -> Sparse:
    """What predictions read of rows."""
    num_samples = rows.row_of.size(1)
    sample = torch.arange(num_samples, device=batch.device)
    if batch.task.level == "graph":
        owner, width = batch.node_instance, 1
        column = rows.row_of
        share = 1 / inputs.num_nodes[owner].to(inputs.x.dtype)
    else:
        num_seeds = width = batch.fields.seed.size(1)
        owner = torch.arange(batch.num_instances, device=batch.device)
        owner = owner.repeat_interleave(num_seeds)
        place = torch.arange(num_seeds, device=batch.device).repeat(batch.num_instances)
        column = rows.row_of[batch.fields.seed.flatten()] * num_seeds + place.view(-1, 1)
        share = inputs.x.new_ones(owner.numel())
    row = owner.view(-1, 1) * num_samples + sample
    pattern = Pattern.of(
        row.flatten(),
        column.flatten(),
        batch.num_instances * num_samples,
        batch.num_instances * rows.num_rows * width,
    )
    return Sparse.of(pattern, share.view(-1, 1).expand_as(row).flatten())
