"""The tiny networks that methods are asked to explain."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import GATConv, GCNConv, GINConv, RGCNConv, SimpleConv, global_mean_pool

FEATURES, HIDDEN = 5, 7
#: The argument that a layer takes beside features and edges.
EXTRA = {"gcn": "edge_weight", "gat": "edge_attr", "gin": None, "rgcn": "edge_type"}


class Net(nn.Module):
    """Two message-passing layers and a linear head, for any level, mode and return type."""

    def __init__(
        self, kind: str, level: str, mode: str, return_type: str, num_columns: int
    ) -> None:
        super().__init__()
        self.kind, self.level, self.mode, self.return_type = kind, level, mode, return_type
        self.convs = nn.ModuleList([_conv(kind, FEATURES), _conv(kind, HIDDEN)])
        self.norm = nn.BatchNorm1d(HIDDEN)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(HIDDEN, num_columns)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        edge_attr: Tensor | None = None,
        edge_type: Tensor | None = None,
        batch: Tensor | None = None,
        edge_label_index: Tensor | None = None,
    ) -> Tensor:
        """Logits, or what the case says that the model returns."""
        extra = {"gcn": [edge_weight], "gat": [edge_attr], "gin": [], "rgcn": [edge_type]}
        h = x
        for conv in self.convs:
            h = self.dropout(conv(h, edge_index, *extra[self.kind]).tanh())
        h = self.norm(h)
        if self.level == "graph":
            h = global_mean_pool(h, batch)
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


def _conv(kind: str, width: int) -> nn.Module:
    conv: nn.Module
    if kind == "gcn":
        conv = GCNConv(width, HIDDEN)
    elif kind == "gat":
        conv = GATConv(width, HIDDEN, heads=2, concat=False, edge_dim=3)
    elif kind == "gin":
        conv = GINConv(nn.Sequential(nn.Linear(width, HIDDEN), nn.Tanh()), train_eps=True)
    else:
        conv = RGCNConv(width, HIDDEN, num_relations=3)
    return conv


class PlantedNet(nn.Module):
    """Adds up what arrives along edges: ``s[v] = sum x[u]``; logits ``(t - s, s - t)``."""

    def __init__(self, level: str, threshold: float = 0.0) -> None:
        super().__init__()
        self.conv = SimpleConv(aggr="sum")
        self.level, self.threshold = level, threshold

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        batch: Tensor | None = None,
        edge_label_index: Tensor | None = None,
    ) -> Tensor:
        """Two logits for each node, graph or link."""
        s = self.conv(x, edge_index)
        if self.level == "graph":
            assert batch is not None
            s = torch.zeros(int(batch.max()) + 1, 1).to(s).index_add(0, batch, s)
        elif self.level == "edge":
            assert edge_label_index is not None
            s = s[edge_label_index[0]] + s[edge_label_index[1]]
        s = s - self.threshold
        return torch.cat([-s, s], dim=1)
