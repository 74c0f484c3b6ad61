"""LRP: conservation, its identity with gradients, rules by module, and what users get wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, GINConv, SAGEConv, global_add_pool

import glassgraph as gg
from glassgraph.errors import HyperParameterError, MissingRuleError

Make = Callable[[int, int], nn.Module]


class Net(nn.Module):
    """Three layers with ReLU; sum pooling where a batch is given."""

    def __init__(self, make: Make) -> None:
        super().__init__()
        self.convs = nn.ModuleList([make(4, 8), make(8, 8), make(8, 8)])
        self.head = nn.Linear(8, 3, bias=False)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        for conv in self.convs:
            x = conv(x, edge_index).relu()
        return self.head(x if batch is None else global_add_pool(x, batch))


def gcn(width: int, out: int) -> nn.Module:
    return GCNConv(width, out, bias=False)


def gin(width: int, out: int) -> nn.Module:
    mlp = nn.Sequential(nn.Linear(width, out, bias=False), nn.ReLU(), nn.Linear(out, out, False))
    return GINConv(mlp, eps=0.3)


def neighbors_alone(width: int, out: int) -> nn.Module:
    return SAGEConv(width, out, root_weight=False, bias=False)


def model_of(make: Make, seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net(make).double().eval()


def graphs(count: int = 2) -> list[Data]:
    torch.manual_seed(7)
    return [
        Data(x=torch.rand(n, 4).double(), edge_index=torch.randint(n, (2, 3 * n)))
        for n in range(6, 6 + count)
    ]


def test_what_biases_absorb_is_reported() -> None:
    class WithBias(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.lin = SAGEConv(1, 1, root_weight=False, bias=False), nn.Linear(1, 1)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.lin(self.conv(x, edge_index))

    model = WithBias().double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    data = Data(x=torch.tensor([[0.0], [3.0]]).double(), edge_index=torch.tensor([[1], [0]]))
    found = gg.LRP(model, gg.Task("node", "regression"), rule="zero").explain(data, index=[0])
    local = found.local(0)  # 3 of 3 + 1
    assert local.total == pytest.approx(4.0)
    assert local.absorbed == pytest.approx(0.25)
    assert gg.Saliency(model, gg.Task("node", "regression")).explain(data).local(0).absorbed is None


def test_the_total_is_kept_in_files(tmp_path: Path) -> None:
    found = gg.LRP(model_of(gin), "graph").explain(graphs())
    again = gg.Explanations.load(found.save(tmp_path / "found"))
    assert [again.local(i).total for i in (0, 1)] == [found.local(i).total for i in (0, 1)]


@pytest.mark.parametrize("rule", ["zero", "gamma", "alpha_beta"])
@pytest.mark.parametrize("make", [gcn, gin, neighbors_alone])
def test_scores_sum_to_the_logit_without_biases(make: Make, rule: str) -> None:
    model, data = model_of(make), graphs()
    explanations = gg.LRP(model, "graph", rule=rule).explain(data, target=1)
    for graph, explanation in zip(data, explanations, strict=True):
        batch = torch.zeros(graph.num_nodes, dtype=torch.long)
        logit = float(model(graph.x, graph.edge_index, batch)[0, 1].detach())
        assert float(explanation.node_mask.sum()) == pytest.approx(logit, rel=1e-9)


def test_all_relevance_passes_along_edges_where_there_is_no_other_way() -> None:
    model, data = model_of(neighbors_alone), graphs()[0]
    (explanation,) = gg.LRP(model, "node", rule="gamma").explain(data, index=[2], target=0)
    logit = float(model(data.x, data.edge_index)[2, 0].detach())
    per_layer = explanation.layer_edge_mask.sum(dim=1)
    torch.testing.assert_close(per_layer, torch.full((3,), logit).double())


@pytest.mark.parametrize("make", [gcn, gin])
def test_the_zero_rule_is_the_layerwise_edge_gradient(make: Make) -> None:
    model, data = model_of(make), graphs()
    lrp = gg.LRP(model, "graph", rule="zero").explain(data)
    gradients = gg.EdgeGradients(model, "graph").explain(data)
    for one, two in zip(lrp, gradients, strict=True):
        torch.testing.assert_close(one.layer_edge_mask, two.layer_edge_mask)
        torch.testing.assert_close(one.edge_mask, two.edge_mask)


def test_rules_hold_for_the_modules_they_name() -> None:
    model, data = model_of(gin), graphs()[0]

    def scores(**settings: object) -> Tensor:
        (found,) = gg.LRP(model, "node", **settings).explain(data, index=[1])  # type: ignore[arg-type]
        mask: Tensor = found.node_mask
        return mask

    gamma = gg.rules.Gamma(2.0)
    everywhere = scores(rule=gamma)
    by_name = scores(rule="zero", rules={"convs.*": gamma, "head": gamma})
    by_class = scores(rule="zero", rules={nn.Linear: gamma})
    innermost = scores(rule="zero", rules={"convs.0": "z_plus", GINConv: gamma, "head": gamma})
    assert torch.equal(everywhere, by_name)
    assert torch.equal(everywhere, by_class)
    # GINConv and "convs.0" are the same module; the first entry wins there, the class elsewhere.
    assert torch.equal(
        innermost,
        scores(rule="zero", rules={"convs.0": "z_plus", "convs.[12]": gamma, "head": gamma}),
    )
    assert not torch.allclose(everywhere, scores(rule="zero", rules={"convs.0": gamma}))


def test_features_that_are_zero_get_relevance_from_an_input_rule() -> None:
    model, data = model_of(gcn), graphs()[0]
    data.x[:, 1] = 0
    plain, squared = (
        gg.LRP(model, "node", rule="zero", input_rule=rule).explain(data, index=[0], target=2)[0]
        for rule in (None, "w_square")
    )
    assert (plain.node_mask[:, 1] == 0).all()
    assert (squared.node_mask[:, 1] != 0).any()
    torch.testing.assert_close(squared.node_mask.sum(), plain.node_mask.sum())


class Tapped(nn.Module):
    """A layer of the user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.tap, self.lin = gg.MessageTap(), nn.Linear(4, 3, bias=False)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        sent = self.tap(self.lin(x)[edge_index[0]], edge_index, x)
        return torch.zeros(x.size(0), 3).to(x).index_add(0, edge_index[1], sent)


