"""Explanations of the same predictions as vectors over the same entries.

An entry is an edge of an instance, or an edge at one layer. Edges are matched by their numbers in
the user's graph, so it does not matter how far around a prediction an explanation reaches: the
entries are those that any of the explanations has, and what one of them lacks scores 0 there.

At the level of layers explanations are rectangles ``[L, e]``, in which a message that never reaches
the prediction scores 0. There an entry counts only if some explanation scores it other than 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from glassgraph.core.edges import parallel_rank
from glassgraph.errors import ExplanationFileError, InstanceError, UnknownMetricError
from glassgraph.metrics.scores import edge_scores
from glassgraph.results.aggregates.edge_scores import edges_of_part
from glassgraph.results.explanation import Explanation, Explanations, HeteroExplanation
from glassgraph.results.instance_columns import in_order
from glassgraph.results.records import LocalExplanation
from glassgraph.results.type_names import edge_type_words

#: One score for each edge, or one for each edge at each layer.
ScoreLevel = Literal["edge", "layer"]
#: What can be compared: many explanations, or one.
Run: TypeAlias = "Explanations | Explanation | HeteroExplanation"

_IDENTITY = ("index", "graph", "target", "contrast")


@dataclass(frozen=True)
class Vectors:
    """The scores of one run, a column for each stored edge.

    Attributes:
        name: what to call the run in messages.
        task: level of the task; None where it is not known.
        sizes: numbers of nodes, edges and graphs of the explained data, as far as known.
        model: fingerprint of the model; None where it is not known.
        identity: ``[4, B]`` index, graph, target and contrast (-1 for none) of each instance.
        instance: ``[n]``.
        edge: ``[n]`` number of the edge in the explained data.
        ends: ``[2, n]`` its nodes.
        score: ``[R, n]`` in float64; R = L rows at the level of layers, else R = 1.
    """

    name: str
    task: str | None
    sizes: dict[str, int]
    model: str | None
    identity: Tensor
    instance: Tensor
    edge: Tensor
    ends: Tensor
    score: Tensor

    @staticmethod
    def read(run: Run, level: ScoreLevel, name: str | None = None) -> Vectors:
        """Collect the scores of a run.

        Raises:
            UnknownMetricError: if it has no such scores, or some are not finite.
        """
        if isinstance(run, Explanations):
            found = _of_many(run, level, name or run.method)
        else:
            found = _of_one(run, level, name or "the explanation")
        if not bool(torch.isfinite(found.score).all()):
            raise UnknownMetricError(
                f"{int((~torch.isfinite(found.score)).sum())} scores of {found.name} are "
                "NaN or infinite; they cannot be compared"
            )
        return found


def has_layers(run: Explanations) -> bool:
    """Whether every edge has a score at every layer."""
    return bool(run.parts) and all(part.layer_edge_score is not None for part in run.parts)


def _of_many(run: Explanations, level: ScoreLevel, name: str) -> Vectors:
    parts = run.own_parts()
    empty = torch.empty(0, dtype=torch.long)
    rows = run.num_layers if level == "layer" else 1
    scores = [torch.empty(rows, 0, dtype=torch.float64)]
    for part in parts:
        if level == "edge":
            scores.append(edges_of_part(part, name).double().unsqueeze(0))
        elif part.layer_edge_score is None:
            raise _no_layers(name)
        else:
            scores.append(part.layer_edge_score.double())
    summary = run.provenance.get("graph", {})
    return Vectors(
        name=name,
        task=run.level,
        sizes={word: summary[word] for word in _SIZES if word in summary},
        model=run.provenance.get("model_fingerprint"),
        identity=torch.stack([in_order(run, column) for column in _IDENTITY]),
        instance=torch.cat([empty, *(part.position[part.edge_instance] for part in parts)]),
        edge=torch.cat([empty, *(part.edge for part in parts)]),
        ends=torch.stack(
            [
                torch.cat([empty, *(part.source for part in parts)]),
                torch.cat([empty, *(part.destination for part in parts)]),
            ]
        ),
        score=torch.cat(scores, dim=1),
    )


_SIZES = ("num_nodes", "num_edges", "num_graphs")


def _of_one(run: Explanation | HeteroExplanation, level: ScoreLevel, name: str) -> Vectors:
    local = getattr(run, "local", None)
    if not isinstance(local, LocalExplanation):
        raise UnknownMetricError(
            "only explanations made by Glassgraph can be compared; got "
            f"{type(run).__name__} without scores of a receptive field"
        )
    if level == "edge":
        score = edge_scores(local).unsqueeze(0)
    elif local.layer_edge_score is None:
        raise _no_layers(name)
    else:
        score = local.layer_edge_score.double()
    target, contrast = local.target if isinstance(local.target, tuple) else (local.target, -1)
    target = -1 if target is None else target
    edge, node = local.edge_id, local.node_id
    if local.edge_type is not None and local.node_type is not None:
        edge = edge + _starts(run, local.edge_type, is_node=False)
        node = node + _starts(run, local.node_type, is_node=True)
    return Vectors(
        name=name,
        task=None,
        sizes={"num_nodes": int(run.num_nodes or 0), "num_edges": int(run.num_edges)},
        model=None,
        identity=torch.tensor([[local.index], [local.graph], [target], [contrast]]),
        instance=torch.zeros_like(edge),
        edge=edge,
        ends=node[local.edge_index],
        score=score,
    )


def _starts(run: Explanation | HeteroExplanation, names: Sequence[str], *, is_node: bool) -> Tensor:
    """Where the numbers of each entry's type begin, all types side by side."""
    start, found = 0, {}
    kinds = run.node_types if is_node else run.edge_types
    words = kinds if is_node else edge_type_words(kinds)
    for kind, word in zip(kinds, words, strict=True):
        found[word] = start
        start += int(run[kind].num_nodes if is_node else run[kind].edge_index.size(1))
    return torch.tensor([found[name] for name in names], dtype=torch.long)


