"""What the scorer of one group reads on a batch: rows of messages, or states for whole matrices.

Messages that are alike share a row. Messages that are entries of dense adjacency matrices are not
written out; their scorer reads the states of all nodes at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from glassgraph.core.messages import MatrixMessages, SiteMessages

#: Rows are shared where there are this many times fewer than messages.
_FEW = 2


@dataclass(frozen=True)
class RowInputs:
    """Rows ``[h_u, h_v, m]``, for m messages of width D.

    Attributes:
        inputs: ``[r, S]`` the rows.
        relation: ``[r]`` the relation of each, None where there is one.
        slot: ``[m]`` which gate of the batch is on each message.
        total: ``[D]`` the sum of the messages.
        row: ``[m]`` the row of each message, None if each has its own.
    """

    inputs: Tensor
    relation: Tensor | None
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
        return self.inputs.size(0)

    def scores(self, scorer: nn.Module) -> Tensor:
        """One number for each row; that of a message stands at its `place`."""
        found: Tensor = scorer(self.inputs, self.relation)
        return found

    def place(self) -> Tensor:
        """``[m]`` where each message's score stands."""
        if self.row is not None:
            return self.row
        return torch.arange(self.number, device=self.inputs.device)

    def messages(self) -> Tensor:
        """``[m, D]`` the messages."""
        messages = self.inputs[:, self.inputs.size(1) - self.total.numel() :]
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
    messages: Sequence[SiteMessages], dtype: torch.dtype, kept: Tensor, slot: Tensor
) -> Inputs:
    """What the scorer of a group reads.

    Args:
        messages: those of each site of the group.
        dtype: in which it computes.
        kept: which of them can be gated, over all sites.
        slot: ``[m]`` the gate on each that can.
    """
    matrices = [each.matrix for each in messages if each.matrix is not None]
    if matrices:
        return _read_matrices(matrices, dtype, kept, slot)
    inputs = torch.cat(
        [torch.cat([each.sender, each.receiver, each.message], dim=1) for each in messages]
    )
    relation = None
    if len(messages) > 1:
        size = torch.tensor([each.edge.numel() for each in messages], device=inputs.device)
        relation = torch.repeat_interleave(size)
    if not bool(kept.all()):
        inputs, relation = inputs[kept], None if relation is None else relation[kept]
    inputs = inputs.to(dtype)
    total = inputs[:, inputs.size(1) - messages[0].widths[2] :].sum(dim=0)
    return share_rows(RowInputs(inputs, relation, slot, total))


def share_rows(found: RowInputs) -> RowInputs:
    """Messages that are alike share a row: what a scorer costs follows how many there are.

    Where features are few and discrete (atoms, a constant) there are far fewer than messages. They
    are found by sorting one number for each; whether two are the same is then looked up, so that
    numbers that meet by chance do no harm.
    """
    inputs, relation = found.inputs, found.relation
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(inputs.size(1), generator=generator, dtype=torch.float64)
    key = inputs.double() @ weight.to(inputs.device)
    if relation is not None:
        key = key + relation
    key, row = torch.unique(key, return_inverse=True)
    if _FEW * key.numel() > inputs.size(0):
        return found
    first = torch.empty_like(key, dtype=torch.long)
    first[row] = torch.arange(row.numel(), device=row.device)
    same = torch.equal(inputs[first][row], inputs)
    if relation is not None:
        same = same and torch.equal(relation[first][row], relation)
        relation = relation[first]
    return replace(found, inputs=inputs[first], relation=relation, row=row) if same else found


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
