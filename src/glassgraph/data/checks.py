"""Whether a graph that a user gives is well formed: shapes, ranges, values that are finite."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.utils import is_sparse

from glassgraph.errors import GraphError, SparseAdjacencyError

EdgeTypeName = tuple[str, str, str]
#: What is predicted: a model rarely reads it, and it may have gaps.
LABEL_KEYS = frozenset({"y", "edge_label", "edge_y"})


def edge_stores(data: Any) -> list[tuple[EdgeTypeName | None, Any]]:
    """Edge types and where their attributes are; one without a name if there are no types.

    A type that only lists links to predict (``edge_label_index`` without ``edge_index``) sends no
    messages, and is not among them.
    """
    if not isinstance(data, HeteroData):
        return [(None, data)]
    stores = [(edge_type, data[edge_type]) for edge_type in data.edge_types]
    return [(name, store) for name, store in stores if not _is_only_links(store)]


def _is_only_links(store: Any) -> bool:
    keys = set(store.keys())
    is_predicted = "edge_label_index" in keys
    return is_predicted and not keys & {"edge_index", "adj_t", "adj"}


def num_nodes(data: Any, node_type: str | None) -> int:
    """Number of nodes of a type."""
    return int((data if node_type is None else data[node_type]).num_nodes or 0)


def check_edges(data: Any, where: str) -> None:
    """Check that ``edge_index`` is a ``[2, E]`` integer tensor within range."""
    for edge_type, store in edge_stores(data):
        name = f"{where}edge_index" + ("" if edge_type is None else f" of {edge_type}")
        if "edge_index" not in store:
            if "adj_t" in store or "adj" in store:
                raise SparseAdjacencyError(
                    f"{where}the graph holds a sparse adjacency, whose messages are never "
                    "materialized; convert it: data.edge_index, data.edge_weight = "
                    "torch_geometric.utils.to_edge_index(data.adj_t.t())"
                )
            if edge_type is None:  # the model may build its edges itself
                continue
            raise GraphError(f"{name} is missing; expected a [2, E] tensor of node ids")
        edge_index = store["edge_index"]
        if not isinstance(edge_index, Tensor) or is_sparse(edge_index):
            raise SparseAdjacencyError(
                f"{name} is a sparse matrix, whose messages are never materialized; convert it "
                "with torch_geometric.utils.to_edge_index(adj)"
            )
        if edge_index.dim() != 2 or edge_index.size(0) != 2:
            raise GraphError(f"{name} has shape {tuple(edge_index.shape)}; expected [2, E]")
        if edge_index.dtype not in (torch.int64, torch.int32):
            raise GraphError(f"{name} is {edge_index.dtype}; expected torch.long node ids")
        if edge_index.numel() == 0:
            continue
        ends = (None, None) if edge_type is None else (edge_type[0], edge_type[2])
        sizes = [num_nodes(data, node_type) for node_type in ends]
        for row, (end, size) in enumerate(zip(("source", "destination"), sizes, strict=True)):
            low, high = torch.aminmax(edge_index[row])
            if int(low) < 0 or int(high) >= size:
                bad = int(low) if int(low) < 0 else int(high)
                raise GraphError(
                    f"{name} names {end} node {bad}, but there are {size} nodes (0 to {size - 1})"
                )


def check_features(data: Any) -> None:
    """Check that there are nodes and that floating attributes are finite."""
    if int(data.num_nodes or 0) == 0:
        raise GraphError("the graph has no nodes; there is nothing to explain")
    for store in data.stores:
        for key, value in store.items():
            if not isinstance(value, Tensor) or is_sparse(value) or not value.is_floating_point():
                continue
            if key in LABEL_KEYS:  # missing labels are nan: told where one is asked for
                continue
            # A sum is finite unless an entry is not, or the sum overflows: look closer only then.
            if not torch.isfinite(value.sum()) and not torch.isfinite(value).all():
                bad = int((~torch.isfinite(value)).sum())
                raise GraphError(
                    f"{key} has {bad} values that are NaN or infinite; replace them before "
                    "explaining, every score would be NaN"
                )
