"""Every method that follows gradients says so where there are none."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GraphConv, global_mean_pool

import glassgraph as gg
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import GlassgraphError, NoGradientError
from glassgraph.explainers.amortized import HindsightWarning
from glassgraph.explainers.registry import METHODS, make_explainer

WIDTH, NODES, EDGES = 3, 11, 23
#: Methods beside those of ``tests/core/test_faults.py``, which followed nothing and did not say so.
FOLLOWING = {
    "grad_cam": {},
    "lrp": {},
    "excitation_backprop": {"negative": "allow"},
    "gnn_lrp": {},
    "pg_explainer": {"epochs": 1},
    "graphmask": {"steps": 4, "tolerance": 1e9, "max_changed": 1.0},
    "information_bottleneck": {"steps": 4, "tolerance": 1e9},
}


class Net(nn.Module):
    """Two layers as wide as the features."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.one, self.two = GraphConv(WIDTH, WIDTH), GraphConv(WIDTH, WIDTH)
        self.double()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        out: Tensor = self.two(self.one(x, edge_index).relu(), edge_index)
        return out


class Detached(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return super().forward(x, edge_index).detach()


class Frozen(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        with torch.no_grad():
            return super().forward(x, edge_index)


class HalfDetached(Net):
    """Features have a gradient, messages have none."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return x + super().forward(x, edge_index).detach()


def graph() -> Data:
    generator = torch.Generator().manual_seed(1)
    ends = torch.randint(NODES, (2, EDGES), generator=generator)
    return Data(x=torch.randn(NODES, WIDTH, generator=generator).double(), edge_index=ends)


def explain(model: nn.Module, method: str, **settings: Any) -> gg.Explanations:
    explainer = make_explainer(method, model, "node", progress=False, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackWarning)  # wiring is traced by gradients, too
        warnings.simplefilter("ignore", HindsightWarning)
        if explainer.needs_fit:
            explainer.fit(graph(), index=[2, 5, 7])  # type: ignore[attr-defined]
        return explainer.explain(graph(), index=[2, 7])


@pytest.mark.parametrize("kind", [Detached, HalfDetached])
@pytest.mark.parametrize("method", FOLLOWING)
def test_it_is_said(method: str, kind: type[Net]) -> None:
    with pytest.raises(NoGradientError, match="does not depend differentiably on"):
        explain(kind(), method, **FOLLOWING[method])


def test_it_is_said_of_free_gates() -> None:
    with pytest.raises(NoGradientError, match="does not depend differentiably on messages"):
        explain(Detached(), "graphmask", amortized=False, **FOLLOWING["graphmask"])


@pytest.mark.parametrize("kind", [Detached, Frozen, HalfDetached])
def test_no_method_fails_in_another_way(kind: type[Net]) -> None:
    """Each explains such a model as it does without, or refuses it by name."""
    for method, each in METHODS.items():
        if "node" not in each.scope.levels:
            continue
        try:
            explain(kind(), method, **each.test_settings)
        except GlassgraphError:
            continue


@pytest.mark.parametrize("method", ["occlusion", "erasure_search", "causal_screening"])
def test_what_needs_no_gradient_is_the_same(method: str) -> None:
    settings = METHODS[method].test_settings
    expected, found = (explain(kind(), method, **settings) for kind in (Net, Detached))
    assert expected[0].edge_mask.any()
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one.edge_mask, other.edge_mask)


class Pooled(Net):
    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:  # type: ignore[override]
        return global_mean_pool(super().forward(x, edge_index), batch).detach()


@pytest.mark.parametrize("method", ["cam", "grad_cam", "lrp", "saliency"])
def test_of_graphs(method: str) -> None:
    with pytest.raises(GlassgraphError):
        gg.explain(Pooled(), [graph()], method, "graph", progress=False)


def test_nodes_without_edges_have_no_messages_to_depend_on() -> None:
    data = Data(x=torch.ones(3, WIDTH).double(), edge_index=torch.tensor([[0], [1]]))
    for method in ("lrp", "grad_cam", "gnn_lrp"):
        found = gg.explain(Net(), data, method, "node", index=[2], progress=False)
        assert not bool(found[0].edge_mask.any())
