"""`explain`: from links in a stream to scores of past events; the model is left as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import TemporalData

from glassgraph.errors import AttributionError, UnknownMethodError
from glassgraph.progress import progress_bar
from glassgraph.temporal.asking import asking, candidates_of, check_model, check_number
from glassgraph.temporal.events import check_events, links_of
from glassgraph.temporal.methods import LEAVES_OUT, METHODS, NAVIGATORS
from glassgraph.temporal.protocol import TemporalModel
from glassgraph.temporal.questions import Question
from glassgraph.temporal.results import EventExplanation, EventExplanations
from glassgraph.temporal.settings import Settings, settings_of
from glassgraph.temporal.tgn import TGN
from glassgraph.words import nearest


def explain(
    model: TGN | TemporalModel,
    events: TemporalData,
    index: Any,
    method: str = "perturb_one",
    *,
    candidates: int | Sequence[int] | Tensor | None = None,
    batch_size: int = 200,
    progress: bool = True,
    **settings: Any,
) -> EventExplanations:
    """Which past events make a temporal model expect a link?

    The stream is replayed from its beginning, batch by batch, up to the link; what the model
    remembers, now or afterwards, is not touched: memory, message stores, neighbors and random
    states are the same to the last bit, which is checked. The past of a link are the events at
    earlier times, also those of its own batch.

    Args:
        model: a `TGN`, or any object with ``reset``, ``replay`` and ``score``, see
            `TemporalModel`. Gradient methods with gates need a `TGN`.
        events: the whole stream, in the order of time: ``src``, ``dst``, ``t`` and ``msg [E, D]``.
        index: the events whose links are explained: a number, numbers or a mask; or links to ask
            about, whether they happened or not, as a `TemporalData` with ``src``, ``dst``, ``t``.
        method: ``"perturb_one"`` (leave one event out and replay), ``"occlusion"`` (a group of
            events), ``"edge_gradients"`` and ``"integrated_gradients"`` (gates on events),
            ``"saliency"`` and ``"input_x_gradient"`` (messages of events), ``"t_gnn_explainer"``
            (a search for the few events that suffice), ``"recency"`` and ``"random"`` (floors).
        candidates: the past events that get scores: None for all that can count, a number for the
            latest so many of them, or their numbers in the stream.
        batch_size: events in a batch, as in training: at which the memory is updated.
        progress: show a progress bar.
        **settings: ``groups`` of occlusion, ``steps`` of integrated gradients, ``navigator``,
            ``size``, ``rollouts``, ``explore``, ``threshold`` and ``graded`` of t_gnn_explainer,
            ``seed`` of it and of random; see `glassgraph.temporal.Settings`.

    Returns:
        One explanation for each link.

    Raises:
        EventError: if the events are out of order, or malformed.
        InstanceError: if a link is out of range or has no past, or a candidate is not in its past.
        StateNotRestoredError: if a replay does not repeat itself, or the model has changed.
        UnsupportedModelError: if the model has not what the method needs.
        UnknownMethodError: if there is no such method.
        HyperParameterError: if a setting is unknown or out of range.
        NoGradientError: if the score has no gradient to past events.
        FallbackWarning: if copies of the model side by side do not give its own score, so that
            every answer takes a whole replay.

    Source: Xia et al., "Explaining Temporal Graph Models through an Explorer-Navigator Framework",
    ICLR 2023, https://openreview.net/forum?id=BR_ZhvcYbGJ: ``t_gnn_explainer``, which they compare
    with ``perturb_one``.
    """
    events = check_events(events)
    if method not in METHODS:
        raise UnknownMethodError(
            f"no method of temporal graphs is called {method!r}{nearest(method, METHODS)}"
        )
    chosen = settings_of(method, events.src.numel(), settings, NAVIGATORS)
    check_number("batch_size", batch_size)
    links = links_of(events, index)
    check_model(model, events, links)
    asked = [candidates_of(candidates, link, events) for link in links]
    with asking(model, events, links, asked, batch_size, LEAVES_OUT.get(method)) as questions:
        bar = progress_bar(
            questions, method, total=len(links), disable=not progress, delay=1.0, leave=False
        )
        explained = [
            _explained(question, method, chosen, each)
            for question, each in zip(bar, asked, strict=True)
        ]
    return EventExplanations(explained)


def _explained(
    question: Question, method: str, settings: Settings, asked: int | Tensor | None
) -> EventExplanation:
    score = METHODS[method](question, settings).detach()
    if not bool(torch.isfinite(score).all()):
        raise AttributionError(f"{method} gave scores that are not finite for {question.link}")
    events, link, shown = question.events, question.link, question.candidates
    if isinstance(asked, Tensor):
        # Events outside the receptive field cannot count: their score is zero.
        shown = asked
        score = score.new_zeros(asked.numel()).index_copy(
            0, torch.searchsorted(asked, question.candidates), score
        )
    return EventExplanation(
        method=method,
        index=link.index,
        link=(link.src, link.dst),
        time=link.t,
        prediction=question.reference,
        event_id=shown.cpu(),
        src=events.src[shown].cpu(),
        dst=events.dst[shown].cpu(),
        t=events.t[shown].cpu(),
        score=score.float().cpu(),
    )
