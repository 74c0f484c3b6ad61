"""Hooks on every module of a model that sends messages, for the duration of a ``with`` block.

`SiteActions` says what is done at a message call; `attached` does it through PyG's and torch's
public hooks, and takes them off again whatever happens in between. Modules of three kinds send
messages: layers of PyG, a `MessageTap`, and an `AdjacencyTap`, each matrix of which is one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from glassgraph.core.adjacency import Product
from glassgraph.core.sites import Channel, refuse_fused

#: What ``before`` may put in the place of edges, sizes and arguments.
Replacement = tuple[Tensor, Any, dict[str, Any]]


@dataclass(frozen=True)
class SiteActions:
    """What is done when a site runs; each is called with the position of the site's channel first.

    Attributes:
        before: ``(channel, edge_index, size, arguments)`` before messages are made; may return
            replacements for the last three.
        change: ``(channel, messages)`` returns the messages to go on with; for adjacency matrices,
            which write no messages out, their entries ``[M]`` stand for them.
        after: ``(channel, size)`` sees the sizes that a finished site worked with.
        shut: ``(channel)`` is what the missing part of an adjacency matrix is multiplied with.
        lift: ``(channel, arguments)`` returns the arguments that ``message()`` is called with.
    """

    before: Callable[[int, Tensor, Any, Mapping[str, Any]], Replacement | None]
    change: Callable[[int, Tensor], Tensor]
    after: Callable[[int, Sequence[int | None]], None] | None = None
    shut: Callable[[int], Tensor | None] | None = None
    lift: Callable[[int, Mapping[str, Any]], dict[str, Any]] | None = None


_Hook = Callable[..., Any]
#: How a hook is registered, and the hook.
_Registration = tuple[Callable[[_Hook], Any], _Hook]

#: For each module that is hooked, the actions of the innermost block around the code that runs.
_INNERMOST: ContextVar[Mapping[nn.Module, SiteActions]] = ContextVar(
    "innermost", default=MappingProxyType({})
)


@contextmanager
def attached(channels: Sequence[Channel], actions: SiteActions) -> Iterator[None]:
    """Hook all channels for the duration of a ``with`` block.

    Where blocks around the same module are nested, the innermost acts and the others wait: a run
    of the model inside of another one does not count as a part of it.
    """
    innermost = dict.fromkeys((channel.module for channel in channels), actions)
    with ExitStack() as stack:
        token = _INNERMOST.set({**_INNERMOST.get(), **innermost})
        stack.callback(_INNERMOST.reset, token)
        for position, channel in enumerate(channels):
            for register, hook in _hooks(position, channel, actions):
                handle = register(_if_innermost(channel.module, actions, hook))
                stack.callback(handle.remove)
        yield


def _if_innermost(module: nn.Module, actions: SiteActions, hook: _Hook) -> _Hook:
    """The hook, without effect while a block further inside acts on the module."""

    def guarded(*given: Any) -> Any:
        return hook(*given) if _INNERMOST.get().get(module, actions) is actions else None

    return guarded


def _hooks(position: int, channel: Channel, actions: SiteActions) -> Iterator[_Registration]:
    if channel.is_adjacency:
        return _product_hooks(position, channel, actions)
    if channel.is_tap:
        return _tap_hooks(position, channel, actions)
    return _layer_hooks(position, channel, actions)


def _layer_hooks(position: int, channel: Channel, actions: SiteActions) -> Iterator[_Registration]:
    """Around ``propagate`` and ``message`` of a layer of PyG."""
    layer: Any = channel.module
    lift, after = actions.lift, actions.after

    def on_propagate(_: nn.Module, inputs: Any) -> Any:
        edge_index, size, arguments = inputs
        return actions.before(position, edge_index, size, arguments)

    def on_message(_: nn.Module, __: Any, output: Any) -> Any:
        return actions.change(position, output)

    def on_fused(_: nn.Module, __: Any) -> None:
        refuse_fused(channel)

    yield layer.register_propagate_forward_pre_hook, on_propagate
    yield layer.register_message_forward_hook, on_message
    yield layer.register_message_and_aggregate_forward_pre_hook, on_fused
    if lift is not None:

        def on_lifted(_: nn.Module, inputs: Any) -> Any:
            return (lift(position, inputs[0]),)

        yield layer.register_message_forward_pre_hook, on_lifted
    if after is not None:

        def on_done(_: nn.Module, inputs: Any, __: Any) -> None:
            after(position, inputs[1])

        yield layer.register_propagate_forward_hook, on_done


def _tap_hooks(position: int, channel: Channel, actions: SiteActions) -> Iterator[_Registration]:
    """After a `MessageTap`, which was given the messages."""

    def on_tap(_: nn.Module, args: Any, kwargs: Any, output: Tensor) -> Tensor:
        edge_index = args[1] if len(args) > 1 else kwargs["edge_index"]
        states = args[2] if len(args) > 2 else kwargs.get("x")
        actions.before(position, edge_index, None, {} if states is None else {"x": states})
        return actions.change(position, output)

    yield partial(channel.module.register_forward_hook, with_kwargs=True), on_tap


def _product_hooks(
    position: int, channel: Channel, actions: SiteActions
) -> Iterator[_Registration]:
    """After an `AdjacencyTap`: each of its matrices is one message call."""

    def on_product(_: nn.Module, args: Any, kwargs: Any, output: Tensor) -> Tensor:
        product = Product.read(*args, **kwargs)
        open_weights, weights, baselines = [], [], []
        for each in product.matrices:
            arguments = {"weight": each.weight, "values": each.values, "x": each.states}
            replaced = actions.before(position, each.edge_index, product.size, arguments)
            weight = each.weight if replaced is None else replaced[2]["weight"]
            open_weights.append(weight)
            weights.append(actions.change(position, weight))
            baselines.append(None if actions.shut is None else actions.shut(position))
            if actions.after is not None:
                actions.after(position, product.size)
        if all(one is each.weight for one, each in zip(weights, product.matrices, strict=True)):
            return output
        return product.changed(open_weights, weights, baselines)

    yield partial(channel.module.register_forward_hook, with_kwargs=True), on_product
