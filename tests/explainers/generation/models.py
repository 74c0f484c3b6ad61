"""Classifiers whose best graph is known."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import GINConv, global_add_pool


class Ringed(nn.Module):
    """A GNN with weights set by hand: the logit of class 1 is half of

    (sum over nodes of type 1 of 1 + degree) - 9.

    With four nodes and at most two neighbors each, the ring of four nodes of type 1 is the best:
    12 - 9. The path comes next: 10 - 9.
    """

    def __init__(self, width: int = 2) -> None:
        super().__init__()
        self.conv = GINConv(nn.Identity())
        self.normal = nn.BatchNorm1d(width, affine=False)
        self.head = nn.Linear(width, 2)
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.weight[1, 1] = 0.5
            self.head.bias.copy_(torch.tensor([0.0, -4.5]))

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        out: Tensor = self.head(global_add_pool(self.normal(self.conv(x, edge_index)), batch))
        return out


def ringed(dtype: torch.dtype = torch.float64) -> Ringed:
    return Ringed().to(dtype)


def sizes(edge_index: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes and undirected edges of each graph."""
    count = int(batch[-1]) + 1
    nodes = torch.bincount(batch, minlength=count)
    return nodes, torch.bincount(batch[edge_index[0]], minlength=count) // 2


def is_tree(x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
    """Class 1: connected graphs without a cycle, surer with every node."""
    nodes, edges = sizes(edge_index, batch)
    logit = torch.where(edges == nodes - 1, nodes - 2.5, -3.0).double()
    return torch.stack([-logit, logit], dim=1) / 2


def hates(x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
    """Class 1 has a probability of 0.1, whatever the graph."""
    count = int(batch[-1]) + 1
    return torch.tensor([[0.9, 0.1]]).double().log().expand(count, -1)
