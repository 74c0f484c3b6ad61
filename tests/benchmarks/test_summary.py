"""Pooling, chance and ranks by hand-known cases."""

from __future__ import annotations

import math

import pytest

from glassgraph.benchmarks.summary import (
    Pooled,
    normalize,
    places,
    pool,
    ranks,
    verdict,
    verdict_over_seeds,
)

T2 = 12.706204736  # Student's .975 quantile with one degree of freedom


def test_one_seed_keeps_its_interval() -> None:
    assert pool([(1.0, 0.5, 3.0)]) == Pooled(1.0, 0.5, 3.0)
    assert pool([(1.0, None, None)]) == Pooled(1.0)
    assert pool([]) is None


def test_equal_seeds_keep_the_bootstrap_interval() -> None:
    found = pool([(1.0, 0.5, 3.0)] * 3)
    assert found == Pooled(1.0, 0.5, 3.0)


def test_spread_without_intervals_is_students() -> None:
    found = pool([(1.0, None, None), (3.0, None, None)])
    assert found is not None
    assert found.low is not None
    assert found.value == 2.0
    assert found.low == pytest.approx(2 - T2)


def test_both_sources_add_as_squares() -> None:
    found = pool([(1.0, -2.0, 2.0), (3.0, 0.0, 4.0)])
    assert found is not None
    assert found.low == pytest.approx(2 - math.hypot(3, T2))
    assert found.high == pytest.approx(2 + math.hypot(1, T2))


def test_chance() -> None:
    floor = Pooled(0.5, 0.4, 0.6)
    assert verdict(Pooled(0.8, 0.7, 0.9), floor, "higher") == "above"
    assert verdict(Pooled(0.8, 0.7, 0.9), floor, "lower") == "below"
    assert verdict(Pooled(0.7, 0.6, 0.9), floor, "higher") == "chance"
    assert verdict(Pooled(0.0, -0.1, 0.2), floor, "zero") == "above"
    assert verdict(Pooled(-0.8, -0.9, -0.7), floor, "zero") == "below"
    assert verdict(Pooled(0.8), floor, "higher") == "unknown"
    assert verdict(Pooled(0.8, 0.7, 0.9), None, "higher") == "unknown"


def test_one_seed_at_chance_is_enough() -> None:
    floor = Pooled(0.5, 0.4, 0.6)
    above, at, below = Pooled(0.8, 0.7, 0.9), Pooled(0.5, 0.4, 0.6), Pooled(0.2, 0.1, 0.3)
    for expected, found in {
        "above": [above, above],
        "chance": [above, at],
        "below": [below, below],
        "unknown": [above, Pooled(0.8)],
    }.items():
        assert verdict_over_seeds([(value, floor) for value in found], "higher") == expected
    assert verdict_over_seeds([(above, floor), (below, floor)], "higher") == "chance"
    assert verdict_over_seeds([], "higher") == "unknown"


def test_normalized() -> None:
    assert normalize(Pooled(0.5), Pooled(0.25), Pooled(0.75)) == 0.5
    assert normalize(Pooled(0.5), Pooled(0.75), Pooled(0.75)) is None


def test_overlapping_intervals_tie() -> None:
    values = {"a": Pooled(5, 4, 6), "b": Pooled(4, 3, 4), "c": Pooled(1, 0, 2)}
    assert ranks(values, "higher") == {"a": 1, "b": 1, "c": 3}
    assert ranks(values, "lower") == {"a": 2, "b": 2, "c": 1}
    assert ranks(values, "zero") == {"a": 2, "b": 2, "c": 1}


def test_places_share_equal_means() -> None:
    found = places([{"a": 1, "b": 2, "c": 3}, {"a": 2, "b": 1}])
    assert [(p.method, p.place, p.mean_rank, p.num_networks) for p in found] == [
        ("a", 1, 1.5, 2),
        ("b", 1, 1.5, 2),
        ("c", 3, 3.0, 1),
    ]
