"""Heterogeneous graphs side by side in PyG's dictionaries -> a ``Batch``, and masks back again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch, HeteroData

from glassgraph.errors import GraphError


@dataclass(frozen=True)
class TypedGraphs:
    """Several graphs, and where their nodes and edges stand among all of them.

    Attributes:
        batch: the graphs.
        rows: for each graph, by node type and edge type, the rows of the whole.
    """

    batch: Any
    rows: list[dict[Any, Tensor]]

    @staticmethod
    def split(data: HeteroData, owner: Mapping[str, Tensor]) -> TypedGraphs:
        """Take graphs apart.

        Args:
            data: all of them.
            owner: for each node type ``[N_t]`` which graph a node belongs to, ascending.

        Raises:
            GraphError: if the graphs do not stand one after the other, or an edge joins two.
        """
        num_graphs = 1 + max(
            (int(each.max()) for each in owner.values() if each.numel()), default=0
        )
        for kind, each in owner.items():
            if bool((each.diff() < 0).any()):
                raise GraphError(f"batch of {kind!r} must be ascending, graph after graph")
        graphs, rows = [], []
        for number in range(num_graphs):
            own: dict[Any, Tensor] = {
                kind: (each == number).nonzero().view(-1) for kind, each in owner.items()
            }
            for kind in data.edge_types:
                own[kind] = _edges_of(data, kind, owner, number)
            graphs.append(_part(data, own))
            rows.append(own)
        return TypedGraphs(Batch.from_data_list(graphs), rows)

    def whole(self, mask: Tensor, graph: int, kind: Any) -> Tensor:
        """The mask of one graph's nodes or edges of a type as one of all graphs, 0 elsewhere."""
        size = sum(rows[kind].numel() for rows in self.rows)
        found = mask.new_zeros(size, *mask.shape[1:])
        found[self.rows[graph][kind].to(mask.device)] = mask
        return found


def _edges_of(
    data: HeteroData, kind: tuple[str, str, str], owner: Mapping[str, Tensor], number: int
) -> Tensor:
    source, destination = data[kind].edge_index
    at_source, at_destination = owner[kind[0]][source], owner[kind[2]][destination]
    if bool((at_source != at_destination).any()):
        raise GraphError(f"an edge of {kind} joins two graphs of the batch")
    return (at_source == number).nonzero().view(-1)


def _part(data: HeteroData, rows: Mapping[Any, Tensor]) -> HeteroData:
    found = HeteroData()
    for kind in data.node_types:
        store, at = data[kind], rows[kind]
        for name, value in store.items():
            found[kind][name] = value[at] if store.is_node_attr(name) else value
    for kind in data.edge_types:
        store, at = data[kind], rows[kind]
        for name, value in store.items():
            if name != "edge_index":
                found[kind][name] = value[at] if store.is_edge_attr(name) else value
        source, destination = store.edge_index[:, at]
        ends = zip((source, destination), (kind[0], kind[2]), strict=True)
        first = [end - (rows[of][0] if rows[of].numel() else 0) for end, of in ends]
        found[kind].edge_index = torch.stack(first)
    for name, value in data.stores[0].items():
        found[name] = value
    return found
