"""Hidden node states ``H^l [n, D]`` after the layers of a model, in autograd's graph.

The literature means by ``H^l`` what comes out of layer ``l`` *after* its activation, and what the
next layer or the pooling reads. A layer's module returns what comes before the activation, which is
often a mere function and cannot be hooked. So states are taken where they are read:

* after a layer that another one follows: what the next layer's module is called with;
* after the last layer, in graph and link tasks: the last tensor with one row per node on which the
  output depends. It enters the pooling, or is looked up at the ends of a link;
* after the last layer, in node tasks: what the layer's module returns (the smallest module around
  all of them where several run side by side, or around a tap). What may follow works on each node
  by itself up to the output, so that nothing marks a place;
* or what a submodule named by the user returns.

Layers inside one module (the K hops of SGConv) hand no states on but those of their last.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.calling.precision import at_least_single
from glassgraph.core.batch import InstanceBatch, no_gradient
from glassgraph.errors import HyperParameterError, UnsupportedModelError
from glassgraph.hidden.recorder import RecordedRun, record_run
from glassgraph.inputs.receptive import Fields


@dataclass(frozen=True)
class HiddenStates:
    """A run, and hidden states in it.

    Attributes:
        output: ``[B, C]`` the model's output, in autograd's graph.
        layers: ``[n, ...]`` the states that were asked for, in autograd's graph.
    """

    output: Tensor
    layers: list[Tensor]

    def gradients(self, value: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The states ``[n, D_l]`` of each layer, heads side by side, and gradients of a value.

        Args:
            value: computed from `output`, such as the explained score ``[B]``.

        Raises:
            UnsupportedModelError: if states are cut off from what a gradient can reach.
            NoGradientError: if the value is cut off from the states.
        """
        if not all(each.requires_grad for each in self.layers):
            raise UnsupportedModelError(
                "hidden states depend neither on messages nor on floating features, so there is "
                "no gradient to follow; does the model detach them?"
            )
        found: Sequence[Tensor | None] = [None] * len(self.layers)
        if value.requires_grad:
            found = torch.autograd.grad(value.sum(), self.layers, allow_unused=True)
        if all(each is None for each in found):
            raise no_gradient("hidden states")
        return [
            (
                at_least_single(states.detach().flatten(1)),
                at_least_single((torch.zeros_like(states) if one is None else one).flatten(1)),
            )
            for states, one in zip(self.layers, found, strict=True)
        ]


def layer_states(batch: InstanceBatch, layers: Sequence[int] | None = None) -> HiddenStates:
    """The states after some layers, in one run.

    Args:
        batch: the instances.
        layers: which, from 0; None for every layer after which there are states of all nodes.

    Raises:
        HyperParameterError: if there is no such layer.
        UnsupportedModelError: if there are no states after it, on heterogeneous graphs, and where
            several modules of the next layer read different states.
    """
    recorded = record_batch(batch, module=_last_module(batch))
    position = None if batch.task.is_about_nodes else last_states(batch, recorded)
    return HiddenStates(recorded.output, _choose(batch, recorded, position, layers))


class StateReader:
    """Reads `layer_states` for their values alone, in runs without gradients.

    Where in the tail the states before a pooling or before links are is found once, with gradients.
    It holds for later runs whose tails look alike; once one does not, each is searched.
    """

    def __init__(self) -> None:
        self._known: tuple[int, list[tuple[int, ...]]] | None = None
        self._varies = False

    def read(self, batch: InstanceBatch, layers: Sequence[int] | None = None) -> list[Tensor]:
        """The states after some layers, detached; see `layer_states`."""
        if not batch.task.is_about_nodes and self._known is None:
            return self._find(batch, layers)
        recorded = record_batch(batch, module=_last_module(batch), has_gradients=False)
        position = None
        if self._known is not None:
            position, widths = self._known
            if widths != _widths(recorded) or not _has_node_rows(batch, recorded.tail[position]):
                self._known, self._varies = None, True
                return self._find(batch, layers)
        return _choose(batch, recorded, position, layers)

    def _find(self, batch: InstanceBatch, layers: Sequence[int] | None) -> list[Tensor]:
        with torch.enable_grad():
            recorded = record_batch(batch, module=_last_module(batch))
            position = last_states(batch, recorded)
        if position is not None and not self._varies:
            self._known = position, _widths(recorded)
        return [each.detach() for each in _choose(batch, recorded, position, layers)]


