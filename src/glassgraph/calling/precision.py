"""Precision: models in half precision, explained in float32.

Under ``torch.autocast`` the model computes as the user has it compute. Everything around it (masks,
gates, sums of scores) is computed outside of autocast: it would lose digits there, or fail. So is
relevance that is propagated through the model operation by operation. What a model returns in
bfloat16 or float16 becomes float32, and so do scores.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

_HALF = (torch.bfloat16, torch.float16)
#: Kinds of devices for which autocast can be on.
_DEVICES = ("cpu", "cuda", "mps", "xpu")
#: For each kind of device the type that the user's autocast casts to, where it is on.
_users_autocast: ContextVar[tuple[tuple[str, torch.dtype], ...]] = ContextVar(
    "users_autocast", default=()
)


def at_least_single(value: Tensor) -> Tensor:
    """A tensor in float32 if it is in half precision, and as it is otherwise."""
    return value.float() if value.dtype in _HALF else value


def half_rounding(model: nn.Module) -> float:
    """The relative rounding of what a model computes in half precision; 0 if it does not."""
    own = {each.dtype for each in (*model.parameters(), *model.buffers())}
    used = own.union(dtype for _, dtype in _users_autocast.get()).intersection(_HALF)
    return max((torch.finfo(dtype).eps for dtype in used), default=0.0)


@contextmanager
def in_single_precision(model: nn.Module) -> Iterator[None]:
    """The model computes in float32 in the ``with`` block, and has its own numbers again after."""
    tensors = (*model.parameters(), *model.buffers())
    saved = [(each, each.data) for each in tensors if each.dtype in _HALF]
    try:
        for each, value in saved:
            each.data = value.float()
        yield
    finally:
        for each, value in saved:
            each.data = value


def single_precision(data: Any) -> Any:
    """Data whose tensors in half precision are float32."""
    data = copy.copy(data)
    for store in data.stores:
        for name, value in list(store.items()):
            if isinstance(value, Tensor) and value.dtype in _HALF:
                store[name] = value.float()
    return data


@contextmanager
def outside_autocast() -> Iterator[None]:
    """Compute in full precision; the model still runs `inside_autocast`."""
    found = tuple(
        (device, torch.get_autocast_dtype(device))
        for device in _DEVICES
        if torch.is_autocast_enabled(device)
    )
    if not found:
        yield
        return
    token = _users_autocast.set(found)
    try:
        with ExitStack() as stack:
            for device, _ in found:
                stack.enter_context(torch.autocast(device, enabled=False))
            yield
    finally:
        _users_autocast.reset(token)


@contextmanager
def inside_autocast() -> Iterator[None]:
    """Compute as the user does outside of Glassgraph."""
    with ExitStack() as stack:
        for device, dtype in _users_autocast.get():
            stack.enter_context(torch.autocast(device, dtype))
        yield


@contextmanager
def full_precision() -> Iterator[None]:
    """The model runs without autocast in the ``with`` block, for what its rounding would spoil."""
    token = _users_autocast.set(())
    try:
        yield
    finally:
        _users_autocast.reset(token)
