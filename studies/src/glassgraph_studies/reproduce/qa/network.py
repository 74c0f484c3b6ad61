"""Entity-GCN: a gated relational network over mentions.

De Cao, Aziz and Titov (NAACL 2019, https://arxiv.org/abs/1808.09920). With ``q`` the query, ``N_i``
the edges that arrive at mention i and ``r`` their relations::

    h_i = f_x([x_i, q])
    u_i = f_s(h_i) + sum_r 1 / |N_i^r|  sum_(j in N_i^r)  W_r h_j + b_r    in every layer
    a_i = sigmoid(f_a([u_i, h_i]))                                         the gate
    h_i <- a_i tanh(u_i) + (1 - a_i) h_i
    P(c) ~ exp( max over mentions i of c  f_o([h_i, q]) )

All layers have the same weights. `EntityGCN` sends messages along lists of edges, `MatrixEntityGCN`
multiplies COMPLEMENT, which has most of them, by an adjacency matrix, as the GraphMask paper does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import degree

from glassgraph.core.adjacency import AdjacencyTap
from glassgraph_studies.reproduce.qa.graphs import (
    COMPLEMENT,
    MOST_CANDIDATES,
    RELATIONS,
    ROLES,
)

WIDTH = 96
#: Score of what no mention stands for.
_NEVER = -1e4


class _Relation(MessagePassing):
    """Messages of one relation: what is sent, divided by how much arrives in all."""

    def __init__(self) -> None:
        super().__init__(aggr="add")

    def forward(self, sent: Tensor, edge_index: Tensor, share: Tensor) -> Tensor:
        """Sums ``[N, D]`` of ``sent [N, D]`` with weights ``share [E]``."""
        found: Tensor = self.propagate(edge_index, x=sent, share=share, size=None)
        return found

    def message(self, x_j: Tensor, share: Tensor) -> Tensor:
        """Messages ``[E, D]``."""
        return share.view(-1, 1) * x_j


class EntityGCN(nn.Module):
    """Which candidate?

    Args:
        width_in: features of a mention; the last but its roles are the query.
        num_layers: message-passing steps.
        query_width: how many features are the query's.
        width: of hidden states.
        dropout: share of hidden numbers that are dropped while it learns.
    """

    def __init__(
        self,
        width_in: int,
        num_layers: int = 3,
        query_width: int = 100,
        width: int = WIDTH,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.width_in, self.num_layers, self.query_width = width_in, num_layers, query_width
        self.read = nn.Sequential(
            nn.Linear(width_in, 2 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )
        self.own = nn.Linear(width, width)
        self.relations = nn.ModuleList(nn.Linear(width, width) for _ in RELATIONS)
        self.gate = nn.Linear(2 * width, width)
        self.answer = nn.Sequential(
            nn.Linear(width + query_width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, 1),
        )
        self.sums: Any = nn.ModuleList(self._sums() for _ in range(num_layers))

    def _sums(self) -> nn.Module:
        return nn.ModuleList(_Relation() for _ in RELATIONS)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_type: Tensor,
        candidate: Tensor,
        batch: Tensor | None = None,
    ) -> Tensor:
        """Scores ``[B, MOST_CANDIDATES]``; those that a question does not have are out of reach."""
        if batch is None:
            batch = edge_index.new_zeros(x.size(0))
        receiver = edge_index[1] * len(RELATIONS) + edge_type
        number = degree(receiver, x.size(0) * len(RELATIONS), x.dtype)
        share = 1 / number[receiver]
        hidden = torch.tanh(self.read(x))
        for layer in range(self.num_layers):
            arrived = self._arrived(layer, hidden, edge_index, edge_type, share)
            update = self.own(hidden) + arrived
            gate = torch.sigmoid(self.gate(torch.cat([update, hidden], dim=1)))
            hidden = gate * torch.tanh(update) + (1 - gate) * hidden
        query = x[:, -len(ROLES) - self.query_width : -len(ROLES)]
        score = self.answer(torch.cat([hidden, query], dim=1)).view(-1)
        return best_of_candidates(score, candidate, batch)

    def _arrived(
        self, layer: int, hidden: Tensor, edge_index: Tensor, edge_type: Tensor, share: Tensor
    ) -> Tensor:
        total = torch.zeros_like(hidden)
        for number, (relation, sum_up) in enumerate(
            zip(self.relations, self.sums[layer], strict=True)
        ):
            own = edge_type == number
            total = total + sum_up(relation(hidden), edge_index[:, own], share[own])
        return total


class MatrixEntityGCN(EntityGCN):
    """The same network with an adjacency matrix for COMPLEMENT; weights of one fit the other."""

    def _sums(self) -> nn.Module:
        return nn.ModuleList(
            AdjacencyTap() if number == COMPLEMENT else _Relation()
            for number in range(len(RELATIONS))
        )

    def _arrived(
        self, layer: int, hidden: Tensor, edge_index: Tensor, edge_type: Tensor, share: Tensor
    ) -> Tensor:
        total = torch.zeros_like(hidden)
        for number, (relation, sum_up) in enumerate(
            zip(self.relations, self.sums[layer], strict=True)
        ):
            own = edge_type == number
            source, destination = edge_index[:, own]
            if number == COMPLEMENT:
                empty = hidden.new_zeros(hidden.size(0), hidden.size(0))
                matrix = empty.index_put((destination, source), share[own])
                total = total + sum_up(matrix, relation(hidden), hidden)
            else:
                total = total + sum_up(relation(hidden), edge_index[:, own], share[own])
        return total


def best_of_candidates(score: Tensor, candidate: Tensor, batch: Tensor) -> Tensor:
    """For each graph the highest score ``[B, MOST_CANDIDATES]`` of each candidate's mentions.

    Args:
        score: ``[N]`` of mentions.
        candidate: ``[N]`` which candidate each mentions, or -1.
        batch: ``[N]`` the graph of each.
    """
    num_graphs = int(batch.max()) + 1 if batch.numel() else 1
    named = candidate >= 0
    place = batch[named] * MOST_CANDIDATES + candidate[named]
    never = score.new_full((num_graphs * MOST_CANDIDATES,), _NEVER)
    return never.scatter_reduce(0, place, score[named], "amax").view(num_graphs, -1)
