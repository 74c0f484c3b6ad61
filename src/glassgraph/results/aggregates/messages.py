"""The messages that explanations speak of, one table for all instances, and which are kept.

A message is an edge at a layer where the method scores edges at every layer, else an edge with all
its messages. One that comes too late, or too far away, to reach the prediction is no message of the
instance: methods score it 0, and it would only dilute shares. A node or link task with ``L`` layers
knows it by distance: the receiver of a message at layer ``l`` (from 0) lies within ``L - 1 - l``
hops of an explained node. Where scores contradict that, as in models that send against the edges or
along edges of their own, every edge counts at every layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.aggregates.decisions import Rule, Scored, ScoreTable
from glassgraph.results.aggregates.edge_scores import Ranking
from glassgraph.results.records import LocalExplanation, Part


class ScoredSet(Scored, Protocol):
    """`glassgraph.Explanations`, as far as tables of messages read them."""

    level: str
    num_layers: int
    provenance: dict[str, Any]
    graph: TypedGraph | None

    def local(self, position: int) -> LocalExplanation:
        """One instance on its own receptive field."""

    def flat_nodes(self) -> list[Tensor]:
        """The flat nodes of each instance, as they stand in its `LocalExplanation`."""


@dataclass(frozen=True)
class Messages:
    """All messages of B instances; a column for each edge of each instance.

    Attributes:
        instance: ``[n]`` which instance, ascending from 0.
        edge: ``[n]`` flat edge, ascending within an instance.
        source, destination: ``[n]`` flat nodes.
        score: ``[R, n]`` float64; R = L rows where every layer has its own scores, else R = 1.
        is_layerwise: which of the two.
        reaches: ``[R, n]`` which of them are messages of the instance.
        kept: ``[R, n]``, None where nothing says what is kept.
        num_instances: number B.
        place: ``[n]`` which edge of its `LocalExplanation` it is.
    """

    instance: Tensor
    edge: Tensor
    source: Tensor
    destination: Tensor
    score: Tensor
    is_layerwise: bool
    reaches: Tensor
    kept: Tensor | None
    num_instances: int
    place: Tensor

    @staticmethod
    def read(
        explanations: ScoredSet,
        threshold: float | None,
        top_share: float | None,
        ranking: Ranking = "signed",
        *,
        needs_decisions: bool = False,
    ) -> Messages:
        """Collect the messages of explanations; arguments are those of `Explanations.aggregate`.

        Raises:
            HyperParameterError: if both ways to decide are given, one is out of range, or there is
                none where decisions are needed.
            UnknownMetricError: if there are no scores, or some are not finite.
        """
        find = Rule.of if needs_decisions else Rule.find
        rule = find(explanations, threshold, top_share)
        parts = explanations.own_parts()
        table = ScoreTable.read(explanations, ranking)
        number = torch.cat([_nothing(), *(part.position for part in parts)]).sort().values
        instance = torch.searchsorted(number, table.position)

        def column(read: Callable[[Part], Tensor]) -> Tensor:
            return torch.cat([_nothing(), *map(read, parts)])

        position = column(lambda part: part.position[part.edge_instance])
        order = torch.argsort(position * table.width + column(lambda part: part.edge))
        reaches = _reaching(explanations, parts, table, order)
        return Messages(
            instance=instance,
            edge=table.edge,
            source=column(lambda part: part.source)[order],
            destination=column(lambda part: part.destination)[order],
            score=table.score,
            is_layerwise=table.is_layerwise,
            reaches=reaches,
            kept=None
            if rule is None
            else rule.retained(table.score, reaches, instance, number.numel()),
            num_instances=number.numel(),
            place=_place(parts)[order],
        )

    def decided(self) -> Tensor:
        """`kept`, where it is known that something says what is kept."""
        assert self.kept is not None, "read with needs_decisions"
        return self.kept


def _nothing() -> Tensor:
    return torch.empty(0, dtype=torch.long)


def _place(parts: Sequence[Part]) -> Tensor:
    """``[n]`` of the edges of parts, as they stand there, which of its instance's edges each is."""
    found = [_nothing()]
    for part in parts:
        start = torch.searchsorted(part.edge_instance, part.edge_instance)
        found.append(torch.arange(start.numel()) - start)
    return torch.cat(found)


def _reaching(
    explanations: ScoredSet, parts: Sequence[Part], table: ScoreTable, order: Tensor
) -> Tensor:
    """``[R, n]`` what can reach its prediction, by distances that the scores do not contradict."""
    everything = torch.ones_like(table.score, dtype=torch.bool)
    if explanations.level == "graph" or not parts:
        return everything
    for is_reversed in (False, True):
        found = [_by_distance(part, explanations.num_layers, is_reversed) for part in parts]
        near = torch.cat(found, dim=1)[: table.score.size(0), order]
        if not bool((table.score[~near] != 0).any()):
            return near
    return everything


def _by_distance(part: Part, num_layers: int, is_reversed: bool) -> Tensor:
    """``[L, e]`` whether an edge's receiver is near enough, layer by layer."""
    width = int(part.node.max()) + 1 if part.node.numel() else 1
    key, order = (part.node_instance * width + part.node).sort()

    def rows(instance: Tensor, node: Tensor) -> Tensor:
        return order[torch.searchsorted(key, instance * width + node)]

    ends = [rows(part.edge_instance, end) for end in (part.source, part.destination)]
    sender, receiver = reversed(ends) if is_reversed else ends
    is_near = torch.zeros(part.node.numel(), dtype=torch.bool)
    owner = torch.arange(part.seed.size(0)).unsqueeze(1).expand_as(part.seed)
    is_near[rows(owner, part.seed)] = True
    found = []
    for _ in range(num_layers):
        found.append(is_near[receiver])
        is_near = is_near.clone()
        is_near[sender[found[-1]]] = True
    return torch.stack(found[::-1])
