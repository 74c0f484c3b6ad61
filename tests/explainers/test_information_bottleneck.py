"""The information bottleneck against its formula, a literal version, and what it promises."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing, RGCNConv, global_add_pool
from torch_geometric.utils import to_dense_adj

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.errors import (
    ExplainerFileError,
    FitError,
    HyperParameterError,
    NotFittedError,
)
from glassgraph.explainers.perturbation.bottleneck_fit.bottleneck import (
    Bottleneck,
    gaussian_information,
)
from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch
from glassgraph.explainers.perturbation.message_gates.groups import MessageGroup
from glassgraph.explainers.perturbation.message_gates.tolerance import UnmetConstraintWarning
from glassgraph.inputs.task import Task

TASK = Task("graph")
WIDTHS = (5, 7, 3)


class Sum(MessagePassing):
    """Sums ``W h_u`` over the incoming edges."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(aggr="add")
        self.linear = nn.Linear(before, after)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.propagate(edge_index, x=self.linear(x))

    def message(self, x_i: Tensor, x_j: Tensor) -> Tensor:
        return x_j


class Net(nn.Module):
    """Two such layers and the sum over a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = Sum(WIDTHS[0], WIDTHS[1]), Sum(WIDTHS[1], WIDTHS[2])

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        return global_add_pool(self.two(self.one(x, edge_index).tanh(), edge_index), batch)


def make_net(seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net().double().eval()


def make_graphs(number: int = 11, seed: int = 1) -> list[Data]:
    generator = torch.Generator().manual_seed(seed)
    found = []
    for position in range(number):
        num_nodes, num_edges = 5 + position % 3, 11 + position % 5
        ends = torch.randint(num_nodes, (2, num_edges), generator=generator)
        x = torch.randn(num_nodes, WIDTHS[0], generator=generator).double()
        found.append(Data(x=x, edge_index=ends))
    return found


def make_explainer(model: nn.Module, **settings) -> gg.InformationBottleneck:
    settings = {"steps": 6, "tolerance": 1e9, **settings}
    return gg.InformationBottleneck(model, settings.pop("task", TASK), progress=False, **settings)


def network_of(explainer: gg.InformationBottleneck) -> Bottleneck:
    return explainer._modules()["bottleneck"]


# The formula


@pytest.mark.parametrize("location", [-3.0, -0.4, 0.0, 1.3, 5.0])
def test_information_is_the_divergence_of_the_two_normals(location: float) -> None:
    torch.manual_seed(2)
    mean, std, message = torch.randn(7).double(), torch.rand(7).double() + 0.1, torch.randn(7)
    gate = torch.tensor(location).double().sigmoid()
    passed = torch.distributions.Normal(gate * message + (1 - gate) * mean, (1 - gate) * std)
    general = torch.distributions.Normal(mean, std)
    expected = torch.distributions.kl_divergence(passed, general).sum()
    score = ((message - mean) / std).view(1, 7)
    found = gaussian_information(torch.tensor([location]).double(), score)
    torch.testing.assert_close(found, expected.view(1))


def test_information_is_the_integral() -> None:
    mean, std, message, gate = 0.7, 1.3, -1.1, 0.6
    at = torch.linspace(-12, 12, 200_001).double()
    passed = torch.distributions.Normal(
        torch.tensor(gate * message + (1 - gate) * mean, dtype=torch.float64), (1 - gate) * std
    )
    general = torch.distributions.Normal(torch.tensor(mean, dtype=torch.float64), std)
    log_p, log_q = passed.log_prob(at), general.log_prob(at)
    expected = torch.trapezoid(log_p.exp() * (log_p - log_q), at)
    score = torch.tensor([[(message - mean) / std]], dtype=torch.float64)
    found = gaussian_information(
        torch.tensor([math.log(gate / (1 - gate))], dtype=torch.float64), score
    )
    assert float(found) == pytest.approx(float(expected), rel=1e-9)


def test_a_shut_gate_costs_nothing_and_an_open_one_is_finite() -> None:
    location = torch.tensor([-60.0, 60.0]).double().requires_grad_()
    found = gaussian_information(location, torch.full((2, 3), 2.0).double())
    assert float(found[0].detach()) == pytest.approx(0.0, abs=1e-20)
    # -log(1 - lambda) = 60 where lambda rounds to 1; the rest is 3 (-1 + 1/2 + 4/2).
    assert float(found[1].detach()) == pytest.approx(3 * 60 + 3 * 1.5)
    found.sum().backward()
    assert bool(torch.isfinite(location.grad).all())


# The statistics


def observed(model: Net, graphs: list[Data]) -> list[Tensor]:
    """All messages of each layer, recorded with plain hooks."""
    sent: list[list[Tensor]] = [[], []]
    handles = [
        conv.register_message_forward_hook(lambda _, __, out, at=at: sent[at].append(out.detach()))
        for at, conv in enumerate((model.one, model.two))
    ]
    for graph in graphs:
        model(graph.x, graph.edge_index, torch.zeros(graph.num_nodes, dtype=torch.long))
    for handle in handles:
        handle.remove()
    return [torch.cat(each) for each in sent]


def test_noise_has_mean_and_standard_deviation_of_the_training_messages() -> None:
    model, graphs = make_net(), make_graphs()
    explainer = make_explainer(model, batch_size=3).fit(graphs, range(7), validation=[8, 9])
    network = network_of(explainer)
    for group in network.gates.groups:
        message = observed(model, graphs[:7])[group.layer]
        torch.testing.assert_close(network.mean(group), message.mean(dim=0))
        torch.testing.assert_close(network.std(group), message.std(dim=0, unbiased=False))


def test_a_small_spread_on_a_large_mean_survives() -> None:
    model, graphs = PlainSum(), make_graphs()
    for graph in graphs:
        graph.x = graph.x * 1e-2 + 1e3
    network = network_of(
        make_explainer(model, batch_size=2).fit(graphs, range(7), validation=[8, 9])
    )
    (group,) = network.gates.groups
    message = torch.cat([graph.x[graph.edge_index[0]] for graph in graphs[:7]])
    torch.testing.assert_close(
        network.std(group), message.std(dim=0, unbiased=False), rtol=1e-7, atol=0
    )


class PlainSum(nn.Module):
    """One layer whose messages are the features; sums of them are the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = Sum(WIDTHS[0], WIDTHS[0]).double()
        with torch.no_grad():
            self.conv.linear.weight.copy_(torch.eye(WIDTHS[0]))
            self.conv.linear.bias.zero_()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        return global_add_pool(self.conv(x, edge_index), batch)


