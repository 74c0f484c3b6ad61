"""Messages by hand behind layers that have no weights for the node itself.

With their messages shut such layers return the same for all nodes: nothing was left that could be
seen to pass from node to node, and scores were of a part of the model.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import (
    ChebConv,
    GATConv,
    GATv2Conv,
    GCNConv,
    GraphNorm,
    SAGEConv,
    SGConv,
    SimpleConv,
    TransformerConv,
    global_mean_pool,
)

import glassgraph as gg
from glassgraph.core.told import FallbackWarning, UnseenWarning
from glassgraph.errors import UnseenMessagesError

WIDTH, NODES = 4, 11

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "GCN": lambda: GCNConv(WIDTH, WIDTH),
    "GCN without bias": lambda: GCNConv(WIDTH, WIDTH, bias=False),
    "GAT": lambda: GATConv(WIDTH, WIDTH),
    "GATv2, heads": lambda: GATv2Conv(WIDTH, 2, heads=2),
    "SAGE without root": lambda: SAGEConv(WIDTH, WIDTH, root_weight=False),
    "SGC": lambda: SGConv(WIDTH, WIDTH, K=2),
    "Cheb": lambda: ChebConv(WIDTH, WIDTH, K=2),
    "Transformer without root": lambda: TransformerConv(WIDTH, WIDTH, root_weight=False),
    "sums": lambda: SimpleConv(aggr="sum"),
}


def graph() -> Data:
    generator = torch.Generator().manual_seed(1)
    pairs = torch.randint(NODES, (2, 33), generator=generator).unique(dim=1)
    x = torch.randn(NODES, WIDTH, generator=generator).double()
    return Data(x=x, edge_index=pairs[:, pairs[0] != pairs[1]])


class Net(nn.Module):
    """A layer, something of one's own, a head."""

    def __init__(self, layer: str, own: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.conv, self.head = LAYERS[layer](), nn.Linear(WIDTH, 3)
        self.own = own
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        out: Tensor = self.head(self.own(self.conv(x, edge_index), edge_index))
        return out


class OfGraphs(Net):
    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:  # type: ignore[override]
        return global_mean_pool(super().forward(x, edge_index).tanh(), batch)


def by_hand(h: Tensor, edge_index: Tensor) -> Tensor:
    return h.index_add(0, edge_index[1], h[edge_index[0]])


def nothing(h: Tensor, edge_index: Tensor) -> Tensor:
    return h


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
@pytest.mark.parametrize("layer", LAYERS)
def test_messages_behind_them_are_refused(layer: str) -> None:
    with pytest.raises(UnseenMessagesError, match="what other nodes send along edges"):
        gg.explain(Net(layer, by_hand), graph(), "saliency", index=[2, 5])


@pytest.mark.parametrize("layer", ["GCN", "GAT"])
def test_of_graph_tasks_too(layer: str) -> None:
    with pytest.raises(UnseenMessagesError, match="what other nodes send along edges"):
        gg.explain(OfGraphs(layer, by_hand), [graph(), graph()], "saliency", "graph")


@pytest.mark.parametrize("layer", LAYERS)
def test_without_them_there_is_no_alarm(layer: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnseenWarning)
        gg.explain(Net(layer, nothing), graph(), "saliency", index=[2, 5], progress=False)


@pytest.mark.parametrize("layer", ["GCN", "GAT"])
def test_nodes_that_are_mixed_behind_them_are_located(layer: str) -> None:
    class Mixed(Net):
        def __init__(self) -> None:
            super().__init__(layer, lambda h, _: self.norm(h))
            self.norm = GraphNorm(WIDTH).double()

    with pytest.warns(FallbackWarning, match=r"other nodes in norm \(GraphNorm\)"):
        gg.explain(Mixed(), graph(), "saliency", index=[2, 5])
