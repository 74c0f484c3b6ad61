"""What has no row in the table, and why: not buildable here, refused, or tested elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch_geometric.nn as pyg
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import conv as convs
from torch_geometric.nn import dense

import glassgraph as gg
from glassgraph import errors
from tests.coverage.models import CLASSES, FEATURES, NODES, WIDTH, graph
from tests.coverage.set_up import mlp


class NotBuildable(NamedTuple):
    """A layer of PyG that needs a package which is not there."""

    name: str
    package: str
    needs: str
    build: Callable[[], Any]


def _pan() -> None:
    data = graph(frozenset())
    pyg.PANConv(FEATURES, WIDTH, 2)(data.x.float(), data.edge_index)


W = WIDTH
NOT_BUILDABLE = [
    NotBuildable("GravNetConv", "pyg_lib", "pyg-lib", lambda: pyg.GravNetConv(W, W, 2, 3, 4)),
    NotBuildable("SplineConv", "pyg_lib", "pyg-lib", lambda: pyg.SplineConv(W, W, 2, 3)),
    NotBuildable(
        "DynamicEdgeConv", "pyg_lib", "pyg-lib", lambda: pyg.DynamicEdgeConv(mlp(2 * W), 3)
    ),
    NotBuildable("XConv", "pyg_lib", "pyg-lib", lambda: pyg.XConv(W, W, 3, 4)),
    NotBuildable("PANConv", "torch_sparse", "torch-sparse", _pan),
    NotBuildable(
        "FusedGATConv", "dgNN", "dgNN", lambda: pyg.FusedGATConv(W, W, add_self_loops=False)
    ),
    NotBuildable(
        "CuGraphSAGEConv", "pylibcugraphops", "cuGraph", lambda: pyg.CuGraphSAGEConv(W, W)
    ),
    NotBuildable("CuGraphGATConv", "pylibcugraphops", "cuGraph", lambda: pyg.CuGraphGATConv(W, W)),
    NotBuildable(
        "CuGraphRGCNConv", "pylibcugraphops", "cuGraph", lambda: pyg.CuGraphRGCNConv(W, W, 3)
    ),
]


class Refused(NamedTuple):
    """What cannot be explained, and the error that says so."""

    name: str
    reason: str
    error: type[errors.GlassgraphError]
    explain: Callable[[], Any]


class Net(nn.Module):
    """One layer and a decoder."""

    def __init__(self, conv: Any) -> None:
        super().__init__()
        self.conv = conv
        self.decode = nn.Linear(WIDTH, CLASSES).double()

    def forward(self, x: Tensor, edge_index: Any) -> Tensor:
        out: Tensor = self.decode(self.conv(x, edge_index))
        return out


def _explain(conv: Any, data: Data) -> Any:
    return gg.EdgeGradients(Net(conv), progress=False).explain(data, index=[3])


def _colors() -> Any:
    data = graph(frozenset())
    data.x = torch.arange(NODES) % 3
    return _explain(convs.WLConv(), data)


def _dense() -> Any:
    return _explain(dense.DenseGCNConv(FEATURES, WIDTH).double(), graph(frozenset()))


def _sparse() -> Any:
    data = graph(frozenset())
    ones = torch.ones(data.edge_index.size(1)).double()
    data.edge_index = torch.sparse_coo_tensor(
        data.edge_index, ones, (NODES, NODES), check_invariants=True
    ).coalesce()
    return _explain(pyg.GCNConv(FEATURES, WIDTH).double(), data)


def _many_hyperedges() -> Any:
    data = graph(frozenset({"hyper"}))
    data.edge_index[1, 5] = NODES
    return _explain(pyg.HypergraphConv(FEATURES, WIDTH).double(), data)


REFUSED = [
    Refused("WLConv", "hashes colors: it sends no messages", errors.NoMessagePassingError, _colors),
    Refused(
        "dense layers, as DenseGCNConv",
        "multiply by an adjacency matrix: they send no messages",
        errors.NoMessagePassingError,
        _dense,
    ),
    Refused(
        "a sparse adjacency for any layer",
        "the messages are never materialized",
        errors.SparseAdjacencyError,
        _sparse,
    ),
    Refused(
        "HypergraphConv with more hyperedges than nodes",
        "`edge_index` holds node ids on both sides",
        errors.GraphError,
        _many_hyperedges,
    ),
]

#: Layers for several node types, which ``tests/hetero`` explains.
HETEROGENEOUS = ("HGTConv", "HANConv", "HeteroConv")
