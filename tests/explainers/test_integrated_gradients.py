"""Integrated gradients against sums over plain autograd gradients, and against what they sum to."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, SGConv, SimpleConv

import glassgraph as gg
from glassgraph.explainers.gradient.integrated_gradients import (
    IncompletenessWarning,
    Rule,
    quadrature,
)
from glassgraph.testing.cases import CASES, Case
from tests.laws import literal
from tests.laws.cases import explained

each_case = pytest.mark.parametrize("case", CASES, ids=str)
SMOOTH = [case for case in CASES if case.kind in ("gcn", "gin", "rgcn")]


def literal_gradients(
    model: nn.Module, case: Case, data: Data, row: int, alpha: float, moves: str
) -> Tensor:
    """``dy/dz [2, E]`` or ``dy/dx [N, F]`` at one point of a path, on the user's whole graph."""
    chosen = literal.target(case, literal.predict_one(model, case, data).detach(), data, row)
    level = alpha if moves == "messages" else 1.0
    gates = (level * torch.ones(2, data.num_edges).double()).requires_grad_()
    x = (data.x if moves == "messages" else alpha * data.x).clone().requires_grad_()
    score = literal.score(case, literal.gated(model, case, data, gates, x), row, chosen)
    (found,) = torch.autograd.grad(score, [gates if moves == "messages" else x])
    return found


@each_case
def test_scores_are_means_of_gradients_along_the_paths(case: Case) -> None:
    """Five right-Riemann points, written out; features start at zero."""
    model, data = case.model(), case.data()
    explainer = gg.IntegratedGradients(
        model, case.task(), steps=5, rule="riemann_right", tolerance=99, progress=False
    )
    for position, explanation in enumerate(explained(explainer, case, data)):
        one, row = literal.one_graph(case, data, position)
        layer_edge, feature = torch.zeros(2, one.num_edges).double(), torch.zeros_like(one.x)
        for alpha in (0.2, 0.4, 0.6, 0.8, 1.0):
            layer_edge += literal_gradients(model, case, one, row, alpha, "messages") / 5
            feature += one.x * literal_gradients(model, case, one, row, alpha, "features") / 5
        close(explanation.layer_edge_mask, layer_edge)
        close(explanation.edge_mask, layer_edge.sum(dim=0))
        close(explanation.node_mask, feature)
        close(explanation.node_score, feature.sum(dim=1))


