"""What an algorithm of PyG's is shown of an instance, and where the scores go that it finds.

PyG's algorithms call ``model(x, edge_index)`` on a whole graph and read one row of what it returns:
`PyGView` is that graph and such a model, around however the user's is called.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.explain.algorithm.utils import clear_masks
from torch_geometric.nn import MessagePassing

from glassgraph.calling.call import ModelCall
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import own_data, single_graph
from glassgraph.core.feature_scores import sum_features
from glassgraph.core.output_rows import select_rows
from glassgraph.errors import PyGAlgorithmError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.pack import everything
from glassgraph.inputs.receptive import Fields, whole_graphs
from glassgraph.inputs.task import Task
from glassgraph.results.records import Attribution

#: Where PyG's layers hold the mask of edges.
_MASK = "_edge_mask"


@contextmanager
def without_masks(model: nn.Module) -> Iterator[None]:
    """Layers without PyG's masks before, and afterwards with all their attributes as they were.

    What PyG leaves behind, a parameter in the place of an attribute, has its next algorithm mask
    nothing (``set_masks`` then makes a new parameter of each mask, which no gradient reaches).
    """
    for module in model.modules():
        if isinstance(module, MessagePassing) and _MASK in module._parameters:
            delattr(module, _MASK)
            setattr(module, _MASK, None)
    before = [(module, _attributes(module)) for module in model.modules()]
    try:
        yield
    finally:
        clear_masks(model)
        for module, attributes in before:
            _restore(vars(module), attributes)


def _attributes(module: nn.Module) -> dict[str, Any]:
    """All attributes; of the dictionaries of parameters, hooks and the like what they hold."""
    return {
        name: (value, dict(value) if isinstance(value, dict) else None)
        for name, value in vars(module).items()
    }


def _restore(now: dict[str, Any], attributes: Mapping[str, Any]) -> None:
    for name in set(now) - set(attributes):
        del now[name]
    for name, (value, held) in attributes.items():
        now[name] = value
        if held is not None and dict(value) != held:
            value.clear()
            value.update(held)


@dataclass(frozen=True)
class PyGView:
    """One instance as PyG's algorithms are given it.

    Attributes:
        model: called as ``model(x, edge_index)``, it returns ``[rows, C]``.
        x: features ``[N, F]``, or of each node type.
        edges: ``[2, E]``, or of each edge type.
        target: ``[rows]`` classes, the explained one in its row; of a regression the values.
        row: ``[1]`` the explained row.
        fields: the graph as one field: where its nodes and edges stand among the user's.
    """

    model: nn.Module
    x: Any
    edges: Any
    target: Tensor
    row: Tensor
    fields: Fields

    @staticmethod
    def of(batch: InstanceBatch, instance: int) -> PyGView:
        """The view of an instance of a batch."""
        graph, task, call = batch.graph, batch.task, batch.model_call
        at, row = int(batch.key[instance]), 0
        if task.level == "graph" and graph.joined is None:
            data = single_graph(graph, at, call, task)
            fields = whole_graphs(graph, torch.tensor([at], device=graph.device))
        else:
            data, fields = own_data(graph, task, call), everything(graph, None)
            row = _row(batch, instance, at)
        chosen = batch.targets.chosen[instance]
        model = _Model(call, graph, task, data, batch.feature_names, int(chosen))
        x, edges = model.given()
        with torch.no_grad():
            output = model(x, edges)
        target = _targets(task, output)
        if task.is_classification:
            target[row] = 1 if model.takes_column else chosen
        place = torch.tensor([row], device=graph.device)
        return PyGView(model, x, edges, target, place, fields)


def _row(batch: InstanceBatch, instance: int, at: int) -> int:
    """Which row of the model's output on the whole graph an instance is."""
    if batch.task.level != "node":
        return at
    seed = int(batch.fields.node[batch.fields.seed[instance, 0]])
    return seed - batch.graph.node_offset[batch.graph.type_position(batch.task.node_type)]


def _targets(task: Task, output: Tensor) -> Tensor:
    """What PyG's ``Explainer`` says the model predicts."""
    if task.mode == "regression":
        return output
    if task.mode == "multiclass_classification":
        return output.argmax(dim=-1)
    return (output > (0 if task.return_type == "raw" else 0.5)).long().view(-1)


class _Model(nn.Module):
    """The user's model on one graph, called with features and edges alone.

    Of regressions with several values, and of several labels, PyG knows nothing: the explained
    column is all that it is shown. Logarithms of a binary model's probability become probabilities.
    """

    def __init__(
        self,
        call: ModelCall,
        graph: TypedGraph,
        task: Task,
        data: Any,
        names: list[str | None],
        column: int,
    ) -> None:
        super().__init__()
        self.inner = call.model  # where PyG finds the layers
        self._call, self._graph, self._task = call, graph, task
        self._data, self._names, self._column = data, names, column
        self.takes_column = False

    def given(self) -> tuple[Any, Any]:
        """Features (zeros where there are none) and edges of the graph."""
        data, graph = self._data, self._graph
        x = [
            torch.zeros(int(store.num_nodes), 1) if name is None else store[name]
            for store, name in zip(graph.node_stores(data), self._names, strict=True)
        ]
        if not graph.is_heterogeneous:
            return x[0], data.edge_index
        edges = {kind: data[kind].edge_index for kind in graph.edge_types}
        return dict(zip(graph.node_types, x, strict=True)), edges

    def forward(self, x: Any, edge_index: Any, *_: Any, **__: Any) -> Tensor:
        """What the user's model returns, as PyG expects it."""
        data, graph = copy.copy(self._data), self._graph
        features = x.values() if isinstance(x, Mapping) else [x]
        for store, name, value in zip(graph.node_stores(data), self._names, features, strict=True):
            if name is not None:
                store[name] = value
        if isinstance(edge_index, Mapping):
            for kind, value in edge_index.items():
                data[kind].edge_index = value
        else:
            data.edge_index = edge_index
        return self._finished(select_rows(self._task, self._call(data), None, None))

    def _finished(self, output: Tensor) -> Tensor:
        mode = self._task.mode
        self.takes_column = mode != "multiclass_classification" and output.size(1) > 1
        if self.takes_column:
            output = output[:, self._column].unsqueeze(1)
        is_log = mode == "binary_classification" and self._task.return_type == "log_probs"
        return output.exp() if is_log else output


