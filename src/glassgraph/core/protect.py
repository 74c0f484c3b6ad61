"""Leave the user's model and the global random state exactly as they were.

`protected` puts a model into the state explanations need (evaluation mode, no gradients for
parameters, layer caches empty) and restores everything afterwards, also after an exception or an
interrupt: training flags of every submodule, ``requires_grad``, buffers, layer caches, and the
random generators of torch, numpy and Python.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

#: PyG layers built with ``cached=True`` keep the normalized graph of their first call under
#: attributes of this prefix, and offer no public way to empty them.
_CACHE_PREFIX = "_cached_"


@contextmanager
def protected(model: nn.Module) -> Iterator[None]:
    """Ready a model for explanation, and undo it all on leaving the block."""
    modules = list(model.modules())
    training = [module.training for module in modules]
    requires_grad = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    # Inside inference mode no gradient can be had: every one would silently be zero.
    with torch.inference_mode(False), _random_state(), _without_caches(modules):
        try:
            for module in modules:
                module.training = False
            for parameter, _ in requires_grad:
                parameter.requires_grad_(False)
            yield
        finally:
            for module, flag in zip(modules, training, strict=True):
                module.training = flag
            for parameter, flag in requires_grad:
                parameter.requires_grad_(flag)
            for buffer, saved in buffers:
                if not _same(buffer, saved):
                    with torch.no_grad():
                        buffer.copy_(saved)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(torch.equal(one, other))


@contextmanager
def _random_state() -> Iterator[None]:
    state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=_cuda_devices()):
        try:
            yield
        finally:
            random.setstate(state)
            np.random.set_state(numpy_state)


def _cuda_devices() -> list[int]:
    return list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []


@contextmanager
def _without_caches(modules: list[nn.Module]) -> Iterator[None]:
    """Empty the caches of layers built with ``cached=True`` and keep them from filling again."""
    saved: list[tuple[nn.Module, str, Any]] = []
    try:
        for module in modules:
            if getattr(module, "cached", False) is not True:
                continue
            for name in [name for name in vars(module) if name.startswith(_CACHE_PREFIX)]:
                saved.append((module, name, getattr(module, name)))
                setattr(module, name, None)
            saved.append((module, "cached", True))
            module.cached = False  # type: ignore[assignment]
        yield
    finally:
        for module, name, value in saved:
            setattr(module, name, value)


def fingerprint(model: nn.Module) -> str:
    """A short hash of a model's class, parameters and buffers, equal if and only if they are."""
    digest = hashlib.sha256(type(model).__qualname__.encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        if isinstance(value, Tensor):
            digest.update(str((value.dtype, tuple(value.shape))).encode())
            flat = value.detach().cpu().contiguous().view(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return digest.hexdigest()[:16]
