"""The state of a TGN while events come in, for many copies of a part of its nodes side by side.

A `Stream` has a memory and a table of latest neighbors of its own, with the learned modules of the
user's model, so that nothing of the user's changes. Copies of nodes side by side do not see each
other: a copy in which an event is missing, or has a gate, is one of many in the same replay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn.models.tgn import LastNeighborLoader, TGNMemory

from glassgraph.core.edges import match_rows
from glassgraph.core.hooks import SiteActions, attached
from glassgraph.core.sites import Channel, find_channels
from glassgraph.errors import EventError, ModelOutputError, UnsupportedModelError
from glassgraph.inputs.pack import Candidates
from glassgraph.temporal.gated_memory import blank_memory
from glassgraph.temporal.protocol import calling


@dataclass(frozen=True)
class Parts:
    """The learned parts of a TGN, see `glassgraph.temporal.TGN`."""

    memory: TGNMemory | None
    gnn: nn.Module
    link_predictor: nn.Module
    x: Tensor | None
    neighbors: int
    hops: int

    @property
    def num_nodes(self) -> int:
        """Number of nodes it knows."""
        if self.memory is not None:
            return int(self.memory.num_nodes)
        assert self.x is not None
        return self.x.size(0)

    def check_messages(self, msg: Tensor) -> None:
        """Refuse messages of events that the memory cannot take.

        Raises:
            EventError: if they have another width, or another precision.
        """
        if self.memory is None:
            return
        width, dtype = self.memory.raw_msg_dim, self.memory.memory.dtype
        if msg.size(1) != width or msg.dtype != dtype:
            raise EventError(
                f"the model's memory takes messages [E, {width}] of {dtype}; events.msg is "
                f"{list(msg.shape)} of {msg.dtype}"
            )


class Stream:
    """What a TGN remembers.

    Args:
        parts: the learned parts.
        num_nodes: number of nodes, copies counted apart.
        device: where the neighbors are kept.
        gated: whether events have gates.
    """

    def __init__(
        self, parts: Parts, num_nodes: int, device: torch.device, *, gated: bool = False
    ) -> None:
        self.parts, self.num_nodes, self.gated = parts, num_nodes, gated
        self.device = device
        self.memory = (
            None if parts.memory is None else blank_memory(parts.memory, num_nodes, gated=gated)
        )
        self.x = parts.x
        self.neighbors = LastNeighborLoader(num_nodes, parts.neighbors, device=device)
        self._t: list[Tensor] = []
        self._msg: list[Tensor] = []
        self._gate: list[Tensor] = []

    def see(
        self, src: Tensor, dst: Tensor, t: Tensor, msg: Tensor, gate: Tensor | None = None
    ) -> None:
        """One batch of events: the memory is updated, and they become neighbors."""
        gate = msg.new_ones(src.numel()) if gate is None else gate
        self._t.append(t)
        self._msg.append(msg)
        self._gate.append(gate)
        if src.numel() == 0:
            return
        if self.memory is not None:
            raw = torch.cat([msg, gate.view(-1, 1)], dim=-1) if self.gated else msg
            with calling("memory.update_state"):
                self.memory.update_state(src, dst, t, raw)
        self.neighbors.insert(src, dst)

    def score(self, src: Tensor, dst: Tensor, t: Tensor) -> Tensor:
        """Scores ``[B]`` of links, all at one time where there is no memory.

        Raises:
            ModelOutputError: if the link predictor gives something else than one number each.
        """
        roots = torch.cat([src, dst]).unique()
        node_id, edge_index = roots, roots.new_empty(2, 0)
        event = roots.new_empty(0)
        for _ in range(self.parts.hops):
            node_id, edge_index, event = self.neighbors(node_id)
        states, since = self._states(node_id, t)
        past_t = torch.cat(self._t)[event] if self._t else t[:0]
        past_msg = torch.cat(self._msg)[event] if self._msg else self._no_messages()
        gate = torch.cat(self._gate)[event] if self.gated and self._gate else None
        with calling("gnn"), _gates_on_messages(self.parts.gnn, edge_index, gate):
            z = self.parts.gnn(states, since, edge_index, past_t, past_msg)
        local = torch.empty(self.num_nodes, dtype=torch.long, device=self.device)
        local[node_id] = torch.arange(node_id.numel(), device=self.device)
        with calling("link_predictor"):
            out = self.parts.link_predictor(z[local[src]], z[local[dst]])
        if not isinstance(out, Tensor) or out.numel() != src.numel():
            got = list(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise ModelOutputError(
                f"link_predictor must give one score for each link, [{src.numel()}]; got {got}"
            )
        return out.view(-1)

    def _states(self, node_id: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The states of nodes, and when they were written; without a memory, the time asked for."""
        if self.memory is not None:
            states, since = self.memory(node_id)
            return states, since
        assert self.x is not None
        return self.x[node_id], t[:1].expand(node_id.numel())

    def _no_messages(self) -> Tensor:
        if self.memory is None:
            return torch.empty(0, 0, device=self.device)
        empty: Tensor = self.memory.memory.new_empty(0, self.memory.raw_msg_dim - int(self.gated))
        return empty

    def copies(self, node_id: Tensor, count: int, *, gated: bool, with_messages: bool) -> Stream:
        """So many copies of the state of some nodes, as it is now.

        Args:
            node_id: which, ascending; the j-th of them is ``c * len(node_id) + j`` in copy ``c``.
            count: how many.
            gated: whether their further events have gates.
            with_messages: take the messages along that the memory keeps.
        """
        size = node_id.numel()
        copied = Stream(self.parts, size * count, self.device, gated=gated)
        copied._t, copied._msg, copied._gate = [*self._t], [*self._msg], [*self._gate]
        local = torch.full((self.num_nodes,), -1, device=self.device)
        local[node_id] = torch.arange(size, device=self.device)
        offset = torch.arange(count, device=self.device).view(-1, 1, 1) * size
        event = self.neighbors.e_id[node_id]
        # Without an event the loader's rows hold numbers of no meaning.
        ends = local[torch.where(event >= 0, self.neighbors.neighbors[node_id], node_id[:1])]
        event = torch.where(ends >= 0, event, -1)
        copied.neighbors.neighbors = (ends.clamp_min(0) + offset).view(size * count, -1)
        copied.neighbors.e_id = event.repeat(count, 1)
        copied.neighbors.cur_e_id = self.neighbors.cur_e_id
        if self.x is not None:
            copied.x = self.x[node_id].repeat(count, 1)
        if self.memory is not None and copied.memory is not None:
            copied.memory.memory = self.memory.memory[node_id].repeat(count, 1)
            copied.memory.last_update = self.memory.last_update[node_id].repeat(count)
            if with_messages:
                widen = gated and not self.gated
                for name in ("msg_s_store", "msg_d_store"):
                    kept = getattr(self.memory, name)
                    getattr(copied.memory, name).update(
                        _copied_messages(kept, node_id, local, count, widen)
                    )
        return copied


