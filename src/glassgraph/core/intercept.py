"""The one place that reaches into a model: watch its messages, or change them.

`observe` records what each site was given; `trace` also finds which sites feed which; an
`Intervention` replaces every message ``m`` of a gated row by ``z * m + (1 - z) * b`` and leaves out
rows that cannot reach the prediction. All three attach PyG's public hooks and take them off again,
whatever happens in between. With ``z = 1`` the output is the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from glassgraph.core.adjacency import Product
from glassgraph.core.gate_op import gated
from glassgraph.core.sites import Channel, Record, Wiring, refuse_fused, tensors_in

#: ``before(channel, edge_index, size, arguments)`` may return replacements for the last three.
Before = Callable[
    [int, Tensor, Any, Mapping[str, Any]], "tuple[Tensor, Any, dict[str, Any]] | None"
]
#: ``change(channel, messages)`` returns the messages to go on with; for adjacency matrices, which
#: write no messages out, their entries ``[M]`` stand for them.
Change = Callable[[int, Tensor], Tensor]
#: ``shut(channel)`` is what the missing part of an adjacency matrix is multiplied with.
Shut = Callable[[int], "Tensor | None"]
#: ``after(channel, size)`` sees the sizes a finished site worked with.
After = Callable[[int, Sequence["int | None"]], None]
#: ``lift(channel, arguments)`` returns the arguments that ``message()`` is called with.
Lift = Callable[[int, Mapping[str, Any]], "dict[str, Any]"]


class Cutter(Protocol):
    """Takes the part of the model between two messages out of the whole, see `Intervention.run`."""

    def cut(self, site: int, edge_index: Tensor, states: Tensor, source: Tensor | None) -> Tensor:
        """Replace states of senders, one row per kept message (in dimension ``row_dim``).

        ``source`` holds those of all nodes, from which ``states`` were taken, where known.
        """

    def sent(self, site: int, messages: Tensor) -> None:
        """See the messages that were made of them."""


@contextmanager
def attached(
    channels: Sequence[Channel],
    before: Before,
    change: Change,
    after: After | None = None,
    shut: Shut | None = None,
    lift: Lift | None = None,
) -> Iterator[None]:
    """Hook all channels for the duration of a ``with`` block."""
    with ExitStack() as stack:
        for position, channel in enumerate(channels):
            for handle in _hooks(position, channel, before, change, after, shut, lift):
                stack.callback(handle.remove)
        yield


def _hooks(
    position: int,
    channel: Channel,
    before: Before,
    change: Change,
    after: After | None,
    shut: Shut | None,
    lift: Lift | None,
) -> Iterator[Any]:
    module: Any = channel.module
    if channel.is_adjacency:
        on_product = _product_hook(position, before, change, after, shut)
        yield module.register_forward_hook(on_product, with_kwargs=True)
        return
    if channel.is_tap:

        def on_tap(_: nn.Module, args: Any, kwargs: Any, output: Tensor) -> Tensor:
            edge_index = args[1] if len(args) > 1 else kwargs["edge_index"]
            states = args[2] if len(args) > 2 else kwargs.get("x")
            before(position, edge_index, None, {} if states is None else {"x": states})
            return change(position, output)

        yield module.register_forward_hook(on_tap, with_kwargs=True)
        return

    def on_propagate(_: nn.Module, inputs: Any) -> Any:
        edge_index, size, arguments = inputs
        return before(position, edge_index, size, arguments)

    def on_message(_: nn.Module, __: Any, output: Any) -> Any:
        return change(position, output)

    def on_fused(_: nn.Module, __: Any) -> None:
        refuse_fused(channel)

    yield module.register_propagate_forward_pre_hook(on_propagate)
    if lift is not None:

        def on_lifted(_: nn.Module, inputs: Any) -> Any:
            return (lift(position, inputs[0]),)

        yield module.register_message_forward_pre_hook(on_lifted)
    yield module.register_message_forward_hook(on_message)
    yield module.register_message_and_aggregate_forward_pre_hook(on_fused)
    if after is not None:

        def on_done(_: nn.Module, inputs: Any, __: Any) -> None:
            after(position, inputs[1])

        yield module.register_propagate_forward_hook(on_done)


def _product_hook(
    position: int, before: Before, change: Change, after: After | None, shut: Shut | None
) -> Callable[..., Tensor]:
    """A hook for an `AdjacencyTap`: each of its matrices is one message call."""

    def on_product(_: nn.Module, args: Any, kwargs: Any, output: Tensor) -> Tensor:
        product = Product.read(*args, **kwargs)
        open_weights, weights, baselines = [], [], []
        for each in product.matrices:
            arguments = {"weight": each.weight, "values": each.values, "x": each.states}
            replaced = before(position, each.edge_index, product.size, arguments)
            weight = each.weight if replaced is None else replaced[2]["weight"]
            open_weights.append(weight)
            weights.append(change(position, weight))
            baselines.append(None if shut is None else shut(position))
            if after is not None:
                after(position, product.size)
        if all(one is each.weight for one, each in zip(weights, product.matrices, strict=True)):
            return output
        return product.changed(open_weights, weights, baselines)

    return on_product


def observe(channels: Sequence[Channel], run: Callable[[], Tensor]) -> tuple[Tensor, list[Record]]:
    """Run a model and record what each of its sites was given.

    Args:
        channels: where to listen.
        run: calls the model.

    Returns:
        The model's output and one record for each site, in execution order.
    """
    recorder = _Recorder(channels)
    with attached(channels, recorder.before, recorder.change, recorder.after):
        output = run()
    return output, recorder.records


def trace(channels: Sequence[Channel], run: Callable[[], Tensor]) -> list[Record]:
    """Run a model with a probe on every site, to learn how sites depend on one another.

    Needs gradients: ``run`` should give the model features that require them, so that arguments
    which depend on the features are told from those which depend on the graph alone.
    """
    tracer = _Tracer(channels)
    with torch.enable_grad(), attached(channels, tracer.before, tracer.change, tracer.after):
        run()
    return tracer.records


class _Recorder:
    """Collects records."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self.records: list[Record] = []
        self._calls = [0] * len(channels)
        self._open: list[list[Record]] = [[] for _ in channels]

    def before(self, channel: int, edge_index: Tensor, size: Any, arguments: Any) -> None:
        record = Record(channel, self._calls[channel], edge_index, dict(arguments))
        self._calls[channel] += 1
        self._open[channel] = [record]
        self.records.append(record)

    def change(self, channel: int, messages: Tensor) -> Tensor:
        self._open[channel][-1].message = messages.shape
        return messages

    def after(self, channel: int, size: Sequence[int | None]) -> None:
        self._open[channel][-1].size = (size[0], size[1])


