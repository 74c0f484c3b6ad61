"""Distributions over graphs in which every edge and every node's type is drawn for itself.

A graph has V nodes. The edge of a pair of nodes is there with probability ``sigmoid(w)``, a node
has type k with probability ``softmax(xi)_k``; nothing depends on anything else. With noise in front
of a steep sigmoid both become relaxed draws, from which gradients run back (the concrete
distribution; Maddison, Mnih and Teh, ICLR 2017, https://arxiv.org/abs/1611.00712; Jang, Gu and
Poole, ICLR 2017, https://arxiv.org/abs/1611.01144).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgraph.core.random import normal, uniform
from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.learn.concrete import connectivity, entropy

#: Logit of what is certain; its relaxed draws are 1 up to rounding at any usual temperature.
_CERTAIN = 50.0
#: Of the addresses of random numbers.
_EDGES, _TYPES, _INITIAL = 0, 1, -4


@dataclass(frozen=True)
class Draws:
    """B drawn graphs of V nodes, relaxed or not.

    Attributes:
        edge: ``[B, P]`` whether the edge of each pair of nodes is there, from 0 to 1.
        node_type: ``[B, V, K]`` share of each type.
    """

    edge: Tensor
    node_type: Tensor


class GraphDistributions:
    """R distributions over graphs of V nodes of K types.

    Args:
        edge_logit: ``[R, P]`` of the P = V (V - 1) / 2 pairs of nodes, in the order of `pairs`.
        type_logit: ``[R, V, K]``.
        given: one graph whose nodes and edges are certain; None for none.
    """

    def __init__(
        self, edge_logit: Tensor, type_logit: Tensor, given: DenseGraphs | None = None
    ) -> None:
        self.edge_logit, self.type_logit = edge_logit, type_logit
        self.num_nodes, self.num_types = type_logit.size(1), type_logit.size(2)
        self._given = given

    @staticmethod
    def initial(
        count: int,
        num_nodes: int,
        num_types: int,
        seed: int,
        like: Tensor,
        given: DenseGraphs | None,
    ) -> GraphDistributions:
        """Standard normal logits, of the floating type and device of a tensor."""
        row = torch.arange(count, device=like.device)
        pair = torch.arange(num_nodes * (num_nodes - 1) // 2, device=like.device)
        kind = torch.arange(num_nodes * num_types, device=like.device)
        edge = normal(seed, _INITIAL, _EDGES, row[:, None], pair).to(like.dtype)
        types = normal(seed, _INITIAL, _TYPES, row[:, None], kind).to(like.dtype)
        return GraphDistributions(edge, types.view(count, num_nodes, num_types), given)

    def replaced(self, edge_logit: Tensor, type_logit: Tensor) -> GraphDistributions:
        """Others of the same kind of graphs."""
        return GraphDistributions(edge_logit, type_logit, self._given)

    def copy(self) -> GraphDistributions:
        """The same, apart from what is learned on."""
        return self.replaced(self.edge_logit.detach().clone(), self.type_logit.detach().clone())

    def where(self, condition: Tensor, other: GraphDistributions) -> GraphDistributions:
        """These where the condition ``[R]`` holds, the others elsewhere."""
        edge = torch.where(condition[:, None], self.edge_logit, other.edge_logit.detach())
        types = torch.where(condition[:, None, None], self.type_logit, other.type_logit.detach())
        return self.replaced(edge, types)

    def take(self, row: Tensor) -> GraphDistributions:
        """Some of them."""
        return self.replaced(self.edge_logit[row], self.type_logit[row])

    def __len__(self) -> int:
        return self.edge_logit.size(0)

    @property
    def pairs(self) -> Tensor:
        """``[2, P]`` the two nodes of each pair, the smaller first."""
        where = self.edge_logit.device
        return torch.triu_indices(self.num_nodes, self.num_nodes, offset=1, device=where)

    @property
    def logits(self) -> tuple[Tensor, Tensor]:
        """``[R, P]`` and ``[R, V, K]``, with those of the given graph at their bounds."""
        edge, types = self.edge_logit, self.type_logit
        if self._given is None:
            return edge, types
        first, second = self.pairs
        is_certain = self._given.adjacency[0, first, second]
        edge = torch.where(is_certain, _CERTAIN, edge)
        kind = self._given.node_type[0]
        certain = _CERTAIN * F.one_hot(kind.clamp_min(0), self.num_types).to(types.dtype)
        return edge, torch.where((kind >= 0)[:, None], certain, types)

    def relaxed(self, samples: int, temperature: float, seed: int, *address: int) -> Draws:
        """``samples`` relaxed draws of each distribution, those of the first one first."""
        edge, types = self.logits
        edge_noise, type_noise = self._noise(samples, seed, *address)
        logistic = edge_noise.log() - torch.log1p(-edge_noise)
        gumbel = -(-type_noise.log()).log()
        soft_edge = ((edge[:, None] + logistic) / temperature).sigmoid()
        soft_type = ((types[:, None] + gumbel) / temperature).softmax(dim=-1)
        return Draws(soft_edge.flatten(0, 1), soft_type.flatten(0, 1))

    def sample(self, samples: int, seed: int, *address: int) -> Draws:
        """As many draws that are graphs."""
        edge, types = (each.detach() for each in self.logits)
        edge_noise, type_noise = self._noise(samples, seed, *address)
        is_there = edge_noise < edge.sigmoid()[:, None]
        kind = (types[:, None] - (-type_noise.log()).log()).argmax(dim=-1)
        return self._hard(is_there.flatten(0, 1), kind.flatten(0, 1))

    def mode(self) -> Draws:
        """The most probable graph of each distribution: edges above one half, likeliest types."""
        edge, types = (each.detach() for each in self.logits)
        return self._hard(edge > 0, types.argmax(dim=-1))

    def _hard(self, is_there: Tensor, kind: Tensor) -> Draws:
        dtype = self.type_logit.dtype
        return Draws(is_there.to(dtype), F.one_hot(kind, self.num_types).to(dtype))

    def _noise(self, samples: int, seed: int, *address: int) -> tuple[Tensor, Tensor]:
        """Uniform numbers ``[R, S, P]`` and ``[R, S, V, K]``."""
        where, dtype = self.edge_logit.device, self.edge_logit.dtype
        row = torch.arange(len(self), device=where)[:, None, None]
        sample = torch.arange(samples, device=where)[:, None]
        pair = torch.arange(self.edge_logit.size(1), device=where)
        kind = torch.arange(self.num_nodes * self.num_types, device=where)
        edge = uniform(seed, *address, row, sample, _EDGES, pair)
        types = uniform(seed, *address, row, sample, _TYPES, kind)
        least = torch.finfo(dtype).eps
        edge, types = (each.to(dtype).clamp(least, 1 - least) for each in (edge, types))
        return edge, types.view(len(self), samples, self.num_nodes, self.num_types)

    # What is asked of the distributions besides the class, ``[R]`` each

    def size(self, order: int) -> Tensor:
        """Mean absolute (order 1) or squared (order 2) logit."""
        flat = torch.cat([self.edge_logit, self.type_logit.flatten(1)], dim=1)
        return flat.abs().mean(dim=1) if order == 1 else flat.square().mean(dim=1)

    def over_budget(self, budget: float) -> Tensor:
        """``softplus(expected edges - budget)``, squared."""
        return F.softplus(self.logits[0].sigmoid().sum(dim=1) - budget).square()

    def disagreement(self) -> Tensor:
        """Mean divergence ``KL(p_a || p_b)`` of two edges that meet in a node, over ordered pairs.

        Every edge is in as many pairs as any other, so it is the mean cross-entropy less the mean
        entropy.
        """
        count, width = self.edge_logit.shape
        if width < 2:
            return self.edge_logit.new_zeros(count)
        row = torch.arange(count, device=self.edge_logit.device).repeat_interleave(width)
        first, second = (ends.repeat(count) + self.num_nodes * row for ends in self.pairs)
        logit = self.edge_logit.flatten()
        crossed = connectivity(logit, first, second, row, count)
        return crossed - entropy(self.edge_logit).mean(dim=1)
