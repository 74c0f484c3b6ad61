"""Watch the messages of a model without changing them.

`observed` records what each site was given in a run; `traced` also finds which sites feed which, by
a probe (a factor of 1 with a gradient) on the messages of every site.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from glassgraph.core.hooks import SiteActions, attached
from glassgraph.core.sites import Channel, Record, tensors_in

#: Small enough for no decision inside a model to turn, and far above rounding.
_NUDGE = 1.001


@contextmanager
def observed(channels: Sequence[Channel]) -> Iterator[list[Record]]:
    """Record what each site is given while a model runs once, in execution order.

    Args:
        channels: where to listen.
    """
    recorder = _Recorder(len(channels))
    with attached(channels, SiteActions(recorder.before, recorder.change, recorder.after)):
        yield recorder.records


@contextmanager
def disturbed(channels: Sequence[Channel], number: int) -> Iterator[list[Record]]:
    """The same of a run with other messages, to see what depends on them.

    Args:
        channels: where to listen.
        number: another one disturbs them in another way.
    """
    recorder = _Recorder(len(channels))

    def change(channel: int, messages: Tensor) -> Tensor:
        recorder.change(channel, messages)
        if not messages.is_floating_point():
            return messages
        rows = messages.movedim(channels[channel].row_dim, -1)
        row = torch.arange(rows.size(-1), device=rows.device)
        factor = 1.5 * torch.cos(2.4 * number * (row + 1)).to(rows.dtype)
        return (rows * factor).movedim(-1, channels[channel].row_dim)

    with attached(channels, SiteActions(recorder.before, change, recorder.after)):
        yield recorder.records


@contextmanager
def nudged(channels: Sequence[Channel], sites: Container[tuple[int, int]]) -> Iterator[None]:
    """Make the messages of some sites a little larger, to see whether anything follows.

    Args:
        channels: where messages are sent.
        sites: those that are meant, by channel and number of the call.
    """
    recorder = _Recorder(len(channels))

    def change(channel: int, messages: Tensor) -> Tensor:
        recorder.change(channel, messages)
        is_meant = (channel, recorder.now(channel).call) in sites
        return messages * _NUDGE if is_meant else messages

    with attached(channels, SiteActions(recorder.before, change, recorder.after)):
        yield


@contextmanager
def traced(channels: Sequence[Channel]) -> Iterator[list[Record]]:
    """The same with a probe on every site, to learn how sites depend on one another.

    Needs gradients: the model should be given features that require them, so that arguments which
    depend on the features are told from those which depend on the graph alone.
    """
    recorder = _Recorder(len(channels))
    probes = _Probes(recorder)
    with (
        torch.enable_grad(),
        attached(channels, SiteActions(recorder.before, probes.change, recorder.after)),
    ):
        yield recorder.records


class _Recorder:
    """Collects records.

    Attributes:
        records: one for each site that has begun.
        current: for each channel, its last record.
    """

    def __init__(self, num_channels: int) -> None:
        self.records: list[Record] = []
        self.current: list[Record | None] = [None] * num_channels

    def before(
        self, channel: int, edge_index: Tensor, size: Any, arguments: Mapping[str, Any]
    ) -> None:
        last = self.current[channel]
        call = 0 if last is None else last.call + 1
        record = Record(channel, call, edge_index, dict(arguments))
        self.current[channel] = record
        self.records.append(record)

    def change(self, channel: int, messages: Tensor) -> Tensor:
        self.now(channel).message = messages.shape
        return messages

    def after(self, channel: int, size: Sequence[int | None]) -> None:
        self.now(channel).size = (size[0], size[1])

    def now(self, channel: int) -> Record:
        """The record of the site of a channel that runs."""
        record = self.current[channel]
        assert record is not None
        return record


class _Probes:
    """Multiplies messages by probes, and tells records on which earlier probes they depend."""

    def __init__(self, recorder: _Recorder) -> None:
        self._recorder = recorder
        self._probes: list[Tensor] = []

    def change(self, channel: int, messages: Tensor) -> Tensor:
        self._recorder.change(channel, messages)
        record = self._recorder.now(channel)
        position = next(i for i, other in enumerate(self._recorder.records) if other is record)
        earlier = self._behind([messages, *tensors_in(record.arguments)])
        record.feeds_from = frozenset(earlier - {position})
        record.varying = frozenset(
            name
            for name, value in record.arguments.items()
            if any(tensor.requires_grad for tensor in tensors_in(value))
        )
        while len(self._probes) <= position:
            probe = torch.ones((), dtype=messages.dtype, device=messages.device)
            self._probes.append(probe.requires_grad_())
        record.probe = self._probes[position]
        return messages * record.probe

    def _behind(self, values: Sequence[Tensor]) -> set[int]:
        """Positions of the probes that some values depend on."""
        roots = [value.sum() for value in values if value.requires_grad]
        if not roots or not self._probes:
            return set()
        found = torch.autograd.grad(roots, self._probes, retain_graph=True, allow_unused=True)
        return {position for position, gradient in enumerate(found) if gradient is not None}
