"""Parallel edges that a model splits over layers which add self-loops of their own."""

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv

import glassgraph as gg


class ByType(nn.Module):
    """One GCN per edge type: each gets a part of the edges and appends a loop to every node."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(GCNConv(3, 2) for _ in range(2))

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        return sum(conv(x, edge_index[:, edge_type == r]) for r, conv in enumerate(self.convs))


def test_copies_of_an_edge_are_told_apart_by_the_layer_that_uses_them() -> None:
    torch.manual_seed(4)
    # Edges 0 to 2 look alike; each layer gets fewer edges than there are, but more rows.
    edge_index = torch.tensor([[0, 0, 0, 2, 3], [1, 1, 1, 1, 1]])
    edge_type = torch.tensor([1, 0, 0, 1, 0])
    data = Data(x=torch.randn(7, 3).double(), edge_index=edge_index, edge_type=edge_type)
    model = ByType().double().eval()
    # The model is linear in its messages: the gradient is what shutting an edge takes away.
    found = gg.EdgeGradients(model, progress=False).explain(data, index=[1], target=0)[0].edge_mask

    expected = torch.zeros(5).double()
    with torch.no_grad():
        full = model(data.x, edge_index, edge_type)[1, 0]
        for edge in range(5):
            row = int((edge_type[:edge] == edge_type[edge]).sum())

            def shut(_: object, __: object, message: Tensor, row: int = row) -> Tensor:
                return message.index_fill(0, torch.tensor([row]), 0.0)

            conv = model.convs[int(edge_type[edge])]
            handle = conv.register_message_forward_hook(shut)
            expected[edge] = full - model(data.x, edge_index, edge_type)[1, 0]
            handle.remove()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert float((found[0] - found[1]).abs()) > 1e-3
