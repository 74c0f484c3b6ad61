"""One number for each edge, from the states at both ends and, if asked, at the explained nodes.

    a_uv = w relu(W [h_u, h_v, h_target] + b) + c

The product with ``W`` is taken once for each node and added up along the edges, so that the cost of
wide states follows the number of nodes, not of edges.

Luo, Cheng, Xu, Yu, Zong, Chen and Zhang, "Parameterized Explainer for Graph Neural Network"
(NeurIPS 2020, https://arxiv.org/abs/2011.04573), equations 10 and 11.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: A spread below this share of the largest number is rounding.
_CONSTANT = 1e-6


class EdgeScorer(nn.Module):
    """The perceptron.

    Args:
        channels: width D of the states.
        num_targets: how many nodes it reads besides the edge's ends.
        hidden_channels: width of the hidden layer.
        start: added to ``c`` at the start.
    """

    mean: Tensor
    inverse_std: Tensor

    def __init__(
        self,
        channels: int,
        num_targets: int = 0,
        hidden_channels: int = 64,
        start: float = 0.0,
    ) -> None:
        super().__init__()
        self.channels, self.num_targets = channels, num_targets
        self.inner = nn.Linear((2 + num_targets) * channels, hidden_channels)
        self.outer = nn.Linear(hidden_channels, 1)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("inverse_std", torch.ones(channels))
        with torch.no_grad():
            self.outer.bias.add_(start)

    @torch.no_grad()
    def standardize(self, states: Tensor) -> None:
        """Read states in units of the standard deviation of these; constant ones count as 0."""
        std, mean = torch.std_mean(states, dim=0, correction=0)
        varies = std > _CONSTANT * states.abs().amax(dim=0)
        self.mean.copy_(mean)
        self.inverse_std.copy_(torch.where(varies, 1 / std, 0))

    def forward(
        self,
        states: Tensor,
        source: Tensor,
        destination: Tensor,
        targets: Tensor,
        instance: Tensor,
    ) -> Tensor:
        """Scores ``[e]``.

        Args:
            states: ``[N, D]``.
            source: ``[e]`` row of each edge's sender.
            destination: ``[e]`` row of its receiver.
            targets: ``[B, S]`` rows of each instance's explained nodes; not read without targets.
            instance: ``[e]`` the instance of each edge.
        """
        width, states = self.channels, (states - self.mean) * self.inverse_std
        sender, receiver, target = self.inner.weight.split(
            [width, width, self.num_targets * width], dim=1
        )
        hidden = F.linear(states, sender, self.inner.bias).index_select(0, source)
        hidden = hidden + F.linear(states, receiver).index_select(0, destination)
        if self.num_targets:
            ends = states[targets[:, : self.num_targets]].flatten(1)
            hidden = hidden + F.linear(ends, target).index_select(0, instance)
        scores: Tensor = self.outer(F.relu(hidden))
        return torch.squeeze(scores, 1)
