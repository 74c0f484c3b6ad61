"""Functions that predict, in the place of modules."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import nn

from glassgraph.errors import HyperParameterError


class CallableModule(nn.Module):
    """A function in the clothes of a module.

    Where the function is a method of a module, or arguments were given to one before
    (``functools.partial``), that module is its part: it is left as it was like any other.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.forward = function
        self.owner = _owner(function)


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


def _owner(function: Callable[..., Any]) -> nn.Module | None:
    """The module that a function is a method or a call of; None if it is of none."""
    while isinstance(function, functools.partial):
        function = function.func
    owner = function if isinstance(function, nn.Module) else getattr(function, "__self__", None)
    return owner if isinstance(owner, nn.Module) else None
