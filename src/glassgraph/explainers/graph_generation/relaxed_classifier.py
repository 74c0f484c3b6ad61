"""The explained model on relaxed graphs: edges with a weight, nodes of several types in part.

The model runs on complete graphs. Where it reads ``edge_weight`` it is given the weights; else its
messages are multiplied by them. Neither has to be the model's answer on the graph that is meant
when all weights are 0 or 1: a mean over neighbors still counts those that are shut. So both are
held against the classifier's own answers on such graphs, and the nearer one is taken.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.prepare import Preparation
from glassgraph.core.random import uniform
from glassgraph.errors import (
    GlassgraphError,
    HyperParameterError,
    NoGradientError,
    NoMessagePassingError,
    UnsupportedModelError,
)
from glassgraph.explainers.graph_generation.classifier import Classifier
from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.distributions import Draws
from glassgraph.inputs.task import as_matrix, probabilities

#: Share of edges, beside those of a path, in the graphs that relaxations are tried on.
_EXTRA = 0.3
#: Of a probability; a relaxation that is nearer than this need not be held against another.
_CLOSE = 1e-4
_STREAM = -5


class RelaxedClassifier(ABC):
    """The model on B relaxed graphs of V nodes at once.

    Args:
        classifier: the model on graphs.
        count: B.
        max_nodes: V.
        num_types: K.

    Attributes:
        gap: largest difference of a probability on graphs from the classifier's own; set by
            `relax`.
    """

    def __init__(self, classifier: Classifier, count: int, max_nodes: int, num_types: int) -> None:
        self.classifier, self.count, self.max_nodes = classifier, count, max_nodes
        self.table = _feature_table(classifier, num_types)
        self.gap = 0.0
        first, second = torch.triu_indices(max_nodes, max_nodes, offset=1)
        self._pair = torch.zeros((max_nodes, max_nodes), dtype=torch.long)
        self._pair[first, second] = self._pair[second, first] = torch.arange(first.numel())
        self._pair = self._pair.to(classifier.device)

    @abstractmethod
    def output(self, draws: Draws) -> Tensor:
        """What the model returns, ``[B, C]``, differentiable in edges and types.

        Raises:
            NoGradientError: if messages have no gradient.
        """

    def features(self, draws: Draws) -> Tensor:
        """What nodes carry, ``[B * V, F]``: a mean over types, or the sum of a node's edges."""
        if self.classifier.features == "degree":
            degree = draws.edge.new_zeros((len(draws.edge), self.max_nodes))
            for ends in torch.triu_indices(self.max_nodes, self.max_nodes, offset=1):
                degree = degree.index_add(1, ends.to(degree.device), draws.edge)
            return degree.flatten()[:, None]
        return draws.node_type.flatten(0, 1) @ self.table

    def weights(self, draws: Draws, graph: Tensor, source: Tensor, destination: Tensor) -> Tensor:
        """``[e]`` weights of edges, given by their graph and their ends among its V nodes."""
        return draws.edge[graph, self._pair[source, destination]]


class WeightedEdges(RelaxedClassifier):
    """Relaxed edges are the ``edge_weight`` that the model reads."""

    def __init__(self, classifier: Classifier, count: int, max_nodes: int, num_types: int) -> None:
        super().__init__(classifier, count, max_nodes, num_types)
        graphs = _complete(count, max_nodes, num_types, classifier.device)
        self._data: Any = classifier.inputs(graphs)
        ends = self._data.edge_index
        self._graph, self._ends = ends[0] // max_nodes, ends % max_nodes

    def output(self, draws: Draws) -> Tensor:
        """See `RelaxedClassifier.output`."""
        data = copy.copy(self._data)
        data.x = self.features(draws)
        data.edge_weight = self.weights(draws, self._graph, *self._ends)
        return as_matrix(self.classifier.call(data), self.count, "graph")


class GatedMessages(RelaxedClassifier):
    """Relaxed edges are gates on the model's messages.

    Raises:
        GlassgraphError: if the model sends no messages, or they cannot be changed.
    """

    def __init__(self, classifier: Classifier, count: int, max_nodes: int, num_types: int) -> None:
        super().__init__(classifier, count, max_nodes, num_types)
        graph = _complete(1, max_nodes, num_types, classifier.device)
        whole = classifier.inputs(graph).to_dict()
        own = {name: value for name, value in whole.items() if name not in ("batch", "ptr")}
        graphs = [Data(**own) for _ in range(count)]
        model = classifier.call.model
        self._batch = _batch_of(Preparation.read(model, classifier.call, classifier.task, graphs))
        fields = self._batch.fields
        self._graph = fields.edge_instance
        self._ends = (fields.source % max_nodes, fields.destination % max_nodes)

    def output(self, draws: Draws) -> Tensor:
        """See `RelaxedClassifier.output`."""
        gates = self.weights(draws, self._graph, *self._ends)
        return self._batch.output(gates.to(self._batch.dtype), [self.features(draws)])


def _batch_of(preparation: Preparation) -> InstanceBatch:
    instances = preparation.instances(None)
    found = [batch for _, batch in preparation.batches(instances, None, None)]
    if len(found) != 1 or found[0].is_whole:
        raise UnsupportedModelError("the model's messages cannot be gated in many graphs at once")
    return found[0]


