"""What is sent where: the modules of a model that send messages, and their calls.

A *site* is one message call: (layer module, call number), in execution order. The *wiring* of a
model are its sites with their place among one another, see `glassgraph.core.wiring`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from glassgraph.calling.compiled import plain_name, unwrapped
from glassgraph.core.adjacency import AdjacencyTap
from glassgraph.errors import NoMessagePassingError, SparseAdjacencyError

#: Numbers in a message of a model that is only called.
_GUESSED_WIDTH = 64
_ONLY_CALL = (
    "take a method that only calls the model, such as causal_screening (its class is a "
    "glassgraph.BlackBoxExplainer)"
)


class MessageTap(nn.Module):
    """Marks the messages of a layer that is not PyG's, so that they can be explained.

    An identity: call it on the messages, with the edges they run along. ::

        class MyLayer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.tap = glassgraph.MessageTap()

            def forward(self, x, edge_index):
                messages = self.tap(x[edge_index[0]], edge_index, x)
                return torch.zeros_like(x).index_add(0, edge_index[1], messages)

    Example:
        >>> import torch
        >>> edges = torch.tensor([[0, 1], [1, 2]])
        >>> MessageTap()(torch.tensor([[2.0], [3.0]]), edges)
        tensor([[2.],
                [3.]])
    """

    def forward(
        self,
        messages: Tensor,
        edge_index: Tensor,
        x: Tensor | tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Return the messages unchanged.

        Args:
            messages: ``[M, ...]``.
            edge_index: ``[2, M]`` where they go.
            x: states of the nodes ``[N, ...]``, or of senders and receivers apart; methods whose
                gates look at the ends of a message (GraphMask) do without if not given.
        """
        return messages


@dataclass(frozen=True)
class Channel:
    """A module that sends messages, and how to speak of it."""

    name: str
    module: nn.Module

    @property
    def is_tap(self) -> bool:
        """Whether messages come through a `MessageTap`."""
        return isinstance(self.module, MessageTap)

    @property
    def is_adjacency(self) -> bool:
        """Whether its messages are the entries of adjacency matrices."""
        return isinstance(self.module, AdjacencyTap)

    @property
    def receiver(self) -> int:
        """Which row of ``edge_index`` receives."""
        return 0 if getattr(self.module, "flow", "") == "target_to_source" else 1

    @property
    def row_dim(self) -> int:
        """Dimension of the messages that runs over rows."""
        return 0 if self.is_tap or self.is_adjacency else int(getattr(self.module, "node_dim", 0))


@dataclass
class Record:
    """What one site was given in one run.

    Attributes:
        channel: position of the channel.
        call: how often the channel had been called before in this run.
        edge_index: ``[2, M]`` the edges the layer really uses.
        arguments: propagate's arguments by name.
        size: number of (senders, receivers) where known.
        message: shape of the messages.
        feeds_from: earlier sites that these messages depend on (filled by tracing).
        varying: arguments that depend on features or earlier messages (filled by tracing).
        is_flipped: whether messages run against the user's edges, where that is known already.
        probe: the factor on its messages, with a gradient (filled by tracing).
    """

    channel: int
    call: int
    edge_index: Tensor
    arguments: Mapping[str, Any]
    size: tuple[int | None, int | None] = (None, None)
    message: tuple[int, ...] = ()
    feeds_from: frozenset[int] = frozenset()
    varying: frozenset[str] = frozenset()
    is_flipped: bool | None = None
    probe: Tensor | None = None


