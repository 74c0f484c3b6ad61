"""Tips and visits: every visit has the cause that the rule says, and nothing else happens."""

from __future__ import annotations

import pytest
import torch

from glassgraph.datasets import event_stream
from glassgraph.errors import DatasetError

PEOPLE, SHOPS, GUIDES = 7, 3, 2


def test_every_visit_has_its_cause_by_the_rule() -> None:
    stream = event_stream(
        2, num_tips=400, num_people=PEOPLE, num_guides=GUIDES, num_shops=SHOPS, delay=(5, 11)
    )  # fmt: skip
    events, cause = stream.events, stream.cause
    kind, shop = events.msg.argmax(1) // SHOPS, events.msg.argmax(1) % SHOPS
    assert torch.equal(events.msg.sum(1), torch.ones(events.t.numel()))
    assert bool((events.t[1:] >= events.t[:-1]).all())
    assert torch.equal(cause >= 0, kind == 2)
    assert int((kind < 2).sum()) == 400
    for visit in (kind == 2).nonzero().view(-1).tolist():
        tip = int(cause[visit])
        assert kind[tip] == 1
        assert events.dst[tip] == events.src[visit]
        assert events.dst[visit] == PEOPLE + shop[tip] == PEOPLE + shop[visit]
        assert 5 <= int(events.t[visit] - events.t[tip]) <= 11
    assert cause[cause >= 0].unique().numel() == int((cause >= 0).sum())
    counts = (kind == 1).nonzero().view(-1)
    early = counts[events.t[counts] + 11 < 400]
    assert set(early.tolist()) <= set(cause.tolist()), "a tip that counts leads to a visit"
    assert bool((events.src[kind < 2] >= PEOPLE + SHOPS).all()), "guides give tips"
    assert bool((events.dst[kind < 2] < PEOPLE).all()), "people get them"
    assert stream.num_nodes == PEOPLE + SHOPS + GUIDES
    assert stream.destinations.tolist() == [7, 8, 9]


def test_the_split_follows_time() -> None:
    stream = event_stream(num_tips=400)
    visits = torch.cat([stream.split[part] for part in ("train", "val", "test")])
    assert torch.equal(visits, (stream.cause >= 0).nonzero().view(-1))


def test_a_seed_is_a_stream() -> None:
    one, again, other = (event_stream(seed, num_tips=200) for seed in (4, 4, 5))
    assert torch.equal(one.events.msg, again.events.msg)
    assert one.events.msg.shape != other.events.msg.shape or not torch.equal(
        one.events.msg, other.events.msg
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_shops": 1}, "num_shops >= 2; got 8000, 30, 10 and 1"),
        ({"share": 0.0}, "share must lie in"),
        ({"delay": (9, 3)}, "delay be a range"),
        ({"num_tips": 3}, "too few for a split"),
    ],
)
def test_what_is_no_stream_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        event_stream(**given)  # type: ignore[arg-type]
