"""A shut message becomes its layer's baseline: ``z * m + (1 - z) * b``, against plain hooks."""

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.nn import GIN

import glassgraph as gg
from glassgraph.calling.protect import protected


def test_a_gated_message_moves_towards_its_baseline() -> None:
    generator = torch.Generator().manual_seed(11)
    edge_index = torch.tensor([[0, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 3]])
    data = Data(x=torch.randn(5, 3, generator=generator).double(), edge_index=edge_index)
    torch.manual_seed(2)
    model = GIN(3, 7, 2, 2).double().eval()
    baselines = [
        torch.randn(3, generator=generator).double(),
        torch.randn(7, generator=generator).double(),
    ]
    explainer = gg.EdgeGradients(model, task="node", progress=False)
    preparation = explainer.prepare(data)
    with protected(model):
        ((_, batch),) = preparation.batches(preparation.instances([3]), 0, 1 << 30)
        gates = torch.rand(2, batch.num_edges, generator=generator).double()
        found = batch.output(gates, baselines=baselines)
        zero = batch.output(gates)

    dense = torch.ones(2, 6).double()
    dense[:, batch.fields.edge] = gates
    handles = []
    for layer, conv in enumerate(model.convs):

        def mix(_: object, __: object, message: Tensor, layer: int = layer) -> Tensor:
            gate = dense[layer].view(-1, 1)
            return gate * message + (1 - gate) * baselines[layer]

        handles.append(conv.register_message_forward_hook(mix))
    with torch.no_grad():
        expected = model(data.x, data.edge_index)[3:4]
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(found, zero)
