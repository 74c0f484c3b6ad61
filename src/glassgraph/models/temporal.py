"""A network on temporal neighbors and a predictor of links: parts of a `glassgraph.temporal.TGN`.

Attention over the latest events of a node: the state of the sender is beside the message and the
encoded time between the event and the sender's last update (Rossi et al., "Temporal Graph Networks
for Deep Learning on Dynamic Graphs", 2020, https://arxiv.org/abs/2006.10637).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import TransformerConv
from torch_geometric.nn.models.tgn import TimeEncoder


class TemporalAttention(nn.Module):
    """Embeddings of nodes from the latest events at them.

    Args:
        in_channels: size of a node's state.
        out_channels: size of its embedding; a multiple of ``heads``.
        msg_dim: size of the messages of events.
        time_enc: encodes times that have passed; in a TGN that of its memory.
        heads: attention heads.
        dropout: of attention weights, in training.

    Example:
        >>> import torch
        >>> gnn = TemporalAttention(4, 6, msg_dim=2, time_enc=TimeEncoder(3))
        >>> edges, times = torch.tensor([[0], [1]]), torch.tensor([5])
        >>> gnn(torch.rand(2, 4), torch.tensor([7, 8]), edges, times, torch.rand(1, 2)).shape
        torch.Size([2, 6])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        msg_dim: int,
        time_enc: TimeEncoder,
        heads: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.time_enc = time_enc
        self.conv = TransformerConv(
            in_channels,
            out_channels // heads,
            heads,
            dropout=dropout,
            edge_dim=msg_dim + time_enc.out_channels,
        )

    def forward(
        self, x: Tensor, last_update: Tensor, edge_index: Tensor, t: Tensor, msg: Tensor
    ) -> Tensor:
        """Embeddings ``[n, out_channels]``.

        Args:
            x: states ``[n, in_channels]``.
            last_update: when they were written ``[n]``, or the time that is asked about.
            edge_index: ``[2, m]`` from neighbors to nodes.
            t: times of events ``[m]``.
            msg: their messages ``[m, msg_dim]``.
        """
        passed = (last_update[edge_index[0]] - t).to(x.dtype)
        edges = torch.cat([self.time_enc(passed), msg], dim=-1)
        embeddings: Tensor = self.conv(x, edge_index, edges)
        return embeddings


class LinkPredictor(nn.Module):
    """Scores of links, as logits, from the embeddings of both ends.

    Args:
        channels: size of an embedding.

    Example:
        >>> import torch
        >>> LinkPredictor(6)(torch.rand(5, 6), torch.rand(5, 6)).shape
        torch.Size([5])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.source, self.destination = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.product = nn.Bilinear(channels, channels, 1)
        self.out = nn.Linear(channels, 1)

    def forward(self, z_src: Tensor, z_dst: Tensor) -> Tensor:
        """Logits ``[B]`` of links between nodes with embeddings ``[B, channels]``."""
        hidden = (self.source(z_src) + self.destination(z_dst)).relu()
        score: Tensor = self.out(hidden) + self.product(z_src, z_dst)
        return score.view(-1)
