"""Samples of the variables: which nodes are perturbed, and which predictions change then.

Predictions of nodes share their samples: many explanations cost little more than one. Links and
graphs have samples of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glassgraph.black_box.variants import Variants, node_output
from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.surrogate.graphical_model.changes import drop, has_changed
from glassgraph.explainers.surrogate.graphical_model.independence import Tests, independence_tests
from glassgraph.explainers.surrogate.graphical_model.perturbation import (
    Perturbation,
    PerturbationMode,
)
from glassgraph.inputs.receptive import Fields, receptive_fields, whole_graphs
from glassgraph.inputs.rows import mean_rows
from glassgraph.inputs.task import probabilities


@dataclass(frozen=True)
class Sampling:
    """How samples are drawn.

    Attributes:
        num_samples: their number R.
        mode: what features of perturbed nodes become.
        probability: how likely a node is perturbed.
        min_drop: how far a probability has to fall; None for what the paper takes.
        has_influence: of node tasks, whether variables hold changes of neighbors' predictions.
        seed: of all random numbers.
        budget: bytes that one pass may take.
    """

    num_samples: int
    mode: PerturbationMode
    probability: float
    min_drop: float | None
    has_influence: bool
    seed: int
    budget: int

    def perturb(
        self, batch: InstanceBatch, stream: int = 0, may_change: Tensor | None = None
    ) -> Perturbation:
        """Perturbed features of instances, the same in all of them for node tasks."""
        return Perturbation(
            batch,
            self.mode,
            self.probability,
            self.num_samples,
            self.seed,
            stream,
            may_change,
            is_shared=batch.task.level == "node",
        )


@dataclass(frozen=True)
class Samples:
    """Values ``[n, R]`` of the nodes, ``[B, R]`` of the predictions, and their tests."""

    code: Tensor
    target: Tensor
    tests: Tests


def draw_samples(
    batch: InstanceBatch, sampling: Sampling, stream: int, may_change: Tensor | None
) -> Samples:
    """Samples of links or graphs.

    Args:
        batch: the instances.
        sampling: how they are drawn.
        stream: different numbers draw different samples.
        may_change: ``[n]`` which nodes are perturbed at all; None for all.
    """
    drawn, targets = sampling.perturb(batch, stream, may_change), batch.targets
    found = torch.cat(list(drawn.outputs(Variants(batch, sampling.budget))))
    fall = drop(batch.task, batch.reference, found, targets.chosen, targets.contrast)
    mean_fall = mean_rows(targets.rows, fall.t())
    target = has_changed(batch.task, mean_fall, sampling.min_drop).to(torch.int8)
    code = drawn.is_perturbed.to(torch.int8)
    return Samples(code, target, independence_tests(code, target[batch.node_instance]))


@dataclass(frozen=True)
class SharedSamples:
    """Samples that many explained nodes share.

    Attributes:
        node: ``[u]`` the user's nodes, ascending.
        perturbed: ``[u, R]`` which are perturbed.
        changed: ``[k, u, R]`` whether their prediction has changed, in each of k columns.
        column: ``[B]`` which of them is meant.
        target: ``[B, R]`` whether the explained prediction has changed.
        has_influence: whether variables hold changes of neighbors' predictions.
    """

    node: Tensor
    perturbed: Tensor
    changed: Tensor
    column: Tensor
    target: Tensor
    has_influence: bool

    def of(self, chosen: Tensor, batch: InstanceBatch) -> Samples:
        """The samples of some of the instances."""
        owner, seed = batch.node_instance, batch.fields.seed[:, 0]
        at = torch.searchsorted(self.node, batch.fields.node.contiguous())
        perturbed, target = self.perturbed[at].to(torch.int8), self.target[chosen].to(torch.int8)
        if not self.has_influence:
            return Samples(perturbed, target, independence_tests(perturbed, target[owner]))
        code = 2 * perturbed + self.changed[self.column[chosen][owner], at].to(torch.int8)
        code[seed] = 2 * perturbed[seed] + target
        one, other = code.clone(), code[seed][owner]
        one[seed], other[seed] = perturbed[seed], target
        other[~target.bool().any(dim=1)[owner]] = 0
        return Samples(code, code[seed], independence_tests(one, other))


def draw_shared_samples(batch: InstanceBatch, sampling: Sampling) -> SharedSamples:
    """Samples for all explained nodes, on everything that their neighbors' predictions need."""
    around = _surroundings(batch, 2 if sampling.has_influence else 1)
    drawn = sampling.perturb(around)
    name, task, targets = batch.task.node_type, batch.task, batch.targets
    nodes = around.packed.node_position[0 if name is None else batch.graph.type_position(name)]
    asked = torch.searchsorted(
        around.fields.node[nodes], batch.fields.node[batch.fields.seed[:, 0]].contiguous()
    )
    reference = node_output(around)
    classes, column = _classes(batch, reference)
    falls: list[list[Tensor]] = [[] for _ in classes]
    asked_falls = []
    for output in drawn.outputs(Variants(around, sampling.budget), everywhere=True):
        for found, own in zip(falls, classes, strict=True):
            found.append(drop(task, reference, output, own, None))
        explained = reference[asked], output[:, asked]
        asked_falls.append(drop(task, *explained, targets.chosen, targets.contrast))
    shape = (len(falls), *drawn.is_perturbed.shape)
    changed = torch.zeros(shape, dtype=torch.bool, device=batch.device)
    for number, found in enumerate(falls):
        changed[number, nodes] = has_changed(task, torch.cat(found).t(), sampling.min_drop)
    return SharedSamples(
        node=around.fields.node,
        perturbed=drawn.is_perturbed,
        changed=changed,
        column=column,
        target=has_changed(task, torch.cat(asked_falls).t(), sampling.min_drop),
        has_influence=sampling.has_influence,
    )


