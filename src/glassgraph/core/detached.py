"""Sites whose messages count, while no gradient says so.

A layer may run under ``torch.no_grad()``, or what it returns may be detached: gradients of its
gates are then zero, or those of other layers alone, and nothing tells them from true zeros. They
are found by their effect: no gradient comes from the output to the messages of a site, and the
output follows nevertheless where these become a little larger. (A layer that only chooses, as in a
pooling, has a gradient of zero, and rightly so.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from glassgraph.calling.call import ModelCall, attempted
from glassgraph.core.observe import nudged
from glassgraph.core.sites import Channel, Record, tensors_in

#: Share of the largest output that rounding may move.
_ROUNDING = {torch.float64: 1e-9}
_ROUNDING_OF_SINGLE = 1e-5


def detached_sites(
    channels: Sequence[Channel],
    model_call: ModelCall,
    data: Any,
    output: Any,
    records: Sequence[Record],
) -> list[bool]:
    """For each site whether its messages change the output without a gradient.

    Args:
        channels: where messages are sent.
        model_call: how the model is called.
        data: what it is called on.
        output: what it returned in a traced run.
        records: the records of that run.
    """
    reached = _reached(output, [record.probe for record in records])
    found = [False] * len(records)
    for position, record in enumerate(records):
        if not reached[position]:
            found[position] = _counts(channels, model_call, data, (record.channel, record.call))
    return found


def _reached(output: Any, probes: Sequence[Tensor | None]) -> list[bool]:
    """Which probes a gradient of the output comes to."""
    known = [probe for probe in probes if probe is not None]
    real = (torch.view_as_real(each) if each.is_complex() else each for each in tensors_in(output))
    roots = [each.sum() for each in real if each.requires_grad]
    if not roots or not known:
        return [False] * len(probes)
    gradients = torch.autograd.grad(roots, known, allow_unused=True)
    arrived = {id(probe) for probe, one in zip(known, gradients, strict=True) if one is not None}
    return [id(probe) in arrived for probe in probes]


def _counts(
    channels: Sequence[Channel], model_call: ModelCall, data: Any, site: tuple[int, int]
) -> bool:
    """Whether the output follows the messages of a site; of a model that repeats itself."""

    def follows() -> bool:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            before, again = model_call(data), model_call(data)
            with nudged(channels, {site}):
                after = model_call(data)
        return not _differ(before, again) and _differ(before, after)

    return bool(attempted(follows))


def _differ(one: Any, other: Any) -> bool:
    """Whether two outputs differ by more than rounding."""
    for before, after in zip(tensors_in(one), tensors_in(other), strict=False):
        if before.shape != after.shape:
            return True
        if not before.is_floating_point() or not before.numel():
            continue
        limit = _ROUNDING.get(before.dtype, _ROUNDING_OF_SINGLE) * before.abs().max()
        if bool(((after - before).abs() > limit).any()):
            return True
    return False
