"""Models that coarsen the graph: messages on the user's own edges are explained."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import GINConv, TopKPooling, global_add_pool

import glassgraph as gg
from glassgraph.testing.cases import Case
from glassgraph.testing.networks import FEATURES

pytestmark = pytest.mark.filterwarnings(
    "ignore::glassgraph.core.told.PooledMessagesWarning"  # see tests/situations/test_pooled.py
)


class Pooled(nn.Module):
    """A layer on the user's graph, pooling to half of its nodes, and a layer on what is left."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = GINConv(nn.Linear(FEATURES, 7))
        self.pool = TopKPooling(7, ratio=0.5)
        self.conv2 = GINConv(nn.Linear(7, 7))
        self.head = nn.Linear(7, 3)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        h = self.conv1(x, edge_index).tanh()
        h, edge_index, _, batch, _, _ = self.pool(h, edge_index, None, batch)
        h = self.conv2(h, edge_index).tanh()
        return self.head(global_add_pool(h, batch))


def test_scores_are_gradients_on_the_users_edges() -> None:
    torch.manual_seed(4)
    model, graphs = Pooled().double().eval(), Case("gin", "graph").data()
    found = gg.EdgeGradients(model, "graph", progress=False).explain(graphs, [2, 0], 1)
    for number, explanation in zip([2, 0], found, strict=True):
        data = graphs[number]
        gates = torch.ones(data.num_edges).double().requires_grad_()
        handle = model.conv1.register_message_forward_hook(
            lambda module, inputs, messages, gates=gates: messages * gates.view(-1, 1)
        )
        output = model(data.x, data.edge_index, torch.zeros(data.num_nodes).long())
        handle.remove()
        (expected,) = torch.autograd.grad(output[0, 1], gates)
        assert expected.abs().max() > 1e-3
        torch.testing.assert_close(explanation.edge_mask, expected, rtol=1e-9, atol=1e-12)
        assert not explanation.layer_edge_mask[1].any()  # the coarse edges are not the user's


def test_a_gate_may_change_which_nodes_are_pooled() -> None:
    """Shutting an edge moves the pooling layer's choice, and the coarse graph with it."""
    torch.manual_seed(4)
    model, graphs = Pooled().double().eval(), Case("gin", "graph").data()
    found = gg.Occlusion(model, "graph", progress=False).explain(graphs, [2, 0], 1)
    sizes = set()

    def count(module: nn.Module, inputs: object, messages: Tensor) -> None:
        sizes.add(messages.size(0))

    for number, explanation in zip([2, 0], found, strict=True):
        data = graphs[number]
        batch = torch.zeros(data.num_nodes).long()
        with torch.no_grad():
            full = model(data.x, data.edge_index, batch)[0, 1]
            for edge in range(data.num_edges):
                gates = torch.ones(data.num_edges, 1).double()
                gates[edge] = 0
                handles = [
                    model.conv1.register_message_forward_hook(
                        lambda module, inputs, messages, gates=gates: messages * gates
                    ),
                    model.conv2.register_message_forward_hook(count),
                ]
                expected = full - model(data.x, data.edge_index, batch)[0, 1]
                for handle in handles:
                    handle.remove()
                torch.testing.assert_close(
                    explanation.edge_mask[edge], expected, rtol=1e-9, atol=1e-12
                )
    assert len(sizes) > 2, "the coarse graph never changed"


def test_a_learned_mask_keeps_to_the_users_edges() -> None:
    """Its random start changes the coarse graph, which once was an error."""
    torch.manual_seed(4)
    model, graphs = Pooled().double().eval(), Case("gin", "graph").data()
    for seed in range(7):
        explainer = gg.GNNExplainer(model, "graph", epochs=3, seed=seed, progress=False)
        found = explainer.explain(graphs, [2, 0])
        assert [each.edge_mask.numel() for each in found] == [29, 13]
        assert all(torch.isfinite(each.edge_mask).all() for each in found)
