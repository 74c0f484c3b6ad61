"""What the sites of a batch send: messages, and the node states at both ends of each.

Methods that learn to read a message (GraphMask's gates, the information bottleneck's) get it from
here, as plain detached matrices with one row per message, whatever the layer's own shapes.

The state of a node is what the layer hands to its messages: for most layers that is the hidden
state ``h``; layers that transform it first (GCN sends along ``W h``) show the transformed one. A
layer written with a `glassgraph.MessageTap` shows the states given to the tap, or none.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glassgraph.core.intercept import Heard, SitePlan
from glassgraph.core.sites import Channel, Wiring

#: Methods of a PyG layer whose arguments ending in ``_i`` or ``_j`` are node states.
_LIFTING = ("message", "aggregate", "update", "edge_update")


@dataclass(frozen=True)
class Traffic:
    """What one site sent along the edges of a batch.

    Attributes:
        site: position of the site.
        layer: message-passing step it belongs to.
        edge: ``[m]`` the batch's edge behind each message.
        sender: ``[m, S]`` state of the sending node, S may be 0.
        receiver: ``[m, R]`` state of the receiving node, R may be 0.
        message: ``[m, D]`` the message, all heads side by side.
        shape: shape of one message in the layer, ``D`` numbers in all.
        row_dim: dimension of the layer's messages that runs over rows.
        num_rows: number M' of rows that the layer gets, those without a gate included.
        row: ``[m]`` which of them the messages are; None if all.
    """

    site: int
    layer: int
    edge: Tensor
    sender: Tensor
    receiver: Tensor
    message: Tensor
    shape: tuple[int, ...]
    row_dim: int
    num_rows: int
    row: Tensor | None

    @property
    def widths(self) -> tuple[int, int, int]:
        """S, R and D."""
        return self.sender.size(1), self.receiver.size(1), self.message.size(1)

    def baseline(self, value: Tensor) -> Tensor:
        """Shape ``[D]`` numbers, or ``[m, D]`` with one row per message, as the layer's messages.

        The result goes into `InstanceBatch.output` as the site's baseline.
        """
        if value.dim() == 1:
            return value.view(1, *self.shape).movedim(0, self.row_dim)
        if self.row is not None:
            rows = value.new_zeros((self.num_rows, value.size(1)))
            value = rows.index_copy(0, self.row, value)
        return value.view(self.num_rows, *self.shape).movedim(0, self.row_dim)


def read_traffic(
    wiring: Wiring, plans: Sequence[SitePlan], heard: Sequence[Heard], num_edges: int
) -> list[Traffic]:
    """Turn what was heard at the sites into matrices; sites without gates are left out."""
    found = []
    for each in heard:
        row_edge = plans[each.site].row_edge
        if row_edge is None or each.messages is None:
            continue
        site = wiring.sites[each.site]
        channel = wiring.channels[site.channel]
        row = None if plans[each.site].is_identity else (row_edge < num_edges).nonzero().view(-1)
        messages = each.messages.detach()
        flat = messages.reshape(messages.size(0), math.prod(messages.shape[1:]))
        sender, receiver = _ends(channel, each)
        found.append(
            Traffic(
                site=each.site,
                layer=site.layer,
                edge=_rows(row_edge, row),
                sender=_rows(sender, row).to(flat.dtype),
                receiver=_rows(receiver, row).to(flat.dtype),
                message=_rows(flat, row),
                shape=tuple(messages.shape[1:]),
                row_dim=channel.row_dim,
                num_rows=messages.size(0),
                row=row,
            )
        )
    return found


def _rows(value: Tensor, row: Tensor | None) -> Tensor:
    return value if row is None else value.index_select(0, row)


def _ends(channel: Channel, heard: Heard) -> tuple[Tensor, Tensor]:
    """States ``[M', S]`` and ``[M', R]`` of the senders and receivers of all rows."""
    first, second = (1 - channel.receiver, channel.receiver)
    ends = []
    for end in (first, second):
        index = heard.edge_index[end]
        states = [
            state.index_select(0, index)
            for state in _states(channel, heard, end)
            if not index.numel() or int(index.max()) < state.size(0)
        ]
        empty = heard.edge_index.new_empty((index.numel(), 0), dtype=torch.get_default_dtype())
        ends.append(torch.cat(states, dim=1) if states else empty)
    return ends[0], ends[1]


def _states(channel: Channel, heard: Heard, end: int) -> Iterator[Tensor]:
    """The node states of one end, ``[nodes, width]`` each, in order of their names."""
    for name in sorted(_node_arguments(channel) & set(heard.arguments)):
        value: Any = heard.arguments[name]
        if isinstance(value, (tuple, list)):
            value = value[end] if len(value) == 2 else None
        if isinstance(value, torch.Tensor) and value.is_floating_point() and value.dim() > 0:
            state = value.detach()
            if state.dim() > 1:
                state = state.movedim(channel.row_dim, 0)
            yield state.reshape(state.size(0), math.prod(state.shape[1:]))


def _node_arguments(channel: Channel) -> set[str]:
    """Names of propagate's arguments that hold node states."""
    if channel.is_tap:
        return {"x"}
    names: set[str] = set()
    for function in _LIFTING:
        method = getattr(channel.module, function, None)
        if method is not None:
            names |= set(inspect.signature(method).parameters)
    return {name[:-2] for name in names if name.endswith(("_i", "_j"))}
