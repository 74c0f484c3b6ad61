"""A gated graph network over facts and entities.

Li, Tarlow, Brockschmidt and Zemel, "Gated Graph Sequence Neural Networks" (ICLR 2016,
https://arxiv.org/abs/1511.05493), with sums over the edges of each relation: in every step, with
weights shared by all of them::

    m_i = sum_r sum_(j in N_i^r)  W_r h_j + b_r          h_i <- GRU(m_i, h_i)

An answer's score is read at the node that stands for it; yes and no at what is asked about first.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from glassgraph_studies.reproduce.babi.stories import MOST_ANSWERS, RELATIONS, YES_NO

WIDTH = 48
_NEVER = -1e4


class _Relation(MessagePassing):
    """Sums of what arrives along the edges of one relation."""

    def __init__(self) -> None:
        super().__init__(aggr="add")

    def forward(self, sent: Tensor, edge_index: Tensor) -> Tensor:
        """Sums ``[N, D]`` of ``sent [N, D]``."""
        found: Tensor = self.propagate(edge_index, x=sent, size=None)
        return found

    def message(self, x_j: Tensor) -> Tensor:
        """Messages ``[E, D]``."""
        return x_j


class StoryNetwork(nn.Module):
    """Which answer?

    Args:
        num_patterns: patterns of sentences, see `patterns`.
        num_layers: steps.
        width: of hidden states.
    """

    def __init__(self, num_patterns: int, num_layers: int = 6, width: int = WIDTH) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.pattern = nn.Embedding(num_patterns, width)
        self.asked = nn.Embedding(num_patterns, width)
        self.marks = nn.Linear(3, width)
        self.relations = nn.ModuleList(nn.Linear(width, width) for _ in RELATIONS)
        self.sums: Any = nn.ModuleList(
            nn.ModuleList(_Relation() for _ in RELATIONS) for _ in range(num_layers)
        )
        self.update = nn.GRUCell(width, width)
        self.answer = nn.Sequential(
            nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, len(YES_NO))
        )

    def forward(
        self,
        x: Tensor,
        pattern: Tensor,
        asked: Tensor,
        edge_index: Tensor,
        edge_type: Tensor,
        answer: Tensor,
        batch: Tensor | None = None,
    ) -> Tensor:
        """Scores ``[B, MOST_ANSWERS]``; those that a question does not have are out of reach."""
        if batch is None:
            batch = edge_index.new_zeros(x.size(0))
        start = torch.tanh(self.pattern(pattern) + self.asked(asked) + self.marks(x))
        hidden = start
        for sums in self.sums:
            arrived = torch.zeros_like(hidden)
            for number, (relation, sum_up) in enumerate(zip(self.relations, sums, strict=True)):
                arrived = arrived + sum_up(relation(hidden), edge_index[:, edge_type == number])
            hidden = self.update(arrived, hidden)
        score = self.answer(torch.cat([hidden, start], dim=1))
        return _scores(score, x[:, 0] > 0, answer, batch)


def _scores(score: Tensor, is_asked: Tensor, answer: Tensor, batch: Tensor) -> Tensor:
    """Of entities the first number of their node; of yes and no both of the node asked about."""
    num_graphs = int(batch.max()) + 1
    found = score.new_full((num_graphs, MOST_ANSWERS), _NEVER)
    named = answer >= 0
    found = found.index_put((batch[named], answer[named]), score[named, 0])
    has_entities = torch.zeros(num_graphs, dtype=torch.bool, device=score.device)
    has_entities[batch[named]] = True
    own = is_asked & ~has_entities[batch]
    for number in range(len(YES_NO)):
        place = batch.new_full((int(own.sum()),), number)
        found = found.index_put((batch[own], place), score[own, number])
    return found
