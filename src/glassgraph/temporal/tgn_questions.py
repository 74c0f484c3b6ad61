"""Questions to a `TGN`: receptive fields, and the states that their replays begin with."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch_geometric.data import TemporalData
from torch_geometric.nn.models.tgn import LastAggregator

from glassgraph.core.told import FallbackWarning
from glassgraph.errors import ModelOutputError, StateNotRestoredError
from glassgraph.temporal.events import Link
from glassgraph.temporal.field import Field, Reads, field_of
from glassgraph.temporal.questions import Question, TGNQuestion
from glassgraph.temporal.stream import Stream
from glassgraph.temporal.tgn import TGN


def ask_tgn(
    model: TGN,
    events: TemporalData,
    links: Sequence[Link],
    asked: Sequence[int | Tensor | None],
    batch_size: int,
    leaves_out: str | None,
) -> Iterator[Question]:
    """A question for each link.

    Args:
        model: what is asked; its own state is neither read nor written.
        events: the stream.
        links: what is explained.
        asked: for each link the candidates: None for all that can count, how many of the latest
            that can, or their numbers.
        batch_size: events in a batch.
        leaves_out: what the method leaves out at once: an ``"event"``, a ``"group"``, or None.
    """
    reads = _reads(model, events, batch_size)
    fields = [
        _field(events, link, reads, each, leaves_out)
        for link, each in zip(links, asked, strict=True)
    ]
    begins, references = _pass(model, events, links, fields, reads)
    for number, link in enumerate(links):
        field = fields[number]
        candidates = _candidates(field, asked[number])
        question = TGNQuestion(
            events,
            link,
            candidates,
            batch_size,
            references[number],
            field,
            begins[number],
            reads.rereads,
        )
        yield _checked(question, model, reads)


def _reads(model: TGN, events: TemporalData, batch_size: int) -> Reads:
    parts = model.parts
    ends = torch.arange(batch_size, events.t.numel(), batch_size, device=events.t.device)
    # The last message is that of the latest time; with equal times in two batches it may be old.
    has_ties = bool((events.t[ends] == events.t[ends - 1]).any())
    aggregator = None if parts.memory is None else parts.memory.aggr_module
    return Reads(
        num_nodes=parts.num_nodes,
        batch_size=batch_size,
        neighbors=parts.neighbors,
        hops=parts.hops,
        has_memory=parts.memory is not None,
        rereads=has_ties or type(aggregator) is not LastAggregator,
    )


def _field(
    events: TemporalData,
    link: Link,
    reads: Reads,
    asked: int | Tensor | None,
    leaves_out: str | None,
) -> Field:
    most = asked.numel() if isinstance(asked, Tensor) else asked or link.num_past
    removals = {None: 0, "event": 1}.get(leaves_out, most)
    if isinstance(asked, Tensor):
        return field_of(events, link, reads, removals, None, int(asked[0]))
    return field_of(events, link, reads, removals, asked, 0)


def _candidates(field: Field, asked: int | Tensor | None) -> Tensor:
    if isinstance(asked, Tensor):
        return asked[torch.isin(asked, field.event_id)]
    return field.event_id if asked is None else field.event_id[-asked:]


@torch.no_grad()
def _pass(
    model: TGN, events: TemporalData, links: Sequence[Link], fields: Sequence[Field], reads: Reads
) -> tuple[dict[int, Stream], dict[int, float]]:
    """The states at which fields start, and the score of every link, from one pass."""
    begins, references = {}, {}
    stream, position = model.blank(), 0
    wholes = [link.num_past // reads.batch_size * reads.batch_size for link in links]
    everything = torch.arange(reads.num_nodes, device=model.device)
    for stop in sorted({*(field.start for field in fields), *wholes}):
        _see(stream, events, position, stop, reads.batch_size)
        position = stop
        for number, (link, field) in enumerate(zip(links, fields, strict=True)):
            if field.start == stop:
                begins[number] = stream.copies(
                    field.node_id, 1, gated=False, with_messages=reads.rereads
                )
            if wholes[number] == stop:
                there = stream.copies(everything, 1, gated=False, with_messages=True)
                _see(there, events, stop, link.num_past, reads.batch_size)
                references[number] = _score(there, link, events)
    return begins, references


def _see(stream: Stream, events: TemporalData, start: int, end: int, batch_size: int) -> None:
    for first in range(start, end, batch_size):
        part = slice(first, min(end, first + batch_size))
        stream.see(events.src[part], events.dst[part], events.t[part], events.msg[part])


def _score(stream: Stream, link: Link, events: TemporalData) -> float:
    ends = events.src.new_tensor([link.src, link.dst])
    found = float(stream.score(ends[:1], ends[1:], events.t.new_tensor([link.t])))
    if not torch.isfinite(torch.tensor(found)):
        raise ModelOutputError(f"the score of {link} is {found}; it must be finite")
    return found


def _checked(question: TGNQuestion, model: TGN, reads: Reads) -> TGNQuestion:
    """The question, if copies side by side give the link's own score; else one at a time."""
    left_out = torch.zeros(2, question.num_candidates, dtype=torch.bool, device=model.device)
    left_out[1] = True  # a copy beside it that differs
    found = question.without(left_out)[0]
    if _is_close(found, question.reference):
        return question
    warnings.warn(
        f"copies of the model side by side score {question.link} with {float(found):.6g}, the "
        f"model on the whole stream with {question.reference:.6g}; every answer takes a replay of "
        f"all events{_why_apart(question, reads)}",
        FallbackWarning,
        stacklevel=2,
    )
    whole = _whole(question, model, reads)
    again = whole.without(left_out[:1])[0]
    if not _is_close(again, question.reference):
        raise StateNotRestoredError(
            f"the model scores {question.link} with {question.reference:.6g}, and with "
            f"{float(again):.6g} after a replay of the same events: it does not repeat itself"
        )
    return whole


def _why_apart(question: TGNQuestion, reads: Reads) -> str:
    """What is known to make copies differ: two events of a node in a batch, at one time."""
    event, events = question.field.event_id, question.events
    src, dst = events.src[event], events.dst[event]
    event = torch.cat([event, event[src != dst]])
    node = torch.cat([src, dst[src != dst]])
    time = torch.unique(events.t, return_inverse=True)[1][event]
    rows = torch.stack([event // reads.batch_size, time, node])
    _, place, count = torch.unique(rows, dim=1, return_inverse=True, return_counts=True)
    twins = (count[place] > 1).nonzero().view(-1)
    if not (reads.has_memory and twins.numel()):
        return ""
    at = int(twins[-1])
    return (
        f". Node {int(node[at])} has several events at time {events.t[event[at]].item()} in one "
        "batch: PyG's memory takes one of them, and which one changes with what else is sorted "
        "beside it; give events distinct times"
    )


def _whole(question: TGNQuestion, model: TGN, reads: Reads) -> TGNQuestion:
    """The same question, answered by replays of all events, one after the other."""
    device = model.device
    field = Field(
        0,
        torch.arange(question.link.num_past, device=device),
        torch.arange(reads.num_nodes, device=device),
    )
    return TGNQuestion(
        question.events,
        question.link,
        question.candidates,
        question.batch_size,
        question.reference,
        field,
        model.blank(),
        reads.rereads,
        one_at_a_time=True,
    )


def _is_close(found: Tensor, reference: float) -> bool:
    tolerance = 1e-4 if found.dtype == torch.float32 else 1e-8
    return abs(float(found) - reference) <= tolerance * (1 + abs(reference))
