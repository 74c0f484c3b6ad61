"""Copies side by side: models that look across them are found out, and still explained rightly."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, MessagePassing, SimpleConv, global_add_pool

import glassgraph as gg
from glassgraph.core.copies import instances_are_apart
from glassgraph.core.told import FallbackWarning
from glassgraph.inputs.receptive import receptive_fields
from glassgraph.inputs.task import Targets, Task

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


class Ranks(MessagePassing):
    """Sums what arrives, and says of each node whether it lies above (or below) the mean of all.

    On two nodes that is 1 or 0, whatever they hold, and a ReLU has no 0 to fall below.
    """

    def __init__(self, sign: int, level: str) -> None:
        super().__init__()
        self.sign, self.level = sign, level

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor, batch: Tensor | None = None
    ) -> Tensor:
        h = x + self.propagate(edge_index, x=x, edge_weight=edge_weight)
        h = h - h.mean(0)
        out = (self.sign * h / h.square().mean(0).clamp_min(1e-30).sqrt()).relu()
        return out if self.level == "node" else global_add_pool(out, batch)

    def message(self, x_j: Tensor, edge_weight: Tensor) -> Tensor:
        return x_j * edge_weight.view(-1, 1)


def loops(x: list[float], *weight: float) -> Data:
    """Nodes, and some loops at the first of them."""
    return Data(
        x=torch.tensor(x).double().view(-1, 1),
        edge_index=torch.zeros(2, len(weight), dtype=torch.long),
        edge_weight=torch.tensor(weight).double(),
    )


@pytest.mark.parametrize("index", [[0, 1], [1, 0]])
@pytest.mark.parametrize(
    ("method", "expected"), [("occlusion", [1.0, -1.0]), ("erasure_search", [1.0, 1.0])]
)
def test_two_fields_that_are_the_whole_graph_do_not_hide_behind_a_relu(
    method: str, expected: list[float], index: list[int]
) -> None:
    """Node 0 lies above node 1 by its loop alone, which is no edge of node 1's own field."""
    task, data = Task("node", mode="regression"), loops([1.0, 1.5], 1.0)
    with pytest.warns(FallbackWarning, match="depend on what lies beside them"):
        found = gg.explain(
            Ranks(1, "node"), data, method, task, index, on_unseen="ignore", progress=False
        )
    assert [float(each.edge_mask) for each in found] == [expected[number] for number in index]


@pytest.mark.parametrize(("number", "is_apart"), [(0, False), (1, False), (2, True)])
def test_a_single_prediction_is_asked_beside_a_copy_of_itself(number: int, is_apart: bool) -> None:
    """Node 1 is not above the mean of itself, as it is not above that of the graph."""
    model = Ranks(1, "node") if number < 2 else SimpleConv()
    task, data = Task("node", mode="regression"), loops([1.0, 1.5, 0.5], 1.0)
    preparation = gg.Occlusion(model, task, on_unseen="ignore", progress=False).prepare(data)
    instances = preparation.instances([min(number, 1)])
    batch = preparation.packer.assemble(
        instances,
        receptive_fields(preparation.graph, instances.seeds, 1, False),
        Targets(torch.zeros(1, dtype=torch.long)),
        torch.zeros(1, 1).double(),
        {},
    )
    batch.reference = batch.output().detach()
    assert instances_are_apart(batch) == is_apart


@pytest.mark.parametrize("budget", [1, 1 << 30])
def test_copies_of_a_graph_do_not_hide_behind_a_relu(budget: int) -> None:
    """A node is never below the mean of itself; beside a copy without the larger loop it is not."""
    explainer = gg.Occlusion(
        Ranks(-1, "graph"),
        Task("graph", mode="regression"),
        on_unseen="ignore",
        memory_budget=budget,
        progress=False,
    )
    found = explainer.explain([loops([1.0], 1.0, 3.0)], [0])[0]
    assert found.edge_mask.tolist() == [0.0, 0.0]


def test_features_that_a_model_looks_up_are_not_moved_out_of_its_table() -> None:
    class LooksUp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(3)
            self.table, self.conv = nn.Embedding(4, 5), GCNConv(5, 2)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            out: Tensor = self.conv(self.table(x[:, 0].long()), edge_index)
            return out

    data = triangle()
    data.x = torch.tensor([[0.0], [3.0], [1.0]]).double()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = gg.explain(LooksUp().double(), data, "occlusion", task="node", progress=False)
    assert len(found) == NODES
