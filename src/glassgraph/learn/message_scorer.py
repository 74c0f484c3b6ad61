"""One number for each message, from the message and the states at both ends.

    q = [h_u, h_v, m_uv]        a = W2 relu(LayerNorm(W1 q + r))

with ``r`` learned for each relation (zero where a layer has one). The input comes from the
unmasked run: a gate reads its own message, never ahead at the others' gates.

The product with ``W1`` is taken once for each node and for each message that differs, and added up
along the edges.

Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577), equations 6 and 7.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgraph.learn.repeated_rows import RepeatedRows, SideBySide


class MessageScorer(nn.Module):
    """The scorer of one group of messages.

    Args:
        in_channels: width of ``q``.
        hidden_channels: width of the hidden layer.
        num_relations: relations that the messages are told apart by.
    """

    def __init__(self, in_channels: int, hidden_channels: int, num_relations: int = 1) -> None:
        super().__init__()
        self.inner = nn.Linear(in_channels, hidden_channels)
        self.norm = nn.LayerNorm(hidden_channels)
        self.outer = nn.Linear(hidden_channels, 1)
        self.relation = (
            nn.Parameter(torch.zeros(num_relations, hidden_channels)) if num_relations > 1 else None
        )

    def forward(self, rows: SideBySide | Tensor) -> Tensor:
        """Scores ``[m]`` of rows ``q [m, in_channels]``, with the relation of each as its kind."""
        if isinstance(rows, Tensor):
            rows = SideBySide((RepeatedRows(rows),))
        hidden = rows.linear(self.inner.weight, self.inner.bias, self.relation)
        scores: Tensor = self.outer(F.relu(self.norm(hidden)))
        return scores.squeeze(1)
