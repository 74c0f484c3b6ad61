"""What the scorer of one group reads on a batch: rows of messages, or states for whole matrices.

States of nodes and messages that are alike are kept once, and messages that are alike in all that a
scorer reads share a row. Messages that are entries of dense adjacency matrices are not written out;
their scorer reads the states of all nodes at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from glassgraph.core.messages import EndStates, MatrixMessages, SiteMessages
from glassgraph.explainers.perturbation.message_gates.groups import MessageGroup
from glassgraph.learn.repeated_rows import (
    RepeatedRows,
    SideBySide,
    find_multiples,
    find_repeated,
    looked_up,
    share_alike,
)

#: Rows are shared where there are this many times fewer than messages.
_FEW = 2


@dataclass(frozen=True)
class RowInputs:
    """Rows ``[h_u, h_v, m]``, for m messages of width D.

    Attributes:
        rows: ``[r, S + R + D]`` the rows, and the relation of each where there are several.
        slot: ``[m]`` which gate of the batch is on each message.
        total: ``[D]`` the sum of the messages.
        row: ``[m]`` the row of each message, None if each has its own.
    """

    rows: SideBySide
    slot: Tensor
    total: Tensor
    row: Tensor | None = None

    @property
    def number(self) -> int:
        """Number m of messages."""
        return self.slot.numel()

    @property
    def num_scores(self) -> int:
        """How many numbers `scores` gives."""
        return self.rows.number

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        return self.rows.num_bytes

    def scores(self, scorer: nn.Module) -> Tensor:
        """One number for each row; that of a message stands at its `place`."""
        found: Tensor = scorer(self.rows)
        return found

    def is_finite(self) -> bool:
        """Whether states and messages are."""
        return all(bool(table.isfinite().all()) for table in self.rows.tables)

    def place(self) -> Tensor:
        """``[m]`` where each message's score stands."""
        if self.row is not None:
            return self.row
        return torch.arange(self.number, device=self.slot.device)

    def messages(self) -> Tensor:
        """``[m, D]`` the messages."""
        messages = self.rows.parts[-1].written_out()[:, -self.total.numel() :]
        return messages if self.row is None else messages.index_select(0, self.row)


@dataclass(frozen=True)
class MatrixInputs:
    """States of N nodes, for m entries of R adjacency matrices.

    Attributes:
        inputs: ``[N, S]``, or ``[R, N, S]`` where relations see other states.
        relation: ``[m]`` the matrix of each entry.
        receiver: ``[m]`` its receiver.
        sender: ``[m]`` its sender.
        values: ``[N, D]`` or ``[R, N, D]`` what nodes send, before an entry's weight.
        slot: ``[m]`` which gate of the batch is on each entry.
        total: ``[D]`` the sum of what is sent.
    """

    inputs: Tensor
    relation: Tensor
    receiver: Tensor
    sender: Tensor
    values: Tensor
    slot: Tensor
    total: Tensor

    @property
    def number(self) -> int:
        """Number m of entries."""
        return self.slot.numel()

    @property
    def num_scores(self) -> int:
        """How many numbers `scores` gives."""
        return self.number

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        return self.inputs.numel() * self.inputs.element_size()

    def is_finite(self) -> bool:
        """Whether states are."""
        return bool(self.inputs.isfinite().all())

    def scores(self, scorer: nn.Module) -> Tensor:
        """One number for each entry."""
        found: Tensor = scorer(self.inputs)[self.relation, self.receiver, self.sender]
        return found

    def place(self) -> Tensor:
        """``[m]`` where each entry's score stands."""
        return torch.arange(self.number, device=self.inputs.device)

    def messages(self) -> Tensor:
        """``[m, D]`` what is sent, written out, before its weight."""
        if self.values.dim() == 2:
            return self.values[self.sender]
        return self.values[self.relation, self.sender]


Inputs = RowInputs | MatrixInputs


def read_inputs(
    sites: Mapping[int, SiteMessages],
    num_sites: int,
    dtype: torch.dtype,
    kept: Tensor,
    slot: Tensor,
) -> Inputs:
    """What the scorer of a group reads.

    Args:
        sites: the messages of those sites of the group that are there, by number.
        num_sites: how many the group has.
        dtype: in which it computes.
        kept: which of them can be gated, over all sites.
        slot: ``[m]`` the gate on each that can.
    """
    messages = list(sites.values())
    matrices = [each.matrix for each in messages if each.matrix is not None]
    if matrices:
        return _read_matrices(matrices, dtype, kept, slot)
    message = _kept(torch.cat([each.message for each in messages]), kept).to(dtype)
    sender = _read_states([each.senders for each in messages], dtype, kept)
    receiver = _read_states([each.receivers for each in messages], dtype, kept)
    relation = None
    if num_sites > 1:
        size = torch.tensor([each.edge.numel() for each in messages], device=kept.device)
        number = torch.tensor(list(sites), device=kept.device)
        relation = _kept(number.repeat_interleave(size), kept)
    parts = sender, receiver, find_multiples(message, sender) or find_repeated(message)
    rows = SideBySide(tuple(each for each in parts if each.width), relation, num_sites)
    found = RowInputs(rows, slot, message.sum(dim=0))
    shared = share_alike(rows, _FEW)
    return found if shared is None else replace(found, rows=shared[0], row=shared[1])


def no_inputs(group: MessageGroup, like: Tensor) -> RowInputs:
    """What is read where a group has no messages; of the type and device of a tensor."""
    nothing = torch.empty(0, dtype=torch.long, device=like.device)
    rows = RepeatedRows(like.new_empty((0, sum(group.widths))))
    return RowInputs(
        SideBySide((rows,), nothing if len(group.sites) > 1 else None, len(group.sites)),
        nothing,
        like.new_zeros(group.widths[2]),
    )


def _kept(rows: Tensor, kept: Tensor) -> Tensor:
    return rows if bool(kept.all()) else rows[kept]


def _read_states(ends: Sequence[EndStates], dtype: torch.dtype, kept: Tensor) -> RepeatedRows:
    """The states that the messages of all sites see at one end."""
    start, nodes = 0, []
    for each in ends:
        nodes.append(each.node + start)
        start += each.states.size(0)
    return looked_up(
        torch.cat([each.states for each in ends]).to(dtype), _kept(torch.cat(nodes), kept)
    )


def _read_matrices(
    matrices: Sequence[MatrixMessages], dtype: torch.dtype, kept: Tensor, slot: Tensor
) -> MatrixInputs:
    """Node states ``[N, S]`` once, or once for each matrix ``[R, N, S]`` where they differ."""
    size = torch.tensor([each.sender.numel() for each in matrices], device=kept.device)
    relation = torch.repeat_interleave(size)[kept]
    receiver = torch.cat([each.receiver for each in matrices])[kept]
    sender = torch.cat([each.sender for each in matrices])[kept]
    total = torch.zeros(matrices[0].values.size(1), dtype=dtype, device=kept.device)
    for number, each in enumerate(matrices):
        times = torch.bincount(sender[relation == number], minlength=each.values.size(0))
        total += times.to(dtype) @ each.values.to(dtype)
    states = _once_or_stacked([each.states for each in matrices]).to(dtype)
    values = _once_or_stacked([each.values for each in matrices]).to(dtype)
    return MatrixInputs(states, relation, receiver, sender, values, slot, total)


def _once_or_stacked(tensors: Sequence[Tensor]) -> Tensor:
    """The tensor that all are, or all of them."""
    if all(torch.equal(tensors[0], each) for each in tensors[1:]):
        return tensors[0]
    return torch.stack(list(tensors))
