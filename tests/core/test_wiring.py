"""Sites, layers and heights of models whose wiring is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import (
    APPNP,
    ChebConv,
    DirGNNConv,
    GCNConv,
    GINConv,
    RGCNConv,
    SAGEConv,
    SGConv,
)

import glassgraph as gg
from glassgraph.core.sites import Wiring

FEATURES = 3


def make_data() -> Data:
    torch.manual_seed(5)
    data = Data(x=torch.randn(11, FEATURES).double(), edge_index=torch.randint(11, (2, 29)))
    data.edge_type = torch.arange(29) % 3
    return data


def wiring(model: nn.Module, data: Data | None = None) -> Wiring:
    explainer = gg.Saliency(model.double().eval(), progress=False)
    return explainer.prepare(make_data() if data is None else data).wiring


def table(found: Wiring) -> list[tuple[str, int, int]]:
    return [(site.name, site.layer, site.height) for site in found.sites]


class Chain(nn.Module):
    def __init__(self, *convs: nn.Module) -> None:
        super().__init__()
        self.convs = nn.ModuleList(convs)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x, edge_index).tanh()
        return x


def test_a_chain_of_layers() -> None:
    found = wiring(Chain(GCNConv(FEATURES, 5), SAGEConv(5, 7), GCNConv(7, 2)))
    assert table(found) == [("convs.0", 0, 2), ("convs.1", 1, 1), ("convs.2", 2, 0)]
    assert (found.num_layers, found.num_hops) == (3, 3)
    assert [site.width for site in found.sites] == [5, 5, 2]
    assert not found.needs_both_directions


def test_relations_of_a_step_share_a_layer() -> None:
    class Relational(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = RGCNConv(FEATURES, 5, num_relations=3)
            self.conv2 = RGCNConv(5, 2, num_relations=3)

        def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
            return self.conv2(self.conv1(x, edge_index, edge_type).tanh(), edge_index, edge_type)

    found = wiring(Relational())
    assert table(found) == [
        ("conv1", 0, 1),
        ("conv1#2", 0, 1),
        ("conv1#3", 0, 1),
        ("conv2", 1, 0),
        ("conv2#2", 1, 0),
        ("conv2#3", 1, 0),
    ]
    assert found.num_layers == 2


@pytest.mark.parametrize(
    ("conv", "calls"),
    [
        (SGConv(FEATURES, 2, K=3), 3),
        (ChebConv(FEATURES, 2, K=4), 3),
        (APPNP(K=5, alpha=0.1), 5),
        (GCNConv(FEATURES, 2), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_a_layer_has_as_many_sites_as_it_propagates(conv: nn.Module, calls: int) -> None:
    found = wiring(Chain(conv))
    assert [site.layer for site in found.sites] == list(range(calls))
    assert [site.height for site in found.sites] == list(range(calls))[::-1]
    assert found.num_layers == calls


def test_parallel_branches_share_layers_and_keep_their_heights() -> None:
    """The short branch has no step before it and none after it."""

    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.short = GCNConv(FEATURES, 2)
            self.long1 = GCNConv(FEATURES, 5)
            self.long2 = GCNConv(5, 2)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            long = self.long2(self.long1(x, edge_index).tanh(), edge_index)
            return self.short(x, edge_index) + long

    found = wiring(Branches())
    assert table(found) == [("long1", 0, 1), ("long2", 1, 0), ("short", 0, 0)]
    assert found.num_hops == 2


def test_a_shared_layer_is_two_sites() -> None:
    conv = GCNConv(FEATURES, FEATURES)
    found = wiring(Chain(conv, conv))
    assert [(site.layer, site.height) for site in found.sites] == [(0, 1), (1, 0)]
    assert found.sites[1].name.endswith("#2")


def test_residual_connections_do_not_hide_a_step() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = GCNConv(FEATURES, FEATURES)
            self.conv2 = GCNConv(FEATURES, FEATURES)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            x = x + self.conv1(x, edge_index)
            return x + self.conv2(x, edge_index)

    assert table(wiring(Residual())) == [("conv1", 0, 1), ("conv2", 1, 0)]


def test_a_dead_relu_does_not_hide_a_step() -> None:
    """Zero gradients are still connections."""
    model = Chain(GCNConv(FEATURES, 5), GCNConv(5, 2))

    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.chain = model

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            hidden = (model.convs[0](x, edge_index) - 1e6).relu()
            return model.convs[1](hidden, edge_index)

    assert [site.layer for site in wiring(Dead()).sites] == [0, 1]


def test_a_directed_layer_sends_both_ways() -> None:
    found = wiring(Chain(DirGNNConv(GCNConv(FEATURES, 2))))
    assert len(found.sites) == 2
    assert found.num_layers == 1
    assert found.needs_both_directions


def test_sending_against_the_edges_needs_both_directions() -> None:
    found = wiring(Chain(GINConv(nn.Linear(FEATURES, 2), flow="target_to_source")))
    assert found.needs_both_directions


def test_which_arguments_depend_on_the_graph_alone() -> None:
    site = wiring(Chain(GCNConv(FEATURES, 2))).sites[0]
    assert site.edge_arguments == {"edge_weight"}
    assert site.constant_arguments == {"edge_weight"}
    assert site.can_trim