@dataclass(frozen=True)
class Site:
    """One message call, and its place among the others.

    Attributes:
        name: dotted name of the layer, with ``#k`` for its k-th further call.
        channel: position of its channel.
        call: call number within a run.
        layer: message-passing step it belongs to, from 0.
        height: further steps between it and the output.
        is_flipped: whether messages run against the user's edges.
        is_mapped: whether its rows are user edges at all (not so after pooling).
        is_derived: whether it runs between other nodes than the user's, or along edges that depend
            on messages (after pooling).
        is_detached: whether its messages change the output, and no gradient says so.
        edge_arguments: arguments with one row per message.
        constant_arguments: those of them that depend on the graph alone.
        can_trim: whether rows can be left out safely.
        width: numbers in one message.
        builds_edges: whether its rows are edges that the model builds itself.
        num_added: rows beside the user's edges, along edges that the model adds.
        reverses: whether some of these run against user edges.
    """

    name: str
    channel: int
    call: int
    layer: int
    height: int
    is_flipped: bool
    is_mapped: bool
    is_derived: bool
    is_detached: bool
    edge_arguments: frozenset[str]
    constant_arguments: frozenset[str]
    can_trim: bool
    width: int
    builds_edges: bool = False
    num_added: int = 0
    reverses: bool = False


@dataclass(frozen=True)
class Wiring:
    """All sites of a model, in execution order."""

    channels: tuple[Channel, ...]
    sites: tuple[Site, ...]

    @property
    def num_layers(self) -> int:
        """Number L of message-passing steps."""
        return 1 + max(site.layer for site in self.sites)

    @property
    def num_hops(self) -> int:
        """How far away a node can be and still reach the prediction."""
        return 1 + max(site.height for site in self.sites)

    @property
    def most_steps(self) -> int:
        """How many edges a walk to the prediction can have, at most; it may go in circles."""
        return self.num_hops

    @property
    def needs_both_directions(self) -> bool:
        """Whether some site sends against the user's edges."""
        return any(
            site.is_flipped != (self.channels[site.channel].receiver == 0) for site in self.sites
        )

    @property
    def directions(self) -> list[bool | None]:
        """For each site whether it is flipped; None where the order of its rows tells."""
        return [
            site.is_flipped if self.channels[site.channel].is_adjacency else None
            for site in self.sites
        ]

    @property
    def has_derived_sites(self) -> bool:
        """Whether some sites run between other nodes than the user's."""
        return any(site.is_derived for site in self.sites)

    @cached_property
    def site_of_call(self) -> Mapping[tuple[int, int], int]:
        """Position of a site by its channel and the number of its call."""
        return {(site.channel, site.call): position for position, site in enumerate(self.sites)}

    def layers_of_modules(self) -> dict[nn.Module, list[int]]:
        """For each module that sends messages, the layers of its sites in the order of calls."""
        found: dict[nn.Module, list[int]] = {}
        for site in self.sites:
            found.setdefault(self.channels[site.channel].module, []).append(site.layer)
        return found

    @property
    def num_matrices(self) -> int:
        """Number of dense adjacency matrices among the sites."""
        return sum(self.channels[site.channel].is_adjacency for site in self.sites)

    @property
    def width(self) -> int:
        """Numbers sent along one edge, over all sites."""
        return sum(site.width for site in self.sites)


@dataclass(frozen=True)
class WidenedWiring(Wiring):
    """The sites of a model, of which edges may be deleted from the graph, or inserted.

    A layer that normalizes by degrees changes with the degree of a node at the boundary, so a
    prediction sees deletions one hop farther than messages run.

    Attributes:
        beyond: hops that fields hold beyond what a prediction sees: what lies there comes into
            sight where edges are inserted.
    """

    beyond: int = 0

    @classmethod
    def of(cls, wiring: Wiring) -> WidenedWiring:
        """The same sites."""
        return cls(wiring.channels, wiring.sites)

    @property
    def reach(self) -> int:
        """How far away a node can be whose degree, or state, changes the prediction."""
        return super().num_hops + 1

    @property
    def num_hops(self) -> int:
        """How far away a node of a field can be."""
        return self.reach + self.beyond

    def opaque(self, *, sees_everything: bool) -> OpaqueWiring:
        """What is known of the model without its sites."""
        return OpaqueWiring(
            reach=self.reach,
            looks_ahead=self.needs_both_directions,
            sees_everything=sees_everything,
            beyond=self.beyond,
        )


