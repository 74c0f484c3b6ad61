"""What the laws ask about: a model, its data, a task and what is explained of it.

`Case` is one of the room's own, tiny and in float64; `special_cases` has graphs at the limits and
one whose answer is known by construction; `own_case` takes a model and data of yours. All of them
are an `AnyCase`, which is what a law is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from glassgraph.calling.call import Call
from glassgraph.explainers.scope import LEVELS, Scope
from glassgraph.inputs.task import Target, Task
from glassgraph.testing.networks import EXTRA, FEATURES, HIDDEN, Net

NODES, EDGES = 23, 53
KINDS = ("gcn", "gat", "gin", "rgcn")


class AnyCase(Protocol):
    """One model, one task and what is explained of it."""

    @property
    def level(self) -> str:
        """Level of the task."""

    @property
    def target(self) -> Target:
        """The explained class."""

    @property
    def index(self) -> list[int]:
        """Which predictions are explained."""

    @property
    def call(self) -> Call | None:
        """How the model is called; None for the names of its arguments."""

    @property
    def lesson(self) -> AnyCase:
        """What amortized methods are fitted on."""

    def task(self) -> Task:
        """The task."""

    def model(self, seed: int = 0) -> Any:
        """The model, made anew; with other weights for each seed."""

    def data(self) -> Any:
        """The data, made anew."""

    def predict(self, model: nn.Module, data: Any) -> Tensor:
        """The model on everything the user has, ``[rows, C]``."""

    def in_use(self) -> nn.Module:
        """A model in the middle of its life, such as users have."""


@dataclass(frozen=True)
class Case:
    """A model of two layers on random graphs.

    Attributes:
        kind: the layers, of `KINDS`.
        level: level of the task.
        mode: mode of the task.
        return_type: what the model returns.
        target: the explained class.
        columns: how many numbers the model returns for a prediction.
        rows: which rows a graph's prediction has, see `Task`.
    """

    kind: str
    level: str
    mode: str = "multiclass_classification"
    return_type: str = "raw"
    target: Target = None
    columns: int = 3
    rows: str | None = None

    def __str__(self) -> str:
        target = "predicted" if self.target is None else str(self.target).replace(" ", "")
        level = self.level if self.rows is None else f"{self.level}_{self.rows}"
        return f"{self.kind}-{level}-{self.mode.split('_')[0]}-{self.return_type}-{target}"

    @property
    def index(self) -> list[int]:
        """What is explained: the receptive fields overlap, and none is the whole input."""
        return {"node": [4, 17, 9], "graph": [2, 0], "edge": [3, 0, 2]}[self.level]

    @property
    def call(self) -> None:
        """The model is called by the names of its arguments."""

    @property
    def lesson(self) -> Case:
        """Amortized methods are fitted on the case itself."""
        return self

    def task(self) -> Task:
        """The task."""
        return Task(self.level, self.mode, self.return_type, rows=self.rows)  # type: ignore[arg-type]

    @property
    def _pools(self) -> bool:
        """Whether the model returns one row for each graph."""
        return self.level == "graph" and self.rows is None

    def model(self, seed: int = 0) -> Net:
        """The model with random weights."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # layers offer no other way
            level = "node" if self.rows is not None else self.level
            net = Net(self.kind, level, self.mode, self.return_type, self.columns)
            net.double()
            with torch.no_grad():
                for buffer in (net.norm.running_mean, net.norm.running_var):
                    assert buffer is not None
                    buffer.copy_(torch.rand(HIDDEN) + 0.5)
        return net.eval()

    def data(self) -> Any:
        """One graph, or a list of three for graph tasks."""
        draw = torch.Generator().manual_seed(11)
        classes = 2 if self.columns == 1 else self.columns
        if self.level == "graph":
            graphs = [graph(size, edges, draw) for size, edges in ((7, 13), (5, 11), (11, 29))]
            for each in graphs:
                num_rows = 1 if self._pools else each.num_nodes
                each.y = torch.randint(classes, (num_rows,), generator=draw)
            return [self._attributed(each, draw) for each in graphs]
        data = self._attributed(graph(NODES, EDGES, draw), draw)
        if self.level == "node":
            data.y = torch.randint(classes, (NODES,), generator=draw)
        else:
            data.edge_label_index = torch.tensor([[3, 4, 17, 9, 2], [8, 12, 1, 9, 21]])
            data.edge_label = torch.randint(classes, (5,), generator=draw)
        return data

    def _attributed(self, data: Data, draw: torch.Generator) -> Data:
        edges = data.num_edges
        if self.kind == "gcn":
            data.edge_weight = torch.rand(edges, generator=draw).double() + 0.5
        elif self.kind == "gat":
            data.edge_attr = torch.randn(edges, 3, generator=draw).double()
        elif self.kind == "rgcn":
            data.edge_type = torch.arange(edges) % 3
        return data

    def predict(self, model: nn.Module, data: Any) -> Tensor:
        """The model on everything the user has, with the arguments it takes spelled out."""
        if isinstance(data, list):
            data = Batch.from_data_list(data)
        return self.predict_one(model, data)

    def predict_one(self, model: nn.Module, data: Data, x: Tensor | None = None) -> Tensor:
        """The model on one data object, with other features if they are given."""
        name = EXTRA[self.kind]
        arguments: dict[str, Any] = {}
        if name is not None and data.get(name) is not None:
            arguments[name] = data[name]
        if self._pools:
            batch = data.get("batch")
            arguments["batch"] = torch.zeros(data.num_nodes).long() if batch is None else batch
        elif self.level == "edge":
            arguments["edge_label_index"] = data.edge_label_index
        out: Tensor = model(data.x if x is None else x, data.edge_index, **arguments)
        return out

    def in_use(self) -> Net:
        """A model with mixed modes, a frozen weight, a gradient and hooks of its user."""
        model = self.model()
        self.predict(model, self.data())  # some layers choose an algorithm at their first call
        model.train()
        model.convs[0].eval()
        model.head.bias.requires_grad_(False)
        model.head.weight.grad = torch.ones_like(model.head.weight)
        model.convs[1].register_forward_hook(_no_change)
        model.convs[0].register_message_forward_hook(_no_change)  # type: ignore[operator]
        return model


