"""The networks of the edge gradients study, as He et al. build and train them.

Layers are PyG's: ``gcn``, ``gat`` (GATv2, four heads), ``gin`` and, as the linear case, ``sgc``,
which is ``gcn`` without activations: the same function as PyG's SGConv, which mixes all features
before it projects them and takes many times longer. Hidden width 32, dropout 1/2, Adam at 0.003. At
graph level there is LayerNorm over each graph between the layers, one logit, and the mean over the
nodes; where edges have features, GIN is GINE and GAT reads them too. `negative_evidence_network` is
one layer of sums without bias.

Differences to the authors' code:

- The weights are those of the best epoch on the validation part, and training stops where it has
  not improved for `Recipe.patience` epochs. They mean to keep the best epoch too; but they keep a
  reference to the weights, so that the last one is explained.
- At graph level their GCN normalizes a mini-batch as if it were one graph, and so do the
  perceptrons inside of their GIN; here each graph is normalized by itself, perceptrons are not.
  The hidden layer of a perceptron is 32 wide there. PyG gives it the width of its output, which
  leaves one unit in the last one; without normalization that unit is easily shut for good.

A network with one logit z is trained as two classes with the logits (0, z), which is the same loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import (
    GATv2Conv,
    GCNConv,
    GINConv,
    GINEConv,
    GraphSAGE,
    LayerNorm,
    global_mean_pool,
)

from glassgraph.datasets import ExplanationDataset
from glassgraph.models.training import accuracy, train

Kind = Literal["gcn", "gat", "gin", "sgc"]
HIDDEN, DROPOUT, HEADS, LEARNING_RATE = 32, 0.5, 4, 0.003
#: Steps of the network of negative evidence.
EPOCHS = 1000


@dataclass(frozen=True)
class Recipe:
    """How networks are trained on one data set.

    Attributes:
        weight_decay: of Adam.
        epochs: the most epochs.
        patience: epochs without a better validation result after which training stops.
        batch_size: graphs in a step.
    """

    weight_decay: float
    epochs: int
    patience: int
    batch_size: int = 32


#: As published, but for the patience.
RECIPES: Mapping[str, Recipe] = {
    "cora": Recipe(1e-5, epochs=1000, patience=100),
    "citeseer": Recipe(1e-5, epochs=1000, patience=100),
    "mutag": Recipe(1e-4, epochs=2000, patience=200),
    "sentiment": Recipe(1e-6, epochs=100, patience=5, batch_size=128),
}


@dataclass(frozen=True)
class Network:
    """A trained network.

    Attributes:
        model: in evaluation mode.
        accuracy: shares of right predictions under "train", "val" and "test".
        epochs: that were trained.
    """

    model: nn.Module
    accuracy: dict[str, float]
    epochs: int


class LayeredNetwork(nn.Module):
    """Message-passing layers of one kind.

    Args:
        kind: which.
        in_channels: F, the number of node features.
        out_channels: C, the number of outputs.
        num_layers: L.
        edge_channels: the number of edge features; 0 for none.
        is_pooled: whether each graph has one prediction, and layers are normalized.
    """

    def __init__(
        self,
        kind: Kind,
        in_channels: int,
        out_channels: int,
        num_layers: int,
        edge_channels: int = 0,
        *,
        is_pooled: bool = False,
    ) -> None:
        super().__init__()
        widths = [in_channels, *[HIDDEN] * (num_layers - 1), out_channels]
        self.convs = nn.ModuleList(
            _layer(
                kind,
                (before, HIDDEN if is_pooled else after, after),
                edge_channels,
                is_last=number == num_layers,
            )
            for number, (before, after) in enumerate(pairwise(widths), start=1)
        )
        self.norms = nn.ModuleList(
            LayerNorm(HIDDEN) if is_pooled else nn.Identity() for _ in range(num_layers - 1)
        )
        self.activations = nn.ModuleList(
            nn.Identity() if kind == "sgc" else nn.ReLU() for _ in range(num_layers - 1)
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.reads_edges = edge_channels > 0 and kind in ("gat", "gin")
        self.is_pooled = is_pooled

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_attr: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> Tensor:
        """Logits ``[N, C]``, or ``[B, C]`` of graphs."""
        more = {"edge_attr": edge_attr} if self.reads_edges else {}
        for conv, norm, activation in zip(self.convs, self.norms, self.activations, strict=False):
            x = conv(x, edge_index, **more)
            x = norm(x, batch) if self.is_pooled else x
            x = self.dropout(activation(x))
        x = self.convs[-1](x, edge_index, **more)
        return global_mean_pool(x, batch) if self.is_pooled else x


def _layer(
    kind: Kind, widths: tuple[int, int, int], edge_channels: int, *, is_last: bool
) -> nn.Module:
    before, inside, after = widths
    edge_dim = edge_channels or None
    layer: nn.Module
    if kind in ("gcn", "sgc"):
        layer = GCNConv(before, after)
    elif kind == "gat":
        # Heads stand side by side, and are averaged where the output is.
        width = after if is_last else after // HEADS
        layer = GATv2Conv(before, width, heads=HEADS, concat=not is_last, edge_dim=edge_dim)
    else:
        inner = nn.Sequential(nn.Linear(before, inside), nn.ReLU(), nn.Linear(inside, after))
        layer = GINConv(inner) if edge_dim is None else GINEConv(inner, edge_dim=edge_dim)
    return layer


def layered_network(
    dataset: ExplanationDataset,
    recipe: Recipe,
    kind: Kind,
    num_layers: int,
    seed: int,
    *,
    progress: bool,
) -> Network:
    """Train a network of one of the four kinds; with one output where graphs have two classes."""
    graph = dataset.graphs[0]
    is_pooled = dataset.level == "graph"
    is_binary = is_pooled and dataset.num_classes == 2
    model = seeded(
        seed,
        lambda: LayeredNetwork(
            kind,
            dataset.num_features,
            1 if is_binary else dataset.num_classes,
            num_layers,
            graph.num_edge_features,
            is_pooled=is_pooled,
        ),
    )
    classifier = TwoClasses(model) if is_binary else model
    training = train(
        classifier,
        dataset,
        epochs=recipe.epochs,
        patience=recipe.patience,
        learning_rate=LEARNING_RATE,
        weight_decay=recipe.weight_decay,
        batch_size=recipe.batch_size,
        seed=seed,
        progress=progress,
    )
    return Network(model.eval(), accuracy(classifier, dataset), training.epochs)


def negative_evidence_network(dataset: ExplanationDataset, seed: int, *, progress: bool) -> Network:
    """One GraphSAGE layer that adds up neighbors, without bias or a part for the node itself.

    One logit for two colors, else one for each. The loss has an L1 penalty of 0.01; it is convex,
    so that the weights are the same from wherever training starts.
    """
    is_binary = dataset.num_classes == 2
    outputs = 1 if is_binary else dataset.num_classes
    model = seeded(
        seed,
        lambda: GraphSAGE(
            dataset.num_features, 1, 1, outputs, aggr="sum", bias=False, root_weight=False
        ),
    )
    classifier = TwoClasses(model) if is_binary else model
    training = train(
        classifier,
        dataset,
        epochs=EPOCHS,
        patience=EPOCHS,
        learning_rate=0.05,
        penalty=_l1,
        seed=seed,
        progress=progress,
    )
    return Network(model.eval(), accuracy(classifier, dataset), training.epochs)


class TwoClasses(nn.Module):
    """A network with one logit z, as one of two classes with the logits 0 and z.

    Args:
        model: the network.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_attr: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> Tensor:
        """Logits ``[rows, 2]``."""
        logit = self.model(x, edge_index, edge_attr=edge_attr, batch=batch)
        return torch.cat([torch.zeros_like(logit), logit], dim=1)


def _l1(model: nn.Module, _: Data) -> Tensor:
    return 0.01 * torch.stack([each.abs().sum() for each in model.parameters()]).sum()


def seeded(seed: int, build: Callable[[], nn.Module]) -> nn.Module:
    """Build a network from a seed; the caller's random state is not touched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
        return build()
