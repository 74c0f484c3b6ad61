"""Gates on the messages of a model.

An `Intervention` is a plan of what to do at each site. In a ``with`` block it replaces every
message ``m`` of a gated row by ``z * m + (1 - z) * b`` and leaves out rows that cannot reach the
prediction. With ``z = 1`` the output is the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from glassgraph.calling.recompute import REENTRANT_ADVICE
from glassgraph.core.gate_op import gated
from glassgraph.core.hooks import Replacement, SiteActions, attached
from glassgraph.core.shared_rows import SharedRows
from glassgraph.core.sites import Channel, Wiring
from glassgraph.errors import METHODS_WITHOUT_GRADIENTS, NoGradientError, UnsupportedModelError


class Cutter(Protocol):
    """Takes the part of the model between two messages out of the whole."""

    def cut(self, site: int, edge_index: Tensor, states: Tensor, source: Tensor | None) -> Tensor:
        """Replace states of senders, one row per kept message (in dimension ``row_dim``).

        ``source`` holds those of all nodes, from which ``states`` were taken, where known.
        """

    def sent(self, site: int, messages: Tensor) -> None:
        """See the messages that were made of them."""


class PlanMismatch(RuntimeError):
    """A site got other rows than its plan was made for (the model's graph depends on its data)."""


@contextmanager
def naming_other_messages() -> Iterator[None]:
    """Say what a `PlanMismatch` means to the user.

    Raises:
        UnsupportedModelError: in its place.
    """
    try:
        yield
    except PlanMismatch as mismatch:
        raise UnsupportedModelError(
            f"the model sends other messages when some are changed or left out ({mismatch}): which "
            "edges or layers it uses depends on them, so there is no fixed set of messages to "
            "explain. Methods that only call a model explain it: causal_screening, subgraphx, "
            "pgm_explainer, zorro, relex"
        ) from mismatch


@dataclass(frozen=True)
class SitePlan:
    """What an intervention does at one site.

    Attributes:
        num_rows: rows M the site had when the plan was made; another number voids the plan.
        row_edge: ``[M']`` edge number behind each kept row, the number of edges for ungated rows;
            None if the site is not gated at all.
        is_identity: whether kept row ``i`` is edge ``i``.
        keep: ``[M']`` rows that are kept, None for all.
        edge_index: ``[2, M']`` the kept rows, None for all.
        constants: arguments that replace the run's own, already cut to the kept rows.
        sliced: names of the other arguments with one row per message.
        shared: which kept rows have further owners, None if none has.
    """

    num_rows: int
    row_edge: Tensor | None
    is_identity: bool = False
    keep: Tensor | None = None
    edge_index: Tensor | None = None
    constants: Mapping[str, Tensor] = field(default_factory=dict)
    sliced: tuple[str, ...] = ()
    shared: SharedRows | None = None

    def owned(self, num_edges: int) -> tuple[Tensor, Tensor, Tensor]:
        """Every pair of a kept row and a user edge that owns it.

        Args:
            num_edges: number e of edges.

        Returns:
            Rows ``[m]``, edges ``[m]``, and ``[m]`` how many edges own each of the rows.
        """
        row_edge = torch.empty(0, dtype=torch.long) if self.row_edge is None else self.row_edge
        owners = torch.ones_like(row_edge) if self.shared is None else self.shared.owners
        row = torch.arange(row_edge.numel(), device=row_edge.device)
        if self.shared is not None:
            row, row_edge = self.shared.everyone(row_edge)
        is_owned = row_edge < num_edges
        return row[is_owned], row_edge[is_owned], owners[row[is_owned]]

    @property
    def changes_arguments(self) -> bool:
        """Whether the layer gets other rows or arguments than its own."""
        return self.keep is not None or bool(self.constants)

    def cut(
        self, edge_index: Tensor, arguments: Mapping[str, Any]
    ) -> tuple[Tensor, dict[str, Any]]:
        """The kept rows and their arguments."""
        changed = {**arguments, **self.constants}
        if self.keep is None or self.edge_index is None:
            return edge_index, changed
        for name in self.sliced:
            changed[name] = changed[name].index_select(0, self.keep)
        return self.edge_index, changed


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


@dataclass(frozen=True)
class Intervention:
    """A plan of what to do with the messages of a model, carried out in ``with`` blocks.

    ::

        with intervention.gates(gates):
            output = model(x, edge_index)

    One block covers one call of the model. The plan itself never changes: what belongs to a run is
    gone with its block, so that one plan serves any number of runs, also inside of one another.

    Attributes:
        wiring: the sites.
        plans: what to do at each site.
    """

    wiring: Wiring
    plans: tuple[SitePlan, ...]

    @contextmanager
    def gates(
        self,
        gates: Tensor | None,
        baselines: Sequence[Tensor | None] | None = None,
        cutter: Cutter | None = None,
    ) -> Iterator[None]:
        """Put gates on the messages of the one call of the model in the block.

        Args:
            gates: ``[E]`` one gate per edge, shared by all layers; ``[L, E]`` one per layer and
                edge; or None to leave messages alone.
            baselines: for each site what a shut message becomes, broadcastable to its messages (as
                the layer shapes them); None for zero.
            cutter: is handed each argument of ``message()`` that holds states of senders and
                depends on the features (names ending in ``_j``), and returns what the layer goes
                on with.

        Raises:
            PlanMismatch: from the model's call, if it is not the one that was planned for.
            NoGradientError: from the model's call, if gates need a gradient and a layer runs
                without.
        """
        by_layer = None if gates is None else _LayerGates(gates)
        needs_gradient = gates is not None and gates.requires_grad and torch.is_grad_enabled()
        run = _Run(self, by_layer, baselines, cutter, needs_gradient=needs_gradient)
        lift = None if cutter is None else run.lift
        actions = SiteActions(run.before, run.change, shut=run.baseline, lift=lift)
        with attached(self.wiring.channels, actions):
            yield

    @contextmanager
    def recording(self) -> Iterator[list[RecordedMessages]]:
        """Keep what each site sends in the one call of the model in the block, with open gates.

        Raises:
            PlanMismatch: from the model's call, if it is not the one that was planned for.
        """
        recorder = _Recorder(self)
        with attached(self.wiring.channels, SiteActions(recorder.before, recorder.change)):
            yield recorder.recorded


class _LayerGates:
    """Gates ``[E]`` of all layers, or ``[L, E]`` of each."""

    def __init__(self, gates: Tensor) -> None:
        self._is_shared = gates.dim() == 1
        self._gates = (gates,) if self._is_shared else gates.unbind(0)
        self._with_one: dict[int, Tensor] = {}

    def rows(self, layer: int, plan: SitePlan) -> Tensor:
        """``[M']`` the gate of each kept row at a site of the layer; 1 for rows that have none."""
        assert plan.row_edge is not None
        number = 0 if self._is_shared else layer
        gate = self._gates[number]
        if plan.is_identity:
            return gate
        if number not in self._with_one:
            self._with_one[number] = torch.cat([gate, gate.new_ones(1)])
        own = self._with_one[number].index_select(0, plan.row_edge)
        return own if plan.shared is None else plan.shared.mean(own, gate)


class _SiteCall(NamedTuple):
    """A site that runs: its position, its kept rows and their arguments."""

    site: int
    edge_index: Tensor
    arguments: Mapping[str, Any]


class _Run:
    """One call of the model, and where it stands.

    Attributes:
        current: for each channel the site that runs.
    """

    def __init__(
        self,
        intervention: Intervention,
        gates: _LayerGates | None = None,
        baselines: Sequence[Tensor | None] | None = None,
        cutter: Cutter | None = None,
        *,
        needs_gradient: bool = False,
    ) -> None:
        self._needs_gradient = needs_gradient
        self._wiring, self._plans = intervention.wiring, intervention.plans
        self._gates, self._baselines, self._cutter = gates, baselines, cutter
        self._num_calls = [0] * len(self._wiring.channels)
        self.current: dict[int, _SiteCall] = {}

    def before(
        self, channel: int, edge_index: Tensor, size: Any, arguments: Mapping[str, Any]
    ) -> Replacement | None:
        """Leave out rows that cannot reach the prediction, and put in constants."""
        site = self._next_site(channel)
        plan = self._plans[site]
        # Behind a pooling layer gates may change which edges are left; nothing is gated there.
        if plan.row_edge is not None and edge_index.size(1) != plan.num_rows:
            raise PlanMismatch(
                f"{self._wiring.sites[site].name} got {edge_index.size(1)} rows, "
                f"expected {plan.num_rows}"
            )
        if not plan.changes_arguments:
            self.current[channel] = _SiteCall(site, edge_index, arguments)
            return None
        kept, changed = plan.cut(edge_index, arguments)
        self.current[channel] = _SiteCall(site, kept, changed)
        return kept, size, changed

    def _next_site(self, channel: int) -> int:
        call = self._num_calls[channel]
        self._num_calls[channel] += 1
        site = self._wiring.site_of_call.get((channel, call))
        if site is None:
            raise PlanMismatch(f"{self._wiring.channels[channel].name} was called once more")
        return site

    def lift(self, channel: int, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Hand on states of senders that depend on the features."""
        assert self._cutter is not None
        here, changed = self.current[channel], dict(arguments)
        for name, value in arguments.items():
            if name.endswith("_j") and isinstance(value, Tensor) and value.requires_grad:
                source = _of_senders(self._wiring.channels[channel], here.arguments, name[:-2])
                changed[name] = self._cutter.cut(here.site, here.edge_index, value, source)
        return changed

    def change(self, channel: int, messages: Tensor) -> Tensor:
        """Put gates on messages."""
        site = self.current[channel].site
        plan = self._plans[site]
        if self._cutter is not None:
            self._cutter.sent(site, messages)
        if self._gates is None or plan.row_edge is None:
            return messages
        is_cut_off = self._wiring.sites[site].is_detached or not torch.is_grad_enabled()
        if self._needs_gradient and is_cut_off:
            raise _no_gradient(self._wiring.sites[site].name)
        sender = self._wiring.channels[channel]
        shape = [1] * messages.dim()
        shape[sender.row_dim] = -1
        gate = self._gates.rows(self._wiring.sites[site].layer, plan).view(shape)
        gate = gate.to(messages.dtype)  # a layer may compute in its own precision
        baseline = self.baseline(channel)
        if baseline is None or sender.is_adjacency:
            return gated(messages, gate)  # of a matrix the baseline enters after the product
        # One pass over the messages instead of four; exact where a gate is 0 or 1.
        return torch.lerp(baseline.to(messages.dtype), messages, gate)

    def baseline(self, channel: int) -> Tensor | None:
        """What a shut message becomes at the site that runs; None for zero."""
        return None if self._baselines is None else self._baselines[self.current[channel].site]


def _no_gradient(name: str) -> NoGradientError:
    return NoGradientError(
        "the prediction does not depend differentiably on messages: forward runs the layer "
        f"{name} without gradients (under torch.no_grad(), a checkpoint), or detaches what comes "
        f"of it; {REENTRANT_ADVICE}. Methods that need no gradient: {METHODS_WITHOUT_GRADIENTS}"
    )


def _of_senders(channel: Channel, arguments: Mapping[str, Any], name: str) -> Tensor | None:
    """The argument that holds states of all senders, if they depend on the features."""
    found = arguments.get(name)
    if isinstance(found, (tuple, list)):  # of senders and of receivers
        found = found[1 - channel.receiver]
    return found if isinstance(found, Tensor) and found.requires_grad else None


class _Recorder:
    """A run with open gates that keeps what each site sends, in execution order."""

    def __init__(self, intervention: Intervention) -> None:
        self.recorded: list[RecordedMessages] = []
        self._run = _Run(intervention)
        self._channels = intervention.wiring.channels
        self._last: dict[int, RecordedMessages] = {}

    def before(
        self, channel: int, edge_index: Tensor, size: Any, arguments: Mapping[str, Any]
    ) -> Replacement | None:
        replaced = self._run.before(channel, edge_index, size, arguments)
        here = self._run.current[channel]
        record = RecordedMessages(here.site, here.edge_index, dict(here.arguments))
        self._last[channel] = record
        self.recorded.append(record)
        return replaced

    def change(self, channel: int, messages: Tensor) -> Tensor:
        self._last[channel].messages = messages.movedim(self._channels[channel].row_dim, 0)
        return messages
