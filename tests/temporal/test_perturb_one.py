"""Scores of past events against a literal replay, one event left out after the other."""

from __future__ import annotations

import pytest
import torch

import glassgraph as gg
from tests.temporal.streams import BATCH, Literal, literal_score, parts, stream

KINDS = {
    "last": {},
    "mean": {"aggregator": "mean"},
    "two hops": {"hops": 2},
    "no memory": {"memory": False},
    "no memory, two hops": {"memory": False, "hops": 2},
}


@pytest.mark.parametrize("ties", [False, True], ids=["times differ", "ties"])
@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_a_literal_replay(kind: str, ties: bool) -> None:
    model, events = parts(**KINDS[kind]), stream(ties=ties)
    number = 38
    found = gg.temporal.explain(model, events, index=number, batch_size=BATCH, progress=False)[0]
    whole = literal_score(model, events, number, set())
    assert found.prediction == pytest.approx(whole, abs=1e-12)
    score = dict(zip(found.event_id.tolist(), found.score.tolist(), strict=True))
    for event in range(number):
        expected = whole - literal_score(model, events, number, {event})
        assert score.get(event, 0.0) == pytest.approx(expected, abs=1e-7), event
    assert max(map(abs, score.values())) > 1e-3


@pytest.mark.parametrize("latest", [1, 9, 20])
def test_a_replay_that_begins_later_gives_the_same_scores(latest: int) -> None:
    events = stream()
    for kind in ("last", "mean"):
        model = parts(kind)
        every, some = (
            gg.temporal.explain(
                model, events, [44, 38], candidates=candidates, batch_size=BATCH, progress=False
            )
            for candidates in (None, latest)
        )
        for whole, late in zip(every, some, strict=True):
            assert late.event_id.tolist() == whole.event_id.tolist()[-latest:]
            torch.testing.assert_close(late.score, whole.score[-latest:])


def test_any_model_with_three_methods_is_explained_alike() -> None:
    model, events = parts(), stream()
    known = torch.tensor([40, 9, 31])
    own, replayed = (
        gg.temporal.explain(each, events, 45, candidates=known, batch_size=BATCH, progress=False)[0]
        for each in (model, Literal(model))
    )
    assert own.event_id.tolist() == [9, 31, 40] == replayed.event_id.tolist()
    torch.testing.assert_close(own.score, replayed.score)
    assert own.prediction == pytest.approx(replayed.prediction)


def test_a_group_leaves_at_once() -> None:
    model, events = parts(), stream()
    groups = torch.arange(47) // 6
    found = gg.temporal.explain(
        model, events, 40, "occlusion", groups=groups, batch_size=BATCH, progress=False
    )[0]
    whole = literal_score(model, events, 40, set())
    for event, score in zip(found.event_id.tolist(), found.score.tolist(), strict=True):
        group = {at for at in found.event_id.tolist() if groups[at] == groups[event]}
        expected = whole - literal_score(model, events, 40, group)
        assert score == pytest.approx(expected, abs=1e-7)