def close(got: Tensor, expected: Tensor, rtol: float = 1e-9, atol: float = 1e-11) -> None:
    torch.testing.assert_close(got, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("case", [case for case in CASES[::3] if case.rows is None], ids=str)
def test_a_few_gauss_points_do_what_many_riemann_points_do(case: Case) -> None:
    model, data = case.model(), case.data()
    explainer = gg.IntegratedGradients(model, case.task(), steps=16, progress=False)
    explanation = explained(explainer, case, data)[0]
    one, row = literal.one_graph(case, data, 0)
    expected = torch.zeros(2, one.num_edges).double()
    for step in range(150):
        point = (step + 0.5) / 150
        expected += literal_gradients(model, case, one, row, point, "messages") / 150
    close(explanation.layer_edge_mask, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("case", SMOOTH, ids=str)
def test_scores_of_smooth_models_are_complete(case: Case) -> None:
    """Written out without the library: two plain predictions give what the scores must sum to."""
    model, data = case.model(), case.data()
    found = explained(gg.IntegratedGradients(model, case.task(), progress=False), case, data)
    for position, explanation in enumerate(found):
        one, row = literal.one_graph(case, data, position)
        plain = literal.predict_one(model, case, one).detach()
        chosen = literal.target(case, plain, one, row)
        shut = literal.gated(model, case, one, torch.zeros(2, one.num_edges).double())
        blank = literal.predict_one(model, case, one, torch.zeros_like(one.x))
        full = literal.score(case, plain, row, chosen)
        close(explanation.edge_mask.sum(), full - literal.score(case, shut, row, chosen), 1e-5)
        close(explanation.node_mask.sum(), full - literal.score(case, blank, row, chosen), 1e-5)


@pytest.mark.parametrize("case", CASES[::3], ids=str)
def test_completeness_tells_the_gap(case: Case) -> None:
    model, data = case.model(), case.data()
    explainer = gg.IntegratedGradients(model, case.task(), steps=3, tolerance=99, progress=False)
    table = explainer.completeness(data, case.index, case.target)
    assert table["index"].tolist() == [number for number in case.index for _ in range(2)]
    assert table["path"].tolist() == ["messages", "features"] * len(case.index)
    gap = table["total"] - table["change"]
    assert table["gap"].tolist() == pytest.approx(gap.tolist(), abs=1e-14)
    found = explained(explainer, case, data)
    for path, name in (("messages", "edge_mask"), ("features", "node_mask")):
        rows = table[table["path"] == path]
        sums = [float(each[name].sum()) for each in found]
        assert rows["total"].tolist() == pytest.approx(sums, rel=1e-9, abs=1e-12)
    finer = gg.IntegratedGradients(model, case.task(), steps=48, progress=False)
    assert (
        finer.completeness(data, case.index, case.target)["gap"].abs().max()
        < table["gap"].abs().max() / 3
    )


class Rectified(nn.Module):
    """Kinks on the way: the quadrature converges like 1 / steps, not faster."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([GCNConv(5, 7), GCNConv(7, 3)])

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.convs[1](self.convs[0](x, edge_index).relu(), edge_index)


def test_scores_of_rectified_models_are_complete_with_many_steps() -> None:
    model, data = Rectified().double(), Case("gin", "node").data()
    explainer = gg.IntegratedGradients(model, steps=300, progress=False)
    table = explainer.completeness(data, [4, 9, 17])
    assert (table["gap"].abs() < 5e-3 * table["size"]).all()


# By hand


def path_graph() -> Data:
    """0 -> 1 -> 2 -> 3, with a feature of 5 at the start."""
    x = torch.tensor([[5.0], [0.0], [0.0], [0.0]]).double()
    return Data(x=x, edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))


class Hops(nn.Module):
    """The feature of the node three hops away: ``y = z[0, 0] z[1, 1] z[2, 2] x``."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([SimpleConv(), SimpleConv(), SimpleConv()])

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x, edge_index)
        return x


def hops(**settings: Any) -> gg.IntegratedGradients:
    return gg.IntegratedGradients(Hops(), "node", mode="regression", progress=False, **settings)


def test_three_messages_in_a_row_share_the_score() -> None:
    """``int_0^1 a^2 da = 1 / 3`` each. With the extra factor ``a`` it would be 1 / 4."""
    (found,) = hops(steps=2).explain(path_graph(), [3])
    close(found.layer_edge_mask, 5 / 3 * torch.eye(3).double())
    close(found.edge_mask, torch.ones(3).double() * 5 / 3)
    close(found.node_score, torch.tensor([5.0, 0, 0, 0]).double())


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("gauss_legendre", 1 / 3),
        ("midpoint", (1 + 9 + 25 + 49) / 64 / 4),
        ("riemann_right", (1 + 4 + 9 + 16) / 16 / 4),
        ("trapezoid", (0 / 2 + 1 / 9 + 4 / 9 + 1 / 2) / 3),
    ],
)
def test_four_steps_of_each_rule(rule: Rule, expected: float) -> None:
    (found,) = hops(steps=4, rule=rule, tolerance=1.0).explain(path_graph(), [3])
    close(found.edge_mask, torch.ones(3).double() * 5 * expected)


@pytest.mark.parametrize(
    ("rule", "steps", "degree"),
    [
        ("gauss_legendre", 1, 1),
        ("gauss_legendre", 5, 9),
        ("midpoint", 7, 1),
        ("trapezoid", 2, 1),
        ("riemann_right", 3, 0),
    ],
)
def test_rules_are_exact_up_to_their_degree(rule: Rule, steps: int, degree: int) -> None:
    points, weights = quadrature(rule, steps)
    assert len(points) == len(weights) == steps
    for power in range(degree + 1):
        assert weights @ points**power == pytest.approx(1 / (power + 1), rel=1e-12)
    assert weights @ points ** (degree + 1) != pytest.approx(1 / (degree + 2), rel=1e-9)


