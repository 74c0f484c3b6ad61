"""The eight cases of the snapshot: what is explained, in float64, with sizes that are small primes.

node, graph, edge, heterogeneous, black box, regression, binary, and two graphs of a list. Between
them they have five kinds of layers, edge weights, attributes and types, parallel edges, self-loops,
an isolated node, all three kinds of output, and every kind of target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import (
    GATConv,
    GCNConv,
    GINConv,
    HeteroConv,
    RGCNConv,
    SAGEConv,
    global_mean_pool,
)

import glassgraph as gg

FEATURES, HIDDEN, CLASSES, RELATIONS = 5, 7, 3, 3


@dataclass(frozen=True)
class Case:
    """One model, its data, and what is explained.

    Attributes:
        model: makes the model, or a function in its place.
        data: makes the data.
        task: what one prediction is.
        index: the predictions that are explained.
        target: the explained class.
        learn_from: the predictions that amortized methods are fitted on.
    """

    model: Callable[[], Any]
    data: Callable[[], Any]
    task: gg.Task
    index: list[int]
    target: Any
    learn_from: list[int]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The same random numbers each time, and none taken from those who come after."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def numbers(*shape: int) -> Tensor:
    """Numbers from -1 to 1, alike on every processor: integers divided by a power of two."""
    return torch.randint(-(2**20), 2**20 + 1, shape).double() / 2**20


def fill(model: nn.Module) -> None:
    """Give a model weights that are alike on every processor."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(numbers(*parameter.shape))


# Models


class Net(nn.Module):
    """Two layers of one kind, normalization, a pooling for tasks about graphs, a linear head."""

    def __init__(
        self, kind: str, level: str, columns: int, activation: nn.Module, returned: str
    ) -> None:
        super().__init__()
        self.kind, self.level, self.returned = kind, level, returned
        self.convs = nn.ModuleList([_conv(kind, FEATURES), _conv(kind, HIDDEN)])
        self.activation = activation
        self.norm = nn.BatchNorm1d(HIDDEN)
        self.head = nn.Linear(HIDDEN, columns)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        edge_attr: Tensor | None = None,
        edge_type: Tensor | None = None,
        batch: Tensor | None = None,
        edge_label_index: Tensor | None = None,
    ) -> Tensor:
        extra = {"gcn": [edge_weight], "gat": [edge_attr], "gin": [], "rgcn": [edge_type]}
        for conv in self.convs:
            x = self.activation(conv(x, edge_index, *extra[self.kind]))
        x = self.norm(x)
        if self.level == "graph":
            x = global_mean_pool(x, batch)
        elif self.level == "edge":
            assert edge_label_index is not None
            x = x[edge_label_index[0]] * x[edge_label_index[1]] + x[edge_label_index[0]]
        out: Tensor = self.head(x)
        if self.returned == "log_probs":
            return out.log_softmax(-1)
        return out.sigmoid() if self.returned == "probs" else out


def _conv(kind: str, width: int) -> nn.Module:
    if kind == "gcn":
        return GCNConv(width, HIDDEN)
    if kind == "gat":
        return GATConv(width, HIDDEN, heads=2, concat=False, edge_dim=3)
    if kind == "gin":
        return GINConv(nn.Sequential(nn.Linear(width, HIDDEN), nn.Tanh()), train_eps=True)
    return RGCNConv(width, HIDDEN, num_relations=RELATIONS)


def _net(
    seed: int,
    kind: str,
    level: str,
    columns: int = CLASSES,
    activation: nn.Module | None = None,
    returned: str = "raw",
) -> Net:
    with seeded(seed), torch.no_grad():
        net = Net(kind, level, columns, activation or nn.Tanh(), returned).double()
        fill(net)
        mean, variance = net.norm.running_mean, net.norm.running_var
        assert mean is not None
        assert variance is not None
        mean.copy_(numbers(HIDDEN) / 2)
        variance.copy_(numbers(HIDDEN) / 2 + 1)
        net.head.weight *= 4  # so that predictions change their mind where evidence is gone
        net.head.bias.zero_()
    return net.eval()


class Typed(nn.Module):
    """Relations of its own for each layer: attention for one of them, means for the others."""

    def __init__(self, metadata: Any) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        for widths in (WIDTHS, dict.fromkeys(WIDTHS, HIDDEN)):
            relations = {}
            for kind in metadata[1]:
                ends = (widths[kind[0]], widths[kind[2]])
                relations[kind] = (
                    GATConv(ends, HIDDEN, add_self_loops=False)
                    if kind[1] == "writes"
                    else SAGEConv(ends, HIDDEN)
                )
            self.convs.append(HeteroConv(relations))
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(
        self, x_dict: dict[str, Tensor], edge_index_dict: dict[tuple[str, str, str], Tensor]
    ) -> Tensor:
        for conv in self.convs:
            x_dict = {kind: x.tanh() for kind, x in conv(x_dict, edge_index_dict).items()}
        out: Tensor = self.head(x_dict["paper"])
        return out


def _typed_net() -> Typed:
    with seeded(13):
        net = Typed(_typed_data().metadata()).double()
        fill(net)
    return net.eval()


def _function() -> Callable[[Tensor, Tensor], Tensor]:
    """A model of which nothing is known: a function without gradients."""
    net = _net(13, "gin", "node")

    def predict(x: Tensor, edge_index: Tensor) -> Tensor:
        with torch.no_grad():
            out: Tensor = net(x, edge_index)
        return out

    return predict


# Data


