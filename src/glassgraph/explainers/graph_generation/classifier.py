"""The explained model as a function from generated graphs to class probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from glassgraph.calling.call import Call, ModelCall
from glassgraph.calling.out_of_memory import let_through
from glassgraph.errors import HyperParameterError, ModelCallError, TaskError, UnsupportedModelError
from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.inputs.task import Task, as_matrix, probabilities

FeatureName = Literal["one_hot", "degree", "constant"]
#: ``features(node_type [n], edge_index [2, e]) -> x [n, F]``.
Features = FeatureName | Callable[[Tensor, Tensor], Tensor]
#: ``decorate(data) -> data`` adds what else the model reads, such as ``edge_attr``.
Decorate = Callable[[Data], Data]

#: Graphs that the model sees in one call.
GRAPHS_AT_ONCE = 8192
#: Of a probability; a larger difference between a graph alone and among others is a finding.
_TOLERANCE = 1e-3


class Classifier:
    """Class probabilities of packed graphs.

    Args:
        model: a module or a function that returns one row per graph.
        task: level graph, classification.
        features: what nodes carry: ``"one_hot"`` types, ``"degree"`` or ``"constant"`` (one column
            each), or a function of node types and edges.
        decorate: adds further attributes to the packed graph.
        call: how to call the model.

    Raises:
        TaskError: for a regression, or another level.
        HyperParameterError: for features that are not understood.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        features: Features = "one_hot",
        decorate: Decorate | None = None,
        call: Call | None = None,
    ) -> None:
        if task.level != "graph" or not task.is_classification:
            raise TaskError(
                "graphs are generated for a class of a graph classifier; got level "
                f"{task.level!r} and mode {task.mode!r}"
            )
        if not callable(features) and features not in get_args(FeatureName):
            words = ", ".join(map(repr, get_args(FeatureName)))
            raise HyperParameterError(
                f"features must be one of {words} or a function (node_type, edge_index) -> x; got "
                f"{features!r}"
            )
        self.task = task
        self.features = features
        self.decorate = decorate
        self.num_classes = 0
        self.call = ModelCall(model, call)
        floating = [each for each in model.parameters() if each.is_floating_point()]
        self.dtype = floating[0].dtype if floating else torch.get_default_dtype()
        self.device = floating[0].device if floating else torch.device("cpu")

    def inputs(self, graphs: DenseGraphs) -> Data:
        """What the model is given: one disjoint graph with ``x``, ``edge_index``, ``batch``.

        Raises:
            HyperParameterError: if ``features`` returns something else than a row per node.
        """
        node_type, edge_index, batch = graphs.pack()
        x = self._features(node_type, edge_index, graphs.num_types)
        if not isinstance(x, Tensor) or x.dim() < 1 or x.size(0) != node_type.numel():
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise HyperParameterError(
                f"features must return one row for each of {node_type.numel()} nodes; got {got}"
            )
        num_nodes = graphs.num_nodes
        data = Batch(
            x=x,
            edge_index=edge_index,
            node_type=node_type,
            batch=batch,
            ptr=torch.cat([num_nodes.new_zeros(1), num_nodes.cumsum(0)]),
        )
        return data if self.decorate is None else self.decorate(data)

    def _features(self, node_type: Tensor, edge_index: Tensor, num_types: int) -> Tensor:
        if callable(self.features):
            return self.features(node_type, edge_index)
        if self.features == "one_hot":
            return torch.eye(num_types, dtype=self.dtype, device=self.device)[node_type]
        column = torch.ones(node_type.numel(), 1, dtype=self.dtype, device=self.device)
        if self.features == "constant":
            return column
        degree = torch.bincount(edge_index[0], minlength=node_type.numel())
        return degree.to(self.dtype)[:, None]

    @torch.no_grad()
    def __call__(self, graphs: DenseGraphs) -> Tensor:
        """``[B, C]`` probabilities.

        Raises:
            ModelOutputError: if there is not one row per graph.
        """
        found = [torch.zeros(0, self.num_classes, dtype=self.dtype, device=self.device)]
        for first in range(0, len(graphs), GRAPHS_AT_ONCE):
            part = graphs.take(slice(first, first + GRAPHS_AT_ONCE))
            output = as_matrix(self.call(self.inputs(part)), len(part), "graph")
            found.append(probabilities(self.task, output))
        return torch.cat(found[1:] or found)

    def probe(self, graphs: DenseGraphs) -> None:
        """Ask about a few graphs, together and alone; `num_classes` is known from then on.

        Raises:
            ModelCallError: if the model fails on such graphs, most often for the feature width.
            UnsupportedModelError: if a graph's probabilities depend on the others in the call.
        """
        data = self.inputs(graphs)
        x: Any = data.x
        self.call = self.call.ways(data)[0]
        try:
            together = self(graphs)
        except (RuntimeError, IndexError, TypeError, AttributeError, KeyError) as error:
            let_through(error)
            if isinstance(error, ModelCallError):
                raise
            raise ModelCallError(
                f"the model fails on generated graphs, whose x has shape {tuple(x.shape)} "
                f"(features={self._features_name()}, {graphs.num_types} node types): {error}. Give "
                "the features that it was trained on: node_types=[...] in the order of its "
                'columns, features="degree", "constant" or a function (node_type, edge_index) '
                "-> x, and decorate=... for other attributes"
            ) from error
        alone = torch.cat([self(graphs.take(slice(row, row + 1))) for row in range(len(graphs))])
        tolerance = max(_TOLERANCE, 4 * self.call.half_rounding)
        if not torch.allclose(together, alone, rtol=0.0, atol=tolerance, equal_nan=True):
            raise UnsupportedModelError(
                "the model's answer for a graph changes with the other graphs in the call (or from "
                "call to call); generated graphs are evaluated side by side, so it has to keep "
                "them apart by `batch`"
            )
        if not torch.isfinite(together).all():
            raise UnsupportedModelError("the model's probabilities of small graphs are not finite")
        self.num_classes = together.size(1)

    def _features_name(self) -> str:
        if not callable(self.features):
            return repr(self.features)
        return getattr(self.features, "__name__", type(self.features).__name__)
