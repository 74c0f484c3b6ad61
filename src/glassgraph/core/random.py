"""Counter-based random numbers: a number depends on its address, never on who was drawn before.

The address is ``(seed, instance, stream, item)``, mixed by the SplitMix64 finalizer (Steele, Lea
and Flood, "Fast Splittable Pseudorandom Number Generators", 2014, https://doi.org/10.1145/2714064.2660195).
An edge of an instance therefore gets the same number whether the instance is explained alone or
with a thousand others, in whatever order, on whatever device.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed integer
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


def _shift_right(value: Tensor, bits: int) -> Tensor:
    """Logical right shift of an int64 tensor (torch's own shift keeps the sign)."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _finalize(value: Tensor) -> Tensor:
    value = (value ^ _shift_right(value, 30)) * _MIX_1
    value = (value ^ _shift_right(value, 27)) * _MIX_2
    return value ^ _shift_right(value, 31)


def hash64(seed: int, *parts: Tensor | int) -> Tensor:
    """Mix a seed and any number of broadcastable int64 parts into one int64 tensor."""
    tensors = [part for part in parts if isinstance(part, Tensor)]
    device = tensors[0].device if tensors else None
    # The seed is mixed before the first part, or seed s at part p would be seed 0 at part p + 3 s.
    state = _finalize(torch.full((), seed, dtype=torch.int64, device=device) + _GOLDEN)
    for part in parts:
        state = _finalize(state * 3 + _GOLDEN + part)
    return _finalize(state + _GOLDEN)


def uniform(seed: int, *parts: Tensor | int) -> Tensor:
    """Float64 numbers in the open interval (0, 1), one for each address."""
    mantissa = _shift_right(hash64(seed, *parts), 11).to(torch.float64)
    return (mantissa + 0.5) * 2.0**-53


def normal(seed: int, *parts: Tensor | int) -> Tensor:
    """Standard normal float64 numbers (Box-Muller), one for each address."""
    radius = torch.sqrt(-2.0 * torch.log(uniform(seed, *parts, 1)))
    return radius * torch.cos(2.0 * math.pi * uniform(seed, *parts, 2))