def relax(
    classifier: Classifier, count: int, max_nodes: int, num_types: int, seed: int
) -> RelaxedClassifier:
    """The relaxation whose answers on graphs are nearest to the classifier's.

    Call it inside ``protected(model)``.

    Args:
        classifier: the model on graphs.
        count: graphs at once.
        max_nodes: V.
        num_types: K.
        seed: seed of the graphs that relaxations are tried on.

    Raises:
        HyperParameterError: if features depend on edges in a way that cannot be relaxed.
        UnsupportedModelError: if the model neither sends messages nor reads ``edge_weight``.
    """
    size = (count, max_nodes, num_types)
    found: list[RelaxedClassifier] = []
    if _reads_weights(classifier, max_nodes, num_types):
        found.append(_tried(WeightedEdges(classifier, *size), num_types, seed))
    if not found or not found[0].gap <= _CLOSE:
        try:
            found.append(_tried(GatedMessages(classifier, *size), num_types, seed))
        except (NoMessagePassingError, NoGradientError, UnsupportedModelError) as error:
            if not found:
                raise _not_relaxable(error) from error
    return min(found, key=lambda each: each.gap if each.gap == each.gap else torch.inf)


def _not_relaxable(error: GlassgraphError) -> UnsupportedModelError:
    return UnsupportedModelError(
        "the model has to answer graphs whose edges are there in part: by messages that can be "
        "changed (layers of torch_geometric.nn), or by an argument edge_weight. This one does "
        f"neither ({error}). xgnn only calls the model"
    )


def _reads_weights(classifier: Classifier, max_nodes: int, num_types: int) -> bool:
    """Whether the model names ``edge_weight``, and nobody else fills it."""
    if "edge_weight" not in classifier.call.argument_names:
        return False
    graph = _complete(1, max_nodes, num_types, classifier.device)
    return "edge_weight" not in classifier.inputs(graph)


@torch.no_grad()
def _tried(relaxed: RelaxedClassifier, num_types: int, seed: int) -> RelaxedClassifier:
    """The relaxation, with its gap measured on connected graphs of all sizes of edge sets."""
    where, size, classifier = relaxed.classifier.device, relaxed.max_nodes, relaxed.classifier
    row = torch.arange(relaxed.count, device=where)[:, None]
    first, second = torch.triu_indices(size, size, offset=1, device=where)
    number = uniform(seed, _STREAM, 0, row, torch.arange(first.numel(), device=where))
    is_there = (number < _EXTRA) | (second == first + 1)
    kind = uniform(seed, _STREAM, 1, row, torch.arange(size, device=where)) * num_types
    node_type = kind.long()
    adjacency = torch.zeros((relaxed.count, size, size), dtype=torch.bool, device=where)
    adjacency[:, first, second] = is_there
    graphs = DenseGraphs(node_type, adjacency | adjacency.transpose(1, 2), num_types)
    types = torch.eye(num_types, dtype=classifier.dtype, device=where)[node_type]
    found = relaxed.output(Draws(is_there.to(classifier.dtype), types))
    difference = probabilities(classifier.task, found) - classifier(graphs)
    relaxed.gap = float(difference.abs().max())
    return relaxed


def _complete(count: int, max_nodes: int, num_types: int, where: torch.device) -> DenseGraphs:
    """Graphs in which every node is joined to every other; types are not looked at."""
    node_type = torch.zeros((count, max_nodes), dtype=torch.long, device=where)
    apart = ~torch.eye(max_nodes, dtype=torch.bool, device=where)
    return DenseGraphs(node_type, apart.expand(count, -1, -1).clone(), num_types)


def _feature_table(classifier: Classifier, num_types: int) -> Tensor:
    """``[K, F]`` what a node of each type carries.

    Raises:
        HyperParameterError: if a function of the user makes it depend on edges.
    """
    where, features = classifier.device, classifier.features
    if features == "one_hot":
        return torch.eye(num_types, dtype=classifier.dtype, device=where)
    if not callable(features):
        return torch.ones((num_types, 1), dtype=classifier.dtype, device=where)
    kind = torch.arange(num_types, device=where).repeat_interleave(4)
    first, second = torch.arange(kind.numel(), device=where).view(-1, 2).t()
    pairs = torch.stack([torch.cat([first, second]), torch.cat([second, first])])
    ring = torch.stack([kind.new_tensor(range(kind.numel())), kind.new_tensor(range(kind.numel()))])
    ring[1] = ring[1].roll(1)
    paired = features(kind, pairs)
    again = features(kind, torch.cat([ring, ring.flip(0)], dim=1))
    is_alike = paired.shape == again.shape and torch.equal(paired, again)
    if not is_alike or not paired.is_floating_point():
        raise HyperParameterError(
            "gnn_interpreter: features has to depend on node types alone, and be floating-point, "
            "so that a node may be of several types in part; this function's values change with "
            f"the edges, or are {paired.dtype}. features='degree' is relaxed; xgnn takes any"
        )
    return paired[::4]
