"""What the sites of a batch send: messages, and the node states at both ends of each.

Methods that learn to read a message (GraphMask's gates, the information bottleneck's) get it from
here, as plain detached matrices with one row per message, whatever the layer's own shapes.

The state of a node is what the layer hands to its messages: for most layers that is the hidden
state ``h``; layers that transform it first (GCN sends along ``W h``) show the transformed one. A
layer written with a `glassgraph.MessageTap` shows the states given to the tap, or none. Messages of
a `glassgraph.AdjacencyTap` are not written out; its node states and entries are shown instead.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glassgraph.calling.precision import at_least_single
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.intercept import RecordedMessages
from glassgraph.core.sites import Channel

#: Methods of a PyG layer whose arguments ending in ``_i`` or ``_j`` are node states.
_LIFTING = ("message", "aggregate", "update")


@dataclass(frozen=True)
class MatrixMessages:
    """What stands for messages that are entries of a dense adjacency matrix.

    Attributes:
        states: ``[N, S]`` states of all nodes.
        values: ``[N, D]`` what each node sends, before its weight.
        sender: ``[m]`` column of each entry.
        receiver: ``[m]`` row of each entry.
    """

    states: Tensor
    values: Tensor
    sender: Tensor
    receiver: Tensor


@dataclass(frozen=True)
class EndStates:
    """States of the nodes at one end of m messages.

    Attributes:
        states: ``[n, S]``, S may be 0.
        node: ``[m]`` whose state it is for each message.
    """

    states: Tensor
    node: Tensor

    @property
    def width(self) -> int:
        """Numbers S of a state."""
        return self.states.size(1)

    def rows(self) -> Tensor:
        """``[m, S]`` the state for each message."""
        return self.states.index_select(0, self.node)


@dataclass(frozen=True)
class SiteMessages:
    """What one site sent along the edges of a batch.

    Attributes:
        site: position of the site.
        layer: message-passing step it belongs to.
        edge: ``[m]`` the batch's edge behind each message.
        senders: states of the sending nodes, of width S.
        receivers: states of the receiving nodes, of width R.
        message: ``[m, D]`` the message, all heads side by side.
        shape: shape of one message in the layer, ``D`` numbers in all.
        row_dim: dimension of the layer's messages that runs over rows.
        num_rows: number M' of rows that the layer gets, those without a gate included.
        row: ``[m]`` which of them the messages are; None if all.
        matrix: node states and entries of a dense adjacency matrix. There, messages are not
            written out: ``senders``, ``receivers`` and ``message`` have width 0.
        edge_type: ``[m]`` integers, the type that the layer or the graph has for the edge of each
            message; None where there is none.
    """

    site: int
    layer: int
    edge: Tensor
    senders: EndStates
    receivers: EndStates
    message: Tensor
    shape: tuple[int, ...]
    row_dim: int
    num_rows: int
    row: Tensor | None
    matrix: MatrixMessages | None = None
    edge_type: Tensor | None = None

    @property
    def sender(self) -> Tensor:
        """``[m, S]`` state of the sending node of each message."""
        return self.senders.rows()

    @property
    def receiver(self) -> Tensor:
        """``[m, R]`` state of the receiving node of each message."""
        return self.receivers.rows()

    @property
    def widths(self) -> tuple[int, int, int]:
        """S, R and D."""
        if self.matrix is not None:
            width = self.matrix.states.size(1)
            return width, width, self.matrix.values.size(1)
        return self.senders.width, self.receivers.width, self.message.size(1)

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


def read_messages(batch: InstanceBatch) -> list[SiteMessages]:
    """What each site sends in an unchanged run, one entry per site that can be gated."""
    with torch.no_grad(), batch.intervention.recording() as recorded:
        batch.model_call(batch.packed.data)
    wiring, plans, num_edges = batch.wiring, batch.intervention.plans, batch.num_edges
    num_nodes = None if batch.graph.is_heterogeneous else batch.num_nodes  # else numbered by type
    found = []
    for each in recorded:
        row_edge = plans[each.site].row_edge
        if row_edge is None or each.messages is None:
            continue
        site = wiring.sites[each.site]
        channel = wiring.channels[site.channel]
        row, edge = None, row_edge
        if not plans[each.site].is_identity:
            row, edge, _ = plans[each.site].owned(num_edges)
        if channel.is_adjacency:
            found.append(_matrix_messages(site.layer, each, edge, row))
            continue
        messages = at_least_single(each.messages.detach())
        flat = messages.reshape(messages.size(0), math.prod(messages.shape[1:]))
        senders, receivers = _ends(channel, each, num_nodes, row, flat.dtype)
        found.append(
            SiteMessages(
                site=each.site,
                layer=site.layer,
                edge=edge,
                senders=senders,
                receivers=receivers,
                message=_rows(flat, row),
                shape=tuple(messages.shape[1:]),
                row_dim=channel.row_dim,
                num_rows=messages.size(0),
                row=row,
                edge_type=_edge_types(batch, each, edge, row),
            )
        )
    return found


def _edge_types(
    batch: InstanceBatch, recorded: RecordedMessages, edge: Tensor, row: Tensor | None
) -> Tensor | None:
    """What a relational layer is told of each edge, or else what the user's graph says of it."""
    given = _as_types(recorded.arguments.get("edge_type"), recorded.edge_index.size(1))
    if given is not None:
        return _rows(given, row)
    graph = batch.graph
    if graph.is_heterogeneous:
        return None
    given = _as_types(graph.data.get("edge_type", None), graph.num_edges)
    return None if given is None else given.index_select(0, batch.fields.edge[edge])