class DenseScores:
    """Gathers masks on whole graphs as scores of a batch."""

    def __init__(self, batch: InstanceBatch) -> None:
        self._batch = batch
        self._edge: Tensor | None = None
        self._node: Tensor | None = None
        self._feature: list[Tensor | None] | None = None

    def add(self, instance: int, view: PyGView, explanation: Any) -> None:
        """Take what was found of one instance.

        Raises:
            PyGAlgorithmError: for masks of another shape.
        """
        edges = self._masks(explanation, "edge_mask", self._batch.graph.edge_types)
        nodes = self._masks(explanation, "node_mask", self._batch.graph.node_types)
        if edges is not None:
            self._add_edges(instance, view, edges)
        if nodes is not None:
            self._add_nodes(instance, view, nodes)

    def attribution(self) -> Attribution:
        """The scores of the batch."""
        node, feature = self._node, self._feature
        if feature is not None:
            node = sum_features(self._batch, feature)
        return Attribution(edge=self._edge, node=node, feature=feature)

    def _masks(self, explanation: Any, name: str, kinds: list[Any]) -> list[Tensor] | None:
        """The masks of all types, None where there are none."""
        if not self._batch.graph.is_heterogeneous:
            mask = explanation.get(name)
            return None if mask is None else [self._plain(mask)]
        found = [explanation[kind].get(name) for kind in kinds]
        if all(mask is None for mask in found):
            return None
        return [torch.zeros(0) if mask is None else self._plain(mask) for mask in found]

    def _plain(self, mask: Tensor) -> Tensor:
        return mask.detach().to(self._batch.device, self._batch.dtype)

    def _add_edges(self, instance: int, view: PyGView, masks: list[Tensor]) -> None:
        batch, at = self._batch, view.fields.edge
        offset = torch.tensor(batch.graph.edge_offset, device=at.device)
        sizes = torch.bincount(torch.searchsorted(offset[1:], at, right=True), minlength=len(masks))
        full = batch.reference.new_zeros(batch.graph.num_edges)
        full[at] = torch.cat(
            [
                _of_size(mask.view(-1), n, "edge")
                for mask, n in zip(masks, sizes.tolist(), strict=True)
            ]
        )
        own = batch.edge_instance == instance
        if self._edge is None:
            self._edge = full.new_zeros(batch.num_edges)
        self._edge[own] = full[batch.fields.edge[own]]

    def _add_nodes(self, instance: int, view: PyGView, masks: list[Tensor]) -> None:
        """Masks ``[N, 1]`` are of nodes, wider ones of features."""
        graph, whole = self._batch.graph, view.fields.node
        is_wide = any(self._is_of_features(number, mask) for number, mask in enumerate(masks))
        for number, mask in enumerate(masks):
            first, stop = graph.node_offset[number], graph.node_offset[number + 1]
            at = whole[(whole >= first) & (whole < stop)]
            mask = mask.view(mask.size(0), -1) if mask.numel() else mask.new_zeros(at.numel(), 1)
            if mask.size(0) == 1:  # the same of all nodes
                mask = mask.expand(at.numel(), -1)
            mask = _of_size(mask, at.numel(), "node")
            full = mask.new_zeros(stop - first, mask.size(1))
            full[at - first] = mask
            self._set_nodes(instance, number, full, first, is_wide=is_wide)

    def _is_of_features(self, number: int, mask: Tensor) -> bool:
        features = self._batch.features[number]
        if features is None or not mask.numel():
            return False
        return mask.dim() > 1 and mask[0].numel() == features.size(1) > 1

    def _set_nodes(
        self, instance: int, number: int, full: Tensor, first: int, *, is_wide: bool
    ) -> None:
        batch = self._batch
        position = batch.packed.node_position[number]
        own = batch.node_instance[position] == instance
        rows = full[batch.fields.node[position[own]] - first]
        if not is_wide:
            if self._node is None:
                self._node = full.new_zeros(batch.num_nodes)
            self._node[position[own]] = rows.sum(dim=1)
            return
        if self._feature is None:
            self._feature = [None if x is None else torch.zeros_like(x) for x in batch.features]
        of_type = self._feature[number]
        if of_type is not None:
            of_type[own] = rows


def _of_size(mask: Tensor, size: int, kind: str) -> Tensor:
    """A mask with a row for each edge or node; zeros where there is none.

    Raises:
        PyGAlgorithmError: if it has another number of rows.
    """
    if mask.size(0) == 0:
        return mask.new_zeros(size, *mask.shape[1:])
    if mask.size(0) != size:
        raise PyGAlgorithmError(
            f"the algorithm returned a {kind}_mask of {mask.size(0)} rows; expected {size}, one "
            f"for each {kind}"
        )
    return mask
