"""One number for each message, from the message and the states at both ends.

    q = [h_u, h_v, m_uv]        a = W2 relu(LayerNorm(W1 q + r))

with ``r`` learned for each relation (zero where a layer has one). The input comes from the
unmasked run: a gate reads its own message, never ahead at the others' gates.

Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577), equations 6 and 7.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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

    def forward(self, inputs: Tensor, relation: Tensor | None = None) -> Tensor:
        """Scores ``[m]`` of inputs ``[m, in_channels]``; ``relation [m]`` numbers each one's."""
        hidden: Tensor = self.inner(inputs)
        if self.relation is not None and relation is not None:
            hidden = hidden + self.relation[relation]
        scores: Tensor = self.outer(F.relu(self.norm(hidden)))
        return scores.squeeze(1)