def _no_change(*_: Any) -> None:
    """A hook that changes nothing."""


def graph(num_nodes: int, num_edges: int, generator: torch.Generator | None = None) -> Data:
    """A random directed graph with parallel edges, two self-loops and, last, an isolated node."""
    ends = torch.randint(num_nodes - 1, (2, num_edges), generator=generator)
    loops = ends[0] == ends[1]
    ends[1, loops] = (ends[1, loops] + 1) % (num_nodes - 1)
    ends[:, [5, 7]] = ends[:, [1, 2]]  # parallel
    ends[:, 9] = ends[:, 1]  # three of them
    ends[1, [4, 8]] = ends[0, [4, 8]] = torch.tensor([0, 2])  # self-loops
    x = torch.randn(num_nodes, FEATURES, generator=generator)
    return Data(x=x.double(), edge_index=ends)


def _cases() -> tuple[Case, ...]:
    multiclass, binary = "multiclass_classification", "binary_classification"
    setups: dict[str, list[tuple[str, str, Target, int]]] = {
        "node": [
            (multiclass, "raw", None, 3),
            (binary, "raw", None, 1),
            (multiclass, "log_probs", (2, 0), 3),
            ("regression", "raw", None, 1),
        ],
        "graph": [
            (binary, "probs", "label", 1),
            (multiclass, "raw", "label", 3),
            ("regression", "raw", 1, 2),
            (multiclass, "probs", (0, 2), 3),
        ],
        "edge": [
            (multiclass, "raw", 1, 3),
            ("regression", "raw", None, 1),
            (binary, "raw", "label", 1),
            (binary, "log_probs", 0, 1),
        ],
    }
    several_rows = Case("gat", "graph", multiclass, "raw", None, 3, rows="nodes")
    found = [
        Case(kind, level, mode, return_type, target, columns)
        for level, setup in setups.items()
        for kind, (mode, return_type, target, columns) in zip(KINDS, setup, strict=True)
    ]
    return (*found, several_rows)


#: Every kind of layer at every level.
CASES = _cases()


def every_mode_and_target() -> list[Case]:
    """All levels, modes, return types and kinds of target on one model."""
    found = []
    for level in LEVELS:
        for return_type in ("raw", "probs", "log_probs"):
            every = return_type == "raw"
            for target in (None, "label", 1, (2, 0)) if every else (None, (2, 0)):
                found.append(
                    Case("gin", level, "multiclass_classification", return_type, target, 3)
                )
            for target in (None, "label", 0, (1, 0)) if every else (0, (1, 0)):
                found.append(Case("gin", level, "binary_classification", return_type, target, 1))
        found.append(Case("gin", level, "regression", "raw", None, 1))
        found.append(Case("gin", level, "regression", "raw", 1, 2))
    return found


def holds(scope: Scope, case: Case) -> bool:
    """Whether a case is within what a method can explain."""
    return (
        (case.rows is None or scope.many_rows)
        and (case.mode != "regression" or scope.regression)
        and (case.kind == "gat" or not scope.needs_attention)
        and case.level in scope.levels
        and case.return_type in scope.return_types
    )
