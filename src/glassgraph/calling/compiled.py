"""Models that are compiled, or wrapped for several devices, and the modules inside of them.

Hooks on layers do nothing in code that ``torch.compile`` made. So what looks into a model runs it
uncompiled, whichever part of it is compiled; what only calls a model leaves it as it is.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

import torch
from torch import nn
from torch._dynamo import OptimizedModule  # what torch.compile makes of a module

#: The attribute under which a compiled module keeps the module that it was made of.
_INNER = "_orig_mod"
_PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)


class CompiledModelWarning(UserWarning):
    """A compiled model is explained by the modules that it was made of."""


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside of ``torch.compile(model)`` and ``DataParallel(model)``."""
    while isinstance(model, (OptimizedModule, *_PARALLEL)):
        model = model._orig_mod if isinstance(model, OptimizedModule) else model.module
    return model


def on_one_device(model: nn.Module) -> nn.Module:
    """The module inside of ``DataParallel(model)``, which would cut an ``edge_index`` in two."""
    while isinstance(model, _PARALLEL):
        model = model.module
    return model


def plain_name(name: str) -> str:
    """The name that a module, parameter or buffer has where nothing is compiled."""
    return ".".join(part for part in name.split(".") if part != _INNER)


def compiled_parts(model: nn.Module) -> list[str]:
    """Names of the modules that run compiled; of the model itself the name of its class."""
    named = model.named_modules()
    found = {plain_name(name): module for name, module in named if _is_compiled(module)}
    return [name or type(unwrapped(module)).__name__ for name, module in found.items()]


def _is_compiled(module: nn.Module) -> bool:
    return (
        isinstance(module, OptimizedModule)
        or module._compiled_call_impl is not None  # by module.compile()
        or hasattr(module.forward, "_torchdynamo_orig_callable")  # by @torch.compile
    )


class _Uncompiled:
    """Runs all that is compiled as it was written; in other threads, too, for that long.

    The compiler's stance is one for the process: the first who needs it takes it, the last gives it
    back.
    """

    def __init__(self) -> None:
        self._lock, self._wanted = Lock(), 0
        self._stance: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._wanted:
                self._stance = torch.compiler.set_stance("force_eager")  # takes effect at once
            self._wanted += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._wanted -= 1
            if not self._wanted:
                self._stance.__exit__(None, None, None)


#: A block in which nothing runs compiled.
uncompiled = _Uncompiled()