def _widths(recorded: RecordedRun) -> list[tuple[int, ...]]:
    """What tails have in common that come from the same functions on other graphs."""
    return [tuple(each.shape[1:]) for each in recorded.tail]


def _choose(
    batch: InstanceBatch, recorded: RecordedRun, position: int | None, layers: Sequence[int] | None
) -> list[Tensor]:
    """Of some layers, or of all that have any, the states in a run."""
    readable = _readable_layers(batch, recorded, position)
    for layer in layers or ():
        if not 0 <= layer < batch.num_layers:
            raise HyperParameterError(
                f"layer must be from 0 to {batch.num_layers - 1} (the model passes messages "
                f"{batch.num_layers} times); got {layer}"
            )
        if layer not in readable:
            raise UnsupportedModelError(_why_unreadable(batch, recorded, layer, sorted(readable)))
    if layers is None and not readable:
        last = batch.num_layers - 1
        raise UnsupportedModelError(_why_unreadable(batch, recorded, last, []))
    wanted = sorted(readable) if layers is None else layers
    return [readable[layer] for layer in wanted]


def module_states(batch: InstanceBatch, name: str) -> HiddenStates:
    """What a submodule returns, at its last call.

    Raises:
        HyperParameterError: if there is no submodule of that name.
        UnsupportedModelError: if it does not return one row per node, and on heterogeneous graphs.
    """
    model = batch.model_call.model
    names = [each for each, _ in model.named_modules(remove_duplicate=False) if each]
    if name not in names:
        near = difflib.get_close_matches(name, names) or names[:20]
        raise HyperParameterError(
            f"{type(model).__name__} has no submodule {name!r}; it has {', '.join(near)}"
        )
    recorded = record_batch(batch, module=name)
    states = recorded.module
    if states is None or not _has_node_rows(batch, states):
        got = "was not called" if states is None else f"returned shape {list(states.shape)}"
        raise UnsupportedModelError(
            f"submodule {name!r} {got}, where one row for each of {batch.num_nodes} nodes is needed"
        )
    return HiddenStates(recorded.output, [states])


def record_batch(
    batch: InstanceBatch, module: str | None = None, *, has_gradients: bool = True
) -> RecordedRun:
    """Run a batch, with open gates and all states in autograd's graph unless told otherwise.

    Raises:
        UnsupportedModelError: on heterogeneous graphs.
    """
    if batch.graph.is_heterogeneous:
        raise UnsupportedModelError(
            "hidden states are read on graphs with one type of nodes; this graph has "
            f"{len(batch.graph.node_types)}. For heterogeneous graphs take a method that looks at "
            "messages, such as edge_gradients"
        )
    gates = batch.ones().requires_grad_() if has_gradients else None
    features = batch.feature_leaves() if has_gradients else None
    with torch.set_grad_enabled(has_gradients):
        return record_run(
            batch.model_call.model,
            batch.wiring,
            lambda: batch.output(gates, features),
            module=module,
        )


def last_states(batch: InstanceBatch, recorded: RecordedRun) -> int | None:
    """Where in the tail the states are that the pooling or the links read; None if nowhere."""
    if batch.num_nodes == batch.num_predictions:
        # One node per instance: rows of nodes look like rows of instances. With every node twice
        # the same functions are called, and the rows tell.
        doubled = _doubled(batch)
        position = _last_states(doubled, record_batch(doubled))
        is_there = position is not None and position < len(recorded.tail)
        return position if is_there else None
    return _last_states(batch, recorded)


