"""Small graphs with known answers, and explanations with scores of our choosing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GCNConv, GINConv, MessagePassing, global_add_pool

import glassgraph as gg

NODES, EDGES, FEATURES, HIDDEN, CLASSES = 13, 41, 5, 7, 3


def random_graph(seed: int = 3, nodes: int = NODES, edges: int = EDGES) -> Data:
    generator = torch.Generator().manual_seed(seed)
    key = torch.randperm(nodes * nodes, generator=generator)
    key = key[key // nodes != key % nodes][:edges]
    return Data(
        x=torch.randn(nodes, FEATURES, generator=generator).double(),
        edge_index=torch.stack([key // nodes, key % nodes]),
        y=torch.randint(0, CLASSES, (nodes,), generator=generator),
    )


class TwoLayers(nn.Module):
    """GCN, GIN or GAT; sums the nodes of a graph where it is given ``batch``."""

    def __init__(self, kind: str, level: str = "node", out: int = CLASSES) -> None:
        super().__init__()
        self.level = level
        build: dict[str, Callable[[int, int], nn.Module]] = {
            "gcn": GCNConv,
            "gin": lambda i, o: GINConv(nn.Linear(i, o)),
            "gat": GATConv,
        }
        torch.manual_seed(5)
        self.conv1 = build[kind](FEATURES, HIDDEN)
        self.conv2 = build[kind](HIDDEN, out)
        self.double()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        h = self.conv2(self.conv1(x, edge_index).tanh(), edge_index)
        return global_add_pool(h, batch) if self.level == "graph" else h


class Sum(MessagePassing):
    """Each node's sum over its senders' features, itself left out."""

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.propagate(edge_index, x=x)


def with_scores(
    model: nn.Module,
    data: Any,
    index: Any,
    score: Callable[[gg.LocalExplanation], Tensor],
    *,
    task: str | gg.Task = "node",
    target: Any = None,
    call: Any = None,
) -> gg.Explanations:
    """Explanations whose edge scores are what ``score`` says of each instance."""
    made = gg.Random(model, task, call=call).explain(data, index=index, target=target)
    scores = [score(made.local(i)).double() for i in range(len(made))]
    parts, start = [], 0
    for part in made.parts:
        own = scores[start : start + part.position.numel()]
        start += part.position.numel()
        parts.append(replace(part, edge_score=torch.cat(own), node_score=None))
    return replace(made, parts=parts, _where=[], _bounds={})


def uniform(seed: int = 0) -> Callable[[gg.LocalExplanation], Tensor]:
    """Random scores, with ties: one decimal only."""
    generator = torch.Generator().manual_seed(seed)
    return lambda local: torch.rand(local.edge_id.numel(), generator=generator).mul(10).round()
