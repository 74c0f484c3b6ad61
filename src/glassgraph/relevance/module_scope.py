"""Where in the model an operation runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import nn

from glassgraph.relevance.rules import Rule


@dataclass(frozen=True)
class ModuleScope:
    """Where in the model an operation is.

    Attributes:
        modules: names of the modules it runs in, outermost (the model, ``""``) first.
        types: their classes.
        depth: message-passing step it belongs to, 0-based; the number of steps for what follows
            the last one.
        reads_input: whether it reads the features themselves, or a linear function of them.
    """

    modules: tuple[str, ...]
    types: tuple[type[nn.Module], ...]
    depth: int
    reads_input: bool


#: Which rule holds in a scope.
RuleAt = Callable[[ModuleScope], Rule]


class ScopeTracker:
    """Follows a model through its modules, for the duration of a ``with`` block.

    Args:
        model: the model that runs.
        layers: for each module that passes messages, the layers of its sites in call order.
    """

    def __init__(self, model: nn.Module, layers: Mapping[nn.Module, Sequence[int]]) -> None:
        self._model, self._layers = model, layers
        self._num_layers = 1 + max((max(each) for each in layers.values() if each), default=-1)
        self._inside: list[tuple[str, nn.Module, int]] = []
        self._sent = dict.fromkeys(layers, 0)
        self._hooks = ExitStack()

    def __enter__(self) -> ScopeTracker:
        for name, module in self._model.named_modules():
            for handle in self._listen(name, module):
                self._hooks.callback(handle.remove)
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.close()

    def _listen(self, name: str, module: nn.Module) -> Iterator[Any]:
        def enter(_: nn.Module, __: Any) -> None:
            self._inside.append((name, module, self._sent.get(module, 0)))

        def leave(_: nn.Module, __: Any, ___: Any) -> None:
            self._inside.pop()

        def send(_: nn.Module, __: Any) -> None:
            self._sent[module] += 1

        yield module.register_forward_pre_hook(enter)
        yield module.register_forward_hook(leave)
        if module in self._layers:
            hook: Any = getattr(module, "register_propagate_forward_pre_hook", None)
            yield module.register_forward_pre_hook(send) if hook is None else hook(send)

    def here(self, *, reads_input: bool = False) -> ModuleScope:
        """Where the model is.

        Args:
            reads_input: see `ModuleScope`.
        """
        return ModuleScope(
            modules=tuple(name for name, _, _ in self._inside),
            types=tuple(type(module) for _, module, _ in self._inside),
            depth=self._depth(),
            reads_input=reads_input,
        )

    def _depth(self) -> int:
        for _, module, sent in reversed(self._inside):
            layers = self._layers.get(module)
            if layers:
                return layers[min(sent, len(layers) - 1)]
        done = [self._layers[module][:n][-1] for module, n in self._sent.items() if n]
        if not done:
            return 0
        is_last = max(done) == self._num_layers - 1
        return self._num_layers if is_last else max(done)

    @property
    def name(self) -> str:
        """Name of the innermost module."""
        return self._inside[-1][0] if self._inside else ""
