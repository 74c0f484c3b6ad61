"""Attention weights of a batch, per layer and edge.

Two public conventions of PyG tell a layer's weights:

* ``message()`` takes an argument ``alpha`` with one row per message (GATConv, GATv2Conv,
  HypergraphConv, or a layer of the user's own): it is read where messages are made;
* ``forward()`` takes ``return_attention_weights=True`` and then returns ``(edge_index, alpha)``
  beside its output (TransformerConv, RGATConv, FAConv): it is asked for, and taken off again before
  the model goes on.

Layers that keep their weights to themselves (HGTConv, SuperGATConv) look like layers without.
"""

from __future__ import annotations

import inspect
import math
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.sites import Channel, message_parameters, tensors_in

_WORD = "return_attention_weights"


@dataclass(frozen=True)
class AttentionWeights:
    """Attention at one site.

    Attributes:
        layer: message-passing step it belongs to.
        edge: ``[m]`` the batch's edge behind each message.
        weight: ``[m, H]`` the weight of each head.
    """

    layer: int
    edge: Tensor
    weight: Tensor


@torch.no_grad()
def read_attention(batch: InstanceBatch) -> list[AttentionWeights]:
    """The attention weights of all sites that show theirs, in an unchanged run.

    Messages that no user edge owns (self-loops that a layer appends) are left out, and so are those
    that the batch leaves out because they cannot reach a prediction.
    """
    asked = [_Asked(channel) for channel in batch.wiring.channels]
    with ExitStack() as stack:
        for layer in asked:
            for handle in layer.hooks():
                stack.callback(handle.remove)
        with batch.intervention.recording() as recorded:
            batch.model_call(batch.packed.data)
    found = []
    for each in recorded:
        site, plan = batch.wiring.sites[each.site], batch.intervention.plans[each.site]
        channel = batch.wiring.channels[site.channel]
        weight = _as_argument(channel, each.arguments)
        if weight is None:
            weight = asked[site.channel].returned.get(site.call)
        if weight is None:
            continue
        if plan.keep is not None and weight.size(0) == plan.num_rows:
            weight = weight.index_select(0, plan.keep)
        row, edge, owners = (value.to(weight.device) for value in plan.owned(batch.num_edges))
        heads = weight.reshape(weight.size(0), math.prod(weight.shape[1:]))[row]
        heads = heads.to(batch.dtype) / owners.view(-1, 1)  # edges that share a message share it
        found.append(AttentionWeights(site.layer, edge, heads))
    return found


def _as_argument(channel: Channel, arguments: Any) -> Tensor | None:
    """The argument ``alpha`` of ``message()``, where the layer has one."""
    weight = arguments.get("alpha")
    if channel.is_tap or channel.is_adjacency or not isinstance(weight, Tensor):
        return None
    return weight if "alpha" in message_parameters(channel.module) else None


class _Asked:
    """Asks a layer for its weights, and keeps them by call number."""

    def __init__(self, channel: Channel) -> None:
        self.returned: dict[int, Tensor] = {}
        self._module: Any = channel.module
        self._sent = 0

    def hooks(self) -> list[Any]:
        """Hooks on the layer; none if it has no such argument."""
        if _WORD not in inspect.signature(self._module.forward).parameters:
            return []
        is_ours: list[bool] = []

        def ask(_: nn.Module, args: Any, kwargs: Any) -> Any:
            is_ours.append(not isinstance(kwargs.get(_WORD), bool))
            return args, {**kwargs, _WORD: True}

        def send(_: nn.Module, __: Any) -> None:
            self._sent += 1

        def take(_: nn.Module, __: Any, result: Any) -> Any:
            output, shown = result
            self.returned[self._sent - 1] = list(tensors_in(shown))[-1].detach()
            return output if is_ours.pop() else None

        return [
            self._module.register_forward_pre_hook(ask, with_kwargs=True),
            self._module.register_propagate_forward_pre_hook(send),
            self._module.register_forward_hook(take),
        ]