def test_what_is_the_same_in_all_messages_carries_no_information() -> None:
    graphs = make_graphs()
    for graph in graphs:
        graph.x[:, 2:] = 0.3
    explainer = make_explainer(PlainSum(), score="information").fit(graphs, range(9))
    network = network_of(explainer)
    (group,) = network.gates.groups
    assert (network.std(group) > 0).tolist() == [True, True, False, False, False]
    preparation = explainer.prepare(graphs)
    _, batch = next(preparation.batches(preparation.instances([9]), None, 1 << 30))
    gated = GatedBatch.read(batch, network.gates.groups)
    generator = torch.Generator().manual_seed(0)
    (noise,) = network.noise(gated, generator)
    assert bool((noise[:, 2:] == network.mean(group)[2:]).all())
    location = torch.full((gated.num_messages,), 0.4).double()
    message = graphs[9].x[graphs[9].edge_index[0]]
    score = ((message - network.mean(group)) / network.std(group))[:, :2]
    torch.testing.assert_close(
        network.information(gated, location), gaussian_information(location, score)
    )


def test_constant_messages_are_scored_zero() -> None:
    graphs = make_graphs()
    for graph in graphs:
        graph.x[:] = 0.3
    explainer = make_explainer(PlainSum(), score="information").fit(graphs, range(9))
    assert bool((explainer.explain(graphs, [10])[0].edge_mask == 0).all())
    assert bool(torch.isfinite(torch.tensor(explainer.history["loss"])).all())


