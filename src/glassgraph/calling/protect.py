"""Leave the user's model and the global random state exactly as they were.

`protected` puts a model into the state explanations need (evaluation mode, no gradients for
parameters, layer caches empty, recomputation switched off, no autocast around the model) and
restores everything afterwards, also after an exception or an
interrupt: training flags of every submodule, ``requires_grad``, parameters, buffers and other
tensors that modules hold (the entries, not their values alone), layer caches, and the random
generators of torch, numpy and Python.

One thread at a time has a model; others wait for it. Two models in two threads run side by side. A
process that is forked meanwhile waits for nobody.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock, RLock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from glassgraph.calling.compiled import plain_name, unwrapped
from glassgraph.calling.precision import outside_autocast
from glassgraph.calling.recompute import without_recomputation
from glassgraph.errors import UnsupportedModelError

#: PyG layers built with ``cached=True`` keep the normalized graph of their first call under
#: attributes of this prefix, and offer no public way to empty them.
_CACHE_PREFIX = "_cached_"


_locks: WeakKeyDictionary[nn.Module, RLock] = WeakKeyDictionary()
_locks_guard = Lock()


def _lock_of(model: nn.Module) -> RLock:
    """The lock of a model, shared by all explainers of it."""
    with _locks_guard:
        return _locks.setdefault(unwrapped(model), RLock())


def _unlock_all() -> None:
    """In a forked process the threads that held locks are gone, and nobody would release them."""
    global _locks_guard
    _locks_guard = Lock()
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_all)


@contextmanager
def protected(model: nn.Module) -> Iterator[None]:
    """Ready a model for explanation, and undo it all on leaving the block.

    Raises:
        UnsupportedModelError: if its parameters were made in inference mode, or have no shape yet;
            nothing is changed.
    """
    with _lock_of(model):
        modules = list(model.modules())
        _refuse_uninitialized(model)
        _refuse_inference(model)
        # A frozen TorchScript module is in evaluation for good, and has no flag that says so.
        training = [(each, each.training) for each in modules if hasattr(each, "training")]
        requires_grad = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
        held = [_Held.of(module) for module in modules]
        # Inside inference mode no gradient can be had: every one would silently be zero.
        with (
            torch.inference_mode(False),
            outside_autocast(),
            random_state_kept(),
            _without_caches(modules),
            without_recomputation(modules),
        ):
            try:
                for module, _ in training:
                    module.training = False
                for parameter, _ in requires_grad:
                    parameter.requires_grad_(False)
                yield
            finally:
                for module, flag in training:
                    module.training = flag
                for parameter, flag in requires_grad:
                    parameter.requires_grad_(flag)
                for each in held:
                    each.restore()


def _refuse_uninitialized(model: nn.Module) -> None:
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(value):
            raise UnsupportedModelError(
                f"{name} has no shape yet: layers that find out their width by themselves (-1 in "
                "PyG, Lazy modules in torch) do so in their first call. Call the model once on the "
                "data, and load its trained weights, before it is explained"
            )


def _refuse_inference(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if parameter.is_inference():
            raise UnsupportedModelError(
                f"the parameter {name} was made in inference mode, so no gradient can pass it; "
                "build or load the model outside of torch.inference_mode()"
            )


@dataclass(frozen=True)
class _Held:
    """The parameters of a module; its buffers and tensors among its attributes, with values."""

    module: nn.Module
    parameters: dict[str, nn.Parameter]
    buffers: dict[str, tuple[Tensor, Tensor]]
    attributes: dict[str, tuple[Tensor, Tensor]]
    names: frozenset[str]

    @classmethod
    def of(cls, module: nn.Module) -> _Held:
        buffers = dict(module.named_buffers(recurse=False))
        attributes = {name: each for name, each in vars(module).items() if isinstance(each, Tensor)}
        parameters = dict(module.named_parameters(recurse=False))
        names = frozenset(vars(module))
        return cls(module, parameters, _saved(buffers), _saved(attributes), names)

    def restore(self) -> None:
        """Put back what was replaced, overwritten, or has come since."""
        for name in dict(self.module.named_buffers(recurse=False)):
            if name not in self.buffers:
                setattr(self.module, name, None)
        for name, value in list(vars(self.module).items()):
            if isinstance(value, Tensor) and name not in self.names:
                delattr(self.module, name)
        for name, parameter in self.parameters.items():
            if getattr(self.module, name, None) is not parameter:
                setattr(self.module, name, parameter)
        for name, (tensor, value) in (*self.buffers.items(), *self.attributes.items()):
            if getattr(self.module, name, None) is not tensor:
                setattr(self.module, name, tensor)
            if not _same(tensor, value):
                with torch.no_grad():
                    tensor.copy_(value)


def _saved(tensors: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    return {name: (tensor, tensor.detach().clone()) for name, tensor in tensors.items()}


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(torch.equal(one, other))


@contextmanager
def random_state_kept() -> Iterator[None]:
    """The global random states after the ``with`` block are those before it."""
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
    """A short hash of a model's class, parameters and buffers, equal if and only if they are.

    A model that is compiled has that of the module inside of it.
    """
    model = unwrapped(model)
    digest = hashlib.sha256(type(model).__qualname__.encode())
    values = {plain_name(name): value for name, value in model.state_dict().items()}
    for name, value in sorted(values.items()):
        digest.update(name.encode())
        if isinstance(value, Tensor):
            digest.update(str((value.dtype, tuple(value.shape))).encode())
            flat = value.detach().cpu().contiguous().view(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return digest.hexdigest()[:16]
