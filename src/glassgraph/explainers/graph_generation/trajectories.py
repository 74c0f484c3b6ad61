"""What happened while graphs grew, and the results that it becomes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.environment import Environment
from glassgraph.explainers.graph_generation.rule import satisfies
from glassgraph.results.model_explanation import GeneratedGraph, Step


@dataclass(frozen=True)
class Transition:
    """One step of those episodes that went on.

    Attributes:
        episode: ``[b]`` which episodes.
        start, end: ``[b]`` moves.
        is_valid, is_accepted: ``[b]``.
        probability: ``[b]`` of the target, NaN where the graph breaks a rule.
        reward: ``[b]``.
        after: all B graphs after the step.
    """

    episode: Tensor
    start: Tensor
    end: Tensor
    is_valid: Tensor
    is_accepted: Tensor
    probability: Tensor
    reward: Tensor
    after: DenseGraphs

    def without(self, episodes: Tensor) -> Transition:
        """The step without some episodes, ``[B]`` bool."""
        kept = ~episodes[self.episode]
        columns = {name: value[kept] for name, value in self.columns().items()}
        return Transition(**columns, after=self.after)

    def columns(self) -> dict[str, Tensor]:
        """What is known of each episode, by name."""
        return {name: value for name, value in vars(self).items() if name != "after"}


@dataclass
class Trajectories:
    """B graphs that grew, from where they began.

    Attributes:
        initial: the graphs at the beginning.
        steps: what happened.
    """

    initial: DenseGraphs
    steps: list[Transition] = field(default_factory=list)

    @property
    def last(self) -> DenseGraphs:
        """The graphs at the end."""
        return self.steps[-1].after if self.steps else self.initial

    def best(self, slack: float) -> tuple[DenseGraphs, Tensor]:
        """Of each episode the graph that it gives, and the step it came by.

        Of the graphs nearly as probable as the best those with the most nodes, of these the first,
        which has the fewest edges. Without an accepted step it is the beginning, step 0.
        """
        graphs = self.initial
        taken, size = torch.zeros_like(graphs.num_nodes), torch.zeros_like(graphs.num_nodes)
        value = torch.full((len(self.steps), len(graphs)), -math.inf, device=taken.device).double()
        for number, step in enumerate(self.steps):
            found = step.probability.double().masked_fill(~step.is_accepted, -math.inf)
            value[number, step.episode] = found
        highest = value.amax(dim=0) if self.steps else value
        for number, step in enumerate(self.steps):
            is_near = (value[number] >= highest - slack) & value[number].isfinite()
            is_chosen = is_near & (step.after.num_nodes > size)
            graphs = step.after.where(is_chosen, graphs)
            size = torch.where(is_chosen, graphs.num_nodes, size)
            taken = torch.where(is_chosen, number + 1, taken)
        return graphs, taken


@torch.no_grad()
def with_probabilities(environment: Environment, trajectories: Trajectories) -> Trajectories:
    """Episodes in which nobody asked the model, with its answers after every valid step."""
    asked = [
        each.after.take(each.episode[each.is_valid])
        for each in trajectories.steps
        if len(each.episode)
    ]
    if not asked:
        return trajectories
    found = environment.target_probability(DenseGraphs.cat(asked)).split(list(map(len, asked)))
    steps = []
    for each, answer in zip(trajectories.steps, found, strict=True):
        probability = each.probability.to(answer.dtype).masked_scatter(each.is_valid, answer)
        steps.append(replace(each, probability=probability))
    return Trajectories(trajectories.initial, steps)


@torch.no_grad()
def generated_graphs(
    environment: Environment,
    trajectories: Trajectories,
    graphs: DenseGraphs,
    taken: Tensor | None,
) -> tuple[GeneratedGraph, ...]:
    """Results, the most probable first.

    Args:
        environment: where they grew.
        trajectories: what happened.
        graphs: the graph that each episode gives.
        taken: ``[B]`` the number of steps that led to it; None for all steps.
    """
    probabilities = environment.classifier(graphs).cpu()
    origin = environment.target_probability(trajectories.initial).tolist()
    kept = satisfies(environment.rules, graphs).tolist()
    steps, passed = _histories(trajectories, taken)
    results = [
        GeneratedGraph(
            data=_data(environment, graphs, row),
            probabilities=probabilities[row],
            keeps_rules=kept[row],
            origin=_origin(trajectories.initial, row),
            origin_probability=origin[row],
            steps=tuple(steps[row]),
            taken=passed[row],
        )
        for row in range(len(graphs))
    ]
    order = probabilities[:, environment.target].argsort(descending=True, stable=True).tolist()
    return tuple(results[row] for row in order)


def _histories(
    trajectories: Trajectories, taken: Tensor | None
) -> tuple[list[list[Step]], list[int]]:
    """The steps of each episode, and how many of its own lead to the graph that it gives."""
    initial = trajectories.initial
    steps: list[list[Step]] = [[] for _ in range(len(initial))]
    passed = [0] * len(initial)
    sizes = initial.num_nodes.tolist()
    limits = [math.inf] * len(initial) if taken is None else taken.tolist()
    for number, transition in enumerate(trajectories.steps, start=1):
        for row, step in _read(transition, sizes, initial.max_nodes):
            steps[row].append(step)
            passed[row] += number <= limits[row]
    return steps, passed


def _read(transition: Transition, sizes: list[int], max_nodes: int) -> list[tuple[int, Step]]:
    """The steps of one round by episode; ``sizes`` is kept up to date."""
    columns: list[Any] = [column.tolist() for column in transition.columns().values()]
    found = []
    for row, start, end, is_valid, is_accepted, probability, reward in zip(*columns, strict=True):
        added = end - max_nodes if end >= max_nodes else -1
        place = end if added < 0 else sizes[row]
        found.append((row, Step(start, place, added, is_valid, is_accepted, probability, reward)))
        sizes[row] += added >= 0 and is_accepted
    return found


def _data(environment: Environment, graphs: DenseGraphs, row: int) -> Data:
    """A graph as the model is given it, without what says which graph of a batch a node is in."""
    packed = environment.classifier.inputs(graphs.take(slice(row, row + 1)))
    tensors = {
        name: value.detach().cpu()
        for name, value in packed.to_dict().items()
        if isinstance(value, Tensor) and name not in ("batch", "ptr")
    }
    return Data(**tensors)


def _origin(graphs: DenseGraphs, row: int) -> Data:
    node_type, edge_index = (each.cpu() for each in graphs.single(row))
    return Data(node_type=node_type, edge_index=edge_index, num_nodes=node_type.numel())
