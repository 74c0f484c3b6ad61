"""Streams, links and settings that are none: each has its named error."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch_geometric.data import TemporalData
from torch_geometric.nn.models.tgn import IdentityMessage, LastAggregator, TGNMemory

import glassgraph as gg
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import (
    EventError,
    HyperParameterError,
    InstanceError,
    ModelCallError,
    ModelOutputError,
    NoGradientError,
    UnknownMethodError,
    UnsupportedModelError,
)
from glassgraph.temporal import TGN
from tests.temporal.streams import BATCH, NODES, WIDTH, Literal, literal_score, parts, stream


def explained(model: Any = None, events: Any = None, index: Any = 40, **given: Any) -> Any:
    """A call that is right but for what is given."""
    model, events = (parts() if model is None else model), (stream() if events is None else events)
    return gg.temporal.explain(
        model, events, index, **{"batch_size": BATCH, "progress": False, **given}
    )


def changed(**columns: Any) -> TemporalData:
    """The stream with other columns."""
    events = stream()
    for name, value in columns.items():
        setattr(events, name, value)
    return events


def test_events_out_of_order_are_named() -> None:
    events = stream()
    events.t[[20, 21]] = events.t[[21, 20]]
    with pytest.raises(EventError, match=r"event 21 happens at .*sort them"):
        explained(events=events)
    assert len(explained(events=events[events.t.argsort(stable=True)])) == 1


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"msg": torch.zeros(46, WIDTH)}, r"msg must be \[47, D\].*got \[46, 3\]"),
        ({"msg": None}, "got NoneType"),
        ({"msg": torch.full((47, WIDTH), torch.nan).double()}, "msg and t must be finite"),
        ({"msg": torch.zeros(47, 2).double()}, r"takes messages \[E, 3\] .* is \[47, 2\]"),
        ({"msg": torch.zeros(47, WIDTH)}, "of torch.float64; .* of torch.float32"),
        ({"src": torch.zeros(47)}, "src must hold node numbers"),
        ({"dst": torch.full((47,), -1)}, "some are negative"),
        ({"t": torch.zeros(3)}, "47 events in src and 3 in t"),
        ({"t": None}, "t must be a tensor"),
    ],
)
def test_malformed_events_are_named(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(EventError, match=message):
        explained(events=changed(**columns))


def test_a_plain_graph_is_no_stream() -> None:
    with pytest.raises(EventError, match=r"must be a .*TemporalData; got dict"):
        explained(events={"src": [0]})


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"index": 99}, InstanceError, "event 99 is out of range: there are 47"),
        ({"index": 0}, InstanceError, "event 0 .* has no past"),
        ({"candidates": [3, 44]}, InstanceError, "candidate 44 is not in the past of event 40"),
        ({"candidates": []}, InstanceError, "candidates are empty"),
        ({"candidates": 0}, HyperParameterError, "candidates must be an integer >= 1"),
        ({"batch_size": 0}, HyperParameterError, "batch_size must be an integer >= 1"),
        ({"method": "perturb"}, UnknownMethodError, "did you mean 'perturb_one'"),
        ({"steps": 3}, HyperParameterError, "perturb_one has no setting 'steps'; it has none"),
        ({"method": "occlusion", "groups": "time"}, HyperParameterError, "'pair', 'node'"),
        ({"method": "occlusion", "groups": torch.ones(3)}, HyperParameterError, r"\[47\] of int64"),
        ({"method": "integrated_gradients", "steps": 0}, HyperParameterError, "steps must be"),
        ({"model": nn.Linear(2, 2)}, UnsupportedModelError, "Linear cannot be replayed"),
        ({"events": changed(src=torch.full((47,), NODES))}, InstanceError, "node 13 is out of"),
    ],
)
def test_what_is_asked_wrongly_is_named(
    given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        explained(**given)


def test_models_that_lack_something_say_what_to_take() -> None:
    with pytest.raises(UnsupportedModelError, match=r"has no gates.*perturb_one"):
        explained(Literal(parts()), method="edge_gradients")
    without = parts(memory=False)
    with pytest.raises(ModelCallError, match="gnn raised RuntimeError: mat1 and mat2"):
        explained(without, changed(msg=torch.zeros(47, 0)))
    with pytest.raises(NoGradientError, match="have no messages"):
        explained(SeenBefore(), changed(msg=torch.zeros(47, 0)), method="saliency")
    with pytest.raises(NoGradientError, match="no gradient with respect to the messages"):
        explained(SeenBefore(), method="saliency")
    with pytest.raises(HyperParameterError, match="got neither"):
        TGN(None, without.gnn, without.link_predictor)
    with pytest.raises(HyperParameterError, match="must be >= 1; got 0"):
        TGN(None, without.gnn, without.link_predictor, 0, x=without.parts.x)


def links(**columns: Any) -> TemporalData:
    """A link that is asked about, right but for what is given."""
    right = {"src": torch.tensor([1]), "dst": torch.tensor([2]), "t": torch.tensor([60])}
    return TemporalData(**(right | columns))


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"src": torch.tensor([NODES])}, InstanceError, "node 13 is out of range: the model knows"),
        ({"dst": torch.tensor([-1])}, EventError, "links must be node numbers from 0"),
        ({"t": torch.tensor([torch.nan])}, EventError, "t of links must be finite"),
        ({"t": torch.tensor([60.5])}, EventError, "are whole numbers; the links' are not, as 60.5"),
        ({"t": torch.tensor([0])}, InstanceError, r"the link \(1 -> 2 at 0\) has no past"),
        ({"t": torch.tensor([1, 2])}, EventError, "1 events in src and 2 in t"),
        ({"src": None}, EventError, "src must be a tensor"),
    ],
)
def test_links_that_nothing_can_be_said_about_are_named(
    columns: dict[str, Any], error: type[Exception], message: str
) -> None:
    assert len(explained(index=links())) == 1
    with pytest.raises(error, match=message):
        explained(index=links(**columns))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_times_and_scores_that_are_not_finite_are_named(value: float) -> None:
    times = stream().t.double()
    times[-1] = value
    with pytest.raises(EventError, match="msg and t must be finite"):
        explained(events=changed(t=times))
    broken = parts()
    with torch.no_grad():
        broken.link_predictor.out.bias.fill_(value)
    for model in (broken, Literal(broken)):
        with pytest.raises(ModelOutputError, match=r"the score of event 40 .* must be finite"):
            explained(model)


class SeenBefore:
    """Whether a pair was seen: no gradient anywhere."""

    def reset(self) -> None:
        self.pairs: list[tuple[int, int]] = []

    def replay(self, events: TemporalData) -> None:
        self.pairs += zip(events.src.tolist(), events.dst.tolist(), strict=True)

    def score(self, src: torch.Tensor, dst: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return torch.tensor([float((int(src), int(dst)) in self.pairs)])


class OwnMemory(TGNMemory):
    """A memory of one's own."""


