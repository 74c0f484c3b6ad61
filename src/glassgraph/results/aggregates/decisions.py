"""From scores to hard decisions: which messages an explanation retains, and which it shuts.

What is decided about is an *item*: a (layer, edge) pair where the method scores every edge at every
layer, an edge with all its messages where it gives one score for each edge. A method that scores
nodes or features is read as `glassgraph.metrics` reads it: a node counts as the sum of its
features, an edge as the mean of its two ends. Only items with a message that can reach the
prediction count. An item is retained

* where its score exceeds a ``threshold`` (for methods that decide by themselves, such as GraphMask,
  it comes with the explanations), or
* where it is among the best ``top_share`` of its instance: ``ceil(top_share * items)`` of them,
  ties going to the earlier layer, then to the edge that ``edge_index`` lists first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, get_args

import torch
from torch import Tensor

from glassgraph.errors import HyperParameterError, UnknownMetricError
from glassgraph.results.aggregates.edge_scores import Ranking, edges_of_part
from glassgraph.results.records import Part

#: Rank of what is not in the pool: never chosen.
UNRANKED = torch.iinfo(torch.int64).max


class Scored(Protocol):
    """What decisions are made about: `glassgraph.Explanations`."""

    method: str

    @property
    def threshold(self) -> float | None:
        """Score above which the method calls a message or edge kept; None if it does not decide."""

    def own_parts(self) -> list[Part]:
        """The columns of the instances."""


@dataclass(frozen=True)
class ScoreTable:
    """The scores of explanations, one column for each edge of each instance.

    Attributes:
        position: ``[n]`` which instance, ascending.
        edge: ``[n]`` flat edge, ascending within an instance.
        score: ``[R, n]`` float64; R = L rows where every layer has its own scores, else R = 1.
        is_layerwise: which of the two.
        key: ``[n]`` ascending ``position * width + edge``.
        width: one more than the largest edge.
    """

    position: Tensor
    edge: Tensor
    score: Tensor
    is_layerwise: bool
    key: Tensor
    width: int

    @staticmethod
    def read(
        explanations: Scored, ranking: Ranking = "signed", device: torch.device | None = None
    ) -> ScoreTable:
        """Collect the scores of explanations.

        Raises:
            UnknownMetricError: if there are no scores, or some are not finite, or the ranking is
                unknown.
        """
        if ranking not in get_args(Ranking):
            raise UnknownMetricError(f"ranking must be 'signed' or 'absolute'; got {ranking!r}")
        parts = explanations.own_parts()
        is_layerwise = bool(parts) and all(part.layer_edge_score is not None for part in parts)
        positions = [part.position[part.edge_instance] for part in parts]
        edges = [part.edge for part in parts]
        scores = [_scores(part, is_layerwise, explanations.method).double() for part in parts]
        nothing = torch.empty(0, dtype=torch.long)
        position, edge = torch.cat([nothing, *positions]), torch.cat([nothing, *edges])
        score = torch.cat(scores, dim=1) if scores else torch.empty(1, 0, dtype=torch.float64)
        if not bool(torch.isfinite(score).all()):
            raise UnknownMetricError(
                f"{int((~torch.isfinite(score)).sum())} scores of {explanations.method} are NaN or "
                "infinite; nothing can be decided by them"
            )
        width = int(edge.max()) + 1 if edge.numel() else 1
        key = position * width + edge
        order = torch.argsort(key)
        if ranking == "absolute":
            score = score.abs()
        return ScoreTable(
            position=position[order].to(device),
            edge=edge[order].to(device),
            score=score[:, order].to(device),
            is_layerwise=is_layerwise,
            key=key[order].to(device),
            width=width,
        )

    def locate(self, position: Tensor, edge: Tensor) -> tuple[Tensor, Tensor]:
        """The columns of edges of instances, and which edges have one."""
        if self.key.numel() == 0:
            return torch.zeros_like(edge), torch.zeros_like(edge, dtype=torch.bool)
        wanted = position * self.width + edge
        column = torch.searchsorted(self.key, wanted).clamp_max(self.key.numel() - 1)
        return column, (self.key[column] == wanted) & (edge < self.width)


def _scores(part: Part, is_layerwise: bool, method: str) -> Tensor:
    """Scores ``[R, e]`` of a part."""
    if is_layerwise and part.layer_edge_score is not None:
        return part.layer_edge_score
    return edges_of_part(part, method).unsqueeze(0)


@dataclass(frozen=True)
class Rule:
    """How scores become decisions: exactly one of the two.

    Attributes:
        threshold: retained where the score is greater.
        top_share: share of each instance's items that is retained.
    """

    threshold: float | None = None
    top_share: float | None = None

    @staticmethod
    def find(explanations: Scored, threshold: float | None, top_share: float | None) -> Rule | None:
        """The rule that the user asks for, or the explanations' own; None where there is none.

        Raises:
            HyperParameterError: if both are given, or one is out of range.
        """
        if threshold is not None and top_share is not None:
            raise HyperParameterError("give threshold or top_share, not both")
        if top_share is not None:
            if not 0 <= top_share <= 1:
                raise HyperParameterError(f"top_share must lie in [0, 1]; got {top_share}")
            return Rule(top_share=float(top_share))
        if threshold is None:
            threshold = explanations.threshold
        if threshold is None:
            return None
        if math.isnan(threshold):
            raise HyperParameterError("threshold must be a number; got NaN")
        return Rule(threshold=float(threshold))

    @staticmethod
    def of(explanations: Scored, threshold: float | None, top_share: float | None) -> Rule:
        """As `find`, for those who cannot do without.

        Raises:
            HyperParameterError: if there is no rule, too.
        """
        rule = Rule.find(explanations, threshold, top_share)
        if rule is None:
            raise HyperParameterError(
                f"{explanations.method} gives scores and no decisions; say which messages count as "
                "retained: threshold=0.5 (those with a higher score), or top_share=0.3 (the best "
                "share of each prediction's messages)"
            )
        return rule

    def retained(self, score: Tensor, item: Tensor, instance: Tensor, num_instances: int) -> Tensor:
        """Which items are retained, ``[R, e]`` bool.

        Args:
            score: ``[R, e]``.
            item: ``[R, e]`` what is decided about; nothing else is retained.
            instance: ``[e]`` which instance an edge belongs to.
            num_instances: number of instances.
        """
        if self.top_share is None:
            return item & (score > (self.threshold or 0.0))
        size = count(item, instance, num_instances).double()
        # A share such as 0.07 of 100 is 7.000000000000001 in floating point, and means 7.
        amount = (size * self.top_share - 1e-9).ceil().long()
        return rank(item, -score, instance, num_instances) < amount[instance]


def count(pool: Tensor, instance: Tensor, num_instances: int) -> Tensor:
    """How many items ``pool [R, e]`` holds of each instance, ``[b]``."""
    found = torch.zeros(num_instances, dtype=torch.long, device=pool.device)
    return found.index_add_(0, instance, pool.sum(dim=0))


def rank(pool: Tensor, value: Tensor, instance: Tensor, num_instances: int) -> Tensor:
    """Place ``[R, e]`` of each item within its instance, from 0 for the smallest value.

    Args:
        pool: ``[R, e]`` which items take part; the others are `UNRANKED`.
        value: ``[R, e]`` what they are ordered by; ties keep their order, rows first.
        instance: ``[e]`` which instance an edge belongs to.
        num_instances: number of instances.
    """
    row, edge = pool.nonzero(as_tuple=True)
    group = instance[edge]
    order = torch.argsort(value[row, edge], stable=True)
    order = order[torch.argsort(group[order], stable=True)]
    size = torch.bincount(group, minlength=num_instances)
    start = size.cumsum(0) - size
    place = torch.empty_like(group)
    place[order] = torch.arange(group.numel(), device=group.device) - start[group[order]]
    found = torch.full_like(pool, UNRANKED, dtype=torch.long)
    found[row, edge] = place
    return found
