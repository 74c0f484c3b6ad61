"""A drawn case as the laws of `glassgraph.testing` ask for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from glassgraph.inputs.task import Target, Task
from tests.fuzz.networks import EDGE_FEATURES, FEATURES, Architecture, RandomNet


@dataclass(frozen=True)
class Shape:
    """Nodes and edges of a graph; loops, parallel edges and isolated nodes as they come."""

    num_nodes: int
    edges: tuple[tuple[int, int], ...]

    @property
    def edge_index(self) -> Tensor:
        """Edges ``[2, E]``."""
        return torch.tensor(self.edges, dtype=torch.long).view(-1, 2).t().contiguous()


#: What methods that are fitted learn on: every node hears of others.
LESSON = Shape(5, ((0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (1, 0), (3, 1), (2, 2)))


@dataclass(frozen=True)
class DrawnCase:
    """A network, graphs, a task and what is explained; numbers follow from the seed.

    Attributes:
        network: what the network is built of.
        graphs: one graph, or several for graph tasks.
        level, mode, return_type: the task.
        target: the explained class.
        columns: how many numbers the network returns for a prediction.
        explained: which predictions are explained.
        links: pairs of nodes, for link tasks.
        seed: of weights and features.
    """

    network: Architecture
    graphs: tuple[Shape, ...]
    level: str
    mode: str
    return_type: str
    target: Target
    columns: int
    explained: tuple[int, ...]
    links: tuple[tuple[int, int], ...] = ()
    seed: int = 0

    @property
    def index(self) -> list[int]:
        """Which predictions are explained."""
        return list(self.explained)

    @property
    def call(self) -> None:
        """The model is called by the names of its arguments."""

    @property
    def lesson(self) -> DrawnCase:
        """Methods that are fitted learn on a graph where there is something to learn."""
        return replace(
            self,
            graphs=(LESSON,) * (3 if self.level == "graph" else 1),
            explained=(0, 1, 2),
            links=((0, 1), (2, 4), (3, 3)),
        )

    def task(self) -> Task:
        """The task."""
        return Task(self.level, self.mode, self.return_type)  # type: ignore[arg-type]

    @property
    def sees_all_nodes(self) -> bool:
        """Whether a node's prediction depends on nodes that no message reaches it from."""
        return self.level != "graph" and self.network.norm == "graph"

    @property
    def keeps_one_loop(self) -> bool:
        """Whether the network reads one of several loops at a node, as GCN reads their weights."""
        reads_weights = "gcn" in self.network.layers and self.network.reads_edges
        loops = [[u for u, v in shape.edges if u == v] for shape in self.graphs]
        return reads_weights and any(len(each) > len(set(each)) for each in loops)

    def model(self, seed: int = 0) -> RandomNet:
        """The network in training mode, as users leave it."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed + 1000 * seed)
            net = RandomNet(self.network, self.level, self.mode, self.return_type, self.columns)
            net.double()
            with torch.no_grad():
                for module in net.modules():
                    if isinstance(module, nn.BatchNorm1d):
                        assert module.running_mean is not None
                        assert module.running_var is not None
                        module.running_mean.copy_(torch.rand_like(module.running_mean))
                        module.running_var.copy_(torch.rand_like(module.running_var) + 0.5)
        return net.train()

    def data(self) -> Any:
        """One graph, or a list of them for graph tasks."""
        draw = torch.Generator().manual_seed(self.seed)
        found = [self._graph(shape, draw) for shape in self.graphs]
        return found if self.level == "graph" else found[0]

    def _graph(self, shape: Shape, draw: torch.Generator) -> Data:
        x = torch.randn(shape.num_nodes, FEATURES, generator=draw).double()
        data = Data(x=x, edge_index=shape.edge_index)
        num_edges, classes = len(shape.edges), max(2, self.columns)
        if "edge_weight" in self.network.edge_inputs:
            data.edge_weight = torch.rand(num_edges, generator=draw).double() + 0.5
        if "edge_attr" in self.network.edge_inputs:
            data.edge_attr = torch.randn(num_edges, EDGE_FEATURES, generator=draw).double()
        if self.level == "edge":
            data.edge_label_index = torch.tensor(self.links).t().contiguous()
            data.edge_label = torch.randint(classes, (len(self.links),), generator=draw)
        else:
            count = shape.num_nodes if self.level == "node" else 1
            data.y = torch.randint(classes, (count,), generator=draw)
        return data

    def predict(self, model: nn.Module, data: Any) -> Tensor:
        """The network on everything there is."""
        if isinstance(data, list):
            data = Batch.from_data_list(data)
        names = (*self.network.edge_inputs, "batch", "edge_label_index")
        given = {name: data[name] for name in names if data.get(name) is not None}
        out: Tensor = model(data.x, data.edge_index, **given)
        return out

    def in_use(self) -> RandomNet:
        """A network in the middle of its life: a frozen weight, a gradient, a hook, mixed modes."""
        model = self.model()
        model.convs[0].eval()
        model.head.bias.requires_grad_(False)
        model.head.weight.grad = torch.ones_like(model.head.weight)
        model.convs[-1].register_forward_hook(_no_change)
        return model


def _no_change(*_: Any) -> None:
    """A hook that changes nothing."""
