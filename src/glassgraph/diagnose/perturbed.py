"""Predictions explained again on graphs that are changed a little, where they stay what they were.

Every instance gets a changed graph of its own. Predictions about graphs are made and explained side
by side, all others one at a time: two changed copies of a graph in one call would be one graph to a
model that looks across it.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.utils import is_undirected

from glassgraph.calling.protect import protected
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import UnsupportedModelError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.constant import ConstantScoresWarning
from glassgraph.inputs.task import Target, Task, probabilities
from glassgraph.results.records import LocalExplanation
from glassgraph.results.type_names import edge_type_words

#: ``change(graph, field, generator)``: a changed copy, None where there is none. ``field`` is the
#: explanation whose nodes are in question, None for all nodes of the graph.
Change: TypeAlias = "Callable[[Any, LocalExplanation | None, torch.Generator], Any | None]"
#: How often a pair of nodes is drawn before all of them count as joined.
_PAIRS_DRAWN = 200


@dataclass
class Perturbed:
    """Explanations of predictions, and of the same predictions on changed graphs.

    Attributes:
        explainer: the method on its model.
        data: the explained graph(s).
        index: which predictions.
        target: the explained class.
        most: largest change of a probability; None where the decision alone has to stay.
        tolerance: of a regression, largest change of the value as a share of it.
        tries: how often a draw is made anew.
        seed: of the draws.
        originals: the B explanations of the unchanged graph(s).
    """

    explainer: Explainer
    data: Any
    index: Any
    target: Target
    most: float | None
    tolerance: float
    tries: int
    seed: int
    originals: list[LocalExplanation] = field(init=False)

    def __post_init__(self) -> None:
        if isinstance(self.data, Batch):
            self.data = self.data.to_data_list()
        elif not isinstance(self.data, Data | HeteroData):
            self.data = [self.data[i] for i in range(len(self.data))]
        found = self.explainer.explain(self.data, self.index, self.target)
        self.originals = [found.local(i) for i in range(len(found))]
        self._task = self.explainer.prepare(self.data).task
        everyone = list(range(len(self.originals)))
        self._outputs = self._predicted(
            self.data, [_own_index(local) for local in self.originals], self._classes(everyone)
        )

    def explained(self, change: Change, draw: int) -> tuple[list[LocalExplanation | None], Tensor]:
        """Explanations under an accepted draw of a change, None where there is none.

        Returns:
            The B explanations, on the original edges; and ``[B]`` how many draws were rejected.
        """
        found: list[LocalExplanation | None] = [None] * len(self.originals)
        rejected = torch.zeros(len(self.originals), dtype=torch.float64)
        pending = list(range(len(self.originals)))
        for attempt in range(self.tries):
            drawn = [
                (i, graph)
                for i in pending
                if (graph := self._changed(change, i, draw, attempt)) is not None
            ]
            pending = []
            for members, data, index in self._jobs(drawn):
                outputs = self._predicted(data, index, self._classes(members))
                kept = [
                    place
                    for place, (i, output) in enumerate(zip(members, outputs, strict=True))
                    if self._stays(self._outputs[i], output)
                ]
                for place, local in zip(kept, self._again(data, index, members, kept), strict=True):
                    found[members[place]] = local
                lost = [i for place, i in enumerate(members) if place not in kept]
                rejected[lost] += 1
                pending += lost
        return found, rejected

    def _changed(self, change: Change, instance: int, draw: int, attempt: int) -> Any | None:
        """The graph of an instance under a draw, which depends on nothing but its numbers."""
        local = self.originals[instance]
        address = [self.seed % 2**64, local.index, local.graph, draw, attempt]
        number = int(np.random.SeedSequence(address).generate_state(1, np.uint64)[0])
        generator = torch.Generator().manual_seed(number % 2**63)
        field = None if self._task.level == "graph" else local
        return change(self._graph_of(instance), field, generator)

    def _jobs(self, drawn: list[tuple[int, Any]]) -> Iterator[tuple[list[int], Any, list[Any]]]:
        """Instances that go into one call, with their data and index."""
        if self._task.level == "graph" and self._task.rows is None:
            if drawn:
                members, graphs = [i for i, _ in drawn], [graph for _, graph in drawn]
                yield members, graphs, list(range(len(graphs)))
            return
        for instance, graph in drawn:
            local, data = self.originals[instance], graph
            if isinstance(self.data, list):
                data = [*self.data[: local.graph], graph, *self.data[local.graph + 1 :]]
            yield [instance], data, [_own_index(local)]

    def _again(
        self, data: Any, index: list[Any], members: list[int], kept: list[int]
    ) -> list[LocalExplanation]:
        """Explanations of those whose prediction stays, without the edges that were added."""
        if not kept:
            return []
        own = [members[place] for place in kept]
        with warnings.catch_warnings():
            # What there is to say of the model has been said of the unchanged graph.
            warnings.simplefilter("ignore", FallbackWarning)
            warnings.simplefilter("ignore", ConstantScoresWarning)
            run = self.explainer.explain(data, [index[at] for at in kept], self._classes(own))
        return [
            _on_original_edges(run.local(number), self._graph_of(instance))
            for number, instance in enumerate(own)
        ]

    def _graph_of(self, instance: int) -> Any:
        number = self.originals[instance].graph
        return self.data[number] if isinstance(self.data, list) else self.data

    def _classes(self, instances: Sequence[int]) -> Target:
        """What was explained, to be explained again."""
        if isinstance(self.target, tuple) or not instances:
            return self.target
        chosen = []
        for i in instances:
            local = self.originals[i]
            if local.rows is not None:
                chosen.append(local.rows["target"])
            elif isinstance(local.target, int):
                chosen.append(torch.tensor([local.target]))
            else:
                return self.target
        return torch.cat(chosen)

    def _predicted(self, data: Any, index: list[Any], target: Target) -> list[Tensor]:
        """Probabilities, or values of a regression, ``[rows, C]`` of each instance."""
        if not index:
            return []
        explainer = self.explainer
        preparation = explainer.prepare(data)
        instances = preparation.instances(index)
        found: list[Tensor] = [torch.empty(0)] * len(index)
        with protected(explainer.model), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FallbackWarning)
            for position, batch in preparation.batches(instances, target, explainer.memory_budget):
                for number, place in enumerate(position.tolist()):
                    rows = batch.reference_of(torch.tensor([number], device=batch.device))
                    found[place] = probabilities(batch.task, rows).double().cpu()
        return found

    def _stays(self, before: Tensor, after: Tensor) -> bool:
        """Whether a prediction is what it was."""
        if before.shape != after.shape:
            return False
        if not self._task.is_classification:
            return bool(((after - before).abs() <= self.tolerance * before.abs()).all())
        if self.most is not None and float((after - before).abs().max()) > self.most:
            return False
        return torch.equal(_decided(self._task, before), _decided(self._task, after))


def _decided(task: Task, probability: Tensor) -> Tensor:
    """The classes that are decided for: one of a row, or several that are more likely than not."""
    if task.mode == "binary_classification" and probability.size(1) > 1:
        return probability > 0.5
    return probability.argmax(dim=1)


def _own_index(local: LocalExplanation) -> Any:
    """The number of an instance; of a single row of a graph, both."""
    if local.rows is not None and local.rows["row"].numel() == 1:
        return (local.index, int(local.rows["row"]))
    return local.index


def _on_original_edges(local: LocalExplanation, graph: Any) -> LocalExplanation:
    """An explanation without the edges that were added behind those of the graph."""
    if local.edge_type is None:
        original = local.edge_id < graph.edge_index.size(1)
        kinds = None
    else:
        words = edge_type_words(graph.edge_types)
        count = {
            word: graph[kind].edge_index.size(1)
            for word, kind in zip(words, graph.edge_types, strict=True)
        }
        most = torch.tensor([count[word] for word in local.edge_type], dtype=torch.long)
        original = local.edge_id < most
        kinds = [word for word, own in zip(local.edge_type, original.tolist(), strict=True) if own]
    return replace(
        local,
        edge_id=local.edge_id[original],
        edge_type=kinds,
        edge_index=local.edge_index[:, original],
        edge_score=None if local.edge_score is None else local.edge_score[original],
        layer_edge_score=(
            None if local.layer_edge_score is None else local.layer_edge_score[:, original]
        ),
        edge_truth=None,
        edge_names=None,
    )


def feature_noise(radius: float) -> Change:
    """Noise within a ball around the features of each node.

    Args:
        radius: of the ball, as a share of the root mean square of the norms of the graph's nodes.

    Raises:
        UnsupportedModelError: by the change, where no features are floating.
    """

    def change(graph: Any, _: LocalExplanation | None, generator: torch.Generator) -> Any:
        changed, is_moved = copy.copy(graph), False
        for store in changed.node_stores if isinstance(changed, HeteroData) else [changed]:
            x = store.get("x", None)
            if isinstance(x, Tensor) and x.is_floating_point() and x.numel():
                store["x"] = x + _in_ball(x, radius, generator)
                is_moved = True
        if not is_moved:
            raise UnsupportedModelError(
                "noise moves features that are floating numbers, and this graph has none under the "
                "name x; ask for stability under 'edges' or 'seeds'"
            )
        return changed

    return change


def _in_ball(x: Tensor, radius: float, generator: torch.Generator) -> Tensor:
    """A vector for each row, evenly from a ball."""
    flat = x.detach().cpu().double().view(x.size(0), -1)
    size = radius * flat.square().sum(dim=1).mean().sqrt()
    direction = torch.randn(flat.shape, generator=generator, dtype=torch.float64)
    direction /= direction.norm(dim=1, keepdim=True).clamp_min(1e-300)
    length = torch.rand(flat.size(0), 1, generator=generator, dtype=torch.float64)
    length = length ** (1 / flat.size(1))
    return (size * length * direction).view(x.shape).to(x)


def added_edges(number: int) -> Change:
    """Random edges between nodes that are not joined; None where there are too few such pairs.

    Args:
        number: of pairs of nodes; on an undirected graph both directions are one.

    Raises:
        UnsupportedModelError: by the change, where a graph has no ``edge_index``.
    """

    def change(
        graph: Any, field: LocalExplanation | None, generator: torch.Generator
    ) -> Any | None:
        changed, both = copy.copy(graph), _is_both_ways(graph)
        for _ in range(number):
            store, kind = _drawn_store(changed, generator)
            sources, targets = _candidates(changed, field, kind)
            pair = _free_pair(store.edge_index, sources, targets, kind, generator)
            if pair is None:
                return None
            _append(store, pair, generator, is_both_ways=both)
        return changed

    return change


def _is_both_ways(graph: Any) -> bool:
    """Whether every edge of a graph without types has its opposite, whatever their attributes."""
    ends = graph.get("edge_index", None) if isinstance(graph, Data) else None
    if not isinstance(ends, Tensor) or not ends.numel():
        return False
    return bool(is_undirected(ends, num_nodes=graph.num_nodes))


def _drawn_store(graph: Any, generator: torch.Generator) -> tuple[Any, Any]:
    """Where an edge is added: a type that has edges, by their number; and the type."""
    if not isinstance(graph, HeteroData):
        if not isinstance(graph.get("edge_index", None), Tensor):
            raise UnsupportedModelError(
                "edges are added to edge_index, which this graph lacks; give data.edge_index, or "
                "ask for stability under 'noise' or 'seeds'"
            )
        return graph, None
    kinds = graph.edge_types
    size = torch.tensor([float(graph[kind].edge_index.size(1)) for kind in kinds])
    if not bool(size.any()):
        size = torch.ones_like(size)
    kind = kinds[int(torch.multinomial(size, 1, generator=generator))]
    return graph[kind], kind


def _candidates(graph: Any, field: LocalExplanation | None, kind: Any) -> tuple[Tensor, Tensor]:
    """Nodes where an edge may begin, and where it may end."""
    if kind is None:
        nodes = torch.arange(graph.num_nodes) if field is None else field.node_id
        return nodes, nodes
    found = []
    for name in (kind[0], kind[2]):
        if field is None:
            found.append(torch.arange(graph[name].num_nodes))
        else:
            own = [each == name for each in field.node_type or ()]
            found.append(field.node_id[torch.tensor(own, dtype=torch.bool)])
    return found[0], found[1]


def _free_pair(
    edge_index: Tensor, sources: Tensor, targets: Tensor, kind: Any, generator: torch.Generator
) -> Tensor | None:
    """Two nodes that are not joined, ``[2]``."""
    if not sources.numel() or not targets.numel():
        return None
    # Within a type an edge from a node to itself is no new neighbor.
    is_within = kind is None or kind[0] == kind[2]
    ends = edge_index.cpu()
    for _ in range(_PAIRS_DRAWN):
        source = sources[int(torch.randint(sources.numel(), (1,), generator=generator))]
        target = targets[int(torch.randint(targets.numel(), (1,), generator=generator))]
        if is_within and int(source) == int(target):
            continue
        joined = (ends[0] == source) & (ends[1] == target)
        if not bool(joined.any()):
            return torch.stack([source, target])
    return None


def _append(store: Any, pair: Tensor, generator: torch.Generator, *, is_both_ways: bool) -> None:
    """Add an edge behind the others, with the attributes of one drawn at random."""
    size = store.edge_index.size(1)
    new = torch.stack([pair, pair.flip(0)], dim=1) if is_both_ways else pair.view(2, 1)
    like = int(torch.randint(max(1, size), (1,), generator=generator))
    for key in [key for key in store.keys() if _is_of_edges(store, key, size)]:  # noqa: SIM118
        value = store[key]
        row = value[like : like + 1] if size else value.new_zeros(1, *value.shape[1:])
        store[key] = torch.cat([value, row.expand(new.size(1), *value.shape[1:])])
    store.edge_index = torch.cat([store.edge_index, new.to(store.edge_index)], dim=1)


def _is_of_edges(store: Any, key: str, size: int) -> bool:
    """Whether an attribute has a row for each edge."""
    value = store[key]
    if not isinstance(value, Tensor) or value.dim() == 0 or value.size(0) != size:
        return False
    return "index" not in key and not key.startswith("edge_label") and bool(store.is_edge_attr(key))
