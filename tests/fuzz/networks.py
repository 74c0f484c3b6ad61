"""Networks of one to three layers that a description builds: layers, norms, poolings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric import nn as pyg

FEATURES, HIDDEN, EDGE_FEATURES = 3, 5, 2
ATTENTIVE = ("gat", "gatv2", "transformer")
WEIGHTED = ("gcn", "graphconv")
LAYERS = (*WEIGHTED, *ATTENTIVE, "sage", "sage-max", "gin")
NORMS = (None, "batch", "layer", "graph")
ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "elu": nn.functional.elu}
JUMPING = (None, "cat", "max")
POOLING = {
    "mean": pyg.global_mean_pool,
    "add": pyg.global_add_pool,
    "max": pyg.global_max_pool,
}


@dataclass(frozen=True)
class Architecture:
    """What a network is built of.

    Attributes:
        layers: kind of each layer, of `LAYERS`.
        norm: normalization after each, of `NORMS`; "graph" is computed over all nodes of a graph.
        activation: of `ACTIVATIONS`.
        dropout: share of hidden numbers that is dropped in training.
        jumping: what is read of the layers; the last if None.
        reads_edges: whether layers read weights or features of edges, where their kind can.
        pooling: from nodes to graphs.
    """

    layers: tuple[str, ...]
    norm: str | None = None
    activation: str = "tanh"
    dropout: float = 0.0
    jumping: str | None = None
    reads_edges: bool = False
    pooling: str = "mean"

    @property
    def edge_inputs(self) -> list[str]:
        """Names of the attributes of edges that it reads."""
        if not self.reads_edges:
            return []
        kinds = {"edge_weight": WEIGHTED, "edge_attr": ATTENTIVE}
        return [name for name, some in kinds.items() if set(some) & set(self.layers)]


class RandomNet(nn.Module):
    """A network as described, for a level, mode and return type."""

    def __init__(
        self, built_of: Architecture, level: str, mode: str, return_type: str, num_columns: int
    ) -> None:
        super().__init__()
        self.built_of, self.level, self.mode, self.return_type = built_of, level, mode, return_type
        widths = [FEATURES, *[HIDDEN] * len(built_of.layers)]
        self.convs = nn.ModuleList(
            _layer(kind, width, built_of.reads_edges)
            for kind, width in zip(built_of.layers, widths, strict=False)
        )
        self.norms = nn.ModuleList(_norm(built_of.norm) for _ in built_of.layers)
        self.dropout = nn.Dropout(built_of.dropout)
        self.jump, width = None, HIDDEN
        if built_of.jumping is not None:
            self.jump = pyg.JumpingKnowledge(built_of.jumping)
            width = HIDDEN * (len(built_of.layers) if built_of.jumping == "cat" else 1)
        self.head = nn.Linear(width, num_columns)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        edge_attr: Tensor | None = None,
        batch: Tensor | None = None,
        edge_label_index: Tensor | None = None,
    ) -> Tensor:
        built_of, states = self.built_of, []
        for kind, conv, norm in zip(built_of.layers, self.convs, self.norms, strict=True):
            given: dict[str, Any] = {}
            if kind in WEIGHTED and edge_weight is not None:
                given["edge_weight"] = edge_weight
            elif kind in ATTENTIVE and edge_attr is not None:
                given["edge_attr"] = edge_attr
            x = conv(x, edge_index, **given)
            x = norm(x, batch) if built_of.norm == "graph" else norm(x)
            x = self.dropout(ACTIVATIONS[built_of.activation](x))
            states.append(x)
        h = states[-1] if self.jump is None else self.jump(states)
        if self.level == "graph":
            h = POOLING[built_of.pooling](h, batch)
        elif self.level == "edge":
            assert edge_label_index is not None
            h = h[edge_label_index[0]] * h[edge_label_index[1]] + h[edge_label_index[0]]
        return self._returned(self.head(h))

    def _returned(self, out: Tensor) -> Tensor:
        if self.return_type == "raw":
            return out
        if self.mode == "multiclass_classification":
            return out.softmax(-1) if self.return_type == "probs" else out.log_softmax(-1)
        return out.sigmoid() if self.return_type == "probs" else nn.functional.logsigmoid(out)


def _layer(kind: str, width: int, reads_edges: bool) -> nn.Module:
    layer: nn.Module
    edge_dim = EDGE_FEATURES if reads_edges else None
    if kind == "gcn":
        layer = pyg.GCNConv(width, HIDDEN)
    elif kind == "graphconv":
        layer = pyg.GraphConv(width, HIDDEN)
    elif kind == "gat":
        layer = pyg.GATConv(width, HIDDEN, heads=2, concat=False, edge_dim=edge_dim)
    elif kind == "gatv2":
        layer = pyg.GATv2Conv(width, HIDDEN, edge_dim=edge_dim)
    elif kind == "transformer":
        layer = pyg.TransformerConv(width, HIDDEN, heads=2, concat=False, edge_dim=edge_dim)
    elif kind == "gin":
        layer = pyg.GINConv(nn.Sequential(nn.Linear(width, HIDDEN), nn.Tanh()), train_eps=True)
    else:
        layer = pyg.SAGEConv(width, HIDDEN, aggr="max" if kind == "sage-max" else "mean")
    return layer


def _norm(kind: str | None) -> nn.Module:
    if kind is None:
        return nn.Identity()
    if kind == "batch":
        return pyg.BatchNorm(HIDDEN)
    if kind == "layer":
        return pyg.LayerNorm(HIDDEN, mode="node")
    return pyg.GraphNorm(HIDDEN)
