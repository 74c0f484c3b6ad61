"""Watch the messages of a model without changing them.

`observed` records what each site was given in a run; `traced` also finds which sites feed which, by
a probe (a factor of 1 with a gradient) on the messages of every site.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from glassgraph.core.hooks import SiteActions, attached
from glassgraph.core.sites import Channel, Record, tensors_in


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
        return messages * self._probes[position]

    def _behind(self, values: Sequence[Tensor]) -> set[int]:
        """Positions of the probes that some values depend on."""
        roots = [value.sum() for value in values if value.requires_grad]
        if not roots or not self._probes:
            return set()
        found = torch.autograd.grad(roots, self._probes, retain_graph=True, allow_unused=True)
        return {position for position, gradient in enumerate(found) if gradient is not None}