# Fitting


def literal_loss(model: Net, graphs: list[Data], seed: int, weight: float) -> float:
    """The loss of the first step on one batch of graphs, message by message."""
    groups = [
        MessageGroup(1, (1,), (WIDTHS[2], WIDTHS[2], WIDTHS[2])),
        MessageGroup(0, (0,), (WIDTHS[1], WIDTHS[1], WIDTHS[1])),
    ]
    torch.manual_seed(seed)
    network = Bottleneck(groups, 16).double()
    scorers = [network.gates.scorers[group.name] for group in reversed(groups)]
    all_messages = observed(model, graphs)
    generator = torch.Generator().manual_seed(seed)
    noise = [
        torch.randn(each.shape, generator=generator, dtype=torch.float64) for each in all_messages
    ]
    mean = [each.mean(dim=0) for each in all_messages]
    std = [each.std(dim=0, unbiased=False) for each in all_messages]
    first, nats, numbers, distances = 0, 0.0, 0, []
    for graph in graphs:
        states, masked = graph.x, graph.x
        for layer, conv in enumerate((model.one, model.two)):
            sent, sent_masked = conv.linear(states), conv.linear(masked)
            after, after_masked = (torch.zeros_like(sent) for _ in range(2))
            for row, (u, v) in enumerate(graph.edge_index.t().tolist()):
                location = scorers[layer](torch.cat([sent[u], sent[v], sent[u]]).view(1, -1))
                gate = float(location.sigmoid())
                after[v] += sent[u]
                for d in range(sent.size(1)):
                    mu, sigma = float(mean[layer][d]), float(std[layer][d])
                    epsilon = mu + sigma * float(noise[layer][first + row, d])
                    after_masked[v, d] += gate * sent_masked[u, d] + (1 - gate) * epsilon
                    # What passes, of the message that the gate saw.
                    passed = torch.distributions.Normal(
                        gate * sent[u, d] + (1 - gate) * mu, (1 - gate) * sigma
                    )
                    general = torch.distributions.Normal(mean[layer][d], sigma)
                    nats += float(torch.distributions.kl_divergence(passed, general))
                    numbers += 1
            states, masked = (
                (after.tanh(), after_masked.tanh()) if layer == 0 else (after, after_masked)
            )
        log_p = states.sum(dim=0).log_softmax(0)
        log_q = masked.sum(dim=0).log_softmax(0)
        distances.append(float((log_p.exp() * (log_p - log_q)).sum()))
        first += graph.num_edges
    return sum(distances) / len(distances) + weight * nats / numbers


def test_the_loss_of_a_step_is_that_of_a_literal_version() -> None:
    model, graphs = make_net(), make_graphs(3)
    explainer = make_explainer(model, constraint="weight", weight=0.7, steps=1, seed=5)
    explainer.fit(graphs, [0, 1, 2], validation=[0])
    with torch.no_grad():
        # Training shuffles the predictions that it learns from.
        order = torch.randperm(3, generator=torch.Generator().manual_seed(5)).tolist()
        expected = literal_loss(model, [graphs[at] for at in order], 5, 0.7)
    assert float(explainer.history["loss"][0]) == pytest.approx(expected, rel=1e-9)


