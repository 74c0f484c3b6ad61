"""PGExplainer against a literal version, and what it promises."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import MessagePassing, global_add_pool

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.core import random
from glassgraph.core.prepare import Preparation
from glassgraph.errors import (
    FitError,
    GraphError,
    HyperParameterError,
    NotFittedError,
    UnsupportedModelError,
)
from glassgraph.explainers.perturbation.edge_gates.edge_states import EdgeStates
from glassgraph.explainers.training_batches import random_order
from glassgraph.hidden.node_states import NodeStates
from glassgraph.learn.edge_scorer import EdgeScorer

WIDTHS = (5, 7, 3)
LEVELS = ("node", "graph", "edge")


class Sum(MessagePassing):
    """Sums ``W h_u`` over the incoming edges."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(aggr="add")
        self.linear = nn.Linear(before, after)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.propagate(edge_index, x=self.linear(x))

    def message(self, x_j: Tensor) -> Tensor:
        return x_j


class Net(nn.Module):
    """Two such layers, and a head for nodes, graphs or links."""

    def __init__(self, level: str) -> None:
        super().__init__()
        self.one, self.two = Sum(WIDTHS[0], WIDTHS[1]), Sum(WIDTHS[1], WIDTHS[2])
        self.level = level

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        batch: Tensor | None = None,
        edge_label_index: Tensor | None = None,
    ) -> Tensor:
        return self.read_out(self.two(self.one(x, edge_index).tanh(), edge_index), batch,
                             edge_label_index)  # fmt: skip

    def read_out(self, h: Tensor, batch: Tensor | None, links: Tensor | None) -> Tensor:
        if self.level == "graph":
            return global_add_pool(h.tanh(), batch)
        if self.level == "edge":
            return h[links[0]] * h[links[1]].tanh() + h[links[0]]
        return h