class Matrix(nn.Module):
    """A layer on a dense adjacency."""

    def __init__(self) -> None:
        super().__init__()
        self.tap, self.lin = gg.AdjacencyTap(), nn.Linear(4, 3, bias=False)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        adjacency = torch.zeros(x.size(0), x.size(0)).to(x)
        adjacency[edge_index[1], edge_index[0]] = 1
        values = self.lin(x)
        return self.tap(adjacency, values, x)


@pytest.mark.parametrize("make", [Tapped, Matrix])
@pytest.mark.parametrize("rule", ["zero", "gamma"])
def test_layers_of_the_user_have_rules(make: type[nn.Module], rule: str) -> None:
    torch.manual_seed(0)
    model, data = make().double(), graphs()[0]
    data.edge_index = torch.unique(data.edge_index, dim=1)
    (found,) = gg.LRP(model, "node", rule=rule).explain(data, index=[3], target=1)
    logit = model(data.x, data.edge_index)[3, 1].detach()
    torch.testing.assert_close(found.node_mask.sum(), logit)
    torch.testing.assert_close(found.edge_mask.sum(), logit)


def test_an_operation_without_a_rule_is_named() -> None:
    class Odd(Net):
        def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
            return torch.special.i0(super().forward(x, edge_index, batch))

    torch.manual_seed(0)
    with pytest.raises(MissingRuleError, match=r"'special_i0'.*glassgraph\.rules\.register"):
        gg.LRP(Odd(gcn).double(), "node").explain(graphs()[0], index=[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rule": "lrp"}, "lrp: rule must be .*'epsilon'.*; got 'lrp'"),
        ({"rule": gg.rules.WSquare()}, "pass it as input_rule"),
        ({"rules": {"convs.0": "lrp"}}, "a rule is one of zero, epsilon"),
        ({"rules": {"convs.0": "w_square"}}, "pass it as input_rule"),
        ({"input_rule": "gamma"}, "input_rule must be .*'z_box' or None; got 'gamma'"),
        ({"rules": {"conv.0": "gamma"}}, r"'conv\.0' fits no module of Net; it has convs"),
        ({"rules": {nn.LSTM: "gamma"}}, "fits no module"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(HyperParameterError, match=message):
        gg.LRP(model_of(gcn), "node", **settings)  # type: ignore[arg-type]


def test_settings_are_written_out() -> None:
    lrp = gg.LRP(model_of(gcn), "node", rules={GCNConv: gg.rules.Gamma(2)}, input_rule="z_box")
    assert lrp.hyper_parameters == {
        "rule": "Epsilon(epsilon=1e-06)",
        "rules": {"GCNConv": "Gamma(gamma=2)"},
        "input_rule": "ZBox(low=0.0, high=1.0)",
    }
