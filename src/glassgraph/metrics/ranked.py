"""Which edges, pairs of nodes, nodes or features come first, in each of many explanations.

All are ranked within their instance's receptive field, the highest score first. Ties go to what the
user's data list first, so the same scores always select the same.

* *edges*: one by one, in each direction;
* *pairs*: all edges between the same two nodes, in either direction, are one unit with the mean of
  their scores: an undirected edge, listed twice;
* *nodes*: those that the prediction is not about, since these cannot be taken away;
* *features*: the entries of the feature matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glassgraph.errors import ExplanationFileError, UnknownMetricError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.instances import Instances
from glassgraph.metrics.scores import Level, Ranking, edge_scores, node_scores
from glassgraph.results.records import LocalExplanation
from glassgraph.results.type_names import edge_type_words

#: Rank of what an explanation says nothing about: never selected.
UNRANKED = torch.iinfo(torch.int64).max
#: One number for each edge of an explanation, ``[e]``.
Score = Callable[[LocalExplanation], Tensor]


@dataclass(frozen=True)
class Ranked:
    """What B explanations are about, ranked.

    Attributes:
        count: ``[B]`` number of units: of edges, pairs, nodes or features.
        key: ``[r]`` ascending ``instance * num_items + item``, ``item`` being a flat edge or node,
            or ``node * width + column`` for a feature.
        rank: ``[r]`` place of the item's unit in its instance, 0 for the highest score.
        num_items: how many numbers items can have.
    """

    count: Tensor
    key: Tensor
    rank: Tensor
    num_items: int

    def find(self, instance: Tensor, item: Tensor) -> Tensor:
        """The ranks of items of instances; `UNRANKED` where the explanation lacks them."""
        if self.key.numel() == 0:
            return torch.full_like(item, UNRANKED)
        wanted = instance * self.num_items + item
        position = torch.searchsorted(self.key, wanted).clamp_max(self.key.numel() - 1)
        return torch.where(self.key[position] == wanted, self.rank[position], UNRANKED)

    def num_kept(self, levels: Sequence[Level]) -> Tensor:
        """``[K, B]`` how many units are selected at each level."""
        return torch.stack([level.num_kept(self.count) for level in levels])


def rank_edges(
    explanations: Sequence[LocalExplanation],
    graph: TypedGraph,
    ranking: Ranking = "signed",
    *,
    in_pairs: bool = False,
    score: Score | None = None,
) -> Ranked:
    """Rank the edges of every explanation.

    Args:
        explanations: the explanations.
        graph: the user's graph(s).
        ranking: by scores as they are, or by absolute ones.
        in_pairs: whether all edges between the same two nodes are one unit.
        score: other scores than those of the explanation.

    Raises:
        UnknownMetricError: see `edge_scores`.
        ExplanationFileError: if the edges are not those of the graph.
    """
    pieces = []
    for local in explanations:
        edge = flat_edges(local, graph)
        if edge.numel() and (int(edge.min()) < 0 or int(edge.max()) >= graph.num_edges):
            raise ExplanationFileError(
                f"instance {local.index} explains edge {int(edge.max())}, but the data have "
                f"{graph.num_edges} edges; give the data that were explained"
            )
        scores = edge_scores(local, ranking) if score is None else score(local)
        order = torch.argsort(edge)
        ends = local.edge_index[:, order] if in_pairs else None
        pieces.append((edge[order], *_ranks(scores[order], ends)))
    return _joined(pieces, graph.num_edges, graph.device)


def rank_nodes(
    explanations: Sequence[LocalExplanation],
    graph: TypedGraph,
    instances: Instances,
    ranking: Ranking = "signed",
) -> Ranked:
    """Rank the nodes of every explanation that its prediction is not about.

    Raises:
        UnknownMetricError: see `node_scores`.
    """
    pieces = []
    for number, local in enumerate(explanations):
        node, score = _flat_nodes(local, graph), node_scores(local, ranking)
        free = ~torch.isin(node, staying_nodes(instances, number).cpu())
        node, score = node[free], score[free]
        order = torch.argsort(node)
        pieces.append((node[order], *_ranks(score[order], None)))
    return _joined(pieces, graph.num_nodes, graph.device)


def rank_features(
    explanations: Sequence[LocalExplanation],
    graph: TypedGraph,
    width: int,
    ranking: Ranking = "signed",
) -> Ranked:
    """Rank the features of all nodes of every explanation.

    Args:
        explanations: the explanations.
        graph: the user's graph(s).
        width: most features that a node has.
        ranking: by scores as they are, or by absolute ones.

    Raises:
        UnknownMetricError: if an explanation has no scores of features, or other ones than the data
            have features.
    """
    pieces = []
    for local in explanations:
        score = local.feature_score
        if score is None or score.size(1) > width:
            found = "none" if score is None else f"{score.size(1)} for each node"
            raise UnknownMetricError(
                f"of='feature' needs scores of the {width} features of each node; instance "
                f"{local.index} has {found}. Use of='node' or of='edge', or a method whose traits "
                "name feature scores"
            )
        order = torch.argsort(_flat_nodes(local, graph))
        node, score = _flat_nodes(local, graph)[order].view(-1, 1), score[order].double()
        item = node * width + torch.arange(score.size(1))
        known = ~score.isnan()  # types with fewer features are filled up with NaN
        score = score.abs() if ranking == "absolute" else score
        pieces.append((item[known], *_ranks(score[known], None)))
    return _joined(pieces, graph.num_nodes * width, graph.device)


def staying_nodes(instances: Instances, number: int) -> Tensor:
    """Flat nodes that an instance's prediction is about: those it has a row for, too."""
    seeds = instances.seeds[number]
    if instances.rows is None:
        return seeds
    return torch.cat([seeds, instances.rows.node[instances.rows.instance == number]])


