"""A small citation graph: two topics, each with words of its own, and words of both."""

from __future__ import annotations

import torch
from torch_geometric.data import Data
from torch_geometric.nn import GCN

from glassgraph.datasets import ExplanationDataset, from_pyg
from glassgraph.models.training import train
from glassgraph_studies.citation import Citations

NODES, WORDS = 60, 23


def citations(seed: int = 0) -> ExplanationDataset:
    """Papers of the first half cite one another, and so do those of the second."""
    torch.manual_seed(seed)
    y = (torch.arange(NODES) >= NODES // 2).long()
    ends = torch.stack([torch.arange(NODES), torch.randint(NODES // 2, (NODES,))])
    ends[1] += y * (NODES // 2)
    ends = ends[:, ends[0] != ends[1]]
    edge_index = torch.cat([ends, ends.flip(0)], dim=1).unique(dim=1)
    x = (torch.rand(NODES, WORDS) < 0.2).float()
    x[y == 0, :6] = (torch.rand(int((y == 0).sum()), 6) < 0.6).float()
    x[y == 1, 6:12] = (torch.rand(int((y == 1).sum()), 6) < 0.6).float()
    return from_pyg([Data(x=x, edge_index=edge_index, y=y)], "node", name="small")


def trained(seed: int = 0) -> Citations:
    """With a GCN of two layers."""
    dataset = citations(seed)
    model = GCN(WORDS, 8, 2, 2)
    train(model, dataset, epochs=30, seed=seed, progress=False)
    return Citations(dataset, model, 0.9)
