"""A TGN memory on which every event has a gate.

The gate ``g`` of an event is a last column of its message, and goes with it through the memory's
own message stores. Where a node ``i`` is updated with the aggregate ``m`` of messages ``m_j``,

    s_i  <-  s_i + (1 - prod_j (1 - g_j)) * (GRU(m, s_i) - s_i),

so that the memory is left alone where all its gates are 0, as it is without events, and nothing
changes where all are 1. The last message is ``m`` whatever its gate; a mean is one of
``g_j * m_j``, over ``g_j``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn.models.tgn import (
    IdentityMessage,
    LastAggregator,
    MeanAggregator,
    TGNMemory,
)
from torch_geometric.utils import scatter

from glassgraph.errors import UnsupportedModelError


def blank_memory(learned: TGNMemory, num_nodes: int, *, gated: bool) -> TGNMemory:
    """A memory that has seen nothing, with the learned parts of another, which is not touched.

    Args:
        learned: whose modules it has.
        num_nodes: its own number of nodes.
        gated: whether messages have a gate as their last column.

    Raises:
        UnsupportedModelError: if gates on its aggregation are not known.
    """
    width = learned.raw_msg_dim + int(gated)
    placeholder = IdentityMessage(width, learned.memory_dim, learned.time_dim)
    with torch.random.fork_rng(devices=[]):  # its own modules are drawn, and not used
        blank = TGNMemory(
            num_nodes, width, learned.memory_dim, learned.time_dim, placeholder, LastAggregator()
        )
    blank.training = False  # eval() would begin with an update of all nodes
    blank.to(device=learned.memory.device, dtype=learned.memory.dtype)
    blank.msg_s_module, blank.msg_d_module = learned.msg_s_module, learned.msg_d_module
    blank.aggr_module, blank.gru = learned.aggr_module, learned.gru
    blank.time_enc = learned.time_enc
    if gated:
        blank.msg_s_module = _GatedMessage(learned.msg_s_module)
        blank.msg_d_module = _GatedMessage(learned.msg_d_module)
        blank.aggr_module = _gated_aggregator(learned.aggr_module)
        blank.gru = _GatedCell(learned.gru)
    blank.reset_state()
    return blank


class _GatedMessage(nn.Module):
    """A message function that hands the gate on."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, z_src: Tensor, z_dst: Tensor, raw_msg: Tensor, t_enc: Tensor) -> Tensor:
        raw_msg, gate = raw_msg[:, :-1], raw_msg[:, -1:]
        return torch.cat([self.module(z_src, z_dst, raw_msg, t_enc), gate], dim=-1)


def _gated_aggregator(module: nn.Module) -> nn.Module:
    if type(module) is LastAggregator:
        return _GatedLast(module)
    if type(module) is MeanAggregator:
        return _GatedMean(module)
    raise UnsupportedModelError(
        "gates on events are known for PyG's LastAggregator and MeanAggregator; this memory "
        f"aggregates with {type(module).__name__}. Take perturb_one or occlusion, which leave "
        "events out, or saliency or input_x_gradient, which go by their messages"
    )


class _GatedLast(nn.Module):
    """The last message, and the gate of that event."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, msg: Tensor, index: Tensor, t: Tensor, dim_size: int) -> Tensor:
        aggregate: Tensor = self.module(msg, index, t, dim_size)
        return aggregate


class _GatedMean(nn.Module):
    """The mean of messages by their gates, and whether any gate is open."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, msg: Tensor, index: Tensor, t: Tensor, dim_size: int) -> Tensor:
        msg, gate = msg[:, :-1], msg[:, -1:]
        both = self.module(torch.cat([gate * msg, gate], dim=-1), index, t, dim_size)
        total = both[:, -1:]
        mean = both[:, :-1] / torch.where(total > 0, total, 1)
        is_open = 1 - scatter(1 - gate, index, dim=0, dim_size=dim_size, reduce="mul")
        return torch.cat([mean, is_open], dim=-1)


class _GatedCell(nn.Module):
    """An update that is made as far as the gate is open."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, message: Tensor, memory: Tensor) -> Tensor:
        message, gate = message[:, :-1], message[:, -1:]
        updated = self.module(message, memory)
        return torch.lerp(memory, updated, gate.expand_as(memory))