class OwnAggregator(LastAggregator):
    """An aggregation of one's own."""


def test_a_memory_of_ones_own_is_refused() -> None:
    memory = OwnMemory(NODES, WIDTH, 7, 5, IdentityMessage(WIDTH, 7, 5), LastAggregator())
    with pytest.raises(UnsupportedModelError, match="reset, replay and score"):
        TGN(memory, nn.Identity(), nn.Identity())


def test_an_aggregation_of_ones_own_has_no_gates() -> None:
    model = parts()
    assert model.memory is not None
    model.memory.aggr_module = OwnAggregator()
    with pytest.raises(UnsupportedModelError, match="OwnAggregator"):
        explained(model, method="edge_gradients")
    own, last = (explained(each, candidates=[9, 31, 39])[0] for each in (model, parts()))
    torch.testing.assert_close(own.score, last.score)


class Wide(nn.Module):
    """Two numbers for a link."""

    def forward(self, z_src: torch.Tensor, z_dst: torch.Tensor) -> torch.Tensor:
        return (z_src * z_dst)[:, :2]


class LooksAcross(nn.Module):
    """Scores that depend on the other links in the call."""

    def forward(self, z_src: torch.Tensor, z_dst: torch.Tensor) -> torch.Tensor:
        score = (z_src * z_dst).sum(-1)
        return score + score.sum()


def test_a_predictor_of_something_else_is_named() -> None:
    model = parts()
    with pytest.raises(ModelOutputError, match=r"one score for each link, \[1\]; got \[1, 2\]"):
        explained(TGN(model.memory, model.gnn, Wide(), neighbors=3))


def test_a_model_that_looks_across_copies_is_replayed_one_by_one() -> None:
    own = parts()
    model = TGN(own.memory, own.gnn, LooksAcross(), neighbors=3)
    with pytest.warns(FallbackWarning, match="every answer takes a replay of all events"):
        found = explained(model, candidates=[30, 38])[0]
    whole = literal_score(model, stream(), 40, set())
    expected = [whole - literal_score(model, stream(), 40, {event}) for event in (30, 38)]
    assert found.score.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("times", "is_said"), [([7, 8], False), ([8, 8], True)])
def test_events_of_a_node_at_one_time_are_named(times: list[int], *, is_said: bool) -> None:
    own = parts()
    model = TGN(own.memory, own.gnn, LooksAcross(), neighbors=3)
    events = TemporalData(
        src=torch.tensor([0, 1, 2, 3, 0]),
        dst=torch.tensor([4, 5, 6, 4, 3]),
        t=torch.tensor([1, 1, 1, *times]),
        msg=stream().msg[:5],
    )
    link = TemporalData(
        src=torch.tensor([0]), dst=torch.tensor([4]), t=torch.tensor([9]), msg=events.msg[:1]
    )
    with pytest.warns(FallbackWarning, match="a replay of all events") as told:
        explained(model, events, index=link, candidates=[0, 3])
    (words,) = {str(each.message) for each in told}
    assert ("Node 3 has several events at time 8 in one batch" in words) == is_said


class OfAKind(SeenBefore):
    """Whether a pair was seen in an event of kind 1, which the stream says beside messages."""

    def replay(self, events: TemporalData) -> None:
        super().replay(events[events.kind == 1])


def test_what_a_stream_carries_beside_messages_reaches_the_model() -> None:
    events = changed(
        src=torch.arange(47) % 3, dst=torch.arange(47) % 3 + 3, kind=(torch.arange(47) < 2).long()
    )
    (found,) = explained(OfAKind(), events, index=45)
    assert found.prediction == 1
    assert found.event_id[found.score != 0].tolist() == [0]
    best = explained(OfAKind(), events, 45, method="t_gnn_explainer", candidates=[0, 3, 6], size=1)
    assert best[0].score.tolist() == [1, 0, 0]
