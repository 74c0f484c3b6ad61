"""Explanations whose scores are written down, of graphs that a reader can draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

import glassgraph as gg
from glassgraph.inputs.graph import TypedGraph
from glassgraph.results.records import Part


def known(
    data: Any,
    scores: Sequence[Sequence[Sequence[float]]] | Sequence[Sequence[float]],
    *,
    seeds: Sequence[int] | None = None,
    threshold: float | None = None,
    labels: Sequence[int] | None = None,
    predictions: Sequence[Sequence[float]] | None = None,
    level: str | None = None,
) -> gg.Explanations:
    """One instance for each entry of ``scores``, ``[L][e]`` or ``[e]``, over its whole graph.

    Args:
        data: one graph (of which every instance is explained), or a list of them.
        scores: of each instance.
        seeds: the explained node of each instance; none for a graph task.
        threshold: of the method.
        labels: of each instance.
        predictions: probabilities of each instance.
        level: of the task.
    """
    graph = TypedGraph.read(data)
    size = len(scores)
    which = torch.arange(size) if graph.is_split else torch.zeros(size, dtype=torch.long)
    by_graph = graph.by_graph
    node = [by_graph[0].edge[slice(*by_graph[0].pointer[g : g + 2].tolist())] for g in which]
    edge = [by_graph[1].edge[slice(*by_graph[1].pointer[g : g + 2].tolist())] for g in which]
    values = [torch.tensor(each, dtype=torch.float32) for each in scores]
    is_layerwise = values[0].dim() == 2
    each = torch.arange(size)
    minus = torch.full((size,), -1)
    columns = torch.cat(values, dim=-1)
    seed = torch.empty(size, 0, dtype=torch.long) if seeds is None else torch.tensor([*seeds])
    flat = torch.cat(edge)
    shown = torch.tensor(predictions if predictions is not None else [[0.25, 0.75]] * size)
    part = Part(
        position=each,
        index=each if seeds is None else torch.tensor([*seeds]),
        graph=which,
        target=shown.argmax(dim=1),
        contrast=minus,
        label=minus if labels is None else torch.tensor([*labels]),
        prediction=shown,
        seed=seed.view(size, -1),
        node_instance=torch.repeat_interleave(each, torch.tensor([n.numel() for n in node])),
        node=torch.cat(node),
        edge_instance=torch.repeat_interleave(each, torch.tensor([e.numel() for e in edge])),
        edge=flat,
        source=graph.source[flat],
        destination=graph.destination[flat],
        edge_score=None if is_layerwise else columns,
        layer_edge_score=columns if is_layerwise else None,
    )
    return gg.Explanations(
        method="known",
        level=level or ("graph" if seeds is None else "node"),
        num_layers=len(values[0]) if is_layerwise else 2,
        provenance={
            "threshold": threshold,
            "task": {"level": level, "mode": "multiclass_classification"},
            "graph": graph.summary(),
        },
        parts=[part],
        graph=graph,
    )
