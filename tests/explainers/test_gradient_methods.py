"""Saliency and edge gradients against plain autograd through own hooks on the whole graph."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, SGConv, SimpleConv

import glassgraph as gg
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.constant import ConstantScoresWarning
from glassgraph.testing.cases import CASES, Case
from tests.laws import literal
from tests.laws.cases import explained

each_case = pytest.mark.parametrize("case", CASES, ids=str)


def explanations(method: type[gg.Explainer], case: Case) -> tuple[nn.Module, object, list]:
    model, data = case.model(), case.data()
    explainer = method(model, case.task(), progress=False)
    return model, data, list(explained(explainer, case, data))


def literal_score(
    model: nn.Module, case: Case, data: Data, row: int, gates: Tensor, x: Tensor | None = None
) -> Tensor:
    plain = literal.predict_one(model, case, data).detach()
    chosen = literal.target(case, plain, data, row)
    return literal.score(case, literal.gated(model, case, data, gates, x), row, chosen)


@each_case
def test_saliency_is_the_squared_gradient(case: Case) -> None:
    """``S[n, f] = (dy / dx[n, f])^2``, ``S[e] = (dy / dz[e])^2`` with one gate for all layers."""
    model, data, found = explanations(gg.Saliency, case)
    for position, explanation in enumerate(found):
        one, row = literal.one_graph(case, data, position)
        gates = torch.ones(one.num_edges).double().requires_grad_()
        x = one.x.clone().requires_grad_()
        score = literal_score(model, case, one, row, gates.expand(2, -1), x)
        by_gate, by_feature = torch.autograd.grad(score, [gates, x])
        close(explanation.edge_mask, by_gate**2)
        close(explanation.node_mask, by_feature**2)
        close(explanation.node_score, (by_feature**2).sum(1))
        assert "layer_edge_mask" not in explanation


def close(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)


@each_case
def test_edge_gradients_are_gradients_of_the_score(case: Case) -> None:
    """``phi[l, e] = dy / dz[l, e]``, and their sum over layers."""
    model, data, found = explanations(gg.EdgeGradients, case)
    for position, explanation in enumerate(found):
        one, row = literal.one_graph(case, data, position)
        gates = torch.ones(2, one.num_edges).double().requires_grad_()
        (gradient,) = torch.autograd.grad(literal_score(model, case, one, row, gates), gates)
        close(explanation.layer_edge_mask, gradient)
        close(explanation.edge_mask, gradient[0] + gradient[1])


@each_case
def test_positive_gradients_are_ones_and_zeros(case: Case) -> None:
    """1 where ``dy / dz > epsilon``: of one gate for all layers, and of one for each layer."""
    epsilon = 0.02
    model, data = case.model(), case.data()
    explainer = gg.PositiveGradients(model, case.task(), epsilon=epsilon, progress=False)
    found = explained(explainer, case, data)
    assert found.threshold == 0.5
    for position, explanation in enumerate(found):
        one, row = literal.one_graph(case, data, position)
        gates = torch.ones(2, one.num_edges).double().requires_grad_()
        (gradient,) = torch.autograd.grad(literal_score(model, case, one, row, gates), gates)
        shared = torch.ones(one.num_edges).double().requires_grad_()
        score = literal_score(model, case, one, row, shared.expand(2, -1))
        (total,) = torch.autograd.grad(score, shared)
        assert torch.equal(explanation.layer_edge_mask, (gradient > epsilon).double())
        assert torch.equal(explanation.edge_mask, (total > epsilon).double())


def test_a_mask_speaks_for_the_class_it_is_asked_about() -> None:
    """One logit, target 0 and 1: what raises the one lowers the other, with no sign to multiply."""
    case = Case("gin", "node", "binary_classification", "raw", None, 1)
    model, data = case.model(), case.data()
    no, yes = (
        gg.PositiveGradients(model, case.task(), progress=False).explain(data, [4], target)[0]
        for target in (0, 1)
    )
    gradient = gg.EdgeGradients(model, case.task(), progress=False).explain(data, [4], 1)[0]
    assert yes.edge_mask.any()
    assert no.edge_mask.any()
    assert torch.equal(yes.edge_mask, (gradient.edge_mask > 0).double())
    assert torch.equal(no.edge_mask, (gradient.edge_mask < 0).double())


@pytest.mark.parametrize("epsilon", [-0.1, float("nan"), float("inf")])
def test_epsilon_out_of_range(epsilon: float) -> None:
    with pytest.raises(HyperParameterError, match=r"epsilon.*got"):
        gg.PositiveGradients(Case("gin", "node").model(), epsilon=epsilon)


@pytest.mark.parametrize("case", CASES[::4], ids=str)
def test_edge_gradients_agree_with_finite_differences(case: Case) -> None:
    model, data, found = explanations(gg.EdgeGradients, case)
    step = 1e-6
    one, row = literal.one_graph(case, data, 0)
    for edge in found[0].edge_mask.abs().topk(5).indices.tolist():
        for layer in (0, 1):
            values = []
            for sign in (1, -1):
                gates = torch.ones(2, one.num_edges).double()
                gates[layer, edge] += sign * step
                values.append(literal_score(model, case, one, row, gates))
            slope = (values[0] - values[1]) / (2 * step)
            torch.testing.assert_close(
                found[0].layer_edge_mask[layer, edge], slope, rtol=1e-6, atol=1e-9
            )


class Linear(nn.Module):
    """Layers without any nonlinearity: the output is affine in every single gate."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        convs = [SGConv(5, 3, K=3)] if kind == "sgc" else [GCNConv(5, 7), GCNConv(7, 3)]
        self.convs = nn.ModuleList(convs)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x, edge_index)
        return x


