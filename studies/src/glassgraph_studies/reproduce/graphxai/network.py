"""GraphXAI's network for molecules: it sees atoms, and no kinds of bonds."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch_geometric.nn import GINConv, global_mean_pool


class PlainGIN(nn.Module):
    """Three sums over neighbors, each with one linear map and a ReLU; mean over atoms; linear head.

    Args:
        in_channels, hidden_channels, out_channels: widths, theirs by default.
    """

    def __init__(
        self, in_channels: int = 14, hidden_channels: int = 32, out_channels: int = 2
    ) -> None:
        super().__init__()
        widths = (in_channels, hidden_channels, hidden_channels, hidden_channels)
        self.convs = nn.ModuleList(GINConv(nn.Linear(*pair)) for pair in pairwise(widths))
        self.activations = nn.ModuleList(nn.ReLU() for _ in self.convs)
        self.head = nn.Linear(hidden_channels, out_channels)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        """Logits ``[B, C]``."""
        for conv, activation in zip(self.convs, self.activations, strict=True):
            x = activation(conv(x, edge_index))
        logits: Tensor = self.head(global_mean_pool(x, batch))
        return logits
