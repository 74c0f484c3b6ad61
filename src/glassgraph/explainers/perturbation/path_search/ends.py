"""The two ends of each link of a batch, and the best paths between them.

All links are searched at once by `glassgraph.results.paths.best_paths`: a layer for each edge of a
path, with a move for each edge and one that stays at the end for paths that are shorter.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.reachability import reaching_messages
from glassgraph.inputs.links import first_edge, num_explained_edges
from glassgraph.results.paths import Moves, best_paths

#: Walks that are ranked for each path that is asked for, as those with circles are dropped.
_SPARE = 2


@dataclass(frozen=True)
class FoundPaths:
    """Paths of all links, ascending by instance, the best first.

    Attributes:
        instance: ``[P]`` whose they are.
        rank: ``[P]`` from 0.
        node: ``[P, K + 1]`` positions among the n nodes; the end is repeated.
        edge: ``[P, K]`` positions among the e edges; -1 after the end.
        score: ``[P]`` the product over its edges.
    """

    instance: Tensor
    rank: Tensor
    node: Tensor
    edge: Tensor
    score: Tensor

    def edges(self, num_edges: int) -> Tensor:
        """``[e]`` whether an edge lies on any of them."""
        found = torch.zeros(num_edges, dtype=torch.bool, device=self.edge.device)
        found[self.edge[self.edge >= 0]] = True
        return found

    def table(self, batch: InstanceBatch) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """A row for each step: instance, nodes, and what else is known of it."""
        path, step = (self.edge >= 0).nonzero(as_tuple=True)
        edge, instance = self.edge[path, step], self.instance[path]
        start = batch.edges_per_instance.cumsum(0) - batch.edges_per_instance
        ends = {"source": self.node[path, step], "destination": self.node[path, step + 1]}
        values = {
            "path": self.rank[path],
            "step": step,
            "edge": edge - start[instance],
            "score": self.score[path],
        }
        return instance, ends, values


@dataclass(frozen=True)
class LinkEnds:
    """Where paths may run.

    Attributes:
        batch: the links.
        max_length: edges of a path at most.
        source, destination, edge: ``[m]`` the moves along edges.
        cost: ``[m]`` the logarithm of the in-degree of the node that a move leads to.
        is_start, is_end: ``[n]``.
        is_kept: ``[e]`` edges that pruning leaves.
    """

    batch: InstanceBatch
    max_length: int
    source: Tensor
    destination: Tensor
    edge: Tensor
    cost: Tensor
    is_start: Tensor
    is_end: Tensor
    is_kept: Tensor

    @staticmethod
    def of(
        batch: InstanceBatch,
        *,
        directed: bool,
        max_length: int,
        k_core: int,
        max_degree: int | None,
    ) -> LinkEnds:
        """Prune the fields, and lay out the moves."""
        fields, num_nodes = batch.fields, batch.num_nodes
        start, end = fields.seed.unbind(dim=1)
        is_start, is_end = (
            torch.zeros(num_nodes, dtype=torch.bool, device=batch.device) for _ in range(2)
        )
        is_start[start], is_end[end] = True, True
        kept = _pruned(batch, is_start | is_end, k_core, max_degree)
        edge = kept.nonzero().view(-1)
        source, destination = fields.source[edge], fields.destination[edge]
        if not directed:
            source, destination = (
                torch.cat([source, destination]),
                torch.cat([destination, source]),
            )
            edge = edge.repeat(2)
        is_move = ~(is_end[source] | is_start[destination] | _itself(batch)[edge])
        source, destination, edge = source[is_move], destination[is_move], edge[is_move]
        degree = batch.graph.incoming.pointer.diff()[fields.node[destination]].clamp_min(1)
        cost = torch.where(is_end[destination], 0.0, degree.to(batch.dtype).log())
        return LinkEnds(batch, max_length, source, destination, edge, cost, is_start, is_end, kept)

    def best(self, value: Tensor, k: int) -> FoundPaths:
        """The k best paths of each link under mask values ``[e]``; fewer where there are fewer."""
        batch = self.batch
        log = value.clamp_min(torch.finfo(value.dtype).tiny).log()
        stay = self.is_end.nonzero().view(-1)
        moves = Moves(
            torch.cat([self.source, stay]),
            torch.cat([self.destination, stay]),
            torch.cat([log[self.edge] - self.cost, log.new_zeros(stay.numel())]),
        )
        layers = [moves] * self.max_length
        starts = self.is_start & ~self.is_end
        found = best_paths(layers, batch.node_instance, starts, self.is_end, _SPARE * k)
        edge = torch.cat([self.edge, self.edge.new_full((stay.numel(),), -1)])[found.move]
        simple = _is_simple(found.node, edge)
        node, edge, score = found.node[simple], edge[simple], found.score[simple]
        instance = batch.node_instance[node[:, 0]]
        rank = torch.arange(instance.numel(), device=batch.device)
        rank = rank - torch.searchsorted(instance, instance)
        chosen = rank < k
        return FoundPaths(
            instance[chosen], rank[chosen], node[chosen], edge[chosen], score[chosen].exp()
        )


def _itself(batch: InstanceBatch) -> Tensor:
    """``[e]`` edges that are the link itself: of its type, between its ends, either way."""
    fields, task = batch.fields, batch.task
    start, end = fields.seed[batch.edge_instance].unbind(dim=1)
    forward = (fields.source == start) & (fields.destination == end)
    found = forward | ((fields.source == end) & (fields.destination == start))
    if task.edge_type in batch.graph.edge_types:
        first = first_edge(batch.graph, task)
        is_own = (fields.edge >= first) & (
            fields.edge < first + num_explained_edges(batch.graph, task)
        )
        return found & is_own
    return found & (not batch.graph.is_heterogeneous)


def _is_simple(node: Tensor, edge: Tensor) -> Tensor:
    """``[P]`` which walks visit no node twice; the end is repeated where a walk has stayed."""
    num_steps = edge.size(1)
    there = torch.cat([torch.ones_like(edge[:, :1], dtype=torch.bool), edge >= 0], dim=1)
    twice = torch.zeros_like(there[:, 0])
    for first in range(num_steps):
        for second in range(first + 1, num_steps + 1):
            twice |= there[:, second] & (node[:, first] == node[:, second])
    return ~twice


def _pruned(batch: InstanceBatch, is_end: Tensor, k_core: int, max_degree: int | None) -> Tensor:
    """``[e]`` edges between nodes that have as many neighbors as they should; ends always stay."""
    source, destination = batch.fields.source, batch.fields.destination

    def between(stays: Tensor) -> Tensor:
        return (stays | is_end)[source] & (stays | is_end)[destination]

    kept = reaching_messages(batch).any(dim=0)  # on a whole graph also others are there
    if max_degree is not None:
        degree = _num_neighbors(source[kept], destination[kept], batch.num_nodes)
        kept = kept & between(degree <= max_degree)
    while True:
        degree = _num_neighbors(source[kept], destination[kept], batch.num_nodes)
        now = kept & between(degree >= k_core)
        if bool((now == kept).all()):
            return kept
        kept = now


def _num_neighbors(source: Tensor, destination: Tensor, num_nodes: int) -> Tensor:
    """``[n]`` different nodes that each is joined to."""
    low, high = torch.minimum(source, destination), torch.maximum(source, destination)
    pairs = torch.unique((low * num_nodes + high)[low != high])
    both = torch.cat([pairs // num_nodes, pairs % num_nodes])
    return torch.bincount(both, minlength=num_nodes)
