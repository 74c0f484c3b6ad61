"""Models that workers import: one that is well, and one that some nodes bring down."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCN

#: What a node with this value as its first feature does to who explains it.
RAISES, HANGS, DIES, EATS = 91.0, 92.0, 93.0, 94.0


class Poisoned(nn.Module):
    """A network that raises, hangs, dies or takes all memory where it meets certain features."""

    def __init__(self) -> None:
        super().__init__()
        self.net = GCN(3, 5, 1, 2)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        if multiprocessing.parent_process() is not None:  # in workers alone
            first = x[:, 0]
            if bool((first == RAISES).any()):
                raise ValueError("poisoned")
            if bool((first == HANGS).any()):
                time.sleep(600)
            if bool((first == DIES).any()):
                os.kill(os.getpid(), signal.SIGKILL)
            if bool((first == EATS).any()):
                torch.ones(1 << 36)
        return self.net(x, edge_index)


def ring(num_nodes: int, poison: dict[int, float] | None = None) -> Data:
    """Pairs of nodes: each sends to its partner alone, so that poison stays with two nodes."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(num_nodes, 3, generator=generator)
    for node, value in (poison or {}).items():
        x[node, 0] = value
    edge_index = torch.stack([torch.arange(num_nodes), torch.arange(num_nodes)])
    return Data(x=x, edge_index=edge_index)


def model() -> Poisoned:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Poisoned().eval()
