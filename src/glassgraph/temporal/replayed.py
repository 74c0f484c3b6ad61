"""Questions to any model: copies of it at the places of the stream where replays begin."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch_geometric.data import TemporalData

from glassgraph.errors import StateNotRestoredError
from glassgraph.temporal.events import Link
from glassgraph.temporal.protocol import TemporalModel
from glassgraph.temporal.questions import Question, ReplayedQuestion, replay, score


def ask_replayed(
    model: TemporalModel,
    events: TemporalData,
    links: Sequence[Link],
    asked: Sequence[int | Tensor | None],
    batch_size: int,
) -> Iterator[Question]:
    """A question for each link.

    Args:
        model: what is asked; it is copied.
        events: the stream.
        links: what is explained.
        asked: for each link the candidates: None for its whole past, how many of the latest, or
            their numbers.
        batch_size: events in a batch.

    Raises:
        StateNotRestoredError: if the model cannot be copied, or does not repeat itself.
    """
    own = _copied(model)
    candidates = [
        each if isinstance(each, Tensor) else _latest(link, each, events)
        for link, each in zip(links, asked, strict=True)
    ]
    if links:
        _check_that_it_repeats(own, events, min(links, key=lambda link: link.num_past), batch_size)
    starts = [int(each[0]) // batch_size * batch_size for each in candidates]
    wholes = [link.num_past // batch_size * batch_size for link in links]
    begins, references = _pass(own, events, links, starts, wholes, batch_size)
    for number, link in enumerate(links):
        begin = begins[starts[number]]
        yield ReplayedQuestion(
            events, link, candidates[number], batch_size, references[number], begin
        )


def _latest(link: Link, size: int | None, events: TemporalData) -> Tensor:
    first = 0 if size is None else max(0, link.num_past - size)
    return torch.arange(first, link.num_past, device=events.src.device)


def _pass(
    own: TemporalModel,
    events: TemporalData,
    links: Sequence[Link],
    starts: Sequence[int],
    wholes: Sequence[int],
    batch_size: int,
) -> tuple[dict[int, TemporalModel], dict[int, float]]:
    """Copies of the model at ``starts``, and the score of every link, from one pass."""
    begins, references, position = {}, {}, 0
    with torch.no_grad():
        own.reset()
        for stop in sorted({*starts, *wholes}):
            replay(own, events, position, stop, batch_size)
            position = stop
            if stop in starts:
                begins[stop] = _copied(own)
            for number, link in enumerate(links):
                if wholes[number] == stop:
                    there = _copied(own)
                    replay(there, events, stop, link.num_past, batch_size)
                    references[number] = float(score(there, link, events))
    return begins, references


def _copied(model: TemporalModel) -> TemporalModel:
    try:
        return copy.deepcopy(model)
    except Exception as error:
        raise StateNotRestoredError(
            f"{type(model).__name__} cannot be copied ({error}), so that it could not be left as "
            "it is; a memory that is a part of a computation has to be detached from it first "
            "(memory.detach() of PyG's TGNMemory)"
        ) from error


def _check_that_it_repeats(
    own: TemporalModel, events: TemporalData, link: Link, batch_size: int
) -> None:
    found = []
    with torch.no_grad():
        for _ in range(2):
            own.reset()
            replay(own, events, 0, link.num_past, batch_size)
            found.append(float(score(own, link, events)))
    if found[0] != found[1]:
        raise StateNotRestoredError(
            f"{type(own).__name__} scores {link} with {found[0]:.6g}, and with {found[1]:.6g} "
            "after reset() and a replay of the same events: reset() leaves something of what was "
            "seen (memory, last_update, message stores, the neighbor loader), or the score is "
            "random (dropout that evaluation mode does not end)"
        )