def _no_layers(name: str) -> UnknownMetricError:
    return UnknownMetricError(
        f"{name} has no scores for each layer; compare with level='edge', or explain with a "
        "method that scores layers (edge_gradients, occlusion and gnn_explainer with "
        "layerwise=True, ...)"
    )


@dataclass(frozen=True)
class Aligned:
    """Several runs over the same entries.

    Attributes:
        names: of the T runs.
        index: ``[B]`` the user's number of each instance, in the order of the first run.
        graph: ``[B]``.
        instance: ``[m]`` whose entry it is, in no order.
        layer: ``[m]`` 0 at the level of edges.
        address: ``[4, m]`` endpoints of the entry's edge, its rank among parallel ones, its layer.
        value: ``[T, m]`` scores in float64.
        is_common: ``[m]`` whether every run has the edge.
        num_layers: rows at the level of layers, else 1.
        is_same_model: ``[T, T]`` False where two runs are known to explain different models.
        same_target: ``[T, T, B]`` whether two runs explain the same class.
    """

    names: tuple[str, ...]
    index: Tensor
    graph: Tensor
    instance: Tensor
    layer: Tensor
    address: Tensor
    value: Tensor
    is_common: Tensor
    num_layers: int
    is_same_model: Tensor
    same_target: Tensor

    @property
    def num_instances(self) -> int:
        """Number B of instances."""
        return int(self.index.numel())


