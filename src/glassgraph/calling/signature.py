"""What a model takes: the parameters of ``forward``, of a function, of what is made of them.

``functools.partial`` has given some of them already; a scripted or traced model has a schema in
the place of a signature; a compiled one is asked for the module inside of it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from glassgraph.calling.compiled import unwrapped
from glassgraph.errors import ModelCallError

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_SCRIPTED = (torch.jit.ScriptFunction, torch.ScriptMethod)


def parameters_of(model: nn.Module) -> tuple[list[inspect.Parameter], bool]:
    """The named parameters that are still to be given in a call, and whether they go by name.

    A wrapper that takes ``*args, **kwargs`` around a single module passes on what that one names.

    Raises:
        ModelCallError: if nobody can say.
    """
    parameters = _parameters(model)
    variadic = {each.kind for each in parameters} & set(_VARIADIC)
    named = [each for each in parameters if each.kind not in variadic]
    children = list(unwrapped(model).children())
    if named or not variadic or len(children) != 1:
        return named, True
    inner, go_by_name = parameters_of(children[0])
    return inner, go_by_name and inspect.Parameter.VAR_KEYWORD in variadic


def name_of(model: nn.Module) -> str:
    """How to speak of what is called."""
    inner = unwrapped(model)
    own = vars(inner).get("forward")  # a function in the place of the method
    if own is None:
        return f"{type(inner).__name__}.forward"
    return str(getattr(own, "__qualname__", type(own).__name__))


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    if isinstance(function, functools.partial):
        rest = _parameters(function.func)[len(function.args) :]
        return [each for each in rest if each.name not in function.keywords]
    if isinstance(function, nn.Module):
        return _parameters(unwrapped(function).forward)
    if isinstance(function, _SCRIPTED):
        is_method = isinstance(function, torch.ScriptMethod)  # whose first argument is the module
        schema: Any = function.schema
        return [_of_schema(each) for each in schema.arguments[is_method:]]
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise ModelCallError(
            f"the arguments of {function!r} cannot be read ({error}); pass "
            "call=lambda model, data: model(...)"
        ) from error


def _of_schema(argument: Any) -> inspect.Parameter:
    default = argument.default_value if argument.has_default_value() else inspect.Parameter.empty
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(argument.name, kind, default=default)
