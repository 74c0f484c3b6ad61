"""What reaches a prediction without being a known message: found by its effect, not by its class.

With every known message shut, a prediction should depend neither on the edges nor on other nodes.
Where it does, messages are written by hand, a layer builds on degrees, or nodes are mixed beside
the edges; scores of messages would leave that part out. The place is found by running the model
twice and looking for the first module whose states differ.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.calling.call import refuse_chance
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.hooks import SiteActions, attached
from glassgraph.core.output_rows import OutputRows, output_rows, select_rows
from glassgraph.core.plan import with_edges
from glassgraph.core.sites import tensors_in
from glassgraph.inputs.links import link_keys
from glassgraph.inputs.pack import pack

#: Instances that are looked at, those with most edges first.
_MOST = 4
#: Numbers that differ by less than this share of the largest are equal up to rounding.
_ROUNDING = {torch.float64: 1e-9, torch.float32: 2e-4}
#: Attributes of nodes that say where a node stands and not what it is.
_NOT_FEATURES = frozenset({"batch", "ptr", "n_id", "y"})


@dataclass(frozen=True)
class Unseen:
    """A part of a model that known messages do not show.

    Attributes:
        where: the place in the model, in words.
        change: how far outputs move by it, at most.
        reads_edges: whether it depends on the edges.
        mixes_nodes: whether it carries what is known of one node to another.
    """

    where: str
    change: float
    reads_edges: bool
    mixes_nodes: bool

    @property
    def are_messages(self) -> bool:
        """Whether nodes send each other something along edges there."""
        return self.reads_edges and self.mixes_nodes

    def __str__(self) -> str:
        start = f"with all its known messages shut, the model still depends on {{}} {self.where}"
        moved = f" (outputs move by up to {self.change:.2g})"
        if self.are_messages:
            what = start.format("what other nodes send along edges") + moved
            return (
                f"{what}; scores would leave that part out. Call a glassgraph.MessageTap on "
                "hand-written messages (an AdjacencyTap in place of a product with a dense "
                "adjacency matrix), or take a method that only calls the model: "
                "causal_screening, pgm_explainer, relex, subgraphx, zorro"
            )
        if self.reads_edges:
            what = start.format("the edges") + moved
            return f"{what}, as with degrees: scores are those of messages, and leave that part out"
        what = start.format("other nodes") + moved
        return (
            f"{what}, as with normalization over a graph, attention to all of its nodes, or edges "
            "that the model keeps itself: scores are those of known messages, and leave that out"
        )


def find_unseen(batch: InstanceBatch) -> Unseen | None:
    """Look for what known messages do not show; None if there is nothing, or no telling.

    There is no telling where the model does not run with a part of the edges, or is random.

    Args:
        batch: predictions that are known to be right.
    """
    if not batch.wiring.sites or not batch.num_edges:
        return None
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            return _Silence.of(batch).find()
        except Exception as error:  # noqa: BLE001 - the altered graphs are ours, and prove nothing
            refuse_chance(lambda: _Silence.of(batch).find(), error)
            return None


@dataclass
class _Silence:
    """A few instances, on which the model runs with all known messages shut."""

    batch: InstanceBatch
    data: Any
    packed: Any
    fields: Any
    rows: Tensor | OutputRows | None
    num_predictions: int

    @classmethod
    def of(cls, batch: InstanceBatch) -> _Silence:
        fields, packed, rows = batch.fields, batch.packed, batch.output_rows
        num_predictions = batch.num_predictions
        if not batch.is_whole and batch.num_instances > _MOST:
            chosen = batch.edges_per_instance.topk(_MOST).indices
            fields = batch.fields.take(chosen)
            index = batch.key[chosen]
            packed = pack(batch.graph, fields, batch.model_call, batch.task, index)
            own = batch.targets.take(chosen).rows
            rows = output_rows(batch.graph, fields, packed, batch.task, own)
            num_predictions = _MOST
        return cls(batch, packed.data, packed, fields, rows, num_predictions)

    def find(self) -> Unseen | None:
        """What still depends on edges, else on other nodes."""
        reference = self._output(self.data, self.rows)
        seeds = self._seeds()
        altered: list[tuple[Any, Tensor | OutputRows | None, Tensor | None]]
        altered = [(*self._with_half(start), None) for start in (0, 1)]
        if seeds is not None:
            altered.append((self._with_features_of(seeds), self.rows, seeds))
        found = None
        for data, own_rows, rows in altered:
            change = _distance(reference, self._output(data, own_rows))
            if change == 0.0 or (rows is not None and found is not None):
                continue
            if _distance(reference, self._output(self.data, self.rows)) > 0.0:
                return None  # it does not repeat itself
            if found is None or change > found.change:
                found = self._describe(data, rows, change)
        return found

    def _describe(self, data: Any, rows: Tensor | None, change: float) -> Unseen:
        seen = self._states(self.data)
        place, where = _first_difference(
            self.batch.model_call.model, seen, self._states(data), self._on_rows(rows)
        )
        if rows is not None:
            return Unseen(where, change, reads_edges=False, mixes_nodes=True)
        return Unseen(where, change, reads_edges=True, mixes_nodes=self._mixes(seen, place))

    def _mixes(self, seen: list[_State], place: tuple[int, int] | None) -> bool:
        """Whether the state in a place depends, for one half of nodes, on the other half."""
        if place is None:
            return True
        before = seen[place[0]].tensors[place[1]]
        if before.dim() == 0 or before.size(0) not in self._num_nodes():
            return True
        for start in (0, 1):
            kept = torch.zeros(self.fields.node.numel(), dtype=torch.bool, device=before.device)
            halves = [position[start::2] for position in self.packed.node_position]
            kept[torch.cat(halves)] = True
            after = self._states(self._with_features_of(kept))[place[0]].tensors[place[1]]
            if after.shape != before.shape or self._on_rows(kept)(before, after) > 0.0:
                return True
        return False

    def _output(self, data: Any, rows: Tensor | OutputRows | None) -> Tensor:
        return select_rows(self.batch.task, self._silent_run(data), rows, self.num_predictions)

    def _silent_run(self, data: Any) -> Any:
        shut = SiteActions(lambda *_: None, lambda _, messages: torch.zeros_like(messages))
        with attached(self.batch.wiring.channels, shut), self._something_of_its_own(data):
            return self.batch.model_call(data)

    @contextmanager
    def _something_of_its_own(self, data: Any) -> Iterator[None]:
        """Layers return something of each node's own features in addition.

        Without messages a layer that has no weights for the node itself (GCN, GAT) returns the same
        for all nodes, and whatever mixes nodes after it would have nothing to mix.
        """
        own = None if self.batch.graph.is_heterogeneous else self._features(data)

        def add(_: nn.Module, __: Any, output: Any) -> Any:
            if own is None or not _is_of_nodes(output, own.size(0)):
                return output
            width = output[0].numel()
            generator = torch.Generator().manual_seed(width)
            weight = torch.randn((own.size(1), width), generator=generator).to(own)
            return output + (own @ weight).tanh().view_as(output).to(output.dtype)

        with ExitStack() as stack:
            for channel in self.batch.wiring.channels:
                if not (channel.is_tap or channel.is_adjacency):
                    stack.callback(channel.module.register_forward_hook(add).remove)
            yield

    def _features(self, data: Any) -> Tensor | None:
        """``[n, F]`` everything that is known of the nodes; None if that is nothing."""
        names = self._feature_names(data, self.batch.graph.data, self.fields.node.numel())
        if not names:
            return None
        return torch.cat([data[name].flatten(1).double() for name in names], dim=1)

    def _feature_names(self, store: Any, own: Any, num_nodes: int) -> list[str]:
        return [
            key
            for key, value in store.items()
            if isinstance(value, Tensor)
            and value.dtype != torch.bool
            and key not in _NOT_FEATURES | link_keys(own)
            and own.is_node_attr(key)
            and value.size(0) == num_nodes
        ]

    def _states(self, data: Any) -> list[_State]:
        layers = [channel.module for channel in self.batch.wiring.channels]
        with _watched(self.batch.model_call.model, layers) as states:
            self._silent_run(data)
        return states

    # Altered graphs

    def _with_half(self, start: int) -> tuple[Any, Tensor | OutputRows | None]:
        """Every other edge of the first type, and none of the others; rows of the predictions.

        Edges that are explained stay.
        """
        position = torch.arange(self.packed.views[0].position.numel(), device=self.batch.device)
        is_kept, rows = position % 2 == start, self.rows
        if self.batch.task.is_about_edges and isinstance(rows, Tensor):
            is_kept[rows] = True
            rows = is_kept.cumsum(0)[rows] - 1
        kept = is_kept.nonzero().view(-1)
        return with_edges(self.batch.graph, self.packed, 0, kept), rows

    def _seeds(self) -> Tensor | None:
        """``[n]`` the explained nodes, or ends of links; None if graphs are explained."""
        if self.batch.task.level == "graph":
            return None
        mask = torch.zeros(self.fields.node.numel(), dtype=torch.bool, device=self.batch.device)
        mask[self.fields.seed.view(-1)] = True
        return mask

    def _with_features_of(self, kept: Tensor) -> Any:
        """The data with zeros for what is known of all nodes but some."""
        graph, data = self.batch.graph, copy.copy(self.data)
        stores = graph.node_stores(data), graph.node_stores(graph.data)
        for store, own, position in zip(*stores, self.packed.node_position, strict=True):
            for key in self._feature_names(store, own, position.numel()):
                mask = kept[position].view(-1, *[1] * (store[key].dim() - 1))
                store[key] = torch.where(mask, store[key], 0)
        return data

    def _num_nodes(self) -> list[int]:
        return [position.numel() for position in self.packed.node_position]

    def _on_rows(self, kept: Tensor | None) -> Callable[[Tensor, Tensor], float]:
        """The distance of two states; of states of nodes, in the rows of some nodes."""

        def distance(one: Tensor, other: Tensor) -> float:
            if kept is None or one.dim() == 0 or one.size(0) not in self._num_nodes():
                return _distance(one, other)
            position = self.packed.node_position[self._num_nodes().index(one.size(0))]
            return _distance(one[kept[position]], other[kept[position]])

        return distance


def _is_of_nodes(output: Any, num_nodes: int) -> bool:
    is_floating = isinstance(output, Tensor) and output.is_floating_point()
    return is_floating and output.dim() > 1 and output.size(0) == num_nodes > 0


def _distance(one: Tensor, other: Tensor) -> float:
    """The largest difference of two tensors of a shape; zero up to rounding."""
    if one.numel() == 0:
        return 0.0
    difference = torch.where(one.isnan() & other.isnan(), 0.0, (one - other).abs())
    largest = float(difference.nan_to_num(nan=torch.inf).max())
    relative = _ROUNDING.get(one.dtype, 1e-2)
    scale = float(one.abs().nan_to_num(0.0, 0.0, 0.0).max())
    return largest if largest > 0.05 * relative + relative * scale else 0.0


# Where it happens


@dataclass(frozen=True)
class _State:
    """A finished call of a module: its floating inputs and outputs."""

    name: str
    tensors: tuple[Tensor, ...]
    num_inputs: int


@contextmanager
def _watched(model: nn.Module, layers: Sequence[nn.Module]) -> Iterator[list[_State]]:
    """Record the finished calls of all modules, in order; layers that send messages as a whole."""
    states: list[_State] = []
    inner = {id(part) for layer in layers for part in layer.modules() if part is not layer}

    def recorder(name: str) -> Any:
        def record(_: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            given = [each.clone() for each in _floating((args, kwargs))]
            returned = [each.clone() for each in _floating(output)]
            states.append(_State(name, (*given, *returned), len(given)))

        return record

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if isinstance(module, torch.jit.ScriptModule) or id(module) in inner:
                continue
            handle = module.register_forward_hook(recorder(name), with_kwargs=True)
            stack.callback(handle.remove)
        yield states


def _floating(value: Any) -> Iterator[Tensor]:
    return (each for each in tensors_in(value) if each.is_floating_point())


def _first_difference(
    model: nn.Module,
    one: Sequence[_State],
    other: Sequence[_State],
    distance: Callable[[Tensor, Tensor], float],
) -> tuple[tuple[int, int] | None, str]:
    """The first state that differs: which call and tensor (None if it is none), and in words."""
    for call, (before, after) in enumerate(zip(one, other, strict=False)):
        if before.name != after.name:
            break
        for number, (left, right) in enumerate(zip(before.tensors, after.tensors, strict=False)):
            if left.shape != right.shape or distance(left, right) == 0.0:
                continue
            owner = before.name
            if number >= before.num_inputs:
                return (call, number), f"in {_title(model, owner)}"
            parent = owner.rpartition(".")[0]
            return (call, number), f"in {_title(model, parent)}, before {owner}"
    return None, f"in {type(model).__name__}"


def _title(model: nn.Module, name: str) -> str:
    title = type(model.get_submodule(name)).__name__
    return f"{title}.forward" if not name else f"{name} ({title})"
