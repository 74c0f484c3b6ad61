"""Planted causes in a stream of events: which method finds them?

A TGN is trained on `glassgraph.datasets.event_stream`, where each visit has one cause. Test visits
are explained by each method, among the latest events that can count for the link.
A cause is found if it is among the first three; ties count against it. Chance is three by the
number of candidates. `glassgraph.temporal.fidelity` says of the same explanations what becomes of
the link without the first events, and with those alone.

`t_gnn_explainer` comes with three navigators: one that was fitted on training visits, which are
never explained; the scores of `edge_gradients`; and none.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from glassgraph.datasets.event_streams import EventStream, event_stream
from glassgraph.errors import UnknownMethodError
from glassgraph.models.temporal_training import TrainedTGN, train_tgn
from glassgraph.temporal import (
    TGN,
    EventExplanation,
    Navigator,
    explain,
    fidelity,
    fidelity_table,
    fit_navigator,
)
from glassgraph.temporal.state import fingerprint
from glassgraph.words import nearest
from glassgraph_studies.reproduce.temporal.rows import ROWS

#: How many of the first events may hold the cause.
FIRST = 3
#: Numbers of events that are left out, and that are kept alone.
SIZES = (1, 3, 10)


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

    @property
    def model(self) -> TGN:
        """The model of its parts."""
        parts = self.trained
        return TGN(parts.memory, parts.gnn, parts.link_predictor, parts.neighbors)


def run_temporal(
    seeds: Iterable[int],
    methods: Sequence[str] = (),
    num_tips: int = 8000,
    epochs: int = 12,
    num_links: int = 30,
    candidates: int = 100,
    navigator_links: int = 200,
    rollouts: int = 500,
    progress: bool = True,
) -> Iterator[tuple[Scene, list[dict[str, Any]]]]:
    """A model for each seed, and a row for each method.

    Args:
        seeds: of stream and model.
        methods: which rows; all if none is named.
        num_tips: size of the stream.
        epochs: of training.
        num_links: how many test visits are explained, the first ones.
        candidates: how many past events get scores.
        navigator_links: how many training visits the navigator is fitted on, the last ones.
        rollouts: of `t_gnn_explainer`.
        progress: whether to show it.

    Raises:
        UnknownMethodError: if there is no such method.
    """
    for name in methods:
        if name not in ROWS:
            raise UnknownMethodError(f"there is no method {name!r}{nearest(name, ROWS)}")
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
        settings = {"navigator_links": navigator_links, "rollouts": rollouts}
        found = [
            _measured(scene, row, candidates, settings, progress=progress)
            for row in methods or ROWS
        ]
        yield scene, _with_fidelity(scene, found, progress=progress)


def _measured(
    scene: Scene, row: str, candidates: int, settings: dict[str, int], *, progress: bool
) -> tuple[dict[str, Any], list[EventExplanation]]:
    trained, stream, model = scene.trained, scene.stream, scene.model
    method, _, navigator = row.partition(", ")
    asked: dict[str, Any] = {"batch_size": trained.batch_size, "progress": progress}
    own: dict[str, Any] = {}
    before, begun = fingerprint(model), time.process_time()
    if method == "t_gnn_explainer":
        own = {"rollouts": settings["rollouts"], "seed": scene.seed}
        own["navigator"] = _navigator(scene, navigator, candidates, settings, asked)
    started = time.process_time()
    explanations = explain(
        model, stream.events, scene.index, method, candidates=candidates, **asked, **own
    )
    seconds = time.process_time() - started
    ranks = [_rank(each, int(stream.cause[each.index])) for each in explanations]
    measured = {
        "seed": scene.seed,
        "method": row,
        "links": len(ranks),
        "auc": trained.auc["test"],
        "first": sum(rank <= 1 for rank in ranks) / len(ranks),
        "first_three": sum(rank <= FIRST for rank in ranks) / len(ranks),
        "chance_first": sum(1 / len(each) for each in explanations) / len(ranks),
        "chance": sum(min(1.0, FIRST / len(each)) for each in explanations) / len(ranks),
        "candidates": sum(map(len, explanations)) / len(ranks),
        "seconds_per_link": seconds / len(ranks),
        "seconds_to_fit": started - begun,
        "is_unchanged": fingerprint(model) == before,
    }
    return measured, [replace(each, method=row) for each in explanations]


def _navigator(
    scene: Scene, name: str, candidates: int, settings: dict[str, int], asked: dict[str, Any]
) -> Navigator | str | None:
    """None, the name of a method, or, without a name, one that is fitted on training visits."""
    if name:
        return None if name == "no navigator" else name
    learned_on = scene.stream.split["train"][-settings["navigator_links"] :]
    return fit_navigator(
        scene.model,
        scene.stream.events,
        learned_on,
        candidates=candidates,
        seed=scene.seed,
        **asked,
    )


def _with_fidelity(
    scene: Scene, found: Sequence[tuple[dict[str, Any], list[EventExplanation]]], *, progress: bool
) -> list[dict[str, Any]]:
    """The rows, each with what becomes of the links without its first events and with those."""
    explained = [each for _, some in found for each in some]
    faithful = fidelity_table(
        fidelity(
            scene.model,
            scene.stream.events,
            explained,
            SIZES,
            batch_size=scene.trained.batch_size,
            seed=scene.seed,
            progress=progress,
        )
    ).set_index(["method", "size"])
    names = ("without", "only", "without_chance", "only_chance")
    return [
        {
            **row,
            **{
                f"{name}_{size}": float(faithful[name][row["method"], size])
                for name in names
                for size in SIZES
            },
        }
        for row, _ in found
    ]


def _rank(explanation: EventExplanation, cause: int) -> float:
    """The place of the cause, from 1; ties count against it, and it is nowhere if not scored."""
    is_cause = explanation.event_id == cause
    if not bool(is_cause.any()):
        return math.inf
    own = explanation.score[is_cause]
    return int((explanation.score >= own).sum())


def summarize(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each method: means over seeds, deviations of some (0 for one seed), the least."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["method"], []).append(row)
    return [{"method": method, **_summary(own)} for method, own in found.items()]


def _summary(own: Sequence[dict[str, Any]]) -> dict[str, Any]:
    plain = ("seed", "method", "links", "is_unchanged")
    values = {
        key: torch.tensor([float(row[key]) for row in own], dtype=torch.float64)
        for key in own[0]
        if key not in plain
    }
    return {
        "seeds": len(own),
        **{key: float(value.mean()) for key, value in values.items()},
        **{
            f"{key}_deviation": float(values[key].std()) if len(own) > 1 else 0.0
            for key in ("auc", "first", "first_three")
        },
        "least": min(row["first_three"] for row in own),
        "least_auc": min(row["auc"] for row in own),
        "is_unchanged": all(row["is_unchanged"] for row in own),
    }