@dataclass(frozen=True)
class OpaqueWiring(Wiring):
    """What is known of a model that is only called: how far it looks.

    Attributes:
        reach: hops between a prediction and the farthest node that can change it.
        looks_ahead: whether nodes behind outgoing edges can change it, too.
        sees_everything: whether no part of the graph was found that gives the predictions.
        is_exact: whether the graph goes on beyond the reach. Where it ends there, messages may
            still go back and forth: two layers look no farther than one between two nodes.
        beyond: see `WidenedWiring`.
    """

    channels: tuple[Channel, ...] = ()
    sites: tuple[Site, ...] = ()
    reach: int = 1
    looks_ahead: bool = False
    sees_everything: bool = False
    is_exact: bool = True
    beyond: int = 0

    @property
    def num_layers(self) -> int:
        """The reach: a model sends messages at least as often."""
        return self.reach

    @property
    def num_hops(self) -> int:
        """How far away a node of a field can be."""
        return self.reach + self.beyond

    @property
    def most_steps(self) -> int:
        """The reach, or any number where the graph ends with it."""
        return self.reach if self.is_exact else sys.maxsize

    @property
    def needs_both_directions(self) -> bool:
        """Whether information may flow against the user's edges."""
        return self.looks_ahead

    @property
    def width(self) -> int:
        """A guess at the numbers sent along one edge."""
        return _GUESSED_WIDTH * self.reach


def find_channels(model: nn.Module) -> tuple[Channel, ...]:
    """Every module of a model that sends messages.

    Raises:
        NoMessagePassingError: if there is none.
    """
    model = unwrapped(model)
    channels = tuple(
        Channel(plain_name(name) or type(module).__name__, module)
        for name, module in model.named_modules()
        if isinstance(module, (MessagePassing, MessageTap, AdjacencyTap))
    )
    if not channels:
        raise NoMessagePassingError(_why_no_channels(model))
    return channels


def _why_no_channels(model: nn.Module) -> str:
    if isinstance(model, torch.jit.ScriptModule):
        return (
            f"{model.original_name} is scripted or traced, and its layers cannot be looked into; "
            f"explain the module that it was made of, or {_ONLY_CALL}"
        )
    if isinstance(model, torch.fx.GraphModule):
        return (
            f"{type(model).__name__} is a traced graph of operations, without the layers that send "
            f"messages; explain the module that it was made of, or {_ONLY_CALL}"
        )
    if "forward" in vars(model):  # a function in the place of the method
        return (
            "a function shows no layers that could be looked into; give the module behind it (and "
            f"call=lambda model, data: ... to say how it is called), or {_ONLY_CALL}"
        )
    return (
        f"{type(model).__name__} has no torch_geometric MessagePassing layer; if its own "
        "layers pass messages, call a glassgraph.MessageTap on them (or an AdjacencyTap in "
        "place of the product with a dense adjacency matrix)"
    )


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in a nest of tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)


def message_parameters(module: nn.Module) -> frozenset[str]:
    """Names that a layer's ``message`` and ``aggregate`` take as one row per message."""
    names: set[str] = set()
    for function in ("message", "aggregate"):
        names |= set(inspect.signature(getattr(module, function)).parameters)
    return frozenset(name for name in names if not name.endswith(("_i", "_j")))


def refuse_fused(channel: Channel) -> None:
    """Raise for a layer that took PyG's fused path.

    Raises:
        SparseAdjacencyError: always.
    """
    raise SparseAdjacencyError(
        f"layer {channel.name} aggregated through a sparse matrix, so it sent no messages that "
        "could be explained; give the model a plain edge_index (for a sparse adjacency: "
        "torch_geometric.utils.to_edge_index)"
    )