@pytest.mark.parametrize(("kind", "num_layers"), [("sgc", 3), ("gcn", 2)])
def test_layerwise_gradient_is_layerwise_occlusion_for_linear_models(kind, num_layers) -> None:
    """He et al. 2025: affine in a gate, so ``f(1) - f(0) = df / dz``."""
    model, data = Linear(kind).double().eval(), Case("gin", "node").data()
    gradients = gg.EdgeGradients(model, progress=False).explain(data, [4, 9, 17])
    occlusions = gg.Occlusion(model, layerwise=True, progress=False).explain(data, [4, 9, 17])
    for one, other in zip(gradients, occlusions, strict=True):
        assert one.layer_edge_mask.shape == (num_layers, data.num_edges)
        assert one.layer_edge_mask.abs().max() > 1e-3
        torch.testing.assert_close(
            one.layer_edge_mask, other.layer_edge_mask, rtol=1e-11, atol=1e-14
        )


def test_input_level_gradient_is_not_occlusion_where_an_edge_is_used_twice() -> None:
    """A walk along a self-loop meets its gate twice: a polynomial of degree 2, so they differ."""
    model = Linear("gcn").double().eval()
    data = Data(x=torch.randn(2, 5).double(), edge_index=torch.tensor([[0, 1], [0, 0]]))
    gradient = gg.EdgeGradients(model, progress=False).explain(data, [0])[0]
    occlusion = gg.Occlusion(model, progress=False).explain(data, [0])[0]
    assert not torch.allclose(gradient.edge_mask, occlusion.edge_mask, rtol=1e-3)


class Cancels(nn.Module):
    """Three tenths of what is received, less three times a tenth of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = SimpleConv()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = self.conv(x, edge_index).sum(dim=1, keepdim=True)
        return 1 + 3 * (0.1 * h) - 0.3 * h


def test_a_gradient_of_rounding_is_not_positive() -> None:
    x = torch.tensor([[0.0], [1.0], [2.0], [3.0]], dtype=torch.float64)
    data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
    task = gg.Task("node", mode="regression")
    numbers = gg.EdgeGradients(Cancels(), task, progress=False).explain(data, [0])[0]
    assert 0 < float(numbers.edge_mask.abs().max()) < 1e-15
    with pytest.warns(ConstantScoresWarning):
        found = gg.PositiveGradients(Cancels(), task, progress=False).explain(data, [0])[0]
    assert not found.edge_mask.any()
