"""Sequences of snapshots: a recurrent network on features ``[N, F, T]`` is scored by step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv

import glassgraph as gg

NODES, FEATURES, STEPS, HIDDEN = 11, 3, 5, 4
NODE = 4


class GatedGraphCell(nn.Module):
    """T-GCN (Zhao et al., 2019): a GRU whose gates are graph convolutions of ``[x_t, h]``."""

    def __init__(self, num_read: int = STEPS) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.gates = GCNConv(FEATURES + HIDDEN, 2 * HIDDEN)
        self.candidate = GCNConv(FEATURES + HIDDEN, HIDDEN)
        self.out = nn.Linear(HIDDEN, 2)
        self.num_read = num_read
        self.double()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = x.new_zeros(x.size(0), HIDDEN)
        for x_t in x.unbind(-1)[: self.num_read]:
            both = self.gates(torch.cat([x_t, h], -1), edge_index).sigmoid()
            reset, update = both.chunk(2, -1)
            new = self.candidate(torch.cat([x_t, reset * h], -1), edge_index).tanh()
            h = update * h + (1 - update) * new
        return self.out(h)


def series() -> Data:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(NODES, FEATURES, STEPS, generator=generator, dtype=torch.double)
    ends = torch.randint(NODES, (2, 29), generator=generator)
    return Data(x=x, edge_index=ends)


def explained(model: nn.Module, method: str, **settings: object) -> gg.Explanations:
    data = series()
    return gg.explain(
        model,
        data,
        method,
        gg.Task("node", "regression"),
        [NODE],
        target=1,
        progress=False,
        **settings,
    )


def test_saliency_of_each_step_is_that_of_autograd() -> None:
    data, model = series(), GatedGraphCell()
    leaf = data.x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf, data.edge_index)[NODE, 1], leaf)
    found = explained(model, "saliency")[0].node_mask
    assert found.shape == (NODES, FEATURES, STEPS)
    torch.testing.assert_close(found.double(), gradient.square(), atol=1e-6, rtol=1e-5)
    assert bool((found.sum((0, 1)) > 0).all())


def test_integrated_gradients_of_all_steps_sum_to_the_difference() -> None:
    data, model = series(), GatedGraphCell()
    found = explained(model, "integrated_gradients", on="features", steps=200)[0].node_mask
    with torch.no_grad():
        score = model(data.x, data.edge_index) - model(torch.zeros_like(data.x), data.edge_index)
    assert float(found.sum()) == pytest.approx(float(score[NODE, 1]), abs=1e-4)


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "gnn_explainer"])
def test_a_step_that_is_not_read_does_not_count(method: str) -> None:
    settings = {"epochs": 20} if method == "gnn_explainer" else {}
    if method == "integrated_gradients":
        settings = {"on": "features"}
    read, every = (
        explained(GatedGraphCell(num_read), method, **settings)[0].node_mask
        for num_read in (3, STEPS)
    )
    assert read.shape == every.shape == (NODES, FEATURES, STEPS)
    if method != "gnn_explainer":  # masks that nothing is learned of stay about where they begin
        assert not bool(read[..., 3:].any())
        assert bool((read.abs().sum((0, 1))[:3] > 0).all())
    assert bool((every.abs().sum((0, 1)) > 0).all())


def test_frames_name_features_and_steps() -> None:
    data = series()
    found = gg.explain(
        GatedGraphCell(), data, "saliency", "node", index=[NODE], target=1, progress=False,
        feature_names=["speed", "flow", "hour"],
    )  # fmt: skip
    frame = found.features_frame()
    names = [f"{name}, step {step}" for name in ("speed", "flow", "hour") for step in range(STEPS)]
    assert set(frame["feature_name"] if "feature_name" in frame else frame["feature"]) <= set(names)
    mask = found[0].node_mask
    assert mask.sum((0, 1)).shape == (STEPS,), "scores by step"


def test_edges_of_a_recurrent_network_are_those_of_deletion() -> None:
    """An edge is read at every step, by two convolutions; its gate shuts all of them."""
    model = GatedGraphCell()
    found = explained(model, "occlusion")[0]
    assert bool(torch.isfinite(found.edge_mask).all())
    assert float(found.edge_mask.abs().max()) > 0