def _last_states(batch: InstanceBatch, recorded: RecordedRun) -> int | None:
    rows = [
        position
        for position, each in enumerate(recorded.tail)
        if each.requires_grad and _has_node_rows(batch, each)
    ]
    if not rows or not recorded.output.requires_grad:
        return None
    found = torch.autograd.grad(
        recorded.output.sum(),
        [recorded.tail[position] for position in rows],
        retain_graph=True,
        allow_unused=True,
    )
    used = [row for row, gradient in zip(rows, found, strict=True) if gradient is not None]
    return used[-1] if used else None


def _doubled(batch: InstanceBatch) -> InstanceBatch:
    """Each node a second time, without edges; for instances of one node each."""
    fields = batch.fields
    doubled = Fields(
        num_instances=fields.num_instances,
        node_instance=fields.node_instance.repeat_interleave(2),
        node=fields.node.repeat_interleave(2),
        distance=fields.distance.repeat_interleave(2),
        edge_instance=fields.edge_instance,
        edge=fields.edge,
        source=2 * fields.source,
        destination=2 * fields.destination,
        seed=2 * fields.seed,
    )
    return batch.with_fields(doubled, torch.arange(batch.num_instances, device=batch.device))


def _readable_layers(
    batch: InstanceBatch, recorded: RecordedRun, position: int | None
) -> dict[int, Tensor]:
    """The states after each layer that has them; of the last one, where they are in the tail.

    Raises:
        UnsupportedModelError: if modules of one layer read different states.
    """
    found: dict[int, Tensor] = {}
    for call in recorded.calls:
        states = next((each for each in call.inputs if _has_node_rows(batch, each)), None)
        if call.first == 0 or states is None:
            continue
        if found.setdefault(call.first - 1, states) is not states:
            names = {each.name for each in recorded.calls if each.first == call.first}
            raise UnsupportedModelError(
                f"the modules of layer {call.first} ({', '.join(sorted(names))}) read different "
                f"states, so there is no single state after layer {call.first - 1}; name a "
                "submodule instead: layer='...'"
            )
    last = batch.num_layers - 1
    states = None
    if batch.task.is_about_nodes:
        states = recorded.module
    else:
        states = None if position is None else recorded.tail[position]
    if states is not None and _has_node_rows(batch, states):
        found[last] = states
    return found


def _last_module(batch: InstanceBatch) -> str | None:
    """Name of the smallest module around the last layer; None if that is the model itself."""
    wiring = batch.wiring
    last = {site.channel for site in wiring.sites if site.layer == wiring.num_layers - 1}
    paths = []
    for channel in (wiring.channels[position] for position in last):
        path = channel.name.split(".")
        paths.append(path[:-1] if channel.is_tap or channel.is_adjacency else path)
    steps = itertools.takewhile(lambda step: len(set(step)) == 1, zip(*paths, strict=False))
    name = ".".join(step[0] for step in steps)
    return name if name and name in dict(batch.model_call.model.named_modules()) else None


def _has_node_rows(batch: InstanceBatch, states: Tensor) -> bool:
    return states.dim() >= 2 and states.size(0) == batch.num_nodes and states.is_floating_point()


def _why_unreadable(
    batch: InstanceBatch, recorded: RecordedRun, layer: int, readable: Sequence[int]
) -> str:
    """What keeps the states after a layer from being read, and what to do."""
    names = sorted({call.name for call in recorded.calls if call.last == layer})
    inside = [call.name for call in recorded.calls if call.first <= layer < call.last]
    if inside:
        reason = f"it is a step inside {inside[0]}, which hands on no states but its last"
    elif any(not site.is_mapped for site in batch.wiring.sites):
        reason = f"none of its tensors has one row for each of {batch.num_nodes} nodes (a pooling"
        reason += " layer may have dropped some)"
    elif batch.task.is_about_nodes and layer == batch.num_layers - 1:
        reason = f"{' and '.join(names)} have no module of their own that returns them"
    else:
        reason = f"no tensor with one row for each of {batch.num_nodes} nodes was seen there"
    instead = f"; there are states after layer {', '.join(map(str, readable))}" if readable else ""
    return (
        f"no states of all nodes can be read after layer {layer}: {reason}{instead}. A submodule "
        "that returns one row per node can be named instead: layer='...'"
    )
