"""What a method sees: the score of one link, asked again with other pasts.

A `Question` is about one link and its candidates, the past events that get scores. `TGNQuestion`
answers for many pasts at once, as copies in one replay that begins where the first candidate is
and goes through the link's temporal receptive field; `ReplayedQuestion` asks any model, one past
after the other.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor
from torch_geometric.data import TemporalData

from glassgraph.errors import ModelOutputError, UnsupportedModelError
from glassgraph.temporal.events import Link
from glassgraph.temporal.field import Field
from glassgraph.temporal.protocol import TemporalModel, calling
from glassgraph.temporal.stream import Stream

#: Events and nodes of all copies together that one replay goes through.
_MOST_ROWS = 100_000


class Question(ABC):
    """The score of a link, and its past.

    Args:
        events: the whole stream.
        link: what is explained.
        candidates: ``[n]`` the past events that get scores, ascending.
        batch_size: events in a batch.
        reference: the link's score.
    """

    def __init__(
        self,
        events: TemporalData,
        link: Link,
        candidates: Tensor,
        batch_size: int,
        reference: float,
    ) -> None:
        self.events, self.link, self.candidates = events, link, candidates
        self.batch_size, self.reference = batch_size, reference

    @property
    def num_candidates(self) -> int:
        """Number n of candidates."""
        return self.candidates.numel()

    @property
    def num_copies(self) -> int:
        """How many answers come from one replay."""
        return 1

    @property
    def messages(self) -> Tensor:
        """The candidates' messages ``[n, D]``."""
        messages: Tensor = self.events.msg[self.candidates]
        return messages

    @abstractmethod
    def without(self, left_out: Tensor) -> Tensor:
        """Scores ``[K]`` where the candidates of each row of ``[K, n]`` have not happened."""

    @abstractmethod
    def gated(self, gates: Tensor) -> Tensor:
        """Scores ``[K]`` under gates ``[K, n]`` on the candidates, to be differentiated.

        Raises:
            UnsupportedModelError: if the model has no gates.
        """

    @abstractmethod
    def with_messages(self, messages: Tensor) -> Tensor:
        """The score ``[1]`` with other messages ``[n, D]``, to be differentiated."""