def _as_types(value: Any, number: int) -> Tensor | None:
    if not isinstance(value, Tensor) or value.dim() != 1 or value.size(0) != number:
        return None
    return None if value.is_floating_point() or value.is_complex() else value.detach()


def _matrix_messages(
    layer: int, recorded: RecordedMessages, edge: Tensor, row: Tensor | None
) -> SiteMessages:
    values, states = (
        at_least_single(recorded.arguments[name].detach()) for name in ("values", "x")
    )
    nothing = values.new_empty((edge.numel(), 0))
    nobody = EndStates(nothing, torch.arange(edge.numel(), device=edge.device))
    return SiteMessages(
        site=recorded.site,
        layer=layer,
        edge=edge,
        senders=nobody,
        receivers=nobody,
        message=nothing,
        shape=(values.size(1),),
        row_dim=0,
        num_rows=recorded.edge_index.size(1),
        row=row,
        matrix=MatrixMessages(
            states=states.to(values.dtype),
            values=values,
            sender=_rows(recorded.edge_index[0], row),
            receiver=_rows(recorded.edge_index[1], row),
        ),
    )


def _rows(value: Tensor, row: Tensor | None) -> Tensor:
    return value if row is None else value.index_select(0, row)


def _ends(
    channel: Channel,
    recorded: RecordedMessages,
    num_nodes: int | None,
    row: Tensor | None,
    dtype: torch.dtype,
) -> list[EndStates]:
    """States of senders and of receivers, of some of the site's rows or of all."""
    ends = []
    for end in (1 - channel.receiver, channel.receiver):
        node = _rows(recorded.edge_index[end], row)
        states = list(_states(channel, recorded, end, num_nodes))
        if len({each.size(0) for each in states}) != 1:  # none, or tables that are no one's alone
            states = [each.index_select(0, node) for each in states]
            states.append(torch.empty((node.numel(), 0), dtype=dtype, device=node.device))
            node = torch.arange(node.numel(), device=node.device)
        ends.append(EndStates(torch.cat(states, dim=1).to(dtype), node))
    return ends


def _states(
    channel: Channel, recorded: RecordedMessages, end: int, num_nodes: int | None
) -> Iterator[Tensor]:
    """The node states of one end, ``[nodes, width]`` each, in order of their names.

    A layer that reads an argument at its other end alone (GCN's ``x_j``) shows it at this end too
    where both ends are the same nodes.
    """
    suffix = "_i" if end == channel.receiver else "_j"
    for name, suffixes in sorted(_node_arguments(channel).items()):
        value: Any = recorded.arguments.get(name)
        is_own = suffix in suffixes
        if isinstance(value, (tuple, list)):
            value, is_own = (value[end] if len(value) == 2 else None), True
        if isinstance(value, torch.Tensor) and value.is_floating_point() and value.dim() > 0:
            state = value.detach()
            if state.dim() > 1:
                state = state.movedim(channel.row_dim, 0)
            if is_own or state.size(0) == num_nodes:
                yield state.reshape(state.size(0), math.prod(state.shape[1:]))


def _node_arguments(channel: Channel) -> dict[str, set[str]]:
    """Propagate's arguments that hold node states, and the ends at which the layer reads them."""
    if channel.is_tap:
        return {"x": {"_i", "_j"}}
    names: set[str] = set()
    for function in _LIFTING:
        method = getattr(channel.module, function, None)
        if method is not None:
            names |= set(inspect.signature(method).parameters)
    found: dict[str, set[str]] = {}
    for name in names:
        if name.endswith(("_i", "_j")) and name[:-2] not in names:  # else one row per message
            found.setdefault(name[:-2], set()).add(name[-2:])
    return found