def make_net(level: str = "node", seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net(level).double().eval()


def make_graph(num_nodes: int, num_edges: int, seed: int) -> Data:
    """A random directed graph without parallel edges."""
    generator = torch.Generator().manual_seed(seed)
    key = torch.randperm(num_nodes**2, generator=generator)[:num_edges]
    x = torch.randn(num_nodes, WIDTHS[0], generator=generator).double()
    return Data(x=x, edge_index=torch.stack([key // num_nodes, key % num_nodes]))


def make_data(level: str) -> Any:
    if level == "graph":
        return [make_graph(5 + size, 9 + 3 * size, size) for size in range(4)]
    data = make_graph(23, 41, 1)
    if level == "edge":
        data.edge_label_index = torch.tensor([[3, 4, 17, 9, 2, 11], [8, 12, 1, 6, 21, 11]])
    return data


INDEX = {"node": [4, 17, 9, 2, 11], "graph": [2, 0, 3], "edge": [3, 0, 2, 5, 4]}


def make_explainer(model: nn.Module, level: str = "node", **settings: Any) -> gg.PGExplainer:
    settings = {"epochs": 3, "batch_size": 2, "learning_rate": 0.01, **settings}
    return gg.PGExplainer(model, level, progress=False, **settings)


def masks(explanations: Any) -> list[Tensor]:
    return [each.edge_mask for each in explanations]


class Literal:
    """One instance at a time, on the full graph, with loops."""

    def __init__(self, net: Net, data: Any, index: list[int], **settings: Any) -> None:
        self.net, self.data, self.index, self.settings = net, data, index, settings

    def graph(self, instance: int) -> Data:
        return self.data[instance] if self.net.level == "graph" else self.data

    def seeds(self, instance: int) -> list[int]:
        if self.net.level == "graph":
            return []
        if self.net.level == "node":
            return [instance]
        return self.data.edge_label_index[:, instance].tolist()

    def output(self, instance: int, gate: Tensor | None = None) -> Tensor:
        data = self.graph(instance)
        h = data.x
        for layer in (self.net.one, self.net.two):
            message = layer.linear(h)
            total = torch.zeros_like(message)
            for edge, (u, v) in enumerate(data.edge_index.t().tolist()):
                factor = 1.0 if gate is None else gate[edge]
                total = total.index_add(0, torch.tensor([v]), (factor * message[u]).view(1, -1))
            h = total.tanh() if layer is self.net.one else total
        links = torch.tensor(self.seeds(instance)).view(-1, 1)
        batch = torch.zeros(len(h)).long()
        return self.net.read_out(h, batch, links)[instance if self.net.level == "node" else 0]

    def states(self, instance: int) -> Tensor:
        data = self.graph(instance)
        first = self.net.one(data.x, data.edge_index).tanh()
        last = self.net.two(first, data.edge_index)
        return torch.cat([first, last.tanh() if self.net.level == "graph" else last], 1).detach()

    def field(self, instance: int) -> list[int]:
        """Edges from which the prediction can be reached in two steps."""
        edges = self.graph(instance).edge_index.t().tolist()
        if self.net.level == "graph":
            return list(range(len(edges)))
        near = set(self.seeds(instance))
        for _ in range(2):
            found = [edge for edge, (_, v) in enumerate(edges) if v in near]
            near |= {edges[edge][0] for edge in found}
        return found

    def locations(self, instance: int, scorer: EdgeScorer) -> dict[int, Tensor]:
        h = (self.states(instance) - scorer.mean) * scorer.inverse_std
        found = {}
        for edge in self.field(instance):
            u, v = self.graph(instance).edge_index[:, edge].tolist()
            parts = [h[u], h[v]]
            if scorer.num_targets:
                parts += [h[node] for node in self.seeds(instance)]
            found[edge] = scorer.outer(scorer.inner(torch.cat(parts)).relu())[0]
        return found

    def loss(self, instance: int, scorer: EdgeScorer, seed: int, epoch: int, tau: float) -> Tensor:
        data, gates = self.graph(instance), {}
        for edge, location in self.locations(instance, scorer).items():
            u, v = data.edge_index[:, edge]
            address = random.hash64(0, u, v, 0, 0)
            key = random.hash64(0, torch.tensor(instance), address)
            noise = float(random.uniform(seed, key, epoch))
            logit = math.log(noise) - math.log(1 - noise)
            gates[edge] = 1 / (1 + torch.exp(-(logit + location) / tau))
        everything = torch.ones(data.num_edges).double()
        for edge, gate in gates.items():
            everything = everything.index_put((torch.tensor(edge),), gate)
        target = int(self.output(instance).argmax())
        probability = self.output(instance, everything).softmax(0)[target]
        own = list(gates.values())
        size = torch.relu(sum(own) - self.settings["budget"])
        entropy = sum(-z * z.log() - (1 - z) * (1 - z).log() for z in own) / len(own)
        pairs = []
        for a, b in itertools.permutations(gates, 2):
            meet = {*data.edge_index[:, a].tolist()} & {*data.edge_index[:, b].tolist()}
            p, q = gates[a], gates[b]
            pairs += [-p * q.log() - (1 - p) * (1 - q).log()] * len(meet)
        disagreement = sum(pairs) / len(pairs) if pairs else 0.0
        return (
            -probability.log()
            + self.settings["size"] * size
            + self.settings["entropy"] * entropy
            + self.settings["connectivity"] * disagreement
        )

    def fit(self, scorer: EdgeScorer, seed: int, epochs: int, batch_size: int, rate: float) -> None:
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.index), generator=generator).tolist()
        shuffled = [self.index[at] for at in order]
        batches = [shuffled[at : at + batch_size] for at in range(0, len(shuffled), batch_size)]
        optimizer = torch.optim.Adam(scorer.parameters(), lr=rate)
        start, end = self.settings["temperature"]
        for step, at in enumerate(random_order(len(batches), epochs * len(batches), seed)):
            epoch = step // len(batches)
            tau = start * (end / start) ** (epoch / epochs)
            losses = [self.loss(each, scorer, seed, epoch, tau) for each in batches[at]]
            loss = sum(losses) / len(losses)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("level", LEVELS)
def test_fit_and_explain_equal_a_literal_version(level: str, *, standardize: bool) -> None:
    net, data, index = make_net(level), make_data(level), INDEX[level]
    settings = {
        "size": 0.02, "entropy": 0.3, "budget": 1.5, "connectivity": 0.2, "temperature": (3.0, 0.8),
    }  # fmt: skip
    read_target = None if level == "graph" else True
    explainer = make_explainer(
        net, level, seed=3, hidden_channels=6, start=0.4, standardize=standardize,
        read_target=read_target, **settings,
    )  # fmt: skip
    found = masks(explainer.fit(data, index).explain(data, index))

    literal = Literal(net, data, index, **settings)
    torch.manual_seed(3)
    targets = len(literal.seeds(index[0]))
    scorer = EdgeScorer(WIDTHS[1] + WIDTHS[2], targets, 6, 0.4).double()
    if standardize:
        rows = [
            literal.states(each)[literal.graph(each).edge_index[:, literal.field(each)].flatten()]
            for each in index
        ]
        mean, std = torch.cat(rows).mean(0), torch.cat(rows).std(0, correction=0)
        scorer.mean.copy_(mean)
        scorer.inverse_std.copy_(1 / std)
    before = [each.clone() for each in scorer.parameters()]
    with protected(net):
        literal.fit(scorer, 3, epochs=3, batch_size=2, rate=0.01)
    for one, other in zip(before, scorer.parameters(), strict=True):
        assert not torch.equal(one, other)  # everything learnable is learned
    for instance, mask in zip(index, found, strict=True):
        expected = torch.zeros_like(mask)
        for edge, location in literal.locations(instance, scorer).items():
            expected[edge] = location.detach().sigmoid()
        torch.testing.assert_close(mask, expected, rtol=1e-7, atol=1e-9)


def test_every_parameter_changes() -> None:
    explainer = make_explainer(make_net(), epochs=1, seed=5).fit(make_data("node"), INDEX["node"])
    torch.manual_seed(5)
    fresh = EdgeScorer(WIDTHS[1] + WIDTHS[2], 1).double()
    learned = explainer._modules()["scorer"].state_dict()
    assert {*learned} == {*fresh.state_dict()}
    for name, value in fresh.state_dict().items():
        assert not torch.equal(value, learned[name]), name


def test_gates_act_on_the_prediction() -> None:
    """One node hears two others; only one of them makes the class."""
    net = make_net()
    with torch.no_grad():
        for layer in (net.one, net.two):
            layer.linear.weight.copy_(torch.eye(*layer.linear.weight.shape))
            layer.linear.bias.zero_()
    x = torch.zeros(8, WIDTHS[0]).double()
    x[[0, 2, 4], 0] = 3.0  # says class 0
    x[[1, 3, 5], 1] = 1.0  # says class 1
    ends = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 6, 6], [6, 6, 6, 6, 6, 6, 7, 0, 1]])
    data = Data(x=x, edge_index=ends)
    explainer = make_explainer(net, epochs=150, size=0.01).fit(data, [7, 0, 1, 6])
    mask = explainer.explain(data, 7)[0].edge_mask
    assert float(explainer.history.loss.iloc[-1]) < float(explainer.history.loss.iloc[0])
    assert float(mask[6]) > 0.9


