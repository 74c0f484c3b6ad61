"""A stream of events, checked, and the links in it that are explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import TemporalData

from glassgraph.errors import EventError, InstanceError
from glassgraph.inputs.index import as_numbers


@dataclass(frozen=True)
class Link:
    """A link whose score is explained.

    Attributes:
        index: number of its event in the stream; -1 for a link that is asked about.
        src: the node it starts from.
        dst: the node it goes to.
        t: when, in the stream's unit.
        num_past: how many events of the stream come before it: those at earlier times.
    """

    index: int
    src: int
    dst: int
    t: int | float
    num_past: int

    def __str__(self) -> str:
        """How messages speak of it."""
        name = f"event {self.index}" if self.index >= 0 else "the link"
        return f"{name} ({self.src} -> {self.dst} at {self.t})"


def check_events(events: Any) -> TemporalData:
    """The stream, if it is one.

    Raises:
        EventError: if it is no `TemporalData`, its parts do not fit together, its messages are not
            finite, or its events are out of order.
    """
    if not isinstance(events, TemporalData):
        raise EventError(
            f"events must be a torch_geometric.data.TemporalData; got {type(events).__name__}"
        )
    for name in ("src", "dst", "t"):
        _check_column(events, name)
    num_events = events.src.numel()
    if min(int(events.src.min()), int(events.dst.min())) < 0:
        raise EventError("src and dst must be node numbers from 0; some are negative")
    msg = getattr(events, "msg", None)
    if not isinstance(msg, Tensor) or msg.dim() != 2 or msg.size(0) != num_events:
        got = list(msg.shape) if isinstance(msg, Tensor) else type(msg).__name__
        raise EventError(
            f"msg must be [{num_events}, D], one row for each event (D may be 0: "
            f"msg=torch.zeros({num_events}, 0)); got {got}"
        )
    if not bool(torch.isfinite(msg).all()) or not bool(torch.isfinite(events.t).all()):
        raise EventError("msg and t must be finite; some values are NaN or infinite")
    backwards = (events.t[1:] < events.t[:-1]).nonzero().view(-1)
    if backwards.numel():
        at = int(backwards[0]) + 1
        raise EventError(
            f"events are out of order: event {at} happens at {events.t[at].item()}, after event "
            f"{at - 1} at {events.t[at - 1].item()} ({backwards.numel()} such places); sort them: "
            "events = events[events.t.argsort(stable=True)]"
        )
    return events


def _check_column(events: TemporalData, name: str) -> None:
    value = getattr(events, name, None)
    if not isinstance(value, Tensor) or value.dim() != 1 or value.numel() == 0:
        got = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise EventError(f"{name} must be a tensor [E] with at least one event; got {got}")
    if name != "t" and value.dtype != torch.long:
        raise EventError(f"{name} must hold node numbers (int64); got {value.dtype}")
    if value.numel() != events.src.numel():
        raise EventError(
            f"src, dst and t must be equally long; got {events.src.numel()} events in src and "
            f"{value.numel()} in {name}"
        )


def links_of(events: TemporalData, index: Any) -> list[Link]:
    """The links to explain.

    Args:
        events: the stream.
        index: numbers of events, see `glassgraph.inputs.index.as_numbers`, or links that are asked
            about as a `TemporalData` with ``src``, ``dst`` and ``t``, in any order.

    Raises:
        InstanceError: if it is neither, or nothing happened before a link.
        EventError: if the links are malformed.
    """
    if isinstance(index, TemporalData):
        _check_asked(index, events)
        asked, numbers = index, [-1] * index.src.numel()
    else:
        chosen = as_numbers(index, events.src.numel(), "event", events.src.device)
        asked, numbers = events[chosen], chosen.tolist()
    num_past = torch.searchsorted(events.t, asked.t.to(events.t.dtype)).tolist()
    links = [
        Link(*each)
        for each in zip(
            numbers, asked.src.tolist(), asked.dst.tolist(), asked.t.tolist(), num_past, strict=True
        )
    ]
    for link in links:
        if link.num_past == 0:
            raise InstanceError(
                f"{link} has no past: the stream begins at {events.t[0].item()}, so that no event "
                "could explain it"
            )
    return links


def _check_asked(asked: TemporalData, events: TemporalData) -> None:
    """Refuse links that nothing can be said about."""
    for name in ("src", "dst", "t"):
        _check_column(asked, name)
    if min(int(asked.src.min()), int(asked.dst.min())) < 0:
        raise EventError("src and dst of links must be node numbers from 0; some are negative")
    if not bool(torch.isfinite(asked.t).all()):
        raise EventError("t of links must be finite; some are NaN or infinite")
    if not events.t.is_floating_point() and bool((asked.t != asked.t.long()).any()):
        raise EventError(
            f"the stream's times are whole numbers; the links' are not, as {asked.t[0].item()}"
        )
