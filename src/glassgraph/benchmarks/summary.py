"""What is said of several seeds and of several methods, on the leaderboard and in tables.

**Over m seeds**, the value is the mean of the seeds' values v_s. Its interval adds two sources of
chance, each side for itself:

    low  = v - sqrt(mean_s (v_s - low_s)^2 + (t s / sqrt(m))^2)
    high = v + sqrt(mean_s (high_s - v_s)^2 + (t s / sqrt(m))^2)

The first is the bootstrap over instances; it isn't divided by m, since seeds may share instances,
which makes it an upper bound. The second is Student's interval of a mean of m values, s being their
standard deviation and t the .975 quantile with m - 1 degrees of freedom. One seed keeps its own
interval.

**Chance**: on one seed, a value is above chance where its interval lies wholly on the better side
of the interval of random scores (the floor); below where wholly on the worse side. Over seeds it is
above (below) chance where it is so on each of them. That is a statement about the networks that
were measured, and one of them where chance does as well withdraws it; what to expect of others, the
interval over seeds says, which is wide for two or three.

**Ranks**: on one network (a data set and a seed), a method's rank is 1 + the number of methods
whose interval lies wholly on the better side of its own; methods whose intervals overlap don't pass
each other. Ranks are averaged over the networks where the method has a value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.special import stdtrit

Verdict = Literal["above", "chance", "below", "unknown"]


@dataclass(frozen=True)
class Pooled:
    """A mean over seeds; without an interval (one value without spread), low and high are None."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Place:
    """Where a method stands: mean rank, on how many networks, and the place that this gives.

    Methods of equal mean rank share a place.
    """

    method: str
    place: int
    mean_rank: float
    num_networks: int


def pool(values: Sequence[tuple[float, float | None, float | None]]) -> Pooled | None:
    """The mean over seeds of ``(value, low, high)`` and its interval; None without a value.

    Example:
        >>> pool([(0.5, 0.25, 0.75)])
        Pooled(value=0.5, low=0.25, high=0.75)
    """
    if not values:
        return None
    mean = sum(v for v, _, _ in values) / len(values)
    if len(values) == 1:
        return Pooled(*values[0])
    spread = _spread([v for v, _, _ in values], mean)
    below = [(v - low) ** 2 for v, low, _ in values if low is not None]
    above = [(high - v) ** 2 for v, _, high in values if high is not None]
    return Pooled(mean, mean - _side(below, spread), mean + _side(above, spread))


def verdict(value: Pooled, floor: Pooled | None, better: str) -> Verdict:
    """Whether a value differs from chance, and to which side.

    Unknown where there is no floor, or no interval of the value.
    """
    if floor is None or value.low is None or value.high is None:
        return "unknown"
    own, chance = _ends(value, better), _ends(floor, better)
    if own[0] > chance[1]:
        return "above"
    return "below" if own[1] < chance[0] else "chance"


def verdict_over_seeds(seeds: Sequence[tuple[Pooled, Pooled | None]], better: str) -> Verdict:
    """Whether a value differs from chance on every seed, and always to the same side.

    Args:
        seeds: the value and its floor on each.
        better: ``"higher"``, ``"lower"`` or ``"zero"``.

    Example:
        >>> floor = Pooled(0.5, 0.4, 0.6)
        >>> good, no_better = Pooled(0.8, 0.7, 0.9), Pooled(0.6, 0.5, 0.7)
        >>> verdict_over_seeds([(good, floor), (good, floor)], "higher")
        'above'
        >>> verdict_over_seeds([(good, floor), (no_better, floor)], "higher")
        'chance'
    """
    found = {verdict(value, floor, better) for value, floor in seeds}
    if len(found) == 1:
        return found.pop()
    return "unknown" if not found or "unknown" in found else "chance"


def normalize(value: Pooled, floor: Pooled | None, ceiling: Pooled | None) -> float | None:
    """``(value - floor) / (ceiling - floor)``; None where either is unknown or both are equal."""
    if floor is None or ceiling is None or ceiling.value == floor.value:
        return None
    return (value.value - floor.value) / (ceiling.value - floor.value)


def ranks(values: Mapping[str, Pooled], better: str) -> dict[str, int]:
    """The rank of every method on one network.

    Example:
        >>> found = {"a": Pooled(3, 2.5, 3.5), "b": Pooled(2.4, 2.2, 2.6), "c": Pooled(1, 0, 2.3)}
        >>> ranks(found, "higher")
        {'a': 1, 'b': 1, 'c': 2}
    """
    ends = {method: _ends(value, better) for method, value in values.items()}
    return {
        method: 1 + sum(other[0] > own[1] for other in ends.values())
        for method, own in ends.items()
    }


def places(by_network: Sequence[Mapping[str, int]]) -> list[Place]:
    """Methods by mean rank over networks, best first, equal ones by name."""
    own: dict[str, list[int]] = {}
    for found in by_network:
        for method, rank in found.items():
            own.setdefault(method, []).append(rank)
    means = {method: sum(found) / len(found) for method, found in own.items()}
    return [
        Place(
            method,
            1 + sum(other < mean - 1e-9 for other in means.values()),
            mean,
            len(own[method]),
        )
        for method, mean in sorted(means.items(), key=lambda item: (item[1], item[0]))
    ]


def _spread(values: Sequence[float], mean: float) -> float:
    m = len(values)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (m - 1))
    return float(stdtrit(m - 1, 0.975)) * deviation / math.sqrt(m)


def _side(squares: Sequence[float], spread: float) -> float:
    within = sum(squares) / len(squares) if squares else 0.0
    return math.sqrt(within + spread**2)


def _ends(value: Pooled, better: str) -> tuple[float, float]:
    """The worse and the better end of an interval, on a scale where more is better."""
    low = value.value if value.low is None else value.low
    high = value.value if value.high is None else value.high
    if better == "higher":
        return low, high
    if better == "lower":
        return -high, -low
    nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    return -max(abs(low), abs(high)), -nearest