def test_the_target_matters_where_it_is_read() -> None:
    net, data = make_net(), make_data("node")
    literal = Literal(net, data, [])
    pair, shared = next(
        ([one, other], shared)
        for one, other in itertools.combinations(range(data.num_nodes), 2)
        if (shared := set(literal.field(one)) & set(literal.field(other)))
    )
    for read_target in (True, False):
        explainer = make_explainer(net, read_target=read_target).fit(data, INDEX["node"])
        one, other = (each.local for each in explainer.explain(data, pair))
        for edge in shared:
            scores = [float(each.edge_score[each.edge_id == edge]) for each in (one, other)]
            assert (abs(scores[0] - scores[1]) > 1e-9) == read_target


def test_labels_are_not_read() -> None:
    net, data = make_net(), make_data("node")
    runs = []
    for label in (0, 2):
        data.y = torch.full((data.num_nodes,), label)
        runs.append(masks(make_explainer(net).fit(data, INDEX["node"]).explain(data, [4, 9])))
    for one, other in zip(*runs, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("level", ["node", "edge"])
def test_states_around_the_fields_are_those_of_the_full_graph(level: str) -> None:
    net, data = make_net(level), make_data(level)
    fitted = make_explainer(net, level, check="full").fit(data, INDEX[level])
    local = make_explainer(net, level, check="local").adopt(fitted)
    full, around = (masks(each.explain(data, INDEX[level])) for each in (fitted, local))
    for one, other in zip(full, around, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    again = make_explainer(net, level, check="local").fit(data, INDEX[level])
    torch.testing.assert_close(masks(again.explain(data, INDEX[level]))[0], full[0])


def test_states_follow_the_model_and_the_data() -> None:
    net, data = make_net(), make_data("node")
    explainer = make_explainer(net).fit(data, INDEX["node"])
    before = masks(explainer.explain(data, 4))[0]
    with torch.no_grad():
        net.one.linear.weight.mul_(2)
    fresh = make_explainer(net)
    fresh._restore(explainer._tensors(), explainer._about())
    after = masks(explainer.explain(data, 4))[0]
    assert not torch.equal(before, after)
    assert torch.equal(after, masks(fresh.explain(data, 4))[0])
    data.x = data.x + 1
    assert not torch.equal(after, masks(explainer.explain(data, 4))[0])


def test_which_states() -> None:
    net, data = make_net(), make_data("node")
    widths = {"all": sum(WIDTHS[1:]), "last": WIDTHS[2], "one.linear": WIDTHS[1]}
    for states, width in widths.items():
        explainer = make_explainer(net, states=states).fit(data, INDEX["node"])
        assert explainer._about()["channels"] == width
    with pytest.raises(HyperParameterError, match="no submodule 'three'"):
        make_explainer(net, states="three").fit(data, INDEX["node"])


def test_states_of_another_width_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    net, data = make_net(), make_data("node")
    explainer = make_explainer(net).fit(data, INDEX["node"])
    monkeypatch.setattr(explainer, "_states", NodeStates("last", "auto"))
    with pytest.raises(GraphError, match="fitted on states of width 10; here the model has 3"):
        explainer.explain(data, 4)


class OneRow(nn.Module):
    """A submodule that returns one row in all."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.conv = nn.Linear(WIDTHS[0], WIDTHS[0]), Sum(*WIDTHS[:2])

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.conv(x + self.first(torch.ones_like(x[:1])), edge_index)


def test_models_whose_states_cannot_be_read_are_refused() -> None:
    explainer = make_explainer(OneRow().double().eval(), states="first")
    with pytest.raises(UnsupportedModelError, match="one row for each of 23 nodes is needed"):
        explainer.fit(make_data("node"), INDEX["node"])


def test_many_ways_to_make_batches_are_one_fit() -> None:
    net, data = make_net("graph"), make_data("graph")
    whole = make_explainer(net, "graph").fit(data)
    tight = make_explainer(net, "graph", memory_budget=1).fit(data)
    for one, other in zip(masks(whole.explain(data)), masks(tight.explain(data)), strict=True):
        torch.testing.assert_close(one, other)


def test_a_loader_and_validation() -> None:
    net, data = make_net("graph"), make_data("graph")
    explainer = make_explainer(net, "graph").fit(DataLoader(data, batch_size=2))
    assert list(explainer.history.columns) == ["restart", "epoch", "loss"]
    explainer.fit(data, [0, 1, 2], validation=[3])
    assert explainer.history.validation_loss.notna().all()
    assert len(explainer.history) == explainer.epochs


def test_budget_makes_size_free() -> None:
    net, data = make_net(), make_data("node")
    pairs = (({"size": 0.0}, {"size": 9.0, "budget": 1e6}), ({}, {"budget": 0.0}))
    for one, other in pairs:
        found = [
            masks(make_explainer(net, **each).fit(data, INDEX["node"]).explain(data, 4))[0]
            for each in (one, other)
        ]
        assert torch.equal(*found)


def read(explainer: gg.PGExplainer, preparation: Preparation, index: list[int]) -> EdgeStates:
    """What the network reads on some predictions, all in one batch."""
    ((_, batch),) = explainer._cut(preparation, preparation.instances(index), None, None)
    return EdgeStates.read(batch, explainer._states)


def test_half_a_bias_is_no_noise() -> None:
    net, data = make_net(), make_data("node")
    losses = []
    for seed in (1, 2):
        explainer = make_explainer(net, noise_bias=0.5, epochs=1, batch_size=None, seed=seed)
        explainer.fit(data, INDEX["node"])
        scorer = EdgeScorer(10, 1).double().requires_grad_(False)
        nn.init.zeros_(scorer.outer.weight)
        nn.init.zeros_(scorer.outer.bias)
        prepared = explainer.prepare(data)
        with protected(net):
            edges = read(explainer, prepared, [4, 9])
            losses.append(float(explainer._objective().loss(scorer, edges, 0)))
    assert losses[0] == losses[1]


def test_restarts_keep_the_least_loss() -> None:
    net, data = make_net(), make_data("node")
    explainer = make_explainer(net, restarts=4, epochs=2, noise_bias=0.5).fit(data, INDEX["node"])
    assert explainer.history.restart.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    prepared = explainer.prepare(data)
    with protected(net), torch.no_grad():
        edges = read(explainer, prepared, INDEX["node"])
        objective = explainer._objective()
        kept = float(objective.loss(explainer._fitted(), edges, 2))
        others = []
        for restart in range(4):
            alone = make_explainer(net, restarts=restart + 1, epochs=2, noise_bias=0.5)
            alone.fit(data, INDEX["node"])
            others.append(float(objective.loss(alone._fitted(), edges, 2)))
    assert kept == min(others)
    assert others == sorted(others, reverse=True)
    assert others[0] > others[-1]


def test_save_and_load(tmp_path: Path) -> None:
    net, data = make_net("edge"), make_data("edge")
    explainer = make_explainer(net, "edge", read_target=True, temperature=(2, 1))
    explainer.fit(data, INDEX["edge"])
    loaded = gg.PGExplainer.load(explainer.save(tmp_path / "pg.safetensors"), net, progress=False)
    assert loaded.hyper_parameters == explainer.hyper_parameters
    assert loaded.history.equals(explainer.history)
    one, other = (masks(each.explain(data, INDEX["edge"])) for each in (explainer, loaded))
    for pair in zip(one, other, strict=True):
        torch.testing.assert_close(*pair, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be an integer of at least 1; got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be a number above 0; got 0.0"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1 or None; got 0"),
        ({"restarts": 0}, "restarts must be an integer of at least 1; got 0"),
        ({"size": -0.1}, "size must be a number of at least 0; got -0.1"),
        ({"entropy": float("nan")}, "entropy must be a number of at least 0; got nan"),
        ({"budget": -1.0}, "budget must be a number of at least 0"),
        ({"connectivity": -1.0}, "connectivity must be a number of at least 0"),
        ({"temperature": (5.0, 0.0)}, "temperature must be a sequence, each a number above 0"),
        ({"temperature": (5.0,)}, "temperature must be two numbers, of the first and the last"),
        ({"noise_bias": 0.6}, "noise_bias must be a number from 0 to 0.5; got 0.6"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(HyperParameterError, match=message):
        make_explainer(make_net(), **settings)


def test_bad_input() -> None:
    net, data = make_net(), make_data("node")
    with pytest.raises(HyperParameterError, match="a graph has no node"):
        make_explainer(make_net("graph"), "graph", read_target=True)
    with pytest.raises(NotFittedError, match=r"pg_explainer learns .* call .fit"):
        make_explainer(net).explain(data, 4)
    alone = Data(x=data.x, edge_index=data.edge_index[:, :0])
    with pytest.raises(FitError, match="no message reaches"):
        make_explainer(net).fit(alone, INDEX["node"])
    fitted = make_explainer(net).fit(data, INDEX["node"])
    assert fitted.explain(alone, 4)[0].edge_mask.shape == (0,)


def test_a_loss_that_is_not_finite_stops_the_fit() -> None:
    net, data = make_net(), make_data("node")
    explainer = make_explainer(net, size=float("inf"))
    with pytest.raises(FitError, match="the loss became inf in epoch 0"):
        explainer.fit(data, INDEX["node"])
    assert not explainer.is_fitted
