"""One number of a metric, with all that tells what it is worth.

A mean alone says little: how many predictions it is about, how far it moves if other predictions
were drawn, what scores without knowledge get on the same predictions (the *floor*: random scores),
and what a search for this very metric gets there (the *ceiling*). `Measured` holds them together;
every metric of the benchmark returns a list of them, one for each level.

Confidence intervals are percentiles of the bootstrap over instances, since the edges of one
prediction are not independent of each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.sparse import csr_array
from torch import Tensor

from glassgraph.brief import brief_repr
from glassgraph.errors import UnknownMetricError
from glassgraph.results.aggregates.aggregate import Bootstrap

#: Which way is good: a high value, a low one, or one near 0.
Better = Literal["higher", "lower", "zero"]


@dataclass(frozen=True)
class Estimate:
    """A number and its interval.

    Attributes:
        value: NaN where there is none.
        low: lower end of the 95 % interval, NaN where there is none (one instance has no spread).
        high: upper end.
        n: number of instances that it is about.
    """

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of_mean(cls, values: Tensor, bootstrap: Bootstrap | None = None) -> Estimate:
        """The mean of ``values [B]`` over instances; those that are NaN are left out.

        Example:
            >>> import torch
            >>> found = Estimate.of_mean(torch.tensor([0.0, 1.0, float("nan")]))
            >>> found.value, found.low, found.high, found.n
            (0.5, 0.0, 1.0, 2)
        """
        known = values[~values.isnan()].double().cpu().numpy()
        if known.size == 0:
            return cls(math.nan, math.nan, math.nan, 0)
        column = csr_array(known[:, None])
        ones = csr_array(np.ones((known.size, 1)))
        value, low, high = (bootstrap or Bootstrap()).ratio(column, ones)
        return cls(float(value[0]), float(low[0]), float(high[0]), int(known.size))


@dataclass(frozen=True)
class Measured:
    """One metric of one method at one level.

    Attributes:
        metric: its name, as in tables (``"fidelity_plus"``).
        method: whose explanations were measured.
        level: at which sparsity (``"0.7"``) or number of edges (``"top5"``); empty where a metric
            has no levels.
        better: which way is good.
        estimate: the number, its interval and n.
        values: ``[B]`` the number of each instance, NaN where it has none; None for a metric that
            is no mean over instances.
        floor: the same for random scores on the same instances; None if not asked for.
        ceiling: the same for a search for this metric on the same instances; None if not asked for.

    Raises:
        UnknownMetricError: for another word in ``better``.

    Example:
        >>> import torch
        >>> floor = Estimate.of_mean(torch.tensor([0.25, 0.25]))
        >>> found = Measured.of("fidelity_plus", "saliency", torch.tensor([0.5, 0.75]))
        >>> found = replace(found, floor=floor, ceiling=Estimate(1.0, 1.0, 1.0, 2))
        >>> found.estimate.value, found.normalized
        (0.625, 0.5)
    """

    metric: str
    method: str
    level: str
    better: Better
    estimate: Estimate
    values: Tensor | None = None
    floor: Estimate | None = None
    ceiling: Estimate | None = None

    __repr__ = brief_repr

    def __post_init__(self) -> None:
        if self.better not in ("higher", "lower", "zero"):
            raise UnknownMetricError(
                f"better must be 'higher', 'lower' or 'zero'; got {self.better!r}"
            )

    @classmethod
    def of(
        cls,
        metric: str,
        method: str,
        values: Tensor,
        *,
        level: str = "",
        better: Better = "higher",
        bootstrap: Bootstrap | None = None,
    ) -> Measured:
        """A metric that is a mean over ``values [B]`` of instances."""
        estimate = Estimate.of_mean(values, bootstrap)
        return cls(metric, method, level, better, estimate, values)

    def beside(self, *, floor: Measured | None = None, ceiling: Measured | None = None) -> Measured:
        """The same with what random scores and a search get, measured in the same way."""
        return replace(
            self,
            floor=self.floor if floor is None else floor.estimate,
            ceiling=self.ceiling if ceiling is None else ceiling.estimate,
        )

    @property
    def normalized(self) -> float | None:
        """``(value - floor) / (ceiling - floor)``: 0 is chance, 1 what a search finds.

        None where either is unknown or both are the same.
        """
        if self.floor is None or self.ceiling is None:
            return None
        span = self.ceiling.value - self.floor.value
        if math.isnan(span) or span == 0:
            return None
        return (self.estimate.value - self.floor.value) / span

    def row(self) -> dict[str, object]:
        """The flat row of tables and files; None where a number does not exist."""
        found: dict[str, object] = {
            "method": self.method,
            "metric": self.metric,
            "level": self.level,
            "better": self.better,
            "value": _or_none(self.estimate.value),
            "low": _or_none(self.estimate.low),
            "high": _or_none(self.estimate.high),
            "n": self.estimate.n,
        }
        for name, other in (("floor", self.floor), ("ceiling", self.ceiling)):
            found[name] = None if other is None else _or_none(other.value)
            found[f"{name}_low"] = None if other is None else _or_none(other.low)
            found[f"{name}_high"] = None if other is None else _or_none(other.high)
        found["normalized"] = self.normalized
        return found


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
