"""From episodes to results."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.explainers.generation.ground import Episodes, Ground, Recorded, keeps
from glassgraph.explainers.generation.states import Graphs
from glassgraph.results.model_explanation import GeneratedGraph, Step


@torch.no_grad()
def generated(
    ground: Ground, episodes: Episodes, graphs: Graphs, taken: Tensor | None
) -> tuple[GeneratedGraph, ...]:
    """Results, the most probable first.

    Args:
        ground: where they grew.
        episodes: what happened.
        graphs: the graph that each episode gives.
        taken: ``[B]`` the number of steps that led to it; None for all steps.
    """
    classifier = ground.classifier
    probabilities = classifier(graphs).cpu()
    origin = classifier(episodes.begin)[:, ground.target].tolist()
    kept = keeps(ground.rules, graphs).tolist()
    steps: list[list[Step]] = [[] for _ in range(len(graphs))]
    passed = [0] * len(graphs)
    sizes = episodes.begin.size.tolist()
    limits = [math.inf] * len(graphs) if taken is None else taken.tolist()
    for number, recorded in enumerate(episodes.steps, start=1):
        for row, step in _read(recorded, sizes, graphs.room):
            steps[row].append(step)
            passed[row] += number <= limits[row]
    results = []
    for row in range(len(graphs)):
        results.append(
            GeneratedGraph(
                data=_data(ground, graphs, row),
                probabilities=probabilities[row],
                keeps_rules=kept[row],
                origin=_origin(episodes.begin, row),
                origin_probability=origin[row],
                steps=tuple(steps[row]),
                taken=passed[row],
            )
        )
    order = probabilities[:, ground.target].argsort(descending=True, stable=True).tolist()
    return tuple(results[row] for row in order)


@torch.no_grad()
def with_probabilities(ground: Ground, episodes: Episodes) -> Episodes:
    """Episodes in which nobody asked the model, with its answers after every valid step."""
    asked = [each.after.take(each.row[each.is_valid]) for each in episodes.steps if len(each.row)]
    if not asked:
        return episodes
    answers = ground.classifier(Graphs.join(asked))[:, ground.target].split(list(map(len, asked)))
    steps = []
    for each, answer in zip(episodes.steps, answers, strict=True):
        probability = each.probability.to(answer.dtype).masked_scatter(each.is_valid, answer)
        told = {**vars(each), "probability": probability}
        steps.append(Recorded(**told))
    return Episodes(episodes.begin, steps)


def _read(recorded: Recorded, sizes: list[int], room: int) -> list[tuple[int, Step]]:
    """The steps of one round by episode; ``sizes`` is kept up to date."""
    columns: list[Any] = [
        column.tolist()
        for column in (
            recorded.row,
            recorded.start,
            recorded.end,
            recorded.is_valid,
            recorded.is_accepted,
            recorded.probability,
            recorded.reward,
        )
    ]
    found = []
    for row, start, end, is_valid, is_accepted, probability, reward in zip(*columns, strict=True):
        added = end - room if end >= room else -1
        place = end if added < 0 else sizes[row]
        found.append((row, Step(start, place, added, is_valid, is_accepted, probability, reward)))
        sizes[row] += added >= 0 and is_accepted
    return found


def _data(ground: Ground, graphs: Graphs, row: int) -> Data:
    """A graph as the model is given it, without what says which graph of a batch a node is in."""
    packed = ground.classifier.inputs(graphs.take(slice(row, row + 1)))
    tensors = {
        name: value.detach().cpu()
        for name, value in packed.to_dict().items()
        if isinstance(value, Tensor) and name not in ("batch", "ptr")
    }
    return Data(**tensors)


def _origin(graphs: Graphs, row: int) -> Data:
    node_type, edge_index = (each.cpu() for each in graphs.single(row))
    return Data(node_type=node_type, edge_index=edge_index, num_nodes=node_type.numel())
