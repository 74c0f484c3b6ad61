"""Many growing graphs as dense tensors: what can be added, adding it, and handing them to a model.

A graph has room for V nodes; a *move* is a pair (start, end) of a node and either another node or,
at ``V + k``, a new node of type k. It adds the edge between them, and the new node if there is one.
Graphs are simple: undirected, without self loops and without parallel edges. No move can break
that, nor add a node where there is no room.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class DenseGraphs:
    """B graphs side by side.

    Attributes:
        node_type: ``[B, V]`` type of each node, -1 where there is none; nodes come first.
        adjacency: ``[B, V, V]`` bool, symmetric.
        num_types: number K of node types.
    """

    node_type: Tensor
    adjacency: Tensor
    num_types: int

    @staticmethod
    def from_edges(
        node_type: Tensor, edge_index: Tensor, max_nodes: int, num_types: int
    ) -> DenseGraphs:
        """One graph, from the types ``[n]`` of its nodes and its edges ``[2, e]``."""
        types = node_type.new_full((1, max_nodes), -1)
        types[0, : node_type.numel()] = node_type
        size = (1, max_nodes, max_nodes)
        adjacency = torch.zeros(size, dtype=torch.bool, device=node_type.device)
        adjacency[0, edge_index[0], edge_index[1]] = True
        return DenseGraphs(types, adjacency | adjacency.transpose(1, 2), num_types)

    @staticmethod
    def cat(parts: list[DenseGraphs]) -> DenseGraphs:
        """Graphs with the same room, one after the other."""
        types = torch.cat([part.node_type for part in parts])
        return DenseGraphs(types, torch.cat([part.adjacency for part in parts]), parts[0].num_types)

    def __len__(self) -> int:
        return self.node_type.size(0)

    @property
    def max_nodes(self) -> int:
        """V: how many nodes a graph can have."""
        return self.node_type.size(1)

    @property
    def is_node(self) -> Tensor:
        """``[B, V]``: where there is a node."""
        return self.node_type >= 0

    @property
    def num_nodes(self) -> Tensor:
        """``[B]``: number of nodes."""
        return self.is_node.sum(dim=1)

    @property
    def degree(self) -> Tensor:
        """``[B, V]``: number of neighbors."""
        return self.adjacency.sum(dim=2)

    @property
    def num_edges(self) -> Tensor:
        """``[B]``: number of undirected edges."""
        return self.degree.sum(dim=1) // 2

    def candidates(self) -> Tensor:
        """Pairs that name two different things that are there, ``[B, V, V + K]``."""
        is_node = self.is_node
        pairs = is_node[:, :, None] & is_node[:, None, :]
        pairs &= ~torch.eye(self.max_nodes, dtype=torch.bool, device=is_node.device)
        added = is_node[:, :, None].expand(-1, -1, self.num_types)
        return torch.cat([pairs, added], dim=2)

    def moves(self) -> Tensor:
        """Pairs that keep the graph simple and within its room, ``[B, V, V + K]``."""
        allowed = self.candidates()
        allowed[:, :, : self.max_nodes] &= ~self.adjacency
        allowed[:, :, self.max_nodes :] &= (self.num_nodes < self.max_nodes)[:, None, None]
        return allowed

    def after(self, start: Tensor, end: Tensor) -> DenseGraphs:
        """The graphs after one of their `moves` each, ``[B]`` and ``[B]``."""
        row = torch.arange(len(self), device=start.device)
        is_new = end >= self.max_nodes
        node_type = self.node_type.clone()
        place = self.num_nodes.clamp_max(self.max_nodes - 1)
        added = torch.where(is_new, end - self.max_nodes, node_type[row, place])
        node_type[row, place] = added
        target = torch.where(is_new, place, end)
        adjacency = self.adjacency.clone()
        adjacency[row, start, target] = True
        adjacency[row, target, start] = True
        return DenseGraphs(node_type, adjacency, self.num_types)

    def where(self, condition: Tensor, other: DenseGraphs) -> DenseGraphs:
        """These graphs where the condition ``[B]`` holds, the others elsewhere."""
        return DenseGraphs(
            torch.where(condition[:, None], self.node_type, other.node_type),
            torch.where(condition[:, None, None], self.adjacency, other.adjacency),
            self.num_types,
        )

    def take(self, row: Tensor | slice) -> DenseGraphs:
        """Some of the graphs."""
        return DenseGraphs(self.node_type[row], self.adjacency[row], self.num_types)

    def put(self, row: Tensor, other: DenseGraphs) -> DenseGraphs:
        """With others in the place of some."""
        return DenseGraphs(
            self.node_type.index_copy(0, row, other.node_type),
            self.adjacency.index_copy(0, row, other.adjacency),
            self.num_types,
        )

    def repeat(self, times: int) -> DenseGraphs:
        """Each graph so often: all copies of the first, then of the second, ..."""
        return DenseGraphs(
            self.node_type.repeat_interleave(times, dim=0),
            self.adjacency.repeat_interleave(times, dim=0),
            self.num_types,
        )

    def pack(self) -> tuple[Tensor, Tensor, Tensor]:
        """One disjoint graph: node types ``[n]``, edges both ways ``[2, e]``, ``batch [n]``."""
        is_node = self.is_node
        number = is_node.flatten().cumsum(0).view_as(self.node_type) - 1
        batch, source, destination = self.adjacency.nonzero(as_tuple=True)
        edge_index = torch.stack([number[batch, source], number[batch, destination]])
        return self.node_type[is_node], edge_index, is_node.nonzero()[:, 0]

    def single(self, row: int) -> tuple[Tensor, Tensor]:
        """One graph: node types ``[n]`` and edges both ways ``[2, e]``."""
        node_type, edge_index, _ = self.take(slice(row, row + 1)).pack()
        return node_type, edge_index

    def keys(self) -> list[bytes]:
        """One key per graph, equal if and only if nodes and edges are, in this order."""
        types = self.node_type.to(torch.int16).cpu().numpy()
        edges = self.adjacency.cpu().numpy()
        return [a.tobytes() + b.tobytes() for a, b in zip(types, edges, strict=True)]
