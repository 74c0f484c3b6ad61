"""From an explanation to one number for each edge or node, and to the edges that come first.

Most metrics are about edges, the one thing that all methods can be compared on. A method that
scores something else is read as follows:

* layer edges ``[L, e]``: an edge counts as its best layer, ``max_l s_e^l`` (an edge that is needed
  at one layer has to stay in the graph);
* nodes ``[n]``: an edge counts as the mean of its two ends, ``(s_u + s_v) / 2``;
* features ``[n, F]``: a node counts as the sum of its features, then as above.

Where truth is about nodes (`node_scores`), it is the other way round: a node counts as its score,
the sum of its features, or the sum of the absolute scores of the edges that begin or end at it.

Edges are ranked within their instance's receptive field, the highest score first. Ties go to the
edge that the user's ``edge_index`` lists first, so the same scores always select the same edges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from glassgraph.errors import ExplanationFileError, UnknownMetricError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.aggregates.edge_scores import Ranking as Ranking
from glassgraph.results.aggregates.edge_scores import one_per_edge
from glassgraph.results.records import LocalExplanation
from glassgraph.results.type_names import edge_type_words

#: Rank of an edge that an explanation says nothing about: never selected.
UNRANKED = torch.iinfo(torch.int64).max


def edge_scores(local: LocalExplanation, ranking: Ranking = "signed") -> Tensor:
    """One score for each edge of an explanation, ``[e]`` in float64.

    Args:
        local: the explanation.
        ranking: ``"signed"`` for the scores as they are, ``"absolute"`` for their absolute values.

    Raises:
        UnknownMetricError: if the explanation has no scores, a score is not finite, or ``ranking``
            is unknown.

    Example:
        >>> from types import SimpleNamespace
        >>> scores = dict(edge_score=None, layer_edge_score=None, feature_score=None)
        >>> nodes = torch.tensor([1.0, 3.0, 7.0])
        >>> ends = torch.tensor([[0, 1], [1, 2]])
        >>> edge_scores(SimpleNamespace(**scores, node_score=nodes, edge_index=ends)).tolist()
        [2.0, 5.0]
    """
    _check_ranking(ranking)
    return _ranked(_one_per_edge(local), local, "edge", ranking)


def node_scores(local: LocalExplanation, ranking: Ranking = "signed") -> Tensor:
    """One score for each node of an explanation, ``[n]`` in float64.

    Args:
        local: the explanation.
        ranking: ``"signed"`` for the scores as they are, ``"absolute"`` for their absolute values.

    Raises:
        UnknownMetricError: if the explanation has no scores, a score is not finite, or ``ranking``
            is unknown.

    Example:
        >>> from types import SimpleNamespace
        >>> nothing = dict(node_score=None, feature_score=None, layer_edge_score=None)
        >>> ends = torch.tensor([[0, 1], [1, 2]])
        >>> edges = dict(edge_index=ends, edge_score=torch.tensor([2.0, -3.0]))
        >>> node_scores(SimpleNamespace(**nothing, **edges, node_id=torch.arange(3))).tolist()
        [2.0, 5.0, 3.0]
    """
    _check_ranking(ranking)
    if local.node_score is not None:
        score = local.node_score
    elif local.feature_score is not None:
        score = local.feature_score.nansum(dim=1)
    else:
        size = _one_per_edge(local).abs()
        score = size.new_zeros(local.node_id.numel())
        score = score.index_add(0, local.edge_index.flatten(), size.repeat(2))
    return _ranked(score, local, "node", ranking)


def _check_ranking(ranking: str) -> None:
    if ranking not in get_args(Ranking):
        raise UnknownMetricError(f"ranking must be 'signed' or 'absolute'; got {ranking!r}")


def _ranked(score: Tensor, local: LocalExplanation, what: str, ranking: Ranking) -> Tensor:
    """Scores in float64, refused where they cannot be ranked."""
    score = score.double()
    if not bool(torch.isfinite(score).all()):
        raise UnknownMetricError(
            f"instance {local.index}: {int((~torch.isfinite(score)).sum())} {what} scores are NaN "
            "or infinite and cannot be ranked"
        )
    return score.abs() if ranking == "absolute" else score


def _one_per_edge(local: LocalExplanation) -> Tensor:
    score = one_per_edge(local, lambda: local.edge_index)
    if score is None:
        raise UnknownMetricError(f"instance {local.index} has no scores to measure")
    return score


@dataclass(frozen=True)
class RankedEdges:
    """The edges of B explanations, ranked.

    Attributes:
        count: ``[B]`` number of edges in each receptive field.
        key: ``[e]`` ascending ``instance * E + edge`` with the edge's flat number.
        rank: ``[e]`` place of the edge in its instance, 0 for the highest score.
        num_edges: number E of the user's edges.
    """

    count: Tensor
    key: Tensor
    rank: Tensor
    num_edges: int

    def find(self, instance: Tensor, edge: Tensor) -> Tensor:
        """The ranks of edges of instances; `UNRANKED` where the explanation lacks the edge."""
        if self.key.numel() == 0:
            return torch.full_like(edge, UNRANKED)
        wanted = instance * self.num_edges + edge
        position = torch.searchsorted(self.key, wanted).clamp_max(self.key.numel() - 1)
        return torch.where(self.key[position] == wanted, self.rank[position], UNRANKED)


def rank_edges(
    explanations: Sequence[LocalExplanation], graph: TypedGraph, ranking: Ranking
) -> RankedEdges:
    """Rank the edges of every explanation.

    Raises:
        UnknownMetricError: see `edge_scores`.
        ExplanationFileError: if the edges are not those of the graph.
    """
    keys, ranks, counts = [], [], []
    num_edges = max(graph.num_edges, 1)
    for instance, local in enumerate(explanations):
        edge = flat_edges(local, graph)
        if edge.numel() and (int(edge.min()) < 0 or int(edge.max()) >= graph.num_edges):
            raise ExplanationFileError(
                f"instance {local.index} explains edge {int(edge.max())}, but the data have "
                f"{graph.num_edges} edges; give the data that were explained"
            )
        order = torch.argsort(edge)
        score = edge_scores(local, ranking)[order]
        rank = torch.empty_like(order)
        rank[torch.argsort(-score, stable=True)] = torch.arange(order.numel())
        keys.append(instance * num_edges + edge[order])
        ranks.append(rank)
        counts.append(order.numel())
    empty = torch.empty(0, dtype=torch.long)
    return RankedEdges(
        count=torch.tensor(counts, dtype=torch.long, device=graph.device),
        key=torch.cat([empty, *keys]).to(graph.device),
        rank=torch.cat([empty, *ranks]).to(graph.device),
        num_edges=num_edges,
    )


def flat_edges(local: LocalExplanation, graph: TypedGraph) -> Tensor:
    """The flat numbers of an explanation's edges in the whole input."""
    if local.edge_type is not None:
        words = edge_type_words(graph.edge_types)
        offset = dict(zip(words, graph.edge_offset, strict=False))
        missing = set(local.edge_type) - set(offset)
        if missing:
            raise ExplanationFileError(
                f"instance {local.index} has edges of type {sorted(missing)[0]!r}, which the data "
                "lack; give the data that were explained"
            )
        if graph.is_split:
            earlier = [starts[local.graph] for starts in graph.typed_starts[1]]
            offset = {
                name: start + before
                for (name, start), before in zip(offset.items(), earlier, strict=True)
            }
        starts = torch.tensor([offset[name] for name in local.edge_type], dtype=torch.long)
        return local.edge_id + starts
    if not graph.is_split:
        return local.edge_id
    return local.edge_id + int(graph.by_graph[1].pointer[local.graph])


