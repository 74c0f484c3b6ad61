"""The graphs and models of PyG's own tests of explainers, written anew."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.nn import (
    GATConv,
    GATv2Conv,
    GCNConv,
    HANConv,
    HeteroConv,
    HGTConv,
    SAGEConv,
    TransformerConv,
    global_add_pool,
    to_hetero,
)

import glassgraph as gg

FEATURES, HIDDEN, CLASSES = 3, 16, 7
PAPERS, AUTHORS = 8, 10
PAPER, AUTHOR = "paper", "author"
HETERO_EDGES = [(PAPER, "to", PAPER), (PAPER, "to", AUTHOR), (AUTHOR, "to", PAPER)]


# Graphs


def chain() -> Data:
    """Eight nodes in a row; edges also join the three graphs that they belong to; links."""
    generator = torch.Generator().manual_seed(2)
    right = torch.stack([torch.arange(7), torch.arange(1, 8)])
    return Data(
        x=torch.randn(8, FEATURES, generator=generator),
        edge_index=torch.stack([right, right.flip(0)], dim=2).flatten(1),
        edge_attr=torch.randn(14, 5, generator=generator),
        batch=torch.tensor([0, 0, 0, 1, 1, 2, 2, 2]),
        edge_label_index=torch.tensor([[0, 1, 2], [3, 4, 5]]),
    )


def small() -> Data:
    """Four nodes and six edges, one of them between two graphs."""
    return Data(
        x=torch.randn(4, FEATURES, generator=torch.Generator().manual_seed(3)),
        edge_index=torch.tensor([[0, 1, 2, 3, 1, 0], [1, 0, 3, 2, 2, 0]]),
        edge_attr=torch.randn(6, 3, generator=torch.Generator().manual_seed(4)),
        batch=torch.tensor([0, 0, 1, 1]),
        edge_label_index=torch.tensor([[0, 1, 2], [2, 3, 1]]),
    )


def papers(seed: int = 5, num_papers: int = PAPERS, num_authors: int = AUTHORS) -> HeteroData:
    """Papers and authors, ten edges of each of three types."""
    generator = torch.Generator().manual_seed(seed)
    number = {PAPER: num_papers, AUTHOR: num_authors}
    data = HeteroData()
    data[PAPER].x = torch.randn(num_papers, 16, generator=generator)
    data[AUTHOR].x = torch.randn(num_authors, 8, generator=generator)
    for kind in HETERO_EDGES:
        ends = [torch.randint(number[kind[end]], (10,), generator=generator) for end in (0, 2)]
        data[kind].edge_index = torch.stack(ends)
    return data


def two_of_papers() -> HeteroData:
    """Two graphs side by side, as many nodes as `papers` has."""
    return Batch.from_data_list([papers(5, 4, 5), papers(6, 4, 5)])


# Models


def outputs(task: gg.Task) -> int:
    return CLASSES if task.mode == "multiclass_classification" else 1


def returned(task: gg.Task, x: Tensor) -> Tensor:
    """Raw outputs as what a model returns."""
    if task.return_type == "raw":
        return x
    if task.mode == "multiclass_classification":
        return x.softmax(-1) if task.return_type == "probs" else x.log_softmax(-1)
    return x.sigmoid() if task.return_type == "probs" else nn.functional.logsigmoid(x)


class GCN(nn.Module):
    """Two layers; a pooling for graphs, a product for links; ``copies`` outputs stacked."""

    def __init__(self, task: gg.Task, copies: int = 1) -> None:
        super().__init__()
        self.task, self.copies = task, copies
        self.conv1, self.conv2 = GCNConv(FEATURES, HIDDEN), GCNConv(HIDDEN, outputs(task))
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        batch: Tensor | None = None,
        edge_label_index: Tensor | None = None,
    ) -> Tensor:
        x = self.conv2(self.conv1(x, edge_index).relu(), edge_index)
        if self.task.level == "graph":
            x = global_add_pool(x, batch)
        elif self.task.level == "edge":
            assert edge_label_index is not None
            x = x[edge_label_index[0]] * x[edge_label_index[1]]
        x = returned(self.task, x)
        return x if self.copies == 1 else torch.stack([x] * self.copies)


def first_output(model: nn.Module, data: Any) -> Tensor:
    """The first of the stacked outputs: PyG's ``target_index=0``."""
    out: Tensor = model(data.x, data.edge_index, data.get("batch"), data.get("edge_label_index"))[0]
    return out


