"""A model that can be called and nothing else."""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch import Tensor, nn


class OpenedError(AssertionError):
    """Somebody looked inside."""


class Opaque(nn.Module):
    """Shows neither layers, parameters nor gradients of the model inside, and bears no hook.

    Args:
        model: the model inside.
        call: how it is called, ``call(model, data)``.
    """

    def __init__(self, model: nn.Module, call: Any) -> None:
        super().__init__()
        self.calls = 0

        def run(data: Any) -> Tensor:
            with torch.no_grad():
                return call(model.eval(), data).detach()

        self._run = run
        for module in model.modules():
            for name in dir(module):
                if name.startswith("register_") and name.endswith("_hook"):
                    setattr(module, name, _refuse)

    def forward(self, data: Any) -> Tensor:
        assert not any(
            value.requires_grad for value in data.to_dict().values() if isinstance(value, Tensor)
        ), "asked for a gradient"
        self.calls += 1
        return self._run(data)


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise OpenedError("a hook was set")