class Relational(nn.Module):
    """Two relational layers: gates with a term for each relation."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([RGCNConv(WIDTHS[0], 7, 3), RGCNConv(7, 3, 3)])

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor, batch: Tensor) -> Tensor:
        h = self.convs[0](x, edge_index, edge_type).tanh()
        return global_add_pool(self.convs[1](h, edge_index, edge_type), batch)


def test_every_parameter_is_trained_and_the_statistics_are_not() -> None:
    torch.manual_seed(0)
    model, graphs = Relational().double().eval(), make_graphs()
    for graph in graphs:
        graph.edge_type = torch.arange(graph.num_edges) % 3
    explainer = make_explainer(model, learning_rate=0.01, constraint="weight", steps=9)
    found = network_of(explainer.fit(graphs, range(9)))
    with protected(model):
        torch.manual_seed(explainer.seed)
        start = Bottleneck(found.gates.groups, None).double()
    before = dict(start.named_parameters())
    assert any("relation" in name for name in before)
    for name, value in found.named_parameters():
        assert bool((value != before[name]).any()), name
    assert all("_mean" in name or "_std" in name for name, _ in found.named_buffers())


@pytest.mark.slow("the loss by hand stands above")
def test_a_larger_weight_lets_less_through() -> None:
    model, graphs = make_net(), make_graphs(23)
    settings = {"constraint": "weight", "steps": 200, "learning_rate": 0.01}
    loose, tight = (
        make_explainer(model, weight=weight, **settings).fit(graphs).outcome
        for weight in (0.01, 1.0)
    )
    assert tight["information"] < 0.7 * loose["information"]
    assert tight["divergence"] > loose["divergence"]
    assert tight["is_met"] is None


@pytest.mark.slow("the loss by hand stands above")
def test_the_lagrangian_ends_near_its_tolerance() -> None:
    model, graphs = make_net(), make_graphs(23)
    explainer = make_explainer(model, tolerance=0.4, steps=400, learning_rate=0.01).fit(graphs)
    assert explainer.outcome["is_met"]
    assert 0.1 < explainer.outcome["divergence"] <= 0.4
    assert (explainer.history["multiplier"] > 0).all()


def test_an_unmet_tolerance_is_told() -> None:
    model, graphs = make_net(), make_graphs()
    with pytest.warns(UnmetConstraintWarning, match=r"within 1e-12; the nearest have"):
        explainer = make_explainer(model, tolerance=1e-12).fit(graphs)
    assert explainer.outcome["is_met"] is False
    assert explainer.explain(graphs, [0]).provenance["fit"] == explainer.outcome


def test_a_loss_that_is_not_finite_names_the_layer() -> None:
    model, graphs = make_net(), make_graphs()
    graphs[2].x[0, 0] = 1e200
    graphs[2].edge_index[0, 0] = 0
    with pytest.raises(FitError, match=r"loss became (nan|inf): the gates of layer \d"):
        make_explainer(model).fit(graphs)


# Explaining


def test_scores_of_edges_follow_from_those_of_layers() -> None:
    model, graphs = make_net(), make_graphs()
    gates = make_explainer(model, learning_rate=0.05).fit(graphs, range(9))
    nats = make_explainer(model, score="information").adopt(gates)
    gate, information = (each.explain(graphs, [10])[0] for each in (gates, nats))
    assert torch.equal(gate.edge_mask, gate.layer_edge_mask.amax(dim=0))
    torch.testing.assert_close(information.edge_mask, information.layer_edge_mask.sum(dim=0))
    assert bool(((gate.edge_mask > 0) & (gate.edge_mask < 1)).all())
    network = network_of(gates)
    for group in network.gates.groups:
        message = observed(model, [graphs[10]])[group.layer]
        score = (message - network.mean(group)) / network.std(group)
        torch.testing.assert_close(
            information.layer_edge_mask[group.layer],
            gaussian_information(gate.layer_edge_mask[group.layer].logit(), score),
        )


def test_many_are_one_by_one_and_nothing_is_drawn() -> None:
    model, graphs = make_net(), make_graphs()
    explainer = make_explainer(model).fit(graphs, range(7))
    together = explainer.explain(graphs, [8, 10, 9])
    for at, index in enumerate((8, 10, 9)):
        alone = explainer.explain(graphs, [index])[0]
        torch.testing.assert_close(together[at].edge_mask, alone.edge_mask)


def test_baselines_are_the_mean_messages() -> None:
    model, graphs = make_net(), make_graphs()
    explainer = make_explainer(model).fit(graphs, range(7))
    network = network_of(explainer)
    preparation = explainer.prepare(graphs)
    _, batch = next(preparation.batches(preparation.instances([9]), None, 1 << 30))
    found = explainer.baselines(batch)
    for group in network.gates.groups:
        assert torch.equal(found[group.sites[0]].view(-1), network.mean(group))


def test_before_fitting() -> None:
    explainer = make_explainer(make_net())
    with pytest.raises(NotFittedError, match=r"information_bottleneck learns .* call .fit"):
        explainer.explain(make_graphs(), [0])
    with pytest.raises(NotFittedError):
        _ = explainer.outcome


def test_a_file_restores_gates_and_statistics_for_the_same_model_alone(tmp_path) -> None:
    model, graphs = make_net(), make_graphs()
    explainer = make_explainer(model, score="information").fit(graphs, range(7))
    path = explainer.save(tmp_path / "bottleneck.safetensors")
    loaded = gg.InformationBottleneck.load(path, model, progress=False)
    assert loaded.outcome == explainer.outcome
    assert loaded.hyper_parameters == explainer.hyper_parameters
    state = network_of(loaded).state_dict()
    for name, value in network_of(explainer).state_dict().items():
        assert torch.equal(value, state[name]), name
    pairs = zip(explainer.explain(graphs, [9]), loaded.explain(graphs, [9]), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one.edge_mask, other.edge_mask, rtol=1e-12, atol=1e-14)
    with pytest.raises(ExplainerFileError, match="fit again"):
        gg.InformationBottleneck.load(path, make_net(1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"constraint": "hard"}, "constraint must be 'lagrangian' or 'weight'; got 'hard'"),
        ({"score": "bits"}, "score must be 'gate' or 'information'; got 'bits'"),
        ({"weight": 0.0}, "weight must be a number above 0; got 0.0"),
        ({"steps": 0}, "steps must be an integer of at least 1; got 0"),
        ({"tolerance": -1.0}, "tolerance must be a number of at least 0 or None; got -1.0"),
    ],
)
def test_settings_out_of_range(settings, message: str) -> None:
    with pytest.raises(HyperParameterError, match=message):
        make_explainer(make_net(), **settings)


# Dense matrices


class Dense(nn.Module):
    """Weighted sums by a dense matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.tap = gg.AdjacencyTap()
        self.linear = nn.Linear(WIDTHS[0], 3)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        dense = to_dense_adj(edge_index, max_num_nodes=x.size(0))[0].to(x)
        return global_add_pool(self.tap(dense.t() / 2, self.linear(x)), batch)


def test_entries_of_matrices() -> None:
    torch.manual_seed(0)
    model, graphs = Dense().double().eval(), make_graphs()
    for graph in graphs:
        graph.edge_index = graph.edge_index.unique(dim=1)
    explainer = make_explainer(model, score="information").fit(graphs, range(7), validation=[8])
    network = network_of(explainer)
    (group,) = network.gates.groups
    assert group.is_matrix
    with torch.no_grad():
        message = torch.cat([model.linear(g.x)[g.edge_index[0]] for g in graphs[:7]])
    torch.testing.assert_close(network.mean(group), message.mean(dim=0))
    torch.testing.assert_close(network.std(group), message.std(dim=0, unbiased=False))
    gates = make_explainer(model).adopt(explainer).explain(graphs, [10])[0].edge_mask
    with torch.no_grad():
        sent = model.linear(graphs[10].x)[graphs[10].edge_index[0]]
    score = (sent - network.mean(group)) / network.std(group)
    torch.testing.assert_close(
        explainer.explain(graphs, [10])[0].edge_mask, gaussian_information(gates.logit(), score)
    )
