"""Rules of relevance propagation: values untouched, relevance conserved, equal to literal loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric import nn as gnn

import glassgraph as gg
from glassgraph.errors import HyperParameterError, MissingRuleError
from glassgraph.relevance.module_scope import ModuleScope
from glassgraph.relevance.rule_names import as_rule
from glassgraph.relevance.signed_rules import Excitation
from glassgraph.relevance.tape import Tape

NODES, WIDTH = 10, 6
RULES = [
    gg.rules.Zero(),
    gg.rules.Epsilon(1e-12),
    gg.rules.Gamma(0.5),
    gg.rules.AlphaBeta(),
    gg.rules.ZPlus(),
]
EDGES = torch.randint(NODES, (2, 30), generator=torch.Generator().manual_seed(1))
KINDS = torch.arange(30) % 2


class InitialResidual(nn.Module):
    """GCN2Conv, which calls ``torch.addmm``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = gnn.GCN2Conv(WIDTH, alpha=0.2, theta=0.5, layer=1)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.conv(x, x, edge_index)


#: Layers that are homogeneous without biases: all relevance must arrive.
LAYERS: dict[str, Callable[[], tuple[nn.Module, tuple[Tensor, ...]]]] = {
    "gcn": lambda: (gnn.GCNConv(WIDTH, WIDTH), (EDGES,)),
    "sage": lambda: (gnn.SAGEConv(WIDTH, WIDTH), (EDGES,)),
    "sage-max": lambda: (gnn.SAGEConv(WIDTH, WIDTH, aggr="max", normalize=True), (EDGES,)),
    "gin": lambda: (gnn.GINConv(gnn.MLP([WIDTH, WIDTH, WIDTH], norm=None)), (EDGES,)),
    "graph": lambda: (gnn.GraphConv(WIDTH, WIDTH), (EDGES,)),
    "rgcn": lambda: (gnn.RGCNConv(WIDTH, WIDTH, 2), (EDGES, KINDS)),
    "rgcn-blocks": lambda: (gnn.RGCNConv(WIDTH, WIDTH, 2, num_blocks=2), (EDGES, KINDS)),
    "tag": lambda: (gnn.TAGConv(WIDTH, WIDTH), (EDGES,)),
    "sg": lambda: (gnn.SGConv(WIDTH, WIDTH, K=2), (EDGES,)),
    "appnp": lambda: (gnn.APPNP(2, 0.1), (EDGES,)),
    "cheb": lambda: (gnn.ChebConv(WIDTH, WIDTH, 3), (EDGES,)),
    "gat": lambda: (gnn.GATConv(WIDTH, WIDTH, heads=2, concat=False), (EDGES,)),
    "gatv2": lambda: (gnn.GATv2Conv(WIDTH, WIDTH, heads=2, concat=False), (EDGES,)),
    "transformer": lambda: (gnn.TransformerConv(WIDTH, WIDTH, heads=2, concat=False), (EDGES,)),
    "edge": lambda: (gnn.EdgeConv(nn.Linear(2 * WIDTH, WIDTH)), (EDGES,)),
    "gcn2": lambda: (InitialResidual(), (EDGES,)),
    "pna": lambda: (
        gnn.PNAConv(WIDTH, WIDTH, ["mean", "max"], ["identity"], torch.tensor([1, 2, 3])),
        (EDGES,),
    ),
    "gated": lambda: (gnn.ResGatedGraphConv(WIDTH, WIDTH), (EDGES,)),
}


class Net(nn.Module):
    """Two layers, a batch normalization, mean pooling and a linear head."""

    def __init__(self, make: Callable[[], tuple[nn.Module, tuple[Tensor, ...]]]) -> None:
        super().__init__()
        self.first, self.graph = make()
        self.second, _ = make()
        self.norm = nn.BatchNorm1d(WIDTH)
        self.head = nn.Linear(WIDTH, 8)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm(self.first(x, *self.graph)))
        h = self.second(h, *self.graph).relu()
        return self.head(h.mean(dim=0, keepdim=True))


def net(make: Callable[[], tuple[nn.Module, tuple[Tensor, ...]]], *, biases: bool) -> Net:
    torch.manual_seed(3)
    model = Net(make).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias" in name:
                parameter.uniform_(-0.2, 0.4) if biases else parameter.zero_()
        model.norm.weight.uniform_(-1, 1)  # of both signs
        assert model.norm.running_var is not None
        assert model.norm.running_mean is not None
        model.norm.running_var.uniform_(0.5, 1.5)
        if biases:
            model.norm.running_mean.uniform_(-0.3, 0.3)
    return model.requires_grad_(False)