class TGNQuestion(Question):
    """A question to a `TGN`.

    Args:
        events: see `Question`.
        link: see `Question`.
        candidates: see `Question`; all of them lie in the field.
        batch_size: see `Question`.
        reference: see `Question`.
        field: the link's receptive field.
        begin: the state of the field's nodes where it starts.
        rereads: whether the memory may read messages of earlier batches again.
        one_at_a_time: no copies side by side.
    """

    def __init__(
        self,
        events: TemporalData,
        link: Link,
        candidates: Tensor,
        batch_size: int,
        reference: float,
        field: Field,
        begin: Stream,
        rereads: bool,
        *,
        one_at_a_time: bool = False,
    ) -> None:
        super().__init__(events, link, candidates, batch_size, reference)
        self._one_at_a_time = one_at_a_time
        self.field, self._begin, self._rereads = field, begin, rereads
        self._place = torch.searchsorted(field.event_id, candidates)
        local = torch.full((int(field.node_id[-1]) + 1,), -1, device=candidates.device)
        local[field.node_id] = torch.arange(field.node_id.numel(), device=candidates.device)
        ends = torch.tensor([link.src, link.dst], device=candidates.device)
        self._ends = local[ends]
        self._src = local[events.src[field.event_id]]
        self._dst = local[events.dst[field.event_id]]

    @property
    def num_copies(self) -> int:
        """See `Question.num_copies`."""
        if self._one_at_a_time:
            return 1
        rows = max(self.field.event_id.numel(), self.field.node_id.numel(), 1)
        return max(1, _MOST_ROWS // rows)

    def without(self, left_out: Tensor) -> Tensor:
        """See `Question.without`."""
        scores = []
        with torch.no_grad():
            for part in left_out.split(self.num_copies):
                is_there = self._all(part.size(0), True)
                is_there[:, self._place] = ~part
                scores.append(self._replay(is_there, None, self.events.msg[self.field.event_id]))
        return torch.cat(scores) if scores else left_out.new_empty(0, dtype=torch.float)

    def gated(self, gates: Tensor) -> Tensor:
        """See `Question.gated`."""
        ones = gates.new_ones(gates.size(0), self.field.event_id.numel())
        spread = ones.index_copy(1, self._place, gates)
        messages = self.events.msg[self.field.event_id]
        return self._replay(self._all(gates.size(0), True), spread, messages)

    def with_messages(self, messages: Tensor) -> Tensor:
        """See `Question.with_messages`."""
        own = self.events.msg[self.field.event_id]
        return self._replay(self._all(1, True), None, own.index_copy(0, self._place, messages))

    def _all(self, count: int, value: bool) -> Tensor:
        shape = (count, self.field.event_id.numel())
        return torch.full(shape, value, device=self.candidates.device)

    def _replay(self, is_there: Tensor, gates: Tensor | None, messages: Tensor) -> Tensor:
        """Replay the field in so many copies as rows, and score the link in each."""
        count, size = is_there.size(0), self.field.node_id.numel()
        device = self.candidates.device
        everything = torch.arange(size, device=device)
        stream = self._begin.copies(
            everything, count, gated=gates is not None, with_messages=self._rereads
        )
        stream.see(*(each[:0] for each in (self._src, self._dst, self.events.t, messages)))
        t = self.events.t[self.field.event_id]
        for first, last in self._batches():
            row, column = is_there[:, first:last].nonzero(as_tuple=True)
            event, offset = column + first, row * size
            stream.see(
                self._src[event] + offset,
                self._dst[event] + offset,
                t[event],
                messages[event],
                None if gates is None else gates[row, event],
            )
        offset = torch.arange(count, device=device) * size
        when = torch.full((count,), self.link.t, dtype=t.dtype, device=device)
        return stream.score(self._ends[0] + offset, self._ends[1] + offset, when)

    def _batches(self) -> Iterator[tuple[int, int]]:
        """The parts of the field that come in one batch."""
        batch = self.field.event_id // self.batch_size
        _, sizes = batch.unique_consecutive(return_counts=True)
        first = 0
        for each in sizes.tolist():
            yield first, first + each
            first += each


class ReplayedQuestion(Question):
    """A question to any model, whose past is replayed for every answer.

    Args:
        events: see `Question`.
        link: see `Question`.
        candidates: see `Question`.
        batch_size: see `Question`.
        reference: see `Question`.
        begin: a copy of the model, before the batch of the first candidate.
    """

    def __init__(
        self,
        events: TemporalData,
        link: Link,
        candidates: Tensor,
        batch_size: int,
        reference: float,
        begin: TemporalModel,
    ) -> None:
        super().__init__(events, link, candidates, batch_size, reference)
        self._begin = begin
        self._start = int(candidates.min()) // batch_size * batch_size if len(candidates) else 0

    def without(self, left_out: Tensor) -> Tensor:
        """See `Question.without`."""
        with torch.no_grad():
            scores = [self._replay(self.candidates[row], self.events) for row in left_out]
        return torch.cat(scores)

    def gated(self, gates: Tensor) -> Tensor:
        """See `Question.gated`."""
        raise UnsupportedModelError(
            f"{type(self._begin).__name__} has no gates on its events, which edge_gradients and "
            "integrated_gradients ask for; make a glassgraph.temporal.TGN of its parts, or take "
            "perturb_one or occlusion, which leave events out"
        )

    def with_messages(self, messages: Tensor) -> Tensor:
        """See `Question.with_messages`."""
        changed = copy.copy(self.events)
        changed.msg = self.events.msg.index_copy(0, self.candidates, messages)
        return self._replay(self.candidates[:0], changed)

    def _replay(self, left_out: Tensor, events: TemporalData) -> Tensor:
        model = copy.deepcopy(self._begin)
        replay(model, events, self._start, self.link.num_past, self.batch_size, left_out)
        return score(model, self.link, events)


def replay(
    model: TemporalModel,
    events: TemporalData,
    start: int,
    end: int,
    batch_size: int,
    left_out: Tensor | None = None,
) -> None:
    """Let a model see the events from ``start`` to ``end``, which lie in the batches of the stream.

    An event that is left out leaves a hole in its batch, so that all others come as they did.
    """
    is_there = torch.ones(events.src.numel(), dtype=torch.bool, device=events.src.device)
    if left_out is not None:
        is_there[left_out] = False
    while start < end:
        stop = min(end, (start // batch_size + 1) * batch_size)
        number = is_there[start:stop].nonzero().view(-1) + start
        if number.numel():
            with calling(f"{type(model).__name__}.replay"):
                model.replay(events[number])
        start = stop


def score(model: TemporalModel, link: Link, events: TemporalData) -> Tensor:
    """The score ``[1]`` of a link by what the model has seen.

    Raises:
        ModelOutputError: if it is no finite number.
    """
    src, dst = events.src.new_tensor([link.src]), events.dst.new_tensor([link.dst])
    with calling(f"{type(model).__name__}.score"):
        found = model.score(src, dst, events.t.new_tensor([link.t]))
    if not isinstance(found, Tensor) or found.numel() != 1:
        got = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ModelOutputError(f"score must give one number for each link [1]; got {got}")
    value = found.item()
    if not math.isfinite(value):
        raise ModelOutputError(f"the score of {link} is {value}; it must be finite")
    return found.view(1)
