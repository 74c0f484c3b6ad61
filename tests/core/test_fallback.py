"""Models that look beyond the receptive field: told once, slower, and still right."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GINConv, GraphNorm, SGConv, global_add_pool

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.core.told import FallbackWarning

FEATURES, NODES, EDGES = 3, 13, 29


class Net(nn.Module):
    """Two layers with something between them."""

    def __init__(self, between: str) -> None:
        super().__init__()
        self.conv1 = GINConv(nn.Linear(FEATURES, 5))
        self.conv2 = GINConv(nn.Linear(5, 2))
        self.norm = GraphNorm(5)
        self.between = between
        self.positions = torch.randn(NODES, 5).double()  # closed over: one row for each node

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = self.conv1(x, edge_index).tanh()
        if self.between == "mean":
            h = h - h.mean(0)
        elif self.between == "norm":
            h = self.norm(h)
        elif self.between == "closed over":
            h = h + self.positions
        elif self.between == "closed over by number":
            h = h + self.positions[: h.size(0)]
        return self.conv2(h, edge_index)


def make() -> tuple[Data, list[int]]:
    torch.manual_seed(3)
    data = Data(
        x=torch.randn(NODES, FEATURES).double(), edge_index=torch.randint(NODES, (2, EDGES))
    )
    return data, [1, 7, 11]


def literal_gradients(model: Net, data: Data, index: int, target: int) -> Tensor:
    """``[2, E]`` by autograd through own hooks on the full graph (GIN's rows are the edges)."""
    gates = torch.ones(2, data.num_edges).double().requires_grad_()
    handles = [
        conv.register_message_forward_hook(
            lambda module, inputs, messages, layer=layer: messages * gates[layer].view(-1, 1)
        )
        for layer, conv in enumerate((model.conv1, model.conv2))
    ]
    (found,) = torch.autograd.grad(model(data.x, data.edge_index)[index, target], gates)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("between", ["mean", "norm", "closed over", "closed over by number"])
def test_scores_are_those_of_the_full_graph_and_the_user_is_told_once(between: str) -> None:
    model, (data, index) = Net(between).double().eval(), make()
    explainer = gg.EdgeGradients(model, progress=False)
    with pytest.warns(FallbackWarning, match="full graph, one instance at a time") as told:
        found = explainer.explain(data, index, 1)
    assert len([each for each in told if each.category is FallbackWarning]) == 1
    for number, explanation in zip(index, found, strict=True):
        expected = literal_gradients(model, data, number, 1)
        torch.testing.assert_close(explanation.layer_edge_mask, expected, rtol=1e-10, atol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explainer.explain(data, index, 1)  # the same data: no second warning


def test_a_warning_names_what_went_wrong() -> None:
    model, (data, index) = Net("closed over").double().eval(), make()
    with pytest.warns(FallbackWarning, match=r"could not run .*RuntimeError: .*size of tensor"):
        gg.Saliency(model, progress=False).explain(data, index)


def test_local_models_do_not_fall_back() -> None:
    model, (data, index) = Net("nothing").double().eval(), make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = gg.EdgeGradients(model, progress=False).explain(data, index, 1)
    for number, explanation in zip(index, found, strict=True):
        expected = literal_gradients(model, data, number, 1)
        torch.testing.assert_close(explanation.layer_edge_mask, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("check", ["full", "local"])
def test_either_check_notices_a_global_model(check: str) -> None:
    model, (data, index) = Net("mean").double().eval(), make()
    data.x = data.x.repeat(5, 1) + torch.randn(5 * NODES, FEATURES).double()
    data.edge_index = torch.cat([data.edge_index + NODES * i for i in range(5)], dim=1)
    with pytest.warns(FallbackWarning):
        found = gg.EdgeGradients(model, progress=False, check=check).explain(data, index, 1)
    expected = literal_gradients(model, data, index[0], 1)
    torch.testing.assert_close(found[0].layer_edge_mask, expected, rtol=1e-10, atol=1e-12)


def test_a_graph_task_with_statistics_over_the_batch_falls_back() -> None:
    """The mean over all nodes of a packed batch is not the mean over one graph."""

    class Pooled(Net):
        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            return global_add_pool(super().forward(x, edge_index), batch)

    model = Pooled("mean").double().eval()
    data, _ = make()
    graphs = [data, Data(x=data.x[:7] + 1, edge_index=data.edge_index % 7)]
    with pytest.warns(FallbackWarning):
        together = gg.EdgeGradients(model, "graph", progress=False).explain(graphs, [0, 1], 1)
    for number, explanation in enumerate(together):
        alone = gg.EdgeGradients(model, "graph", progress=False).explain([graphs[number]], 0, 1)
        torch.testing.assert_close(explanation.prediction, alone[0].prediction)
        torch.testing.assert_close(explanation.layer_edge_mask, alone[0].layer_edge_mask)


@pytest.mark.parametrize("check", ["auto", "full", "local"])
def test_every_check_serves_graph_tasks(check: str) -> None:
    class Pooled(Net):
        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
            return global_add_pool(super().forward(x, edge_index), batch)

    model = Pooled("nothing").double().eval()
    data, _ = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = gg.Saliency(model, "graph", check=check, progress=False).explain([data, data])
    assert torch.equal(found[0].edge_mask, found[1].edge_mask)


def test_a_model_for_one_graph_at_a_time_is_explained_one_graph_at_a_time() -> None:
    """It knows no ``batch``: on packed graphs it returns one row for all of them."""

    class OneGraph(Net):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return super().forward(x, edge_index).sum(0, keepdim=True)

    model = OneGraph("nothing").double().eval()
    data, _ = make()
    graphs = [data, Data(x=data.x[:7] + 1, edge_index=data.edge_index % 7)]
    explainer = gg.EdgeGradients(model, "graph", progress=False)
    with pytest.warns(FallbackWarning):
        found = explainer.explain(graphs, target=1)
    for number, graph in enumerate(graphs):
        gates = torch.ones(2, graph.num_edges).double().requires_grad_()
        handles = [
            conv.register_message_forward_hook(
                lambda module, inputs, messages, layer=layer, gates=gates: (
                    messages * gates[layer].view(-1, 1)
                )
            )
            for layer, conv in enumerate((model.conv1, model.conv2))
        ]
        (expected,) = torch.autograd.grad(model(graph.x, graph.edge_index)[0, 1], gates)
        for handle in handles:
            handle.remove()
        torch.testing.assert_close(found[number].layer_edge_mask, expected)


def test_surroundings_that_are_run_count_against_the_budget() -> None:
    torch.manual_seed(0)
    model = SGConv(3, 2, K=2).eval()
    data = Data(x=torch.rand(30, 3), edge_index=torch.randint(30, (2, 60)))
    spent = {}
    for check in ("full", "local"):
        preparation = gg.Random(model, check=check).prepare(data)
        with protected(model):
            list(preparation.batches(preparation.instances([1, 2, 3]), None, 1 << 30))
        spent[check] = preparation._spent
    assert 0 < spent["full"] < spent["local"]
