"""A model and a method that workers import; the method is brought down by some nodes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import GCN, RGCNConv

import glassgraph as gg
from glassgraph.core.batch import InstanceBatch

#: Nodes of `loops` that do something to who explains them; how many there are.
RAISES, EATS, DIES, HANGS = 2, 9, 13, 18
NODES = 21


class Poisoned(gg.EdgeGradients):
    """Edge gradients, but for four nodes."""

    name = "poisoned"

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        nodes = set(batch.fields.node.tolist())
        if RAISES in nodes:
            raise ValueError("of this node")
        if EATS in nodes:
            torch.ones(1 << 36)
        if DIES in nodes:
            os.kill(os.getpid(), signal.SIGKILL)
        if HANGS in nodes:
            time.sleep(600)
        return super().attribute(batch)


class Once(gg.EdgeGradients):
    """One node always raises; two bring down or stop who explains them first."""

    name = "once"

    notes: str = gg.setting("folder where it notes what it has done", default="")

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        nodes = set(batch.fields.node.tolist())
        if RAISES in nodes:
            raise ValueError("of this node")
        for node in {DIES, HANGS} & nodes:
            note = Path(self.notes) / str(node)
            if not note.exists():
                note.touch()
                if node == DIES:
                    os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(600)
        return super().attribute(batch)


def loops(num_nodes: int) -> Data:
    """Nodes that hear of themselves alone, so that what happens to one happens to no other."""
    x = torch.rand(num_nodes, 3, generator=torch.Generator().manual_seed(0))
    return Data(x=x, edge_index=torch.arange(num_nodes).repeat(2, 1))


def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GCN(3, 5, 1, 2).eval()


class Relational(nn.Module):
    """Two relational layers."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([RGCNConv(3, 4, 3), RGCNConv(4, 2, 3)])

    def forward(
        self, x: torch.Tensor, edge_index: torch.Tensor, edge_type: torch.Tensor
    ) -> torch.Tensor:
        h = self.convs[0](x, edge_index, edge_type).relu()
        return self.convs[1](h, edge_index, edge_type)


def relational() -> nn.Module:
    """The same weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return Relational().eval()
