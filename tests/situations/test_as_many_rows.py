"""What has as many rows as there are edges, by chance, is no attribute of edges."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GraphConv, MessagePassing, global_add_pool

import glassgraph as gg
from glassgraph.inputs.links import edge_attributes


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = GraphConv(2, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor, u: Tensor) -> Tensor:
        h = self.conv(x, edge_index).tanh()
        return self.head(torch.cat([global_add_pool(h, batch), u], 1))


def few(seed: int, edges: list[tuple[int, int]]) -> Data:
    generator = torch.Generator().manual_seed(seed)
    return Data(
        x=torch.randn(3, 2, generator=generator),
        edge_index=torch.tensor(edges).view(-1, 2).t(),
        u=torch.randn(1, 1, generator=generator),
        y=torch.tensor([seed]),
    )


def test_pointers_and_labels_of_graphs_are_not_of_edges() -> None:
    alone = Batch.from_data_list([few(1, [(0, 0), (0, 0)])])  # ptr has two rows, as edges
    assert edge_attributes(alone) == []
    both = Batch.from_data_list([few(1, [(0, 1)]), few(2, [(1, 2)])])  # u and y have two
    both.edge_attr = torch.ones(2, 1)
    assert edge_attributes(both) == ["edge_attr"]


@pytest.mark.parametrize("method", ["causal_screening", "zorro", "occlusion"])
def test_parallel_edges_stay_alike_alone_and_together(method: str) -> None:
    graphs = [few(1, [(0, 1), (1, 1), (1, 2)]), few(2, [(0, 0), (0, 0)])]
    model = Net().eval()
    together = gg.explain(model, graphs, method, "graph", progress=False)
    for number in (0, 1):
        (alone,) = gg.explain(model, graphs, method, "graph", [number], progress=False)
        torch.testing.assert_close(alone.edge_mask, together[number].edge_mask)
    assert len(together[1].edge_mask.unique()) == 1


class Sizes(MessagePassing):
    """Messages go by the size of a weight, whatever its sign."""

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        return self.propagate(edge_index, x=x, edge_weight=edge_weight)

    def message(self, x_j: Tensor, edge_weight: Tensor) -> Tensor:
        return x_j * edge_weight.abs().view(-1, 1)


@pytest.mark.parametrize("method", ["causal_screening", "erasure_search"])
@pytest.mark.filterwarnings("ignore::glassgraph.explainers.constant.ConstantScoresWarning")
def test_features_of_as_many_nodes_as_edges_decide_no_tie(method: str) -> None:
    """Each loop of node 0 would do; side by side with another node there are two nodes and two."""
    together, alone = [], []
    for seed in range(8):  # what decides is a hash
        data = Data(
            x=torch.randn(3, 2, generator=torch.Generator().manual_seed(seed)),
            edge_index=torch.zeros(2, 2, dtype=torch.long),
            edge_weight=torch.tensor([1.0, -1.0]),
        )
        for index, found in (([1, 0], together), ([0], alone)):
            explained = gg.explain(Sizes(), data, method, "node", index, target=0, progress=False)
            found.append(explained[-1].edge_mask.tolist())
    assert together == alone


def test_graphs_with_one_edge_each_keep_their_own_numbers() -> None:
    graphs = [few(seed, [(seed % 3, (seed + 1) % 3)]) for seed in range(6)]
    model = Net().eval()
    together = gg.explain(model, graphs, "saliency", "graph", progress=False)  # no warning
    for number, data in enumerate(graphs):
        with torch.no_grad():
            own = model(data.x, data.edge_index, torch.zeros(3).long(), data.u).softmax(1)
        torch.testing.assert_close(together[number].prediction, own[0])
