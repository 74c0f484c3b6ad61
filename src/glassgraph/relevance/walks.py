"""The walks of a batch: along which nodes did information travel from the features to the score?

A walk is a sequence of nodes ``(n_0, ..., n_L)``. At layer ``p`` information either moves from
``n_p`` to ``n_{p+1}`` with a message or stays where it is (root weights, residual connections,
jumping knowledge), and the node repeats. The relevance of a walk is the sum over everything that
happens on the way to neurons: a product of matrices (Schnake et al., "Higher-Order Explanations of
Graph Neural Networks via Relevant Walks", TPAMI 2022, https://arxiv.org/abs/2006.03589),

    R(n_0, ..., n_L) = start[n_0]  T_0[n_0, n_1]  T_1[n_1, n_2]  ...  T_{L-1}[n_{L-1}, n_L]

Between two layers information about a node has one place for each message that may carry it on: the
states sent at layer ``p``, those that stay until a later layer, and, where nothing more is to be
passed, its share of the score. These are the *columns* of layer ``p``: ``V_p`` of them, for the
score alone ``V_L = 1``. ``T_p[u, v]`` has one block for each message from ``u`` to ``v``; if
``u = v`` it also passes on the columns that stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from glassgraph.core.shared_rows import SharedRows


@dataclass(frozen=True)
class Step:
    """The messages of one site.

    Attributes:
        site: position of the site.
        sender: ``[m]`` node of the batch.
        receiver: ``[m]`` node of the batch.
        edge: ``[m]`` edge of the batch, -1 for messages that are no edge (self-loops of a layer).
        columns: where the states it sends stand among the columns of its layer.
        block: ``[m, D, V_{p+1}]`` what becomes of one unit of each of its D columns.
        state: ``[n, D]`` what each node sends.
        shared: which messages belong to further edges.
    """

    site: int
    sender: Tensor
    receiver: Tensor
    edge: Tensor
    columns: slice
    block: Tensor
    state: Tensor
    shared: SharedRows | None = None


@dataclass(frozen=True)
class WalkLayer:
    """One layer of a walk graph.

    Attributes:
        steps: its sites (R-GCN has one for each relation).
        stay: ``[2, c]`` columns before and after the layer that are passed on as they are.
    """

    steps: tuple[Step, ...]
    stay: Tensor

    @property
    def can_stay(self) -> bool:
        """Whether information can pass the layer without a message."""
        return self.stay.size(1) > 0


@dataclass(frozen=True)
class WalkGraph:
    """All walks of a batch, without listing them.

    Attributes:
        node_instance: ``[n]`` which instance a node belongs to.
        num_instances: B.
        score: ``[B]`` the explained scalar, to which the relevance of all walks sums if none stays
            with biases.
        start: ``[n, V_0]`` what the features of a node put into its columns.
        layers: L layers.
        is_end: ``[n]`` whether a walk may end at a node.
    """

    node_instance: Tensor
    num_instances: int
    score: Tensor
    start: Tensor
    layers: tuple[WalkLayer, ...]
    is_end: Tensor

    @property
    def num_layers(self) -> int:
        """Number L of layers; a walk has L + 1 nodes."""
        return len(self.layers)

    @property
    def num_nodes(self) -> int:
        """Number n of nodes."""
        return int(self.node_instance.numel())

    @cached_property
    def widths(self) -> list[int]:
        """``V_0, ..., V_L``."""
        blocks = [layer.steps[0].block.size(2) for layer in self.layers]
        return [self.start.size(1), *blocks]

    @cached_property
    def pairs(self) -> list[Tensor]:
        """For each layer the moves ``[2, P]`` of a walk: distinct pairs of nodes, stays included.

        Ascending by the second node, then the first.
        """
        found = []
        here = torch.arange(self.num_nodes, device=self.start.device)
        for layer in self.layers:
            keys = [step.receiver * self.num_nodes + step.sender for step in layer.steps]
            if layer.can_stay:
                keys.append(here * self.num_nodes + here)
            key = torch.unique(torch.cat(keys))
            found.append(torch.stack([key % self.num_nodes, key // self.num_nodes]))
        return found

    @cached_property
    def num_suffixes(self) -> list[Tensor]:
        """For each position p the number ``[n]`` of walks' ends ``(n_p, ..., n_L)`` from a node."""
        counts = [self.is_end.double()]
        for source, destination in reversed(self.pairs):
            count = torch.zeros_like(counts[0])
            counts.insert(0, count.index_add(0, source, counts[0][destination]))
        return counts

    @cached_property
    def num_prefixes(self) -> list[Tensor]:
        """For each position p the number ``[n]`` of walks' beginnings that can still end well."""
        counts = [self.num_suffixes[0].gt(0).double()]
        for (source, destination), rest in zip(self.pairs, self.num_suffixes[1:], strict=True):
            count = torch.zeros_like(rest).index_add(0, destination, counts[-1][source])
            counts.append(torch.where(rest > 0, count, 0.0))
        return counts

    @property
    def num_walks(self) -> Tensor:
        """``[B]`` number of walks of each instance, as floating numbers (exact up to 2^53)."""
        total = torch.zeros(self.num_instances, dtype=torch.double, device=self.start.device)
        return total.index_add(0, self.node_instance, self.num_suffixes[0])

    def suffixes(self, weight: Tensor | None = None) -> list[Tensor]:
        """What a unit in each column of a node is worth, summed over all ends of walks.

        Args:
            weight: ``[..., n]`` factor for each visit of a node; 1 if None.

        Returns:
            For each position p ``[..., n, V_p]``, the node at position p weighted too.
        """
        one = torch.ones_like(self.start[:, 0]) if weight is None else weight.to(self.start.dtype)
        factor = one.unsqueeze(-1)
        found = [factor * self.is_end.to(factor.dtype).view(-1, 1)]
        for position in reversed(range(self.num_layers)):
            layer, after = self.layers[position], found[0]
            value = after.new_zeros((*after.shape[:-1], self.widths[position]))
            value[..., layer.stay[0]] = after[..., layer.stay[1]]
            for step in layer.steps:
                part = value[..., step.columns]
                sent = torch.einsum("mdv,...mv->...md", step.block, after[..., step.receiver, :])
                value[..., step.columns] = part.index_add(-2, step.sender, sent)
            found.insert(0, factor * value)
        return found

    def prefixes(self) -> list[Tensor]:
        """What arrives in each column of a node, summed over all beginnings of walks.

        Returns:
            For each position p ``[n, V_p]``.
        """
        found = [self.start]
        for layer, width in zip(self.layers, self.widths[1:], strict=True):
            before = found[-1]
            value = before.new_zeros((self.num_nodes, width))
            value[:, layer.stay[1]] = before[:, layer.stay[0]]
            for step in layer.steps:
                taken = before[:, step.columns][step.sender]
                value = value.index_add(
                    0, step.receiver, torch.einsum("md,mdv->mv", taken, step.block)
                )
            found.append(value)
        return found

    def arriving(self) -> list[Tensor]:
        """What the model has in the columns of each node: `prefixes`, with the share of biases.

        Returns:
            For each position p ``[n, V_p]``; the states themselves where the next layer sends them.
        """
        found = [self.start]
        for position, layer in enumerate(self.layers):
            value = self.start.new_zeros((self.num_nodes, self.widths[position + 1]))
            value[:, layer.stay[1]] = found[-1][:, layer.stay[0]]
            for step in layer.steps:
                sent = torch.einsum("md,mdv->mv", step.state[step.sender], step.block)
                value = value.index_add(0, step.receiver, sent)
            if position + 1 < self.num_layers:
                for step in self.layers[position + 1].steps:
                    value[:, step.columns] = step.state
            found.append(value)
        return found

    def relevance(self, weight: Tensor | None = None) -> Tensor:
        """Sum of the relevance of all walks of each instance, ``[..., B]``.

        Args:
            weight: ``[..., n]`` factor for each visit of a node; 1 if None.
        """
        value = (self.suffixes(weight)[0] * self.start).sum(-1)
        total = value.new_zeros((*value.shape[:-1], self.num_instances))
        return total.index_add(-1, self.node_instance, value)

    def node_relevance(self) -> Tensor:
        """Sum of the relevance of all walks that start at each node, ``[n]``."""
        return (self._suffixes[0] * self.start).sum(-1)

    @cached_property
    def _suffixes(self) -> list[Tensor]:
        return self.suffixes()

    def edge_relevance(self, num_edges: int) -> Tensor:
        """Sum of the relevance of all walks through each edge at each layer, ``[L, e]``.

        Args:
            num_edges: number e of edges of the batch.
        """
        before, after = self.prefixes(), self._suffixes
        found = self.start.new_zeros((self.num_layers, num_edges + 1))
        for position, layer in enumerate(self.layers):
            for step in layer.steps:
                taken = before[position][:, step.columns][step.sender]
                left = after[position + 1][step.receiver]
                flow = torch.einsum("md,mdv,mv->m", taken, step.block, left)
                edge = torch.where(step.edge < 0, num_edges, step.edge)
                if step.shared is not None:
                    row, edge = step.shared.everyone(edge)
                    flow = (flow / step.shared.owners)[row]
                found[position].index_add_(0, edge, flow)
        return found[:, :num_edges]