def features() -> Tensor:
    return torch.rand(NODES, WIDTH, generator=torch.Generator().manual_seed(2)).double()


def propagate(
    model: nn.Module,
    x: Tensor,
    rule: Any,
    pick: Callable[[Tensor], Tensor] = lambda out: out[0, 1],
    layers: dict[nn.Module, list[int]] | None = None,
    input_rule: Any = None,
) -> tuple[Tensor, Tensor]:
    """The explained score and the relevance of the features."""
    x = x.clone().requires_grad_()
    probe = torch.ones_like(x).requires_grad_()
    rule_at = rule if callable(rule) else lambda _: rule
    tape = Tape(model, rule_at, layers or {}, inputs=[(x, probe)], input_rule=input_rule)
    with tape:
        score = tape.closed(pick(model(x)))
    inputs = torch.autograd.grad(score, [x, probe], allow_unused=True, materialize_grads=True)
    assert bool((inputs[0] != 0).any()) or bool((inputs[1] != 0).any())
    return score.detach(), (x.detach() * inputs[0] + inputs[1]).detach()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("layer", LAYERS)
def test_values_stay_and_relevance_is_conserved(layer: str, rule: gg.rules.Rule) -> None:
    model, x = net(LAYERS[layer], biases=False), features()
    best = int(model(x).argmax())  # above zero: something speaks for it, also by the z+ rule
    score, relevance = propagate(model, x, rule, lambda out: out[0, best])
    assert torch.equal(score, model(x)[0, best])
    assert score > 0
    assert float(relevance.sum()) == pytest.approx(float(score), rel=1e-6)


@pytest.mark.parametrize("layer", LAYERS)
def test_values_stay_with_biases(layer: str) -> None:
    model, x = net(LAYERS[layer], biases=True), features()
    score, _ = propagate(model, x, gg.rules.Gamma(1.0))
    assert torch.equal(score, model(x)[0, 1])


