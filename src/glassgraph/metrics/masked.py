"""The model's outputs under the masks of explanations: gates on messages, factors on features.

A mask on edges multiplies their messages at every layer, one on nodes or features the features of
nodes. Masks may be soft. What an explanation does not speak of counts 0, as in the dense masks that
PyG's metrics are given.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.black_box.callable_module import as_module
from glassgraph.calling.call import Call
from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import UnsupportedModelError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.task import Targets, Task
from glassgraph.metrics.ranked import flat_edges
from glassgraph.metrics.run import check_same_data, prepare
from glassgraph.results.again import explained_again
from glassgraph.results.explanation import Explanations
from glassgraph.results.records import LocalExplanation


@dataclass(frozen=True)
class Masks:
    """Masks of one explanation; None leaves a part of the input as it is.

    Attributes:
        edge: ``[e]`` factor of each edge's messages.
        feature: ``[n, F]``, or ``[n, 1]`` for all features of a node.
    """

    edge: Tensor | None = None
    feature: Tensor | None = None


@dataclass(frozen=True)
class Answers:
    """What the model says of an instance, with and without masks.

    Attributes:
        task: the task.
        targets: the explained class of each row.
        before: ``[rows, C]`` outputs on the graph.
        after: for each set of masks the outputs under it.
    """

    task: Task
    targets: Targets
    before: Tensor
    after: list[Tensor]


def masked_answers(
    explanations: Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    masks: Sequence[Sequence[Masks]],
    *,
    task: str | Task | None,
    call: Call | None,
    memory_budget: int,
) -> list[Answers]:
    """The outputs of the B explained predictions under K sets of masks.

    Args:
        explanations: which predictions.
        model: the explained model; messages are masked inside of it.
        data: the explained graph(s).
        masks: ``[K][B]``.
        task: as in `fidelity`.
        call: how to call the model.
        memory_budget: bytes that one batch may take.

    Raises:
        UnsupportedModelError: if the model cannot be looked into, or features are to be masked that
            are no floating numbers.
        ExplanationFileError: if the explanations are of other data.
        TaskError: if the task has another level than the explanations.
    """
    module = as_module(model)
    found: list[Answers | None] = [None] * len(explanations)
    with protected(module), warnings.catch_warnings():
        # Explaining has told of instances that cannot be cut out; the numbers are right anyhow.
        warnings.simplefilter("ignore", FallbackWarning)
        preparation = prepare(explanations, module, data, task, call, "shut")
        graph = preparation.graph
        check_same_data(explanations, graph.num_nodes, graph.num_edges)
        every = [explanations.local(i) for i in range(len(explanations))]
        instances, targets = explained_again(explanations, preparation)
        batches = preparation.batches(instances, targets.chosen, memory_budget)
        for position, batch in batches if every else ():
            asked = targets.take(position)
            places = position.tolist()
            here = [every[i] for i in places]
            with torch.no_grad():
                after = [_output(batch, here, [row[i] for i in places]) for row in masks]
            for number, place in enumerate(places):
                one = torch.tensor([number], device=batch.device)
                rows = asked.rows_of(one)
                found[place] = Answers(
                    task=batch.task,
                    targets=asked.take(one),
                    before=batch.reference[rows],
                    after=[output[rows] for output in after],
                )
    return [each for each in found if each is not None]


def _output(
    batch: InstanceBatch, explained: Sequence[LocalExplanation], masks: Sequence[Masks]
) -> Tensor:
    gates = features = None
    if masks[0].edge is not None:
        gates = _edge_gates(batch, explained, masks)
    if masks[0].feature is not None:
        features = _masked_features(batch, explained, masks)
    return batch.output(gates=gates, features=features)


def _edge_gates(
    batch: InstanceBatch, explained: Sequence[LocalExplanation], masks: Sequence[Masks]
) -> Tensor:
    """``[e]`` of a batch."""
    keys = [flat_edges(local, batch.graph) for local in explained]
    values = [mask.edge for mask in masks if mask.edge is not None]
    size = batch.graph.num_edges
    own = batch.edge_instance * max(1, size) + batch.fields.edge
    return _placed(own, keys, values, size, batch)[:, 0]


def _masked_features(
    batch: InstanceBatch, explained: Sequence[LocalExplanation], masks: Sequence[Masks]
) -> list[Tensor | None]:
    keys = [_flat_nodes(local, batch.graph) for local in explained]
    values = [mask.feature for mask in masks if mask.feature is not None]
    size = batch.graph.num_nodes
    own = batch.node_instance * max(1, size) + batch.fields.node
    factor = _placed(own, keys, values, size, batch)
    found: list[Tensor | None] = []
    for x, position in zip(batch.features, batch.packed.node_position, strict=True):
        if x is None:
            found.append(None)
            continue
        part = factor[position]
        found.append(x * (part if part.size(1) == 1 else part[:, : x.size(1)].nan_to_num()))
    if all(x is None for x in found):
        raise UnsupportedModelError(
            "features that are no floating numbers cannot be masked; measure over='edge'"
        )
    return found


def _placed(
    own: Tensor, keys: list[Tensor], values: list[Tensor], size: int, batch: InstanceBatch
) -> Tensor:
    """The values ``[entries, F]`` where a batch has their entries, 0 elsewhere."""
    key = torch.cat([each + i * max(1, size) for i, each in enumerate(keys)]).to(own)
    value = torch.cat([each.unsqueeze(1) if each.dim() == 1 else each for each in values])
    value = value.to(batch.reference)
    found = value.new_zeros(own.numel(), value.size(1))
    if key.numel() and own.numel():
        order = torch.argsort(key)
        place = torch.searchsorted(key[order], own).clamp_max(key.numel() - 1)
        known = key[order][place] == own
        found[known] = value[order][place[known]]
    return found


def _flat_nodes(local: LocalExplanation, graph: TypedGraph) -> Tensor:
    """The flat numbers of an explanation's nodes in the whole input."""
    node = local.node_id
    if local.node_type is None:
        return node + int(graph.by_graph[0].pointer[local.graph]) if graph.is_split else node
    starts = dict(zip(map(str, graph.node_types), graph.node_offset, strict=False))
    if graph.is_split:
        earlier = [start[local.graph] for start in graph.typed_starts[0]]
        starts = {
            name: start + before
            for (name, start), before in zip(starts.items(), earlier, strict=True)
        }
    return node + torch.tensor([starts[name] for name in local.node_type], dtype=torch.long)
