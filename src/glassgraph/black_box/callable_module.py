"""Functions that predict, in the place of modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from glassgraph.errors import HyperParameterError


class CallableModule(nn.Module):
    """A function in the clothes of a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.forward = function


def as_module(model: Any) -> nn.Module:
    """A module as it is, a function as a module.

    Raises:
        HyperParameterError: if it is neither.
    """
    if isinstance(model, nn.Module):
        return model
    if not callable(model):
        raise HyperParameterError(
            "model must be a torch.nn.Module or a function that returns predictions; got "
            f"{type(model).__name__}"
        )
    return CallableModule(model)
