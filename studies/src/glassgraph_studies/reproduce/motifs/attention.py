"""The network behind "attention" in the paper's table: a sum over neighbors, weighted by likeness.

The reference models have no attention weights, so the row needs a network of its own. That of the
authors' code is their layer with a factor on each edge. With weights ``W`` and ``V``,

    h'_v = sum_(u -> v) a_uv W h_u + b        a_uv = (V h_u) . (V h_v)

so the weights are no softmax, and counting neighbors stays possible: a GAT averages over them, and
sees nothing at all where the features of all nodes are the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from glassgraph.datasets import ExplanationDataset
from glassgraph.models import TrainedModel, train
from glassgraph.models.gnn import GNN, Body
from glassgraph.models.training import accuracy

HIDDEN = 20
EPOCHS = 1000


class LikenessConv(MessagePassing):
    """One layer; its weights are the argument ``alpha`` of ``message``.

    Args:
        before: channels of the nodes.
        after: channels that come out.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__(aggr="add")
        self.value = nn.Linear(before, after, bias=False)
        self.key = nn.Linear(before, before, bias=False)
        self.bias = nn.Parameter(torch.zeros(after))

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """``[N, after]``."""
        key = self.key(x)
        alpha = (key[edge_index[0]] * key[edge_index[1]]).sum(dim=1)
        result: Tensor = self.propagate(edge_index, x=self.value(x), alpha=alpha)
        return result + self.bias

    def message(self, x_j: Tensor, alpha: Tensor) -> Tensor:
        """What is sent along an edge."""
        return alpha.view(-1, 1) * x_j


class LikenessNet(GNN):
    """The papers' node model with weights on its edges.

    Args:
        in_channels: features of a node.
        out_channels: classes.
    """

    kind = "likeness"

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, HIDDEN, out_channels, "node", Body(l2_normalize=True))

    def layer(self, before: int, after: int, **options: Any) -> Any:
        """See `LikenessConv`."""
        return LikenessConv(before, after)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Logits ``[N, C]``."""
        return self._logits(x, None, lambda conv, h: conv(h, edge_index))


def attention_model(
    dataset: ExplanationDataset, seed: int = 0, *, progress: bool = True
) -> TrainedModel:
    """Train a `LikenessNet` on the nodes of a data set.

    Args:
        dataset: one of nodes.
        seed: of the initialization and the training.
        progress: show a progress bar.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
        model = LikenessNet(dataset.num_features, dataset.num_classes)
    training = train(
        model, dataset, epochs=EPOCHS, patience=EPOCHS // 2, seed=seed, progress=progress
    )
    return TrainedModel(model, accuracy(model, dataset), None, True, training)