def align(runs: Sequence[Vectors], level: ScoreLevel) -> Aligned:
    """Bring runs over the same predictions to the same entries.

    Raises:
        ExplanationFileError: if they explain different graphs, tasks or numbers of layers.
        InstanceError: if they explain different predictions.
    """
    first = runs[0]
    for other in runs[1:]:
        _check_same_data(first, other)
    places = [_places(first, run) for run in runs]
    num_edges = max([1, *(int(run.edge.max()) + 1 for run in runs if run.edge.numel())])
    keys = [
        place[run.instance] * num_edges + run.edge for run, place in zip(runs, places, strict=True)
    ]
    key = torch.unique(torch.cat(keys))
    columns = [torch.searchsorted(key, own) for own in keys]
    ends = first.ends.new_full((2, key.numel()), -1)
    for run, column in zip(runs, columns, strict=True):
        known = ends[:, column]
        is_other = ((known != run.ends) & (known >= 0)).any(dim=0)
        if bool(is_other.any()):
            raise ExplanationFileError(
                f"{first.name} and {run.name} explain different graphs: edge "
                f"{int(run.edge[is_other][0])} does not join the same nodes; explain the same data"
            )
        ends[:, column] = run.ends
    rows = first.score.size(0)
    value = torch.zeros(len(runs), rows, key.numel(), dtype=torch.float64)
    times = torch.zeros(key.numel(), dtype=torch.long)
    for number, (run, column) in enumerate(zip(runs, columns, strict=True)):
        value[number][:, column] = run.score
        times[column] += 1
    instance = key // num_edges
    rank = parallel_rank(*(ends + instance * (int(ends.max()) + 1 if ends.numel() else 1)))
    layer = torch.arange(rows).view(-1, 1).expand(rows, key.numel())
    address = torch.cat([torch.stack([*ends, rank]).repeat(1, rows), layer.reshape(1, -1)])
    flat = value.flatten(1)
    kept = torch.ones(flat.size(1), dtype=torch.bool)
    if level == "layer":
        kept = (flat != 0).any(dim=0)
    targets = torch.stack([_moved(run, place) for run, place in zip(runs, places, strict=True)])
    return Aligned(
        names=tuple(run.name for run in runs),
        index=first.identity[0],
        graph=first.identity[1],
        instance=instance.repeat(rows)[kept],
        layer=layer.flatten()[kept],
        address=address[:, kept],
        value=flat[:, kept],
        is_common=(times == len(runs)).repeat(rows)[kept],
        num_layers=rows,
        is_same_model=torch.tensor(
            [[None in (a.model, b.model) or a.model == b.model for b in runs] for a in runs]
        ),
        same_target=(targets.unsqueeze(0) == targets.unsqueeze(1)).all(dim=2),
    )


def _check_same_data(one: Vectors, other: Vectors) -> None:
    if None not in (one.task, other.task) and one.task != other.task:
        raise ExplanationFileError(
            f"{one.name} explains {one.task} predictions and {other.name} {other.task} "
            "predictions; compare explanations of one task"
        )
    for word in one.sizes:
        if one.sizes[word] != other.sizes.get(word, one.sizes[word]):
            raise ExplanationFileError(
                f"{one.name} and {other.name} explain different graphs, with {one.sizes[word]} and "
                f"{other.sizes[word]} {word[4:]}; explain the same data"
            )
    if one.score.size(0) != other.score.size(0):
        raise ExplanationFileError(
            f"{one.name} has scores for {one.score.size(0)} layers and {other.name} for "
            f"{other.score.size(0)}; compare models of different depth with level='edge'"
        )


def _places(first: Vectors, run: Vectors) -> Tensor:
    """``[B]`` which instance of the first run each instance of a run is."""
    orders = []
    for vectors in (first, run):
        index, graph = vectors.identity[:2]
        order = torch.argsort(index, stable=True)
        orders.append(order[torch.argsort(graph[order], stable=True)])
    here, there = first.identity[:2, orders[0]], run.identity[:2, orders[1]]
    if not torch.equal(here, there):
        raise InstanceError(_difference(first, run))
    place = torch.empty_like(orders[0])
    place[orders[1]] = orders[0]
    return place


def _difference(first: Vectors, run: Vectors) -> str:
    here, there = (set(map(tuple, each.identity[:2].t().tolist())) for each in (first, run))
    one, many = sorted(here - there), sorted(there - here)
    said = [
        f"{len(only)} of {vectors.name}'s are not {other.name}'s (index "
        f"{', '.join(str(index) for index, _ in only[:5])}{', ...' if len(only) > 5 else ''})"
        for only, vectors, other in ((one, first, run), (many, run, first))
        if only
    ]
    numbers = (
        f"{first.name} explains {first.identity.size(1)} predictions and {run.name} "
        f"{run.identity.size(1)}"
    )
    return f"{'; '.join([numbers, *said])}; explain the same index with both"


def _moved(run: Vectors, place: Tensor) -> Tensor:
    """Target and contrast of each instance, ``[2, B]``, in the order of the first run."""
    found = torch.empty_like(run.identity[2:])
    found[:, place] = run.identity[2:]
    return found