class Attentive(nn.Module):
    """Three kinds of attention."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = GATConv(FEATURES, 16, heads=4)
        self.conv2 = GATv2Conv(4 * 16, 16, heads=2)
        self.conv3 = TransformerConv(2 * 16, CLASSES, heads=1)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        x = self.conv1(x, edge_index).relu()
        return self.conv3(self.conv2(x, edge_index), edge_index)


class _TwoSAGE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = SAGEConv((-1, -1), 32), SAGEConv((-1, -1), 32)

    def forward(self, x, edge_index):  # PyG 2.6 traces no annotations that are text
        return self.conv2(self.conv1(x, edge_index).relu(), edge_index)


class _ThreeAttentions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = GATConv((-1, -1), 16, heads=2, add_self_loops=False)
        self.conv2 = GATv2Conv((-1, -1), 16, heads=2, add_self_loops=False)
        self.conv3 = TransformerConv((-1, -1), 32, heads=1)

    def forward(self, x, edge_index):  # PyG 2.6 traces no annotations that are text
        x = self.conv2(self.conv1(x, edge_index).relu(), edge_index).relu()
        return self.conv3(x, edge_index)


def _per_type(convs: dict[str, Any]) -> HeteroConv:
    """A layer for each edge type: one kind within papers, another between types."""
    layers = {kind: convs["within" if kind[0] == kind[2] else "between"]() for kind in HETERO_EDGES}
    return HeteroConv(layers, aggr="sum")


def _between() -> nn.Module:
    return SAGEConv((-1, -1), 32)


def _attention(kind: Any) -> nn.Module:
    layer: nn.Module = kind((-1, -1), 32, heads=2, add_self_loops=False, concat=False)
    return layer


_METADATA = ([PAPER, AUTHOR], HETERO_EDGES)
#: What sends the messages of each heterogeneous model, from ``x_dict`` to a dictionary of states.
_BODIES: dict[str, Any] = {
    "SAGEConv, to_hetero": lambda: to_hetero(_TwoSAGE(), _METADATA),
    "attention, to_hetero": lambda: to_hetero(_ThreeAttentions(), _METADATA),
    "HeteroConv": lambda: _per_type({"within": lambda: GCNConv(-1, 32), "between": _between}),
    "attention, HeteroConv": lambda: _per_type(
        {"within": lambda: _attention(GATConv), "between": lambda: _attention(GATv2Conv)}
    ),
    "HGTConv": lambda: HGTConv(-1, 32, _METADATA, heads=2),
    "HANConv": lambda: HANConv(-1, 32, _METADATA, heads=2),
}


class Hetero(nn.Module):
    """One of the bodies, and a linear map of what it says of papers; of graphs, their sums."""

    def __init__(self, body: str, task: gg.Task) -> None:
        super().__init__()
        self.task, self.body, self.lin = task, _BODIES[body](), nn.Linear(32, outputs(task))

    def forward(
        self,
        x_dict: dict[str, Tensor],
        edge_index_dict: Any,
        batch_dict: dict[str, Tensor] | None = None,
    ) -> Tensor:
        x = self.lin(self.body(x_dict, edge_index_dict)[PAPER])
        if self.task.level == "graph":
            x = global_add_pool(x, None if batch_dict is None else batch_dict[PAPER])
        return returned(self.task, x)


class TwoHetero(nn.Module):
    """Two layers of HGT or HAN; of graphs the sums over all nodes, of links those of both ends."""

    def __init__(self, kind: str, task: gg.Task) -> None:
        super().__init__()
        conv = {"HGTConv": HGTConv, "HANConv": HANConv}[kind]
        self.task = task
        self.conv1 = conv(-1, 8, heads=2, metadata=_METADATA)
        self.conv2 = conv(8, outputs(task), heads=1, metadata=_METADATA)

    def forward(
        self,
        x_dict: dict[str, Tensor],
        edge_index_dict: Any,
        batch_info: dict[str, Tensor] | None = None,
        ends: dict[str, Tensor] | None = None,
    ) -> Tensor:
        h = {name: x.relu() for name, x in self.conv1(x_dict, edge_index_dict).items()}
        h = self.conv2(h, edge_index_dict)
        if batch_info is not None:
            h = {name: global_add_pool(x, batch_info[name]) for name, x in h.items()}
            x = h[PAPER] + h[AUTHOR]
        elif ends is not None:
            x = h[PAPER][ends[PAPER]] + h[AUTHOR][ends[AUTHOR]]
        else:
            x = h[PAPER]
        return returned(self.task, x)


def ready(model: nn.Module, *given: Any) -> nn.Module:
    """A model in evaluation mode whose lazy layers know their widths."""
    with torch.no_grad():
        model(*given)
    return model.eval()