def _copied_messages(
    kept: Mapping[int, Any], node_id: Tensor, local: Tensor, count: int, widen: bool
) -> Iterator[tuple[int, tuple[Tensor, Tensor, Tensor, Tensor]]]:
    """The messages that a memory keeps, under the numbers of the copies."""
    size = node_id.numel()
    offset = torch.arange(count, device=node_id.device).view(-1, 1) * size
    for place, node in enumerate(node_id.tolist()):
        src, dst, t, msg = kept[node]
        if src.numel() == 0:
            continue
        if widen:
            msg = torch.cat([msg, msg.new_ones(msg.size(0), 1)], dim=-1)
        ends = zip((local[src] + offset).unbind(), (local[dst] + offset).unbind(), strict=True)
        for copy, (own_src, own_dst) in enumerate(ends):
            yield place + copy * size, (own_src, own_dst, t, msg)


def _gates_on_messages(gnn: nn.Module, edge_index: Tensor, gate: Tensor | None) -> Any:
    """Multiply the messages of a network's layers with the gates of the events they run along."""
    return nullcontext() if gate is None else _gated_layers(gnn, edge_index, gate)


@contextmanager
def _gated_layers(gnn: nn.Module, edge_index: Tensor, gate: Tensor) -> Iterator[None]:
    channels = find_channels(gnn)
    number = torch.arange(edge_index.size(1), device=edge_index.device)
    edges = Candidates(edge_index[0], edge_index[1], number)
    rows: dict[int, Tensor] = {}

    def before(channel: int, used: Tensor, _: Any, __: Mapping[str, Any]) -> None:
        rows[channel] = _events_of_rows(channels[channel], used, edges)

    def change(channel: int, messages: Tensor) -> Tensor:
        edge = rows[channel]
        factor = torch.where(edge >= 0, gate[edge.clamp_min(0)], gate.new_ones(()))
        shape = [1] * messages.dim()
        shape[channels[channel].row_dim] = -1
        return messages * factor.view(shape)

    if gate.numel() == 0:
        yield
        return
    with attached(channels, SiteActions(before, change)):
        yield


def _events_of_rows(channel: Channel, used: Tensor, edges: Candidates) -> Tensor:
    """For each message the event it runs along, -1 for one that the layer adds.

    Raises:
        UnsupportedModelError: if events have no message of their own.
    """
    match = match_rows(used, edges)
    if not torch.equal(match.edge[match.edge >= 0].sort().values, edges.edge):
        raise UnsupportedModelError(
            f"the layer {channel.name} does not send one message along every event that it is "
            "given, so that gates on events are not defined in it; take perturb_one or occlusion"
        )
    return match.edge
