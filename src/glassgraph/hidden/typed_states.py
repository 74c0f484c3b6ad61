"""States of nodes of several types, read off the messages that show them.

On heterogeneous graphs a layer is one module for each relation, or one module that takes and
returns dictionaries: no tensor of a run has one row for every node. All such layers send messages,
and a message shows the states of both its ends (`glassgraph.core.messages`). So the states *before*
a layer are those that its messages show. Where relations show a node with the same number of
columns (all relations do that hand on ``h`` itself), the mean over its messages is taken; states of
different widths stand side by side, zero for nodes that show none.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.messages import SiteMessages, read_messages
from glassgraph.errors import UnsupportedModelError


def typed_states(batch: InstanceBatch, *, last: bool = False) -> list[Tensor]:
    """The states ``[n, D]`` before each layer, detached; before the last one alone if asked.

    Raises:
        UnsupportedModelError: if no layer shows its messages the states of nodes.
    """
    messages = [
        each for each in read_messages(batch) if not last or each.layer == batch.num_layers - 1
    ]
    shown = {(each.layer, width) for each in messages for width in each.widths[:2] if width}
    if not shown:
        raise UnsupportedModelError(
            "no layer hands states of nodes to its messages, so none can be read on a "
            "heterogeneous graph; take a method that looks at messages alone, such as "
            "edge_gradients"
        )
    return [_mean(batch, messages, *each) for each in sorted(shown)]


def _mean(batch: InstanceBatch, messages: list[SiteMessages], layer: int, width: int) -> Tensor:
    """The mean ``[n, width]`` of the states of one width that each node shows in a layer."""
    total = torch.zeros((batch.num_nodes, width), dtype=batch.dtype, device=batch.device)
    count = total.new_zeros((batch.num_nodes, 1))
    for each in messages:
        if each.layer != layer:
            continue
        ends = batch.fields.source[each.edge], batch.fields.destination[each.edge]
        if batch.wiring.sites[each.site].is_flipped:
            ends = ends[::-1]
        for node, states in zip(ends, (each.sender, each.receiver), strict=True):
            if states.size(1) == width:
                total.index_add_(0, node, states.to(total.dtype))
                count.index_add_(0, node, count.new_ones((node.numel(), 1)))
    return total / count.clamp_min(1)