class _Tracer(_Recorder):
    """Collects records and their dependence on earlier sites."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        super().__init__(channels)
        self._probes: list[Tensor] = []

    def change(self, channel: int, messages: Tensor) -> Tensor:
        super().change(channel, messages)
        record = self._open[channel][-1]
        position = next(i for i, other in enumerate(self.records) if other is record)
        inputs = [messages, *tensors_in(record.arguments)]
        roots = [value.sum() for value in inputs if value.requires_grad]
        if roots and self._probes:
            found = torch.autograd.grad(
                roots, self._probes, retain_graph=True, allow_unused=True, materialize_grads=False
            )
            earlier = {i for i, gradient in enumerate(found) if gradient is not None}
            record.feeds_from = frozenset(earlier - {position})
        record.varying = frozenset(
            name
            for name, value in record.arguments.items()
            if any(tensor.requires_grad for tensor in tensors_in(value))
        )
        while len(self._probes) <= position:
            self._probes.append(torch.ones((), dtype=messages.dtype, device=messages.device))
            self._probes[-1].requires_grad_()
        return messages * self._probes[position]


@dataclass
class SitePlan:
    """What an intervention does at one site.

    Attributes:
        num_rows: rows M the site had when the plan was made; another number voids the plan.
        row_edge: ``[M']`` edge number behind each kept row, the number of edges for ungated rows;
            None if the site is not gated at all.
        is_identity: whether kept row ``i`` is edge ``i``.
        keep: ``[M']`` rows that are kept, None for all.
        edge_index: ``[2, M']`` the kept rows.
        constants: arguments that replace the run's own, already cut to the kept rows.
        sliced: names of the other arguments with one row per message.
    """

    num_rows: int
    row_edge: Tensor | None
    is_identity: bool = False
    keep: Tensor | None = None
    edge_index: Tensor | None = None
    constants: dict[str, Tensor] = field(default_factory=dict)
    sliced: tuple[str, ...] = ()


@dataclass
class RecordedMessages:
    """What one site sent in a run with open gates.

    Attributes:
        site: position of the site.
        edge_index: ``[2, M']`` the kept rows.
        arguments: propagate's arguments by name.
        messages: ``[M', ...]``, rows first.
    """

    site: int
    edge_index: Tensor
    arguments: Mapping[str, Any]
    messages: Tensor | None = None


class PlanMismatch(RuntimeError):
    """A site got other rows than its plan was made for (the model's graph depends on its data)."""


class Intervention:
    """Gates on the messages of a model, attached for the duration of a ``with`` block.

    Args:
        wiring: the sites.
        plans: what to do at each site.
    """

    def __init__(self, wiring: Wiring, plans: Sequence[SitePlan]) -> None:
        self._wiring = wiring
        self._plans = plans
        self._table = {
            (site.channel, site.call): position for position, site in enumerate(wiring.sites)
        }
        self._calls = [0] * len(wiring.channels)
        self._current = [-1] * len(wiring.channels)
        self._gates: Sequence[Tensor] | None = None
        self._with_one: dict[int, Tensor] = {}
        self._baselines: Sequence[Tensor | None] | None = None
        self._recorded: list[RecordedMessages | None] | None = None
        self._cutter: Cutter | None = None
        self._given: list[tuple[Tensor, Mapping[str, Any]] | None] = [None] * len(wiring.channels)

    def run(
        self,
        call: Callable[[], Tensor],
        gates: Tensor | None,
        baselines: Sequence[Tensor | None] | None = None,
        cutter: Cutter | None = None,
    ) -> Tensor:
        """Call the model with gates on its messages.

        Args:
            call: calls the model.
            gates: ``[E]`` one gate per edge, shared by all layers; ``[L, E]`` one per layer and
                edge; or None to leave messages alone.
            baselines: for each site what a shut message becomes, broadcastable to its messages (as
                the layer shapes them); None for zero.
            cutter: is handed each argument of ``message()`` that holds states of senders and
                depends on the features (names ending in ``_j``), and returns what the layer goes
                on with.

        Returns:
            The model's output.
        """
        self._calls = [0] * len(self._calls)
        self._gates = None if gates is None else self._per_layer(gates)
        self._baselines = baselines
        self._cutter = cutter
        lift = None if cutter is None else self._lift
        channels = self._wiring.channels
        with attached(channels, self._before, self._change, shut=self._shut, lift=lift):
            return call()

    def record(self, call: Callable[[], Tensor]) -> tuple[Tensor, list[RecordedMessages]]:
        """Call the model with all gates open, and keep what each site sent.

        Returns:
            The output, and for each site its kept rows, messages and arguments.
        """
        self._recorded = [None] * len(self._plans)
        try:
            output = self.run(call, None)
            return output, [recorded for recorded in self._recorded if recorded is not None]
        finally:
            self._recorded = None

    @property
    def plans(self) -> Sequence[SitePlan]:
        """What it does at each site."""
        return self._plans

    def _per_layer(self, gates: Tensor) -> Sequence[Tensor]:
        """Gates of each layer."""
        self._with_one.clear()
        return [gates] * self._wiring.num_layers if gates.dim() == 1 else gates.unbind(0)

    def _padded(self, layer: int) -> Tensor:
        """Gates of a layer with a 1 appended for rows that have no gate."""
        assert self._gates is not None
        gate = self._gates[layer]
        key = layer if gate is not self._gates[0] else 0  # one gate for all layers: padded once
        if key not in self._with_one:
            self._with_one[key] = torch.cat([gate, gate.new_ones(1)])
        return self._with_one[key]

    def _before(
        self, channel: int, edge_index: Tensor, size: Any, arguments: Mapping[str, Any]
    ) -> tuple[Tensor, Any, dict[str, Any]] | None:
        call = self._calls[channel]
        self._calls[channel] += 1
        position = self._table.get((channel, call))
        if position is None:
            raise PlanMismatch(f"{self._wiring.channels[channel].name} was called once more")
        self._current[channel] = position
        plan = self._plans[position]
        if self._recorded is not None:
            self._recorded[position] = RecordedMessages(position, edge_index, dict(arguments))
        # Behind a pooling layer gates may change which edges are left; nothing is gated there.
        if plan.row_edge is not None and edge_index.size(1) != plan.num_rows:
            raise PlanMismatch(
                f"{self._wiring.sites[position].name} got {edge_index.size(1)} rows, "
                f"expected {plan.num_rows}"
            )
        self._given[channel] = edge_index, arguments
        if plan.keep is None and not plan.constants:
            return None
        changed = dict(arguments)
        changed.update(plan.constants)
        if plan.keep is None:
            return edge_index, size, changed
        for name in plan.sliced:
            changed[name] = changed[name].index_select(0, plan.keep)
        kept = plan.edge_index if plan.edge_index is not None else edge_index[:, plan.keep]
        self._given[channel] = kept, changed
        if self._recorded is not None:
            self._recorded[position] = RecordedMessages(position, kept, changed)
        return kept, size, changed

    def _lift(self, channel: int, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Hand on states of senders that depend on the features."""
        given, changed = self._given[channel], dict(arguments)
        assert self._cutter is not None
        assert given is not None
        site, sender = self._current[channel], 1 - self._wiring.channels[channel].receiver
        for name, value in arguments.items():
            if name.endswith("_j") and isinstance(value, Tensor) and value.requires_grad:
                source = given[1].get(name[:-2])
                if isinstance(source, (tuple, list)):  # of senders and of receivers
                    source = source[sender]
                if not (isinstance(source, Tensor) and source.requires_grad):
                    source = None
                changed[name] = self._cutter.cut(site, given[0], value, source)
        return changed

    def _change(self, channel: int, messages: Tensor) -> Tensor:
        position = self._current[channel]
        plan = self._plans[position]
        if self._recorded is not None:
            recorded = self._recorded[position]
            assert recorded is not None
            recorded.messages = messages.movedim(self._wiring.channels[channel].row_dim, 0)
        if self._cutter is not None:
            self._cutter.sent(position, messages)
        if self._gates is None or plan.row_edge is None:
            return messages
        layer = self._wiring.sites[position].layer
        gate = self._gates[layer]
        if not plan.is_identity:
            gate = self._padded(layer).index_select(0, plan.row_edge)
        shape = [1] * messages.dim()
        shape[self._wiring.channels[channel].row_dim] = -1
        gate = gate.view(shape).to(messages.dtype)  # a layer may compute in its own precision
        baseline = self._shut(channel)
        if baseline is None or self._wiring.channels[channel].is_adjacency:
            return gated(messages, gate)  # of a matrix the baseline enters after the product
        # One pass over the messages instead of four; exact where a gate is 0 or 1.
        return torch.lerp(baseline.to(messages.dtype), messages, gate)

    def _shut(self, channel: int) -> Tensor | None:
        """What a shut message becomes at the site that runs; None for zero."""
        return None if self._baselines is None else self._baselines[self._current[channel]]
