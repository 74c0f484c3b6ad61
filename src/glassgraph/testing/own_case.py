"""A model and data of yours as a case that the laws can ask about."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from glassgraph.calling.call import Call, ModelCall
from glassgraph.errors import GraphError
from glassgraph.inputs.index import as_edge_numbers, as_numbers
from glassgraph.inputs.links import LINK_INDEX
from glassgraph.inputs.task import Target, Task


@dataclass(frozen=True, eq=False)
class OwnCase:
    """A model and data of yours, in double precision; what is given stays as it is.

    Attributes:
        given_model: the model.
        given_data: a graph, or a list of them for graph tasks.
        given_task: the task.
        index: which predictions are explained.
        target: the explained class.
        call: how to call the model; by the names of its arguments if None.
    """

    given_model: nn.Module
    given_data: Data | list[Data]
    given_task: Task
    index: list[int]
    target: Target = None
    call: Call | None = None

    def __str__(self) -> str:
        return f"{type(self.given_model).__name__}-{self.level}"

    @property
    def level(self) -> str:
        """Level of the task."""
        return self.given_task.level

    @property
    def lesson(self) -> OwnCase:
        """Amortized methods are fitted on the case itself."""
        return self

    def task(self) -> Task:
        """The task."""
        return self.given_task

    def model(self, seed: int = 0) -> nn.Module:
        """A copy of the model; for another seed than 0, with random weights of the same spread."""
        model = copy.deepcopy(self.given_model).eval()
        if seed:
            draw = torch.Generator().manual_seed(seed)
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.is_floating_point():
                        _draw(parameter, draw)
        return model

    def data(self) -> Any:
        """A copy of the data."""
        given = self.given_data
        return [each.clone() for each in given] if isinstance(given, list) else given.clone()

    def predict(self, model: nn.Module, data: Any) -> Tensor:
        """The model on everything there is."""
        call = ModelCall(model, self.call)
        out: Tensor = call(Batch.from_data_list(data) if isinstance(data, list) else data)
        return out

    def in_use(self) -> nn.Module:
        """A copy of the model in training mode, with a gradient at its first parameter."""
        model = self.model()
        self.predict(model, self.data())  # some layers choose an algorithm at their first call
        model.train()
        for parameter in list(model.parameters())[:1]:
            parameter.grad = torch.ones_like(parameter)
        return model


def _draw(parameter: Tensor, generator: torch.Generator) -> None:
    spread = float(parameter.std()) if parameter.numel() > 1 else 0.0
    noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    parameter.copy_(noise * (spread or 1.0))


def own_case(
    model: nn.Module,
    data: Any,
    task: str | Task,
    index: Any = None,
    target: Target = None,
    call: Call | None = None,
) -> OwnCase:
    """A case of a model and data as a user has them.

    Raises:
        GraphError: for other data than a graph, or a list of graphs for graph tasks.
    """
    task = Task.of(task)
    graphs = _graphs(data, task.level)
    twin = copy.deepcopy(model).double()
    given = graphs if task.level == "graph" else graphs[0]
    return OwnCase(twin, given, task, _index(graphs, task, index), target, call)


def _graphs(data: Any, level: str) -> list[Data]:
    """Copies in double precision of all graphs."""
    if isinstance(data, Batch):
        data = data.to_data_list()
    given = [data] if isinstance(data, Data) else data
    is_known = isinstance(given, Sequence) and len(given) > 0
    if not is_known or not all(isinstance(each, Data) for each in given):
        raise GraphError(
            f"check_explainer takes a torch_geometric.data.Data, or a list of them for "
            f"task='graph'; got {type(data).__name__}"
        )
    if level != "graph" and len(given) > 1:
        raise GraphError(
            f"check_explainer takes one graph for task={level!r}; got {len(given)}: choose one, or "
            "join them into one Data"
        )
    return [each.clone().apply(_double) for each in given]


def _double(value: Tensor) -> Tensor:
    return value.double() if value.is_floating_point() else value


def _index(graphs: list[Data], task: Task, index: Any) -> list[int]:
    """Numbers of predictions; of three where none are given, nodes that receive messages."""
    one, device = graphs[0], torch.device("cpu")
    if task.level == "graph":
        numbers = as_numbers(index, len(graphs), "graph", device)
    elif task.level == "edge":
        has_links = LINK_INDEX in one and not task.is_about_edges
        ends = one[LINK_INDEX if has_links else "edge_index"]
        numbers = as_edge_numbers(index, ends, "link" if has_links else "edge")
    else:
        numbers = as_numbers(index, int(one.num_nodes or 0), "node", device)
        if index is None and one.num_edges:
            numbers = one.edge_index[1].unique()
    return numbers.tolist() if index is not None else _some(numbers.tolist())


def _some(candidates: list[int]) -> list[int]:
    """The first, the last, and one between them."""
    last = len(candidates) - 1
    return [candidates[at] for at in sorted({0, last // 2, last}, reverse=True)]
