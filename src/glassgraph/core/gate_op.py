"""Where interventions and modified backward passes meet: functions that a tape sees."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function


def gated(values: Tensor, gate: Tensor) -> Tensor:
    """``values * gate``, known to a tape as a gate: no share of the relevance is its own.

    Args:
        values: messages.
        gate: broadcastable, not negative.
    """
    if has_torch_function((values, gate)):
        result: Tensor = handle_torch_function(gated, (values, gate), values, gate)
        return result
    return values * gate


def substitute(value: Tensor, carrier: Tensor) -> Tensor:
    """The value, to the last bit, with the gradient of another tensor of its shape."""
    with torch.no_grad():
        value = value.detach()
    return value + (carrier - carrier.detach())
