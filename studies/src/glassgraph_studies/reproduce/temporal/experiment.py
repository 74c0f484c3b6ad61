"""Planted causes in a stream of events: which method finds them?

A TGN is trained on `glassgraph.datasets.event_stream`, where each visit has one cause. Test visits
are explained by each method, among the latest events that can count for the link.
A cause is found if it is among the first three; ties count against it. Chance is three by the
number of candidates.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from glassgraph.datasets.event_streams import EventStream, event_stream
from glassgraph.errors import UnknownMethodError
from glassgraph.models.temporal_training import TrainedTGN, train_tgn
from glassgraph.temporal import TGN, EventExplanation, explain
from glassgraph.temporal.methods import METHODS
from glassgraph.temporal.state import fingerprint
from glassgraph.words import nearest

#: How many of the first events may hold the cause.
FIRST = 3


@dataclass(frozen=True)
class Scene:
    """A stream and a model of it.

    Attributes:
        seed: of both.
        stream: events with known causes.
        trained: the parts of the model.
        index: the links that are explained.
    """

    seed: int
    stream: EventStream
    trained: TrainedTGN
    index: list[int]


def run_temporal(
    seeds: Iterable[int],
    methods: Sequence[str] = (),
    num_tips: int = 8000,
    epochs: int = 12,
    num_links: int = 30,
    candidates: int = 100,
    progress: bool = True,
) -> Iterator[tuple[Scene, list[dict[str, Any]]]]:
    """A model for each seed, and a row for each method.

    Args:
        seeds: of stream and model.
        methods: which; all if none is named.
        num_tips: size of the stream.
        epochs: of training.
        num_links: how many test visits are explained, the first ones.
        candidates: how many past events get scores.
        progress: whether to show it.

    Raises:
        UnknownMethodError: if there is no such method.
    """
    for name in methods:
        if name not in METHODS:
            raise UnknownMethodError(f"there is no method {name!r}{nearest(name, METHODS)}")
    for seed in seeds:
        stream = event_stream(seed, num_tips=num_tips)
        trained = train_tgn(
            stream.events,
            stream.num_nodes,
            stream.destinations,
            stream.split,
            seed,
            epochs=epochs,
            progress=progress,
        )
        scene = Scene(seed, stream, trained, stream.split["test"][:num_links].tolist())
        rows = [
            _measured(scene, method, candidates, progress=progress) for method in methods or METHODS
        ]
        yield scene, rows


def _measured(scene: Scene, method: str, candidates: int, *, progress: bool) -> dict[str, Any]:
    trained, stream = scene.trained, scene.stream
    model = TGN(trained.memory, trained.gnn, trained.link_predictor, trained.neighbors)
    before, started = fingerprint(model), time.perf_counter()
    explanations = explain(
        model,
        stream.events,
        scene.index,
        method,
        candidates=candidates,
        batch_size=trained.batch_size,
        progress=progress,
    )
    seconds = time.perf_counter() - started
    ranks = [_rank(each, int(stream.cause[each.index])) for each in explanations]
    return {
        "seed": scene.seed,
        "method": method,
        "links": len(ranks),
        "auc": trained.auc["test"],
        "first": sum(rank <= 1 for rank in ranks) / len(ranks),
        "first_three": sum(rank <= FIRST for rank in ranks) / len(ranks),
        "chance": sum(min(1.0, FIRST / len(each)) for each in explanations) / len(ranks),
        "candidates": sum(map(len, explanations)) / len(ranks),
        "seconds_per_link": seconds / len(ranks),
        "is_unchanged": fingerprint(model) == before,
    }


def _rank(explanation: EventExplanation, cause: int) -> float:
    """The place of the cause, from 1; ties count against it, and it is nowhere if not scored."""
    is_cause = explanation.event_id == cause
    if not bool(is_cause.any()):
        return math.inf
    own = explanation.score[is_cause]
    return int((explanation.score >= own).sum())


def summarize(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each method: means over seeds, and the least share of the first three."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["method"], []).append(row)
    keys = ("auc", "first", "first_three", "chance", "candidates", "seconds_per_link")
    return [
        {
            "method": method,
            **{key: float(torch.tensor([float(row[key]) for row in own]).mean()) for key in keys},
            "least": min(row["first_three"] for row in own),
            "least_auc": min(row["auc"] for row in own),
            "is_unchanged": all(row["is_unchanged"] for row in own),
        }
        for method, own in found.items()
    ]