@pytest.mark.parametrize(
    "scaled",
    [
        lambda h, size: h / size,
        lambda h, size: h * (1 / size),
        lambda h, size: h * size.reciprocal(),
        lambda h, size: h / (2 / (1 / size)) * 2,
        lambda h, size: h * size**-1,
    ],
)
def test_what_values_are_divided_by_is_held_constant(
    scaled: Callable[[Tensor, Tensor], Tensor],
) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(WIDTH, 3, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            h = self.lin(x)
            return scaled(h, h.norm(dim=1, keepdim=True) + 1)

    torch.manual_seed(0)
    model = Scaled().double().requires_grad_(False)
    for rule in (gg.rules.Zero(), gg.rules.Gamma(0.5)):
        score, relevance = propagate(model, features(), rule)
        assert float(relevance.sum()) == pytest.approx(float(score))


def test_a_recurrent_cell_is_taken_apart() -> None:
    """Gates of a GRU are constants; of ``(1 - z) n + z h`` each term keeps its share."""
    torch.manual_seed(0)
    model = gnn.GatedGraphConv(WIDTH, 2).double().eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if "bias" in name:
            parameter.zero_()
    for rule in RULES[:4]:
        score, relevance = propagate(_On(model), features(), rule, lambda out: out[3].sum())
        assert float(score) == pytest.approx(float(model(features(), EDGES)[3].sum()))
        assert float(relevance.sum()) == pytest.approx(float(score))


class _On(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, EDGES)


def dense_gcn() -> Tensor:
    """GCN's normalized adjacency, receiver by sender."""
    adjacency = torch.zeros(NODES, NODES).double()
    for source, destination in EDGES.t().tolist():
        if source != destination:
            adjacency[destination, source] += 1
    adjacency += torch.eye(NODES).double()
    degree = adjacency.sum(dim=1)
    return adjacency / (degree[:, None] * degree[None, :]).sqrt()


Rho = Callable[[Tensor], Tensor]


def literal_step(
    a: Tensor, adjacency: Tensor, weight: Tensor, bias: Tensor, relevance: Tensor, rho: Rho
) -> Tensor:
    """``R_Jj = sum_Kk  l_KJ a_Jj rho(w_jk) / (sum_Jj l_KJ a_Jj rho(w_jk) + rho(b_k)) R_Kk``."""
    found = torch.zeros_like(a)
    for receiver in range(adjacency.size(0)):
        for k in range(weight.size(1)):
            shares = adjacency[receiver, :, None] * a * rho(weight[:, k])[None, :]
            total = shares.sum() + rho(bias[k])
            if total != 0:
                found += shares / total * relevance[receiver, k]
    return found


def literal_gcn(model: Net, x: Tensor, rho: Rho) -> Tensor:
    """Relevance of the features of a two-layer GCN, written out, batch normalization folded."""
    adjacency, norm = dense_gcn(), model.norm
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    first = model.first.lin.weight.t() * scale  # type: ignore[union-attr, operator]
    shift = (model.first.bias - norm.running_mean) * scale + norm.bias  # type: ignore[operator]
    second, bias = model.second.lin.weight.t(), model.second.bias  # type: ignore[union-attr, operator]
    one = (adjacency @ x @ first + shift).relu()
    two = (adjacency @ one @ second + bias).relu()  # type: ignore[operator]
    mean = torch.full((1, NODES), 1 / NODES).double()
    pooled = literal_step(
        mean @ two, torch.eye(1).double(), model.head.weight.t()[:, 1:2], model.head.bias[1:2],
        model(x)[:, 1:2], rho,
    )  # fmt: skip
    last = pooled * two / NODES / (mean @ two).where(mean @ two != 0, torch.ones(()).double())
    hidden = literal_step(one, adjacency, second, bias, last, rho)  # type: ignore[arg-type]
    return literal_step(x, adjacency, first, shift, hidden, rho)


@pytest.mark.parametrize(
    ("rule", "rho"),
    [
        (gg.rules.Zero(), lambda w: w),
        (gg.rules.Epsilon(1e-12), lambda w: w),
        (gg.rules.Gamma(0.7), lambda w: w + 0.7 * w.clamp(min=0)),
        (gg.rules.ZPlus(), lambda w: w.clamp(min=0)),
    ],
    ids=["zero", "epsilon", "gamma", "z_plus"],
)
def test_equals_the_literal_rule_on_a_gcn(rule: gg.rules.Rule, rho: Rho) -> None:
    model, x = net(LAYERS["gcn"], biases=True), features()
    _, relevance = propagate(model, x, rule)
    torch.testing.assert_close(relevance, literal_gcn(model, x, rho))


def test_epsilon_absorbs() -> None:
    model = nn.Linear(2, 1, bias=False).double().requires_grad_(False)
    model.weight.copy_(torch.tensor([[1.0, -0.5]]))
    _, relevance = propagate(
        model, torch.ones(1, 2).double(), gg.rules.Epsilon(0.5), lambda out: out[0, 0]
    )
    torch.testing.assert_close(relevance, torch.tensor([[0.5, -0.25]]).double())  # times .5 / 1


def test_alpha_beta_by_hand() -> None:
    model = nn.Linear(3, 1, bias=False).double().requires_grad_(False)
    model.weight.copy_(torch.tensor([[1.0, -1.0, -1.0]]))
    x = torch.tensor([[2.0, 1.0, -2.0]]).double()  # contributions 2, -1, 2: z = 3
    _, relevance = propagate(model, x, gg.rules.AlphaBeta(2, 1), lambda out: out[0, 0])
    torch.testing.assert_close(relevance, torch.tensor([[3.0, -3.0, 3.0]]).double())


def test_a_sum_of_one_sign_is_conserved_by_alpha_beta() -> None:
    model = nn.Linear(2, 2, bias=False).double().requires_grad_(False)
    model.weight.copy_(torch.tensor([[1.0, 2.0], [-1.0, -2.0]]))
    x = torch.tensor([[1.0, 1.0]]).double()
    for column, sign in ((0, 1.0), (1, -1.0)):
        _, relevance = propagate(model, x, gg.rules.AlphaBeta(), lambda out, c=column: out[0, c])
        torch.testing.assert_close(relevance, sign * torch.tensor([[1.0, 2.0]]).double())


@pytest.mark.parametrize("layer", ["gcn", "sage", "gin"])
def test_squared_weights_share_the_relevance_of_the_first_layer(layer: str) -> None:
    model, x = net(LAYERS[layer], biases=False), features()
    x[:, 2] = 0
    _, plain = propagate(model, x, gg.rules.Zero())
    _, relevance = propagate(model, x, gg.rules.Zero(), input_rule=gg.rules.WSquare())
    assert (plain[:, 2] == 0).all()
    assert (relevance[:, 2] != 0).any()  # zero features have relevance too
    torch.testing.assert_close(relevance.sum(), plain.sum())


def test_input_rules_by_hand() -> None:
    model = nn.Linear(2, 1, bias=False).double().requires_grad_(False)
    model.weight.copy_(torch.tensor([[3.0, -1.0]]))
    x = torch.tensor([[1.0, 0.0]]).double()  # z = 3
    pick = lambda out: out[0, 0]  # noqa: E731
    _, squared = propagate(model, x, gg.rules.Zero(), pick, input_rule=gg.rules.WSquare())
    torch.testing.assert_close(squared, torch.tensor([[2.7, 0.3]]).double())
    # x w - low max(0, w) - high min(0, w) with low -1, high 2: (3 + 3, 0 + 2) of 8
    box = gg.rules.ZBox(-1.0, 2.0)
    _, boxed = propagate(model, x, gg.rules.Zero(), pick, input_rule=box)
    torch.testing.assert_close(boxed, torch.tensor([[3 * 6 / 8, 3 * 2 / 8]]).double())


@pytest.mark.parametrize(
    "relu",
    [
        nn.ReLU(),
        nn.ReLU(inplace=True),
        F.relu,
        torch.relu,
        lambda x: x.clone().relu_(),
        lambda x: x.clamp(min=0),
        lambda x: torch.maximum(x, torch.zeros_like(x)),
    ],
)
def test_every_way_to_write_a_relu_is_one(relu: Callable[[Tensor], Tensor]) -> None:
    class TwoLayers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(relu(self.one(x)))

    torch.manual_seed(0)
    model, x = TwoLayers().double().requires_grad_(False), features()
    _, relevance = propagate(model, x, gg.rules.Gamma(1.0))
    hidden = F.linear(x, model.one.weight, model.one.bias)
    up = lambda w: w + w.clamp(min=0)  # noqa: E731
    total = model.two(hidden.relu())[0, 1]
    shares = hidden.relu()[0] * up(model.two.weight[1])
    last = shares / (shares.sum() + up(model.two.bias[1])) * total
    weighted = x[0] * up(model.one.weight)
    expected = (
        weighted / (weighted.sum(dim=1) + up(model.one.bias)).unsqueeze(1) * last.unsqueeze(1)
    ).sum(dim=0)
    torch.testing.assert_close(relevance[0], expected)


def test_in_place_operations_keep_their_rule() -> None:
    class InPlace(nn.Module):
        def __init__(self, *, is_in_place: bool) -> None:
            super().__init__()
            self.lin, self.is_in_place = nn.Linear(WIDTH, 3, bias=False), is_in_place
            self.bias = nn.Parameter(torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            h = self.lin(x)
            if not self.is_in_place:
                return nn.functional.elu((h + self.bias) * 2)
            h += self.bias
            h.mul_(2)
            nn.functional.elu_(h)
            return h

    torch.manual_seed(0)
    one, two = (InPlace(is_in_place=flag).double().requires_grad_(False) for flag in (True, False))
    two.load_state_dict(one.state_dict())
    for rule in RULES:
        found, expected = (propagate(model, features(), rule)[1] for model in (one, two))
        torch.testing.assert_close(found, expected)


def test_powers_are_told_apart() -> None:
    """``x^2`` passes relevance on, ``x^-1`` is a divisor, and ``2^x`` has no rule."""
    x = features() + 1

    class Power(nn.Module):
        def __init__(self, power: Callable[[Tensor], Tensor]) -> None:
            super().__init__()
            self.power = power

        def forward(self, x: Tensor) -> Tensor:
            return self.power(x)

    for square in (lambda x: x**2, lambda x: x ** torch.tensor([0.5, 2.0, 2.0, 1.0, 3.0, 2.0])):
        score, relevance = propagate(Power(square), x, gg.rules.Zero())
        torch.testing.assert_close(relevance[0, 1], score)
    for power in (lambda x: 2**x, lambda x: torch.pow(2, x), lambda x: x**x, lambda x: x**0):
        with pytest.raises(MissingRuleError, match="pow"):
            propagate(Power(power), x, gg.rules.Zero())


@pytest.mark.parametrize("gate", [Tensor.sigmoid_, Tensor.exp_])
def test_a_gate_that_is_written_in_place_is_constant(gate: Callable[[Tensor], Tensor]) -> None:
    class Gated(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            weight = x.clone()
            gate(weight)
            return weight * x

    score, relevance = propagate(Gated(), features(), gg.rules.Zero())
    torch.testing.assert_close(relevance[0, 1], score)


@pytest.mark.parametrize(
    "head", [lambda x: x.softmax(-1), lambda x: F.log_softmax(x, dim=-1), torch.sigmoid]
)
def test_relevance_starts_at_the_logit(head: Callable[[Tensor], Tensor]) -> None:
    class Headed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.is_raw = gnn.GCNConv(WIDTH, 3), False

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            h = self.conv(x, edge_index)
            return h if self.is_raw else head(h)

    torch.manual_seed(0)
    model = Headed().double()
    from torch_geometric.data import Data

    data = Data(x=features(), edge_index=EDGES)
    kind = "log_probs" if float(head(torch.zeros(1, 3)).max()) < 0 else "probs"
    found = gg.LRP(model, gg.Task("node", return_type=kind)).explain(data, index=[3], target=1)
    model.is_raw = True
    expected = gg.LRP(model, "node").explain(data, index=[3], target=1)
    torch.testing.assert_close(found[0].node_mask, expected[0].node_mask)
    assert float(expected[0].node_mask.abs().sum()) > 0


def test_an_operation_without_a_rule_is_named_and_can_be_given_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Softplus()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)

    with pytest.raises(MissingRuleError, match=r"'softplus', which the model calls in inner"):
        propagate(Odd(), features(), gg.rules.Zero())
    from glassgraph.relevance import operations

    monkeypatch.setattr(operations, "KINDS", operations.KINDS)
    monkeypatch.setitem(operations.KINDS, "softplus", "elementwise")
    score, relevance = propagate(Odd(), features(), gg.rules.Zero())
    torch.testing.assert_close(relevance[0, 1], score)
    with pytest.raises(HyperParameterError, match="kind must be one of"):
        gg.rules.register("softplus", "dense")


def test_places_know_the_step_of_a_layer() -> None:
    model, places = net(LAYERS["gin"], biases=False), []

    def rule_at(place: ModuleScope) -> gg.rules.Rule:
        places.append((place.modules[-1], place.depth))
        return gg.rules.Gamma(1.0)

    propagate(model, features(), rule_at, layers={model.first: [0], model.second: [1]})
    assert places == [
        ("first.nn.lins.0", 0),
        ("first.nn.lins.1", 0),
        ("second.nn.lins.0", 1),
        ("second.nn.lins.1", 1),
        ("head", 2),
    ]


def test_excitation_is_z_plus_without_biases() -> None:
    with_biases = net(LAYERS["gcn"], biases=True)
    without = net(LAYERS["gcn"], biases=True)
    _, found = propagate(with_biases, features(), Excitation())
    _, same = propagate(without, features(), gg.rules.ZPlus())
    assert not torch.allclose(found, same)
    bare = net(LAYERS["gcn"], biases=False)
    _, found = propagate(bare, features(), Excitation())
    _, same = propagate(bare, features(), gg.rules.ZPlus())
    torch.testing.assert_close(found, same)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: gg.rules.Gamma(-1), "Gamma: gamma must be a finite number of at least 0; got -1"),
        (lambda: gg.rules.Epsilon("1"), r"Epsilon: epsilon must be .*; got '1' \(str\)"),
        (lambda: gg.rules.Epsilon(float("nan")), "epsilon must be a finite number"),
        (lambda: gg.rules.AlphaBeta(2, 2), "beta must be alpha - 1.*got alpha 2 and beta 2"),
        (lambda: gg.rules.AlphaBeta(0.5, -0.5), "alpha must be a finite number of at least 1"),
        (lambda: gg.rules.ZBox("0", 1), "low and high must be numbers.*got low '0'"),
        (lambda: gg.rules.ZBox(1.0, [2.0, 0.0]), r"low at most high; got low 1\.0"),
        (lambda: gg.rules.ZBox([0.0, 0.0], [1.0, 1.0, 1.0]), "one number for each feature"),
        (lambda: as_rule("lrp"), "a rule is one of zero, epsilon"),
    ],
)
def test_bad_settings_are_refused(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(HyperParameterError, match=words):
        make()
