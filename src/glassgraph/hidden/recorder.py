"""Watch a run: what each layer reads and writes, and everything after the last of them.

Layers are recorded through hooks on modules. What follows the last layer (activations, pooling, the
head) is often written with functions alone, which have no hooks; a ``TorchFunctionMode`` sees each
of their results in turn. This is the run's *tail*: floating tensors, in the order in which they are
computed, the last layer's own output first. In another run of the same graph a result of the tail
can be replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from glassgraph.core.sites import Channel, Wiring, tensors_in


@dataclass(frozen=True)
class LayerCall:
    """One call of a module that passes messages.

    Attributes:
        name: the module.
        first: the first message-passing step that runs in it.
        last: the last one.
        inputs: floating tensors among its arguments, in order; of a tap, the states ``x`` alone.
    """

    name: str
    first: int
    last: int
    inputs: list[Tensor]


@dataclass(frozen=True)
class RecordedRun:
    """One run.

    Attributes:
        output: what the run returned.
        calls: calls of layer modules, in the order in which they return.
        module: what the submodule that was asked for returned at its last call.
        tail: what was computed after the last layer, in order.
        num_starts: how often a tail began: once for each module of the last layer.
    """

    output: Tensor
    calls: list[LayerCall]
    module: Tensor | None
    tail: list[Tensor]
    num_starts: int


def record_run(
    model: nn.Module,
    wiring: Wiring,
    run: Callable[[], Tensor],
    *,
    module: str | None = None,
    replaced: Mapping[int, Tensor] | None = None,
    num_starts: int = 1,
) -> RecordedRun:
    """Run a model and keep what its layers read and write, and its tail.

    Args:
        model: the model that runs.
        wiring: its sites.
        run: calls it.
        module: dotted name of a submodule whose output is kept too.
        replaced: for positions of the tail, values that take the place of what is computed there
            (only in runs without gradients).
        num_starts: how often the tail of such a run begins, until it is the one that is meant.
    """
    recorder = _Recorder(wiring, replaced or {}, num_starts)
    with ExitStack() as stack:
        for channel in wiring.channels:
            for handle in recorder.hooks(channel):
                stack.callback(handle.remove)
        if module is not None:
            named = model.get_submodule(module)
            stack.callback(named.register_forward_hook(recorder.on_module).remove)
        stack.enter_context(recorder.tail)
        output = run()
    tail = recorder.tail
    return RecordedRun(output, recorder.calls, recorder.module, tail.results, tail.num_starts)


class _Tail(TorchFunctionMode):
    """Keeps the results of functions, once it has been started."""

    def __init__(self, replaced: Mapping[int, Tensor], replaced_in: int) -> None:
        super().__init__()
        self.results: list[Tensor] = []
        self.num_starts = 0
        self._replaced = replaced
        self._replaced_in = replaced_in

    def start(self, first: Tensor | None) -> None:
        """Forget what there is, and begin with a layer's output."""
        self.results = [] if first is None else [first]
        self.num_starts += 1

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.num_starts:
            for each in tensors_in(result):  # several: ``values, indices = h.max(dim=-1)``
                if each.is_floating_point():
                    self._keep(each)
        return result

    def _keep(self, result: Tensor) -> None:
        instead = self._replaced.get(len(self.results))
        if instead is not None and self.num_starts == self._replaced_in:
            # In place: some functions write into their argument, and the model goes on with that.
            result.copy_(instead.view_as(result))
        self.results.append(result)


@dataclass
class _Recorder:
    wiring: Wiring
    replaced: Mapping[int, Tensor]
    num_starts: int
    calls: list[LayerCall] = field(default_factory=list)
    module: Tensor | None = None

    def __post_init__(self) -> None:
        self.tail = _Tail(self.replaced, self.num_starts)
        self._layers = self.wiring.layers_of_modules()
        self._sent = dict.fromkeys(self._layers, 0)

    def hooks(self, channel: Channel) -> list[Any]:
        """Hooks on one module that sends messages."""
        module: Any = channel.module
        layers = self._layers.get(module)
        if layers is None:  # the model does not use it
            return []
        is_tap = channel.is_tap or channel.is_adjacency
        running: list[tuple[int, list[Tensor]]] = []

        def enter(_: nn.Module, args: Any, kwargs: Any) -> None:
            given = _states_of_tap(channel, args, kwargs) if is_tap else [args, kwargs]
            inputs = [each for each in tensors_in(given) if each.is_floating_point()]
            running.append((self._sent[module], inputs))
            if is_tap:
                self._sent[module] += _num_matrices(args, kwargs) if channel.is_adjacency else 1

        def send(_: nn.Module, __: Any) -> None:
            self._sent[module] += 1

        def leave(_: nn.Module, __: Any, result: Any) -> None:
            start, inputs = running.pop()
            steps = layers[start : self._sent[module]]
            if not steps:
                return
            self.calls.append(LayerCall(channel.name, steps[0], steps[-1], inputs))
            if steps[-1] == self.wiring.num_layers - 1:
                # What a tap returns are messages, or a product that gates will change.
                self.tail.start(None if is_tap else next(tensors_in(result), None))

        found = [module.register_forward_pre_hook(enter, with_kwargs=True)]
        if not is_tap:
            found.append(module.register_propagate_forward_pre_hook(send))
        found.append(module.register_forward_hook(leave))
        return found

    def on_module(self, _: nn.Module, __: Any, result: Any) -> None:
        """Keep the first floating tensor that a module returns."""
        floating = (each for each in tensors_in(result) if each.is_floating_point())
        self.module = next(floating, None)


def _states_of_tap(channel: Channel, args: Any, kwargs: Any) -> Any:
    """The node states that a tap was given."""
    states = args[2] if len(args) > 2 else kwargs.get("x")
    if states is None and channel.is_adjacency:
        return args[1] if len(args) > 1 else kwargs["values"]
    return states


def _num_matrices(args: Any, kwargs: Any) -> int:
    adjacency: Tensor = args[0] if args else kwargs["adjacency"]
    return int(adjacency.size(0)) if adjacency.dim() == 3 else 1
