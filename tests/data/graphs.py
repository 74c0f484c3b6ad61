"""Small graphs with everything that a large one may have, and models that read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GATConv, GCNConv, HeteroConv, NNConv, RGCNConv, SAGEConv

NUM_NODES, NUM_EDGES = 61, 173


def rich_graph() -> Data:
    """Directed, with self-loops, parallel edges, nodes without edges, attributes of all kinds."""
    generator = torch.Generator().manual_seed(0)
    edge_index = torch.randint(0, NUM_NODES - 4, (2, NUM_EDGES), generator=generator)
    edge_index[1, :3] = edge_index[0, :3]  # self-loops
    edge_index[:, 5:9] = edge_index[:, 9:13]  # parallel edges
    return Data(
        x=torch.randn(NUM_NODES, 5, generator=generator),
        edge_index=edge_index,
        edge_weight=torch.rand(NUM_EDGES, generator=generator),
        edge_attr=torch.randn(NUM_EDGES, 2, generator=generator),
        edge_type=torch.randint(0, 3, (NUM_EDGES,), generator=generator),
        y=torch.arange(NUM_NODES) % 3,
    )


def typed_graph() -> HeteroData:
    generator = torch.Generator().manual_seed(1)
    data: Any = HeteroData()
    data["paper"].x = torch.randn(31, 5, generator=generator)
    data["paper"].y = torch.arange(31) % 3
    data["author"].x = torch.randn(23, 4, generator=generator)
    for name, sizes, count in (
        (("author", "writes", "paper"), (23, 31), 53),
        (("paper", "cites", "paper"), (31, 31), 47),
        (("paper", "cited_by", "author"), (31, 23), 43),
    ):
        ends = [torch.randint(0, size, (count,), generator=generator) for size in sizes]
        data[name].edge_index = torch.stack(ends)
    return data  # type: ignore[no-any-return]


class Net(nn.Module):
    """Two layers, each given what it takes of an edge."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.kind = kind
        self.layers = nn.ModuleList([_layer(kind, 5, 6), _layer(kind, 6, 3)])


class GCN(Net):
    def __init__(self) -> None:
        super().__init__("gcn")

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        first, second = self.layers
        return second(first(x, edge_index, edge_weight).relu(), edge_index, edge_weight)  # type: ignore[no-any-return]


class SAGE(Net):
    def __init__(self) -> None:
        super().__init__("sage")

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        first, second = self.layers
        return second(first(x, edge_index).relu(), edge_index)  # type: ignore[no-any-return]


class GAT(Net):
    def __init__(self) -> None:
        super().__init__("gat")

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        first, second = self.layers
        return second(first(x, edge_index, edge_attr).relu(), edge_index, edge_attr)  # type: ignore[no-any-return]


class EdgeNet(GAT):
    def __init__(self) -> None:
        nn.Module.__init__(self)
        torch.manual_seed(3)
        self.layers = nn.ModuleList([_layer("nn", 5, 6), _layer("nn", 6, 3)])


class RGCN(Net):
    def __init__(self) -> None:
        super().__init__("rgcn")

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        first, second = self.layers
        return second(first(x, edge_index, edge_type).relu(), edge_index, edge_type)  # type: ignore[no-any-return]


def _layer(kind: str, width: int, out: int) -> nn.Module:
    if kind == "gcn":
        return GCNConv(width, out)
    if kind == "sage":
        return SAGEConv(width, out)
    if kind == "gat":
        return GATConv(width, out, edge_dim=2, concat=False)
    if kind == "nn":
        return NNConv(width, out, nn.Linear(2, width * out))
    return RGCNConv(width, out, 3)


class TypedNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = HeteroConv(
            {
                ("author", "writes", "paper"): SAGEConv((4, 5), 6),
                ("paper", "cites", "paper"): SAGEConv((5, 5), 6),
                ("paper", "cited_by", "author"): SAGEConv((5, 4), 6),
            }
        )
        self.second = HeteroConv(
            {
                ("author", "writes", "paper"): SAGEConv((6, 6), 3),
                ("paper", "cited_by", "author"): SAGEConv((6, 6), 3),
            }
        )

    def forward(self, x_dict: dict[str, Tensor], edge_index_dict: dict[Any, Tensor]) -> Tensor:
        hidden = {name: x.relu() for name, x in self.first(x_dict, edge_index_dict).items()}
        found: Tensor = self.second(hidden, edge_index_dict)["paper"]
        return found


@contextmanager
def every_graph_is_large() -> Iterator[None]:
    """What is done with graphs that are too large to be run, done with small ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glassgraph.inputs.graph.WHOLE_EDGES", 0)
        patch.setattr("glassgraph.core.context.FULL_CHECK_EDGES", 0)
        patch.setattr("glassgraph.core.tracing._SMALL_GRAPH_EDGES", 0)
        yield


def forbid_surroundings(patch: pytest.MonkeyPatch) -> None:
    """From now on, running a model on what lies around fields fails."""
    for room in ("prepare", "trusted_fields", "mixing"):
        patch.delattr(f"glassgraph.core.{room}.local_context")