@dataclass(frozen=True)
class Level:
    """How many edges are selected: a sparsity, or a number.

    Attributes:
        sparsity: share of the receptive field's edges that is *not* selected, in [0, 1].
        top_k: number of selected edges; exactly one of the two is given.
    """

    sparsity: float | None = None
    top_k: int | None = None

    def __str__(self) -> str:
        return f"{self.sparsity:g}" if self.top_k is None else f"top{self.top_k}"

    def num_kept(self, count: Tensor) -> Tensor:
        """How many of ``count [B]`` edges are selected.

        ``e - floor(s * e)`` at sparsity ``s``: never sparser than asked for, so a field with edges
        keeps at least one below ``s = 1``.
        """
        if self.top_k is not None:
            return count.clamp_max(self.top_k)
        # A share such as 0.29 of 100 is 28.999999999999996 in floating point, and means 29.
        removed = (count.double() * float(self.sparsity or 0.0) + 1e-9).floor().long()
        return count - removed


def read_levels(
    sparsity: float | Sequence[float], top_k: int | Sequence[int] | None
) -> tuple[Level, ...]:
    """Check the levels at which something is measured; ``top_k`` wins where it is given.

    Raises:
        UnknownMetricError: if a sparsity lies outside [0, 1], a ``top_k`` is negative, or there is
            none.
    """
    if top_k is not None:
        numbers = [top_k] if isinstance(top_k, int) else list(top_k)
        if not numbers or any(isinstance(k, bool) or k < 0 for k in numbers):
            raise UnknownMetricError(f"top_k must be numbers of edges from 0; got {top_k!r}")
        return tuple(Level(top_k=int(k)) for k in numbers)
    shares = [sparsity] if isinstance(sparsity, int | float) else list(sparsity)
    if not shares or any(not math.isfinite(s) or not 0 <= s <= 1 for s in shares):
        raise UnknownMetricError(f"sparsity must lie in [0, 1]; got {sparsity!r}")
    return tuple(Level(sparsity=float(s)) for s in shares)