def _surroundings(batch: InstanceBatch, times: int) -> InstanceBatch:
    """One field around all explained nodes, some times as wide as theirs."""
    if batch.is_whole:
        return batch
    seeds = torch.unique(batch.fields.node[batch.fields.seed]).view(1, -1)
    hops, both = times * batch.wiring.num_hops, batch.wiring.needs_both_directions
    if batch.keeps_graphs:
        fields = _whole_graphs_around(batch, seeds)
    else:
        fields = receptive_fields(batch.graph, seeds, hops, both)
    one = replace(fields, seed=fields.seed[:, :1].contiguous())
    return batch.with_fields(one, seeds.new_zeros(1))


def _whole_graphs_around(batch: InstanceBatch, seeds: Tensor) -> Fields:
    """The graphs of nodes ``[1, S]``, whole, as one field."""
    owner = batch.graph.node_graph
    assert owner is not None  # there are several graphs, or none would have been copied
    fields = whole_graphs(batch.graph, torch.unique(owner[seeds]))
    order = torch.argsort(fields.node)  # within a field nodes and edges ascend
    place = torch.empty_like(order)
    place[order] = torch.arange(order.numel(), device=order.device)
    edges = torch.argsort(fields.edge)
    return replace(
        fields,
        num_instances=1,
        node_instance=torch.zeros_like(fields.node_instance),
        node=fields.node[order],
        edge_instance=torch.zeros_like(fields.edge_instance),
        edge=fields.edge[edges],
        source=place[fields.source[edges]],
        destination=place[fields.destination[edges]],
        seed=torch.searchsorted(fields.node[order], seeds),
    )


def _classes(batch: InstanceBatch, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Classes ``[k, N]`` that are watched at each node, and which of the k ``[B]`` is asked for.

    It is each node's own class; where there is none, the columns that are explained.
    """
    targets, task = batch.targets, batch.task
    is_several = task.mode == "binary_classification" and reference.size(1) > 1
    if is_several or not task.is_classification:
        columns, column = torch.unique(targets.chosen, return_inverse=True)
        return columns.view(-1, 1).expand(-1, reference.size(0)), column
    classes = probabilities(task, reference).argmax(dim=1).view(1, -1)
    return classes, torch.zeros_like(targets.chosen)
