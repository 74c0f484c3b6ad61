"""Copies side by side: models that look across them are found out, and still explained rightly."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv

import glassgraph as gg
from glassgraph.inputs.task import Task

FEATURES, NODES = 5, 3  # all nodes lie within a hop of node 2


class Across(nn.Module):
    """Compares every node with a statistic over everything in the call."""

    def __init__(self, statistic: str, level: str) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.conv1 = GCNConv(FEATURES, 7, normalize=False, bias=False)
        self.conv2 = GCNConv(7, 2, normalize=False, bias=False)
        self.statistic, self.level = statistic, level

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        h = self.conv1(x, edge_index).relu()  # shutting never raises a maximum
        if self.statistic == "mean":
            h = h - h.mean(0)
        elif self.statistic == "max":
            h = h - h.amax(0)
        h = self.conv2(h, edge_index).square()
        if self.level == "node" or batch is None:
            return h if self.level == "node" else h.sum(0, keepdim=True)
        return h.new_zeros(int(batch.max()) + 1, 2).index_add(0, batch, h)


def triangle() -> Data:
    torch.manual_seed(5)
    edge_index = torch.tensor([[0, 1, 2, 0], [1, 2, 0, 2]])
    return Data(x=torch.randn(NODES, FEATURES).double(), edge_index=edge_index)


def literal_occlusion(model: Across, data: Data, row: int) -> Tensor:
    """``[E]`` logits of class 1, plain hooks on one graph in a call of its own."""
    gates = torch.ones(data.num_edges).double()

    def shut(module: nn.Module, inputs: object, messages: Tensor) -> Tensor:
        return messages * gates.view(-1, 1)

    handles = [conv.register_message_forward_hook(shut) for conv in (model.conv1, model.conv2)]
    scores = torch.zeros(data.num_edges).double()
    with torch.no_grad():
        plain = model(data.x, data.edge_index)[row, 1]
        for edge in range(data.num_edges):
            gates[edge] = 0
            scores[edge] = plain - model(data.x, data.edge_index)[row, 1]
            gates[edge] = 1
    for handle in handles:
        handle.remove()
    return scores


@pytest.mark.parametrize("budget", [1, 3000, 1 << 30])
@pytest.mark.parametrize("level", ["node", "graph"])
@pytest.mark.parametrize("statistic", ["none", "mean", "max"])
def test_copies_of_one_instance_do_not_hide_a_statistic_over_all_of_them(
    statistic: str, level: str, budget: int
) -> None:
    """Open copies have the mean of their original, so nothing was noticed."""
    model, data = Across(statistic, level).double().eval(), triangle()
    explainer = gg.Occlusion(
        model, Task.of(level, return_type="raw"), memory_budget=budget, progress=False
    )
    row = 2 if level == "node" else 0
    found = explainer.explain(data if level == "node" else [data], [row], 1)[0]
    expected = literal_occlusion(model, data, row)
    torch.testing.assert_close(found.edge_mask, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("statistic", ["mean", "max"])
def test_copies_at_several_points_do_not_hide_it_either(statistic: str) -> None:
    model, data = Across(statistic, "graph").double().eval(), triangle()
    task = Task.of("graph", return_type="raw")
    alone, together = (
        gg.IntegratedGradients(
            model, task, on="messages", steps=101, memory_budget=budget, progress=False
        ).explain([data], [0], 1)
        for budget in (1, 1 << 30)
    )
    torch.testing.assert_close(alone[0].edge_mask, together[0].edge_mask, rtol=1e-9, atol=1e-12)
