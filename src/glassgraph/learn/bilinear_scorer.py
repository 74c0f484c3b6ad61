"""One number for each ordered pair of nodes, from the states of both.

    gamma_r = W_r relu(LayerNorm(W1 H)) H^T        one matrix [N, N] for each relation r

for layers that multiply by adjacency matrices and write no messages out: ``gamma_r[i, j]`` is for
what node ``i`` receives from node ``j``. The cost is that of the layer itself, O(R N^2 S).

The paper's equation has the LayerNorm and no biases; its authors' code
(https://github.com/MichSchli/GraphMask) leaves the LayerNorm out and has biases. This is the
equation, but ``W1`` has a bias, as in `MessageScorer`.

Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577), appendix A, equation 9.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BilinearScorer(nn.Module):
    """The scorer of the adjacency matrices of one layer.

    Args:
        in_channels: width S of a node's state.
        hidden_channels: width of the hidden layer.
        num_relations: number R of matrices.
    """

    def __init__(self, in_channels: int, hidden_channels: int, num_relations: int = 1) -> None:
        super().__init__()
        self.inner = nn.Linear(in_channels, hidden_channels)
        self.norm = nn.LayerNorm(hidden_channels)
        bound = hidden_channels**-0.5
        self.outer = nn.Parameter(torch.empty(num_relations, in_channels, hidden_channels))
        nn.init.uniform_(self.outer, -bound, bound)  # as nn.Linear does

    def forward(self, states: Tensor) -> Tensor:
        """Scores ``[R, N, N]`` of all pairs, receivers first.

        Args:
            states: ``[N, S]``, or ``[R, N, S]`` where relations see other states.
        """
        hidden: Tensor = F.relu(self.norm(self.inner(states)))
        query = hidden @ self.outer.transpose(1, 2)
        return query @ states.transpose(-2, -1)
