"""Excitation backpropagation: probabilities by hand, and its identity with the z+ rule."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, GraphConv, SumAggregation, global_mean_pool

import glassgraph as gg
from glassgraph.errors import HyperParameterError, NegativeActivationError
from glassgraph.explainers.constant import ConstantScoresWarning


class OneLayer(nn.Module):
    """Sums over neighbors, then weights."""

    def __init__(self, weight: list[list[float]], bias: list[float]) -> None:
        super().__init__()
        self.tap, self.sum = gg.MessageTap(), SumAggregation()
        self.lin = nn.Linear(len(weight[0]), len(weight)).double()
        with torch.no_grad():
            self.lin.weight.copy_(torch.tensor(weight))
            self.lin.bias.copy_(torch.tensor(bias))

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        sent = self.tap(x[edge_index[0]], edge_index)
        return self.lin(self.sum(sent, edge_index[1], dim_size=x.size(0)))


def star(x: list[list[float]]) -> Data:
    """All nodes send to node 0."""
    count = len(x)
    edges = torch.stack([torch.arange(1, count), torch.zeros(count - 1, dtype=torch.long)])
    return Data(x=torch.tensor(x).double(), edge_index=edges)


def test_probabilities_by_hand() -> None:
    model = OneLayer([[1.0, -5.0, 3.0]], [4.0])  # the bias wins nothing
    data = star([[9, 9, 9], [1, 7, 0], [2, 1, 1]])
    (found,) = gg.ExcitationBackprop(model, gg.Task("node", "regression")).explain(data, index=[0])
    # Excitatory: node 1 gives 1, node 2 gives 2 and 3; of 6 in all.
    expected = torch.tensor([[0, 0, 0], [1, 0, 0], [2, 0, 3]]).double() / 6
    torch.testing.assert_close(found.node_mask, expected)
    torch.testing.assert_close(found.edge_mask, torch.tensor([1, 5]).double() / 6)


def test_contrast_keeps_what_speaks_for_this_class_alone() -> None:
    model = OneLayer([[1.0, -1.0, 3.0]], [0.0])
    data = star([[0, 0, 0], [1, 2, 1], [1, 0, 2]])
    explainer = gg.ExcitationBackprop(model, gg.Task("node", "regression"), contrastive=True)
    (found,) = explainer.explain(data, index=[0])
    # Excitatory shares 1, 3 | 1, 6 of 11; of the opposite output all goes to feature 1 of node 1.
    expected = torch.tensor([[0, 0, 0], [1, 0, 3], [1, 0, 6]]).double() / 11
    torch.testing.assert_close(found.node_mask, expected)


class Deep(nn.Module):
    """Two layers, mean pooling and a head, as Pope et al. explain."""

    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.one, self.two = GCNConv(4, 8, bias=bias), GCNConv(8, 8, bias=bias)
        self.head = nn.Linear(8, 3, bias=bias)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        h = self.two(self.one(x, edge_index).relu(), edge_index).relu()
        return self.head(global_mean_pool(h, batch))


def graph(*, is_negative: bool = False) -> Data:
    torch.manual_seed(5)
    x = torch.rand(9, 4).double() - (0.5 if is_negative else 0.0)
    return Data(x=x, edge_index=torch.randint(9, (2, 24)))


def deep(*, bias: bool) -> Deep:
    torch.manual_seed(0)
    return Deep(bias=bias).double().eval()


@pytest.mark.parametrize("bias", [False, True])
def test_scores_sum_to_one(bias: bool) -> None:
    explanations = gg.ExcitationBackprop(deep(bias=bias), "graph").explain([graph()])
    assert (explanations[0].node_mask >= 0).all()
    assert float(explanations[0].node_mask.sum()) == pytest.approx(1.0)


def test_on_positive_activations_it_is_the_z_plus_rule() -> None:
    model = deep(bias=False)
    found = gg.ExcitationBackprop(model, "graph").explain([graph()])[0]
    lrp = gg.LRP(model, "graph", rule="z_plus").explain([graph()])[0]
    torch.testing.assert_close(found.node_mask, lrp.node_mask / lrp.node_mask.sum())
    torch.testing.assert_close(found.layer_edge_mask, lrp.layer_edge_mask / lrp.node_mask.sum())


def test_a_logit_below_zero_is_explained_too() -> None:
    model = deep(bias=False)
    data = graph()
    out = model(data.x, data.edge_index, torch.zeros(9, dtype=torch.long))
    lowest = int(out.argmin())
    assert out[0, lowest] < 0
    (found,) = gg.ExcitationBackprop(model, "graph").explain([data], target=lowest)
    assert float(found.node_mask.sum()) == pytest.approx(1.0)


def test_without_excitation_scores_are_zero() -> None:
    model = OneLayer([[-1.0, -2.0]], [0.0])
    (found,) = gg.ExcitationBackprop(model, gg.Task("node", "regression")).explain(
        star([[1, 1], [1, 1]]), index=[0]
    )
    assert torch.equal(found.node_mask, torch.zeros(2, 2).double())


def test_negative_activations_are_refused_by_name() -> None:
    with pytest.raises(NegativeActivationError, match=r"weights of one\.lin read -0\.4.*'allow'"):
        gg.ExcitationBackprop(deep(bias=True), "graph").explain([graph(is_negative=True)])
    allowed = gg.ExcitationBackprop(deep(bias=True), "graph", negative="allow")
    (found,) = allowed.explain([graph(is_negative=True)])
    assert float(found.node_mask.sum()) == pytest.approx(1.0)


def test_another_word_for_negative_is_refused() -> None:
    with pytest.raises(HyperParameterError, match="'error' or 'allow'"):
        gg.ExcitationBackprop(deep(bias=True), "graph", negative="clip")  # type: ignore[arg-type]


class Centered(nn.Module):
    """The mean of what is centered is nothing, so that a bias alone decides."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.out = GraphConv(3, 4), nn.Linear(4, 2)
        self.double()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = self.conv(x, edge_index)
        return self.out((h - h.mean(dim=0)).mean(dim=0, keepdim=True))


@pytest.mark.parametrize("seed", range(6))
def test_rounding_excites_nothing(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    data = Data(x=x, edge_index=torch.tensor([[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]]))
    explainer = gg.ExcitationBackprop(Centered(), task="graph", negative="allow", progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantScoresWarning)
        found = explainer.explain([data])[0]
    assert not found.edge_mask.any()
    assert not found.node_mask.any()
