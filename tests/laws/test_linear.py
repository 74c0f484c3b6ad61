"""A law of linear networks: the layerwise edge gradient is layerwise occlusion.

The output of a linear network is affine in each single gate, so ``y(1) - y(0) = dy / dz``. One gate
for all layers enters as a polynomial of the network's depth: there both agree for one layer only.

He, Rafiey, Mishne and Wang, "Explaining GNN Explanations with Edge Gradients" (KDD 2025,
https://arxiv.org/abs/2508.01048).
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, SGConv, global_mean_pool

import glassgraph as gg
from glassgraph.explainers.scope import LEVELS
from glassgraph.testing.cases import graph
from glassgraph.testing.networks import FEATURES, HIDDEN

CLASSES = 3
TOLERANCE = 1e-6


class Net(nn.Module):
    """Convolutions with ``between`` them; mean over a graph, product with a row for a link."""

    def __init__(self, convs: list[nn.Module], level: str, between: Any = None) -> None:
        super().__init__()
        self.convs, self.level, self.between = nn.ModuleList(convs), level, between

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        batch: Tensor | None = None,
        edge_label_index: Tensor | None = None,
    ) -> Tensor:
        for number, conv in enumerate(self.convs):
            x = conv(x if number == 0 or self.between is None else self.between(x), edge_index)
        if self.level == "graph":
            return global_mean_pool(x, batch)
        if self.level == "edge":
            assert edge_label_index is not None
            return x[edge_label_index[0]] - 2 * x[edge_label_index[1]]
        return x


def convs(kind: str) -> list[nn.Module]:
    if kind.startswith("sgc"):
        return [SGConv(FEATURES, CLASSES, K=int(kind[-1]))]
    depth, bias = int(kind[-1]), "bias" in kind
    sizes = [FEATURES, *[HIDDEN] * (depth - 1), CLASSES]
    layers = [GCNConv(one, two, bias=bias) for one, two in itertools.pairwise(sizes)]
    for layer in layers:
        if bias:
            nn.init.normal_(layer.bias)
    return layers


KINDS = ("sgc, 2", "sgc, 3", "gcn, 2", "gcn with bias, 2", "gcn, 3")


def scene(kind: str, level: str, seed: int, between: Any = None) -> tuple[nn.Module, Any]:
    torch.manual_seed(seed)
    model = Net(convs(kind), level, between).double().eval()
    if level == "graph":
        return model, [graph(7, 17), graph(11, 29)]
    data: Data = graph(19, 47)
    if level == "edge":
        data.edge_label_index = torch.tensor([[0, 4, 17], [8, 2, 1]])
    return model, data


def differences(model: nn.Module, data: Any, level: str) -> tuple[float, float, float]:
    """Largest difference layerwise and input-level, and the largest layerwise gradient."""
    gradients = gg.EdgeGradients(model, level, progress=False).explain(data)
    occlusion = gg.Occlusion(model, level, layerwise=True, progress=False).explain(data)
    layerwise, edges, size = [], [], []
    for one, other in zip(gradients, occlusion, strict=True):
        layerwise.append(float((one.layer_edge_mask - other.layer_edge_mask).abs().max()))
        edges.append(float((one.edge_mask - other.edge_mask).abs().max()))
        size.append(float(one.layer_edge_mask.abs().max()))
    return max(layerwise), max(edges), max(size)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_layerwise_gradient_is_layerwise_occlusion(kind: str, level: str, seed: int) -> None:
    layerwise, edges, size = differences(*scene(kind, level, seed), level)
    assert size > 1e-3
    assert layerwise <= TOLERANCE
    assert edges > 1e3 * TOLERANCE  # a walk along a self-loop meets one gate twice


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["sgc, 1", "gcn with bias, 1"])
def test_with_one_layer_one_gate_is_enough(kind: str, level: str) -> None:
    layerwise, edges, size = differences(*scene(kind, level, 1), level)
    assert size > 1e-3
    assert layerwise <= TOLERANCE
    assert edges <= TOLERANCE


@pytest.mark.parametrize("between", [torch.relu, torch.tanh])
@pytest.mark.parametrize("level", LEVELS)
def test_what_is_not_linear_breaks_it(level: str, between: Any) -> None:
    layerwise, *_ = differences(*scene("gcn with bias, 2", level, 1, between), level)
    assert layerwise > 1e3 * TOLERANCE