class Square(nn.Module):
    """``y = (x[u, 0] + 2 x[u, 1])^2`` of the one sender u."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = SimpleConv()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.conv(x @ torch.tensor([[1.0], [2.0]]).to(x), edge_index).square()


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [(0.0, [9 * 3.0, 9 * 6.0]), (1.0, [12 * 2.0, 12 * 4.0]), ([3.0, 1.0], [0.0, 14 * 4.0])],
)
def test_features_move_from_their_baseline(baseline: Any, expected: list[float]) -> None:
    """``dy/dx = 2 s (1, 2)``, whose mean along the path is ``s(b) + s(x)``, with ``s(x) = 9``."""
    data = Data(
        x=torch.tensor([[0.0, 0.0], [3.0, 3.0]]).double(), edge_index=torch.tensor([[1], [0]])
    )
    explainer = gg.IntegratedGradients(
        Square(), mode="regression", baseline=baseline, steps=3, progress=False
    )
    (found,) = explainer.explain(data, [0])
    close(found.node_mask[1], torch.tensor(expected).double())
    close(found.edge_mask, torch.tensor([81.0]).double())
    assert not found.node_mask[0].any()


def test_only_what_was_asked_for() -> None:
    (messages,) = hops(on="messages").explain(path_graph(), [3])
    assert "edge_mask" in messages
    assert "node_mask" not in messages
    features = hops(on="features")
    local = features.explain(path_graph(), [3]).local(0)
    assert local.edge_score is None
    assert local.layer_edge_score is None
    assert local.feature_score is not None
    assert features.completeness(path_graph(), [3])["path"].tolist() == ["features"]


class Embedded(nn.Module):
    """Nodes are numbers of words: there is nothing between two of them."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.conv = nn.Embedding(3, 2), SGConv(2, 2, K=2)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.conv(self.words(x.view(-1)), edge_index)


def test_features_that_are_not_numbers() -> None:
    data = Data(x=torch.tensor([[0], [2], [1], [1]]), edge_index=path_graph().edge_index)
    found = gg.IntegratedGradients(Embedded(), progress=False).explain(data, [3])
    assert found[0].edge_mask.any()
    assert found.local(0).feature_score is None
    explainer = gg.IntegratedGradients(Embedded(), on="features", progress=False)
    with pytest.raises(gg.errors.GraphError, match="floating node features"):
        explainer.explain(data, [3])


# What can go wrong


def test_too_few_steps_are_told() -> None:
    """One step at the end gives each of three messages the whole score: 15 instead of 5."""
    explainer = hops(steps=1, rule="riemann_right")
    with pytest.warns(IncompletenessWarning, match=r"1 of 2 .* messages; .* 66.7% .*\(now 1, riem"):
        found = explainer.explain(path_graph(), [3, 0])
    assert found[0].edge_mask.sum().item() == pytest.approx(15)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hops(steps=1, rule="riemann_right", tolerance=0.7).explain(path_graph(), [3])


class Centered(nn.Module):
    """Takes the mean over everything it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = GCNConv(5, 3)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        h = self.conv(x, edge_index).tanh()
        h = (h - h.mean(dim=0)).square()
        return h.new_zeros(int(batch.max()) + 1, 3).index_add(0, batch, h)


def test_copies_are_not_mixed_up_by_a_model_that_mixes_what_lies_side_by_side() -> None:
    """Open copies of one graph have its own mean; only copies at other points give it away."""
    model, graphs = Centered().double(), Case("gin", "graph").data()[:1]
    scores = [
        gg.IntegratedGradients(model, "graph", memory_budget=budget, progress=False)
        .explain(graphs, [0])[0]
        .edge_mask
        for budget in (1, 1 << 30)
    ]
    close(scores[1], scores[0])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": 0}, "steps must be an integer of at least 1; got 0"),
        ({"steps": 2.5}, "got 2.5"),
        ({"steps": True}, "got True"),
        ({"steps": 1, "rule": "trapezoid"}, "at least 2 with rule=.trapezoid.; got 1"),
        ({"rule": "simpson"}, "'midpoint'.*got 'simpson'"),
        ({"on": "edges"}, "on must be 'both'.*got 'edges'"),
        ({"tolerance": 0.0}, "tolerance must be a number above 0; got"),
        ({"tolerance": float("nan")}, "tolerance must be a number above 0; got"),
    ],
)
def test_bad_hyper_parameters(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(gg.errors.HyperParameterError, match=words):
        hops(**settings)


def test_a_baseline_of_the_wrong_length() -> None:
    with pytest.raises(
        gg.errors.GraphError, match="baseline has 2 numbers and the features have 1"
    ):
        hops(baseline=[0.0, 1.0]).explain(path_graph(), [3])
