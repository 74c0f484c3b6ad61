"""The graph network of Xiong et al.: a GIN whose biases are never positive.

    h_0 = relu(x W + b)
    h_l = relu(MLP_l((h + sum of neighbors' h) / 2))     l = 1 .. L, the last one gives the classes
    logits = sum over nodes / sqrt(20)

Every bias is ``-softplus(-2 beta) / 2 <= 0``, so that what speaks for a class has to come from
nodes: relevance propagation then loses nothing to positive biases.

Xiong, Schnake, Montavon, Mueller and Nakajima, "Efficient Computation of Higher-Order Subgraph
Attribution via Message Passing" (ICML 2022, https://proceedings.mlr.press/v162/xiong22a.html).
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch_geometric.data import Data
from torch_geometric.nn import GINConv, global_add_pool


class NotPositive(nn.Module):
    """A bias that is never positive."""

    def forward(self, beta: Tensor) -> Tensor:
        """The bias: a smooth minimum of ``beta`` and 0."""
        return -0.5 * nn.functional.softplus(-2 * beta)


class NegativeGIN(nn.Module):
    """Graph classification with biases that are never positive.

    Args:
        in_channels: F.
        hidden_channels: width of all layers but the last.
        out_channels: C.
        num_layers: L.
        feature_scale: what features are multiplied with first; weights start at variance 1 / width.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 64,
        out_channels: int = 2,
        num_layers: int = 3,
        feature_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.feature_scale = feature_scale
        self.embed = nn.Linear(in_channels, hidden_channels)
        self.convs = nn.ModuleList()
        for layer in range(num_layers):
            is_last = layer == num_layers - 1
            mlp = [
                nn.Linear(hidden_channels, hidden_channels),
                nn.ReLU(),
                nn.Linear(hidden_channels, out_channels if is_last else hidden_channels),
            ]
            self.convs.append(GINConv(nn.Sequential(*mlp, *([] if is_last else [nn.ReLU()]))))
        for module in list(self.modules()):
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, module.in_features**-0.5)
                nn.init.normal_(module.bias)
                parametrize.register_parametrization(module, "bias", NotPositive())

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        """Logits ``[B, C]``.

        Args:
            x: ``[N, F]``.
            edge_index: ``[2, E]``.
            batch: ``[N]`` graph of each node.
        """
        logits: Tensor = global_add_pool(self.node_logits(x, edge_index), batch)
        return logits

    def node_logits(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """What each node adds to the logits, ``[N, C]``."""
        h = self.embed(x * self.feature_scale).relu()
        for conv in self.convs:
            h = conv(h / 2, edge_index)
        logits: Tensor = h / 20**0.5
        return logits


def total_evidence(model: nn.Module, graph: Data) -> Tensor:
    """Sum over nodes of the size of what they add to the lead of one class, for each graph.

    As a penalty it asks for few nodes that speak at all. Knowing one class by the absence of the
    other's motif takes evidence in every graph, and twice as much against it where the motif is; a
    network that knows both motifs needs less.
    """
    assert isinstance(model, NegativeGIN)
    assert graph.x is not None
    assert graph.edge_index is not None
    nodes = model.node_logits(graph.x, graph.edge_index)
    total: Tensor = (nodes[:, 0] - nodes[:, 1]).abs().sum()
    return total / int(getattr(graph, "num_graphs", 1))


def negative_gin(
    in_channels: int, out_channels: int, seed: int, *, feature_scale: float = 1.0
) -> NegativeGIN:
    """A fresh network; the caller's random state is not touched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - inside the forked random state
        return NegativeGIN(in_channels, out_channels=out_channels, feature_scale=feature_scale)
