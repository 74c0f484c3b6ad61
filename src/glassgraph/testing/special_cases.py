"""Cases at the limits, and one whose answer is known by construction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from glassgraph.inputs.task import Target, Task
from glassgraph.testing.cases import Case
from glassgraph.testing.networks import FEATURES, Net, PlantedNet

#: Graphs at the limits: name -> (number of nodes, edges).
LIMITS: dict[str, tuple[int, list[tuple[int, int]]]] = {
    "no edges": (3, []),
    "one node": (1, []),
    "one node with a loop": (1, [(0, 0)]),
    "isolated": (5, [(1, 2), (2, 1), (3, 2)]),
    "loops": (3, [(0, 0), (0, 1), (1, 1), (1, 0), (2, 2)]),
    "double loop": (2, [(0, 0), (1, 0), (0, 0)]),
    "parallel": (3, [(1, 0), (1, 0), (2, 1), (1, 0), (2, 1)]),
    "two nodes": (2, [(1, 0)]),
}


@dataclass(frozen=True)
class LimitCase:
    """The model of another case on a graph at the limits, of which node 0 is explained.

    Attributes:
        base: the other case; amortized methods are fitted on its data.
        graph: the graph, of `LIMITS`.
        dtype: precision of model and data.
    """

    base: Case
    graph: str
    dtype: torch.dtype = torch.float64

    def __str__(self) -> str:
        suffix = "" if self.dtype == torch.float64 else "-single"
        return f"{self.base}-{self.graph}{suffix}"

    @property
    def level(self) -> str:
        """Level of the task."""
        return self.base.level

    @property
    def target(self) -> Target:
        """The explained class."""
        return self.base.target

    @property
    def index(self) -> list[int]:
        """The first node, link or graph."""
        return [0]

    @property
    def call(self) -> None:
        """The model is called by the names of its arguments."""

    @property
    def lesson(self) -> Case:
        """Amortized methods are fitted on the other case."""
        return self.base

    def task(self) -> Task:
        """The task."""
        return self.base.task()

    def model(self, seed: int = 0) -> Net:
        """The model of the other case."""
        return self.base.model(seed).to(self.dtype)

    def data(self) -> Data:
        """The graph at the limits."""
        num_nodes, pairs = LIMITS[self.graph]
        draw = torch.Generator().manual_seed(3)
        x = torch.randn(num_nodes, FEATURES, dtype=self.dtype, generator=draw)
        ends = torch.tensor(pairs, dtype=torch.long).view(-1, 2).t().contiguous()
        data = Data(x=x, edge_index=ends)
        if self.base.kind == "rgcn":
            data.edge_type = torch.arange(len(pairs)) % 3
        elif self.base.kind == "gat":
            data.edge_attr = torch.randn(len(pairs), 3, dtype=self.dtype, generator=draw)
        data.y = torch.zeros(num_nodes if self.level == "node" else 1, dtype=torch.long)
        if self.level == "edge":
            data.edge_label_index = torch.tensor([[0], [num_nodes - 1]])
            data.edge_label = torch.zeros(1, dtype=torch.long)
        return data

    def predict(self, model: nn.Module, data: Any) -> Tensor:
        """The model on the graph."""
        return self.base.predict(model, data)

    def in_use(self) -> Net:
        """The model in the middle of its life."""
        return self.base.in_use().to(self.dtype)


@dataclass(frozen=True)
class PlantedCase:
    """A sum over neighbors, in which one edge carries nearly all that arrives.

    Attributes:
        level: level of the task.
        threshold: what the sum has to exceed for the second class.
    """

    level: str
    threshold: float = 0.0

    #: The edge that comes from the only node with a large feature.
    edge = 4

    def __str__(self) -> str:
        return f"planted-{self.level}"

    @property
    def target(self) -> None:
        """The predicted class."""

    @property
    def index(self) -> list[int]:
        """The node, link or graph that the edges lead to."""
        return [0]

    @property
    def call(self) -> None:
        """The model is called by the names of its arguments."""

    @property
    def lesson(self) -> PlantedCase:
        """Amortized methods are fitted on the case itself."""
        return self

    def task(self) -> Task:
        """The task."""
        return Task(self.level)  # type: ignore[arg-type]

    def model(self, seed: int = 0) -> PlantedNet:
        """The sum; it has no weights."""
        return PlantedNet(self.level, self.threshold)

    def data(self) -> Data:
        """Seven edges; the fifth comes from the node whose feature is large."""
        ends = torch.tensor([[1, 2, 3, 4, 5, 6, 2], [0, 0, 7, 0, 0, 7, 7]])
        x = torch.full((11, 1), 0.02).double()
        x[5] = 0.7
        data = Data(x=x, edge_index=ends)
        if self.level == "edge":
            data.edge_label_index = torch.tensor([[7], [0]])
        return data

    def predict(self, model: nn.Module, data: Any) -> Tensor:
        """The model on the graph."""
        return Case("gin", self.level, columns=2).predict(model, data)

    def in_use(self) -> PlantedNet:
        """The model as it is."""
        return self.model()