def _ranks(score: Tensor, ends: Tensor | None) -> tuple[Tensor, int]:
    """``[r]`` the rank of each item's unit, and the number of units.

    Args:
        score: ``[r]`` score of each item, as the data list them.
        ends: ``[2, r]`` its two nodes, if items with the same ones are one unit.
    """
    if ends is None:
        return _places(score), score.numel()
    low, high = ends.min(dim=0).values, ends.max(dim=0).values
    span = int(high.max()) + 1 if high.numel() else 1
    found, unit = torch.unique(low * span + high, return_inverse=True)
    num_units = found.numel()
    listed = torch.arange(unit.numel())
    first = torch.full((num_units,), unit.numel()).scatter_reduce(0, unit, listed, "amin")
    total = score.new_zeros(num_units).index_add(0, unit, score)
    mean = total / torch.bincount(unit, minlength=num_units)
    order = torch.argsort(first)
    rank = torch.empty(num_units, dtype=torch.long)
    rank[order] = _places(mean[order])
    return rank[unit], num_units


def _places(score: Tensor) -> Tensor:
    """Place of each score, the highest first, ties as they are listed."""
    rank = torch.empty(score.numel(), dtype=torch.long)
    rank[torch.argsort(-score, stable=True)] = torch.arange(score.numel())
    return rank


def _joined(
    pieces: Sequence[tuple[Tensor, Tensor, int]], num_items: int, device: torch.device
) -> Ranked:
    empty = torch.empty(0, dtype=torch.long)
    num_items = max(num_items, 1)
    keys = [number * num_items + item for number, (item, _, _) in enumerate(pieces)]
    return Ranked(
        count=torch.tensor([count for *_, count in pieces], dtype=torch.long, device=device),
        key=torch.cat([empty, *keys]).to(device),
        rank=torch.cat([empty, *(rank for _, rank, _ in pieces)]).to(device),
        num_items=num_items,
    )


def flat_edges(local: LocalExplanation, graph: TypedGraph) -> Tensor:
    """The flat numbers of an explanation's edges in the whole input."""
    return _flat(local, local.edge_id, local.edge_type, graph, is_node=False)


def _flat_nodes(local: LocalExplanation, graph: TypedGraph) -> Tensor:
    """The flat numbers of an explanation's nodes in the whole input."""
    return _flat(local, local.node_id, local.node_type, graph, is_node=True)


def _flat(
    local: LocalExplanation,
    number: Tensor,
    types: Sequence[str] | None,
    graph: TypedGraph,
    *,
    is_node: bool,
) -> Tensor:
    at = 0 if is_node else 1
    if types is None:
        if not graph.is_split:
            return number
        return number + int(graph.by_graph[at].pointer[local.graph])
    names: Sequence[Any] = graph.node_types if is_node else edge_type_words(graph.edge_types)
    first = graph.node_offset if is_node else graph.edge_offset
    offset = dict(zip(names, first, strict=False))
    missing = set(types) - set(offset)
    if missing:
        raise ExplanationFileError(
            f"instance {local.index} has {'nodes' if is_node else 'edges'} of type "
            f"{sorted(missing)[0]!r}, which the data lack; give the data that were explained"
        )
    if graph.is_split:
        earlier = [starts[local.graph] for starts in graph.typed_starts[at]]
        offset = {
            name: start + before
            for (name, start), before in zip(offset.items(), earlier, strict=True)
        }
    return number + torch.tensor([offset[name] for name in types], dtype=torch.long)