def _graph(num_nodes: int, num_edges: int, kind: str) -> Data:
    """A directed graph with parallel edges, two self-loops and, last, an isolated node."""
    ends = torch.randint(num_nodes - 1, (2, num_edges))
    loops = ends[0] == ends[1]
    ends[1, loops] = (ends[1, loops] + 1) % (num_nodes - 1)
    ends[:, [5, 7]] = ends[:, [1, 2]]  # parallel
    ends[1, [4, 8]] = ends[0, [4, 8]] = torch.tensor([0, 2])  # self-loops
    data = Data(x=2 * numbers(num_nodes, FEATURES), edge_index=ends)
    if kind == "gcn":
        data.edge_weight = numbers(num_edges) / 2 + 1
    elif kind == "gat":
        data.edge_attr = numbers(num_edges, 3)
    elif kind == "rgcn":
        data.edge_type = torch.arange(num_edges) % RELATIONS
    return data


def _nodes(kind: str) -> Data:
    with seeded(11):
        data = _graph(19, 61, kind)
        data.y = torch.randint(CLASSES, (19,))
    return data


def _links(kind: str) -> Data:
    with seeded(11):
        data = _graph(19, 61, kind)
        data.edge_label_index = torch.tensor([[3, 4, 17, 9, 2], [8, 12, 1, 9, 15]])
        data.edge_label = torch.randint(CLASSES, (5,))
    return data


def _graphs(kind: str, classes: int) -> list[Data]:
    with seeded(11):
        graphs = [_graph(*size, kind) for size in ((7, 13), (5, 11), (11, 29), (3, 17))]
        for number, graph in enumerate(graphs):
            graph.y = torch.tensor([number % classes])
    return graphs


WIDTHS = {"author": 3, "paper": 5, "venue": 2}


def _typed_data() -> HeteroData:
    def edges(num_sources: int, num_destinations: int, count: int) -> Tensor:
        key = torch.randperm(num_sources * num_destinations)[:count]
        return torch.stack([key // num_destinations, key % num_destinations])

    data = HeteroData()
    with seeded(7):
        for kind, size in (("author", 7), ("paper", 11), ("venue", 3)):
            data[kind].x = 2 * numbers(size, WIDTHS[kind])
        data["author", "writes", "paper"].edge_index = edges(7, 11, 19)
        # The same pairs in part: only the relation tells these edges from those that write.
        writes = data["author", "writes", "paper"].edge_index
        data["author", "reviews", "paper"].edge_index = writes[:, 2:9]
        data["paper", "cites", "paper"].edge_index = edges(11, 11, 23)
        data["paper", "in", "venue"].edge_index = edges(11, 3, 13)
        data["venue", "hosts", "paper"].edge_index = edges(3, 11, 5)
        data["paper", "by", "author"].edge_index = edges(11, 7, 17)
        data["paper"].y = torch.randint(CLASSES, (11,))
    return data


CASES: dict[str, Case] = {
    "node": Case(
        model=lambda: _net(3, "gcn", "node", returned="log_probs"),
        data=lambda: _nodes("gcn"),
        task=gg.Task("node", return_type="log_probs"),
        index=[16, 1],
        target=None,
        learn_from=[1, 2, 4, 9, 13],
    ),
    "graph": Case(
        model=lambda: _net(19, "gin", "graph", activation=nn.ReLU()),
        data=lambda: _graphs("gin", CLASSES)[0],
        task=gg.Task("graph"),
        index=[0],
        target=0,
        learn_from=[0],
    ),
    "edge": Case(
        model=lambda: _net(13, "rgcn", "edge"),
        data=lambda: _links("rgcn"),
        task=gg.Task("edge"),
        index=[1, 4],
        target=torch.tensor([2, 0]),
        learn_from=[0, 1, 2, 4],
    ),
    "heterogeneous": Case(
        model=_typed_net,
        data=_typed_data,
        task=gg.Task("node", node_type="paper"),
        index=[7, 5],
        target="label",
        learn_from=[1, 2, 4, 9],
    ),
    "black box": Case(
        model=_function,
        data=lambda: _nodes("gin"),
        task=gg.Task("node"),
        index=[6, 13],
        target=(0, 2),
        learn_from=[1, 2, 4, 9, 13],
    ),
    "regression": Case(
        model=lambda: _net(7, "gat", "node", columns=2, activation=nn.ELU()),
        data=lambda: _nodes("gat"),
        task=gg.Task("node", "regression"),
        index=[16, 8],
        target=1,
        learn_from=[1, 2, 4, 9, 13],
    ),
    "binary": Case(
        model=lambda: _net(23, "gcn", "graph", columns=1, returned="probs"),
        data=lambda: _graphs("gcn", 2),
        task=gg.Task("graph", "binary_classification", "probs"),
        index=[1],
        target="label",
        learn_from=[0, 1, 2],
    ),
    "two of a list": Case(
        model=lambda: _net(13, "gat", "graph", activation=nn.ReLU()),
        data=lambda: _graphs("gat", CLASSES),
        task=gg.Task("graph"),
        index=[2, 0],
        target=(0, 1),
        learn_from=[0, 1, 2, 3],
    ),
}


# The model that generators explain


class Summed(nn.Module):
    """A classifier of graphs with one layer, a sum over nodes, and two classes."""

    def __init__(self, num_types: int) -> None:
        super().__init__()
        self.conv = GINConv(nn.Sequential(nn.Linear(num_types, HIDDEN), nn.Tanh()))
        self.head = nn.Linear(HIDDEN, 2)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        state: Tensor = self.conv(x, edge_index)
        total = state.new_zeros(int(batch.max()) + 1, HIDDEN).index_add(0, batch, state)
        out: Tensor = self.head(total)
        return out


def summed(num_types: int) -> Summed:
    """The classifier, with fixed weights in float64."""
    with seeded(5):
        net = Summed(num_types).double()
        fill(net)
    return net.eval()
