"""GNNInterpreter: known optima, the objective by hand, what it leaves alone, what it refuses."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, SAGEConv, global_mean_pool

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.errors import (
    ExplainerFileError,
    FitError,
    HyperParameterError,
    Interrupted,
    ModelCallError,
    NotFittedError,
    TargetError,
    TaskError,
    UnsupportedModelError,
)
from glassgraph.explainers.generation.gnn_interpreter import InexactRelaxationWarning
from glassgraph.explainers.graph_generation.distributions import Draws
from glassgraph.explainers.graph_generation.relaxed_classifier import WeightedEdges, relax
from glassgraph.explainers.model_explainer import UnreachedClassWarning
from glassgraph.models import build_model
from tests.explainers.generation.models import is_tree, ringed

pytestmark = pytest.mark.filterwarnings(
    "ignore::glassgraph.explainers.model_explainer.UnreachedClassWarning"
)
TINY: dict[str, Any] = {"iterations": 2, "steps": 3, "restarts": 3, "samples": 2, "progress": False}


def ring_finder(**changes: Any) -> gg.GNNInterpreter:
    settings = {"rules": [gg.graph_rules.MaxDegree(2)], **TINY, **changes}
    model = settings.pop("model", None) or ringed()
    return gg.GNNInterpreter(model, ["A", "B"], settings.pop("max_nodes", 4), **settings)


def traces(found: gg.ModelExplanation) -> list[str]:
    return [repr(graph.steps) for graph in found.graphs]


def weighed(
    x: Tensor, edge_index: Tensor, batch: Tensor, edge_weight: Tensor | None = None
) -> Tensor:
    """Class 1: graphs with as many nodes of type 1 and as few edges as possible."""
    weight = x.new_ones(edge_index.size(1)) if edge_weight is None else edge_weight
    count = int(batch[-1]) + 1
    edges = x.new_zeros(count).index_add(0, batch[edge_index[0]], weight) / 2
    ones = x.new_zeros(count).index_add(0, batch, x[:, -1])
    return torch.stack([edges - ones, ones - edges], dim=1)


# What it finds


def test_the_best_graph_of_a_model_with_weights_set_by_hand() -> None:
    finder = ring_finder(iterations=10, steps=10, restarts=6).fit(target_class=1)
    found = finder.explain(n=3)
    assert nx.is_isomorphic(found.to_networkx(0), nx.cycle_graph(4))
    assert found.formula(0) == "B4"
    assert float(found.probability[0]) == pytest.approx(
        float(torch.tensor(1.5).sigmoid()), abs=1e-5
    )
    assert found.validity == 1.0
    assert float(found.probability.mean()) > float(finder.random(50).probability.mean()) + 0.2
    history = finder.history
    assert history["objective"].iloc[-1] > history["objective"].iloc[0]


def test_a_function_that_reads_weights_of_edges() -> None:
    finder = gg.GNNInterpreter(weighed, ["A", "B"], 5, **{**TINY, "iterations": 8, "steps": 10})
    found = finder.fit(1).explain(2)
    assert set(found[0].node_type.tolist()) == {1}
    assert nx.is_tree(found.to_networkx(0))
    dense = finder.fit(0).explain(2)
    assert set(dense[0].node_type.tolist()) == {0}
    assert dense[0].num_edges > dense[0].node_type.numel() - 1


def test_the_target_may_be_the_only_column_of_a_binary_model() -> None:
    def one_column(
        x: Tensor, edge_index: Tensor, batch: Tensor, edge_weight: Tensor | None = None
    ) -> Tensor:
        return weighed(x, edge_index, batch, edge_weight)[:, 1:]

    settings = {**TINY, "mode": "binary_classification", "iterations": 6, "steps": 10}
    finder = gg.GNNInterpreter(one_column, 2, 4, **settings)
    assert set(finder.fit(1).explain(1)[0].node_type.tolist()) == {1}
    assert set(finder.fit(0).explain(1)[0].node_type.tolist()) == {0}


def test_the_budget_bounds_expected_edges() -> None:
    expected = {}
    for weight in (0.0, 1.0):
        finder = ring_finder(rules=[], budget=2, budget_weight=weight, iterations=8, steps=10)
        learned = finder.fit(1).distributions
        expected[weight] = float(learned.logits[0].sigmoid().sum(dim=1).mean())
    assert expected[1.0] < expected[0.0] - 0.5


# The objective, by hand


@pytest.mark.parametrize("objective", ["log_probability", "logit"])
def test_the_value_of_a_draw(objective: str) -> None:
    """Of `Ringed`: half of (sum over nodes of the share of type 1, with their neighbors' - 9)."""
    finder = ring_finder(objective=objective)
    edge = torch.rand(6, 6, generator=torch.Generator().manual_seed(0)).double()
    kind = torch.rand(6, 4, 2, generator=torch.Generator().manual_seed(1)).double().softmax(-1)
    with protected(finder.model):
        relaxed = finder._relax()
        output = relaxed.output(Draws(edge, kind))
    assert relaxed.gap < 1e-9
    scale = 1 / (1 + finder.model.normal.eps) ** 0.5  # of a batch norm that has seen nothing
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    for graph in range(6):
        share = kind[graph, :, 1]
        total = share.sum()
        for number, (a, b) in enumerate(pairs):
            total = total + edge[graph, number] * (share[a] + share[b])
        logit = 0.5 * scale * total - 4.5
        wanted = logit if objective == "logit" else torch.nn.functional.logsigmoid(logit)
        assert float(finder._value(output, 1)[graph]) == pytest.approx(float(wanted), abs=1e-9)


def test_gradients_are_those_of_the_relaxed_model() -> None:
    finder = ring_finder()
    edge = torch.full((6, 6), 0.4).double().requires_grad_()
    kind = torch.full((6, 4, 2), 0.5).double().requires_grad_()
    with protected(finder.model):
        relaxed = finder._relax()
        assert torch.autograd.gradcheck(lambda e, k: relaxed.output(Draws(e, k)), (edge, kind))


def test_costs_by_hand() -> None:
    finder = ring_finder(
        l1_weight=0.5, l2_weight=0.25, budget=2, budget_weight=2.0, connectivity_weight=3.0
    )
    learned = finder.distributions
    cost = finder.penalty(learned)
    for row in range(3):
        logits = [*learned.edge_logit[row].tolist(), *learned.type_logit[row].flatten().tolist()]
        p = learned.edge_logit[row].sigmoid()
        over = torch.nn.functional.softplus(p.sum() - 2) ** 2
        meeting = [
            (a, b)
            for a, ends in enumerate(learned.pairs.t().tolist())
            for b, others in enumerate(learned.pairs.t().tolist())
            if a != b and set(ends) & set(others)
        ]
        apart = [
            float(p[a] * (p[a] / p[b]).log() + (1 - p[a]) * ((1 - p[a]) / (1 - p[b])).log())
            for a, b in meeting
        ]
        wanted = (
            0.5 * np.mean(np.abs(logits))
            + 0.25 * np.mean(np.square(logits))
            + 2.0 * float(over)
            + 3.0 * np.mean(apart)
        )
        assert float(cost[row]) == pytest.approx(wanted, rel=1e-9)


# Relaxations


class Layered(nn.Module):
    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv, self.head = conv, nn.Linear(3, 2)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        out: Tensor = self.head(global_mean_pool(self.conv(x, edge_index).relu(), batch))
        return out


def gap(model: nn.Module, **changes: Any) -> float:
    classifier = gg.GNNInterpreter(model, 2, 5, **TINY, **changes).classifier
    with protected(model):
        return relax(classifier, 4, 5, 2, seed=0).gap


@pytest.fixture
def seeded() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.usefixtures("seeded")
def test_sums_and_weights_are_relaxed_exactly() -> None:
    for kind in ("gcn", "gin"):
        options = {"kind": kind, "in_channels": 2, "hidden_channels": 3, "out_channels": 2}
        model = build_model({**options, "level": "graph"})
        assert gap(model) < 1e-5, kind
    normalized = build_model({**options, "kind": "gcn", "level": "graph"})
    classifier = gg.GNNInterpreter(normalized, 2, 5, **TINY).classifier
    with protected(normalized):
        assert isinstance(relax(classifier, 4, 5, 2, seed=0), WeightedEdges)
    degrees = build_model({**options, "in_channels": 1, "level": "graph"})
    assert gap(degrees, features="degree") < 1e-5


@pytest.mark.parametrize("kind", [SAGEConv, GATConv], ids=["mean", "attention"])
def test_a_relaxation_that_is_not_exact_is_told(kind: Any) -> None:
    model = Layered(kind(2, 3))
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(1.0)
        model.head.weight[0], model.head.bias[1] = 0.0, -6.0
    assert gap(model) > 0.05
    with pytest.warns(InexactRelaxationWarning, match="0\\.[0-9]+ away"):
        found = gg.GNNInterpreter(model, 2, 5, **TINY).fit(1).explain(2)
    for position, graph in enumerate(found.graphs):
        data = found.to_data(position)
        with torch.no_grad():
            own = model(data.x, data.edge_index, torch.zeros(data.num_nodes).long())
        torch.testing.assert_close(own.softmax(1)[0], graph.probabilities)


def test_features_by_a_function_of_types() -> None:
    table = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double()
    found = ring_finder(features=lambda kind, edges: table[kind], iterations=8, steps=10).fit(1)
    assert found.explain(1).formula(0) == "A4"


def test_features_that_depend_on_edges_are_refused() -> None:
    def degrees(node_type: Tensor, edge_index: Tensor) -> Tensor:
        degree = torch.bincount(edge_index[0], minlength=len(node_type)).double()
        return torch.stack([degree, degree], dim=1)

    with pytest.raises(HyperParameterError, match=r"depend on node types alone.*'degree'"):
        ring_finder(features=degrees).fit(1)


def test_a_model_without_messages_or_weights_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match=r"edge_weight.*xgnn only calls"):
        gg.GNNInterpreter(is_tree, 1, 4, **TINY).fit(1)


# Examples


def pair(kind: int) -> Data:
    x = torch.eye(2).double()[[kind, kind]]
    return Data(x=x, edge_index=torch.tensor([[0, 1], [1, 0]]))


@pytest.mark.slow("the objective: test_the_value_of_a_draw")
def test_examples_pull_the_embedding() -> None:
    """The class is not asked for at all here: it has no say in what the graphs are like."""
    model = ringed()
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.tensor([0.0, 0.1]))
    for kind, formula in ((0, {0}), (1, {1})):
        finder = ring_finder(model=model, rules=[], weights="last", iterations=10, steps=10)
        found = finder.fit(1, examples=[pair(kind)] * 3).explain(1)
        assert set(found[0].node_type.tolist()) == formula
        assert finder.history["similarity"].iloc[-1] > 0.9
    assert "similarity" not in ring_finder().fit(1).history


def test_examples_that_cannot_be_used() -> None:
    with pytest.raises(FitError, match="none of 2 examples to class 1"):
        ring_finder().fit(1, examples=[pair(0), pair(0)])
    for examples in ([], [3]):
        with pytest.raises(HyperParameterError, match="examples is a list"):
            ring_finder().fit(1, examples=examples)  # type: ignore[arg-type]
    wide = Data(x=torch.ones(2, 5).double(), edge_index=torch.tensor([[0, 1], [1, 0]]))
    with pytest.raises(ModelCallError, match="fails on the examples"):
        ring_finder().fit(1, examples=[wide])
    finder = gg.GNNInterpreter(weighed, 2, 4, **TINY)
    with pytest.raises(UnsupportedModelError, match="no embedding of a graph"):
        finder.fit(1, examples=[pair(1), pair(1)])


# Randomness, the model, files


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    one, same = ring_finder(seed=3).fit(1).explain(7), ring_finder(seed=3).fit(1).explain(7)
    assert traces(one) == traces(same)
    assert torch.equal(one.probability, same.probability)
    other = ring_finder(seed=4).fit(1)
    assert not torch.equal(
        other.distributions.edge_logit, ring_finder(seed=3).fit(1).distributions.edge_logit
    )


@pytest.mark.parametrize("draw", ["mode", "sample"])
def test_a_graph_does_not_depend_on_how_many_there_are(draw: str) -> None:
    finder = ring_finder(draw=draw).fit(1)
    few, many = finder.explain(2), finder.explain(11)
    assert all(steps in traces(many) for steps in traces(few))


def test_everything_outside_is_left_as_it_was() -> None:
    model = ringed().train()
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # type: ignore[union-attr]  # noqa: NPY002
    before = {name: value.clone() for name, value in model.state_dict().items()}
    finder = ring_finder(model=model).fit(1)
    finder.explain(2)
    finder.random(2)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert np.array_equal(states[2], np.random.get_state()[1])  # type: ignore[arg-type]  # noqa: NPY002
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    assert all(module.training for module in model.modules())
    assert all(each.grad is None and each.requires_grad for each in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_an_interrupted_fit_keeps_what_it_had_learned() -> None:
    times = [0]

    def waits(model: nn.Module, data: Data) -> Tensor:
        times[0] += 1
        if times[0] == 40:
            raise KeyboardInterrupt
        out: Tensor = model(data.x, data.edge_index, data.batch)
        return out

    finder = ring_finder(call=waits, iterations=40)
    with pytest.raises(Interrupted, match=r"[1-9]\d* iterations are done"):
        finder.fit(1)
    assert 1 <= len(finder.history) < 40
    assert len(finder.explain(2)) == 2


def test_what_was_saved_generates_the_same(tmp_path: Path) -> None:
    model = ringed()
    finder = ring_finder(model=model, start="B").fit(1)
    path = finder.save(tmp_path / "file.safetensors")
    again = gg.GNNInterpreter.load(path, model, progress=False)
    one, other = finder.explain(7), again.explain(7)
    assert traces(one) == traces(other)
    assert one.provenance == other.provenance
    assert again.history.equals(finder.history)
    with pytest.raises(ExplainerFileError, match="'gnn_interpreter', not 'xgnn'"):
        gg.XGNN.load(path, model)
    one.save(tmp_path / "graphs")
    assert traces(gg.ModelExplanation.load(tmp_path / "graphs")) == traces(one)


# Rules, and what growing begins with


def test_edges_that_break_a_rule_are_refused_and_counted() -> None:
    finder = ring_finder(iterations=8, steps=10, budget_weight=0.0).fit(1)
    found = finder.explain(3)
    assert found.validity == 1.0
    refused = [sum(not step.is_valid for step in graph.steps) for graph in found.graphs]
    assert max(refused) > 0, "the model asks for more neighbors than two"
    assert finder.history["broken"].iloc[-1] > 0
    for graph in found.graphs:
        assert torch.isnan(
            torch.tensor([s.probability for s in graph.steps if not s.is_valid])
        ).all()
        assert graph.taken == sum(step.is_valid for step in graph.steps) + sum(
            not step.is_valid for step in graph.steps
        )
        assert graph.at(graph.taken).edge_index.equal(graph.edge_index)


def test_growing_from_a_graph_or_a_type() -> None:
    triangle = (torch.tensor([1, 1, 0]), torch.tensor([[0, 1, 2], [1, 2, 0]]))
    for graph in ring_finder(start=triangle, rules=[], max_nodes=5).fit(1).explain(5).graphs:
        assert graph.node_type[:3].tolist() == [1, 1, 0]
        assert graph.at(0).edge_index.size(1) == 6
    for graph in ring_finder(start="A").fit(1).explain(5).graphs:
        assert graph.node_type.tolist()[0] == 0

    def begins_with_b(node_type: Tensor, edge_index: Tensor) -> bool:
        return int(node_type[0]) == 1

    found = ring_finder(rules=[begins_with_b]).fit(0).explain(6)
    assert {graph.node_type.tolist()[0] for graph in found.graphs} == {1}
    assert found.validity == 1.0


# Bad input


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_nodes": 1}, "max_nodes is an integer of at least 2; got 1"),
        ({"iterations": 0}, "gnn_interpreter: iterations must be an integer of at least 1; got 0"),
        ({"steps": 0}, "steps"),
        ({"restarts": True}, "restarts"),
        ({"restart": 3}, "did you mean 'restarts'"),
        ({"samples": 0}, "samples"),
        ({"temperature": 0.0}, "temperature must be a number above 0"),
        ({"objective": "odds"}, "'log_probability' or 'logit'"),
        ({"similarity_weight": -1.0}, "similarity_weight"),
        ({"l1_weight": -1.0}, "l1_weight"),
        ({"budget": 0}, "budget"),
        ({"draw": "best"}, "'mode' or 'sample'"),
        ({"slack": -0.1}, "slack"),
        ({"learning_rate": 0.0}, "learning_rate must be a number above 0"),
        ({"features": "onehot"}, "'one_hot', 'degree', 'constant'"),
        ({"start": "C"}, r"a node type \(A, B\)"),
        ({"rules": [3]}, "rules holds rules"),
    ],
    ids=str,
)
def test_values_out_of_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(HyperParameterError, match=message):
        ring_finder(**changes)


def never(node_type: Tensor, edge_index: Tensor) -> bool:
    return False


def test_rules_that_no_graph_can_keep() -> None:
    with pytest.raises(HyperParameterError, match="the function 'never' forbids every first move"):
        ring_finder(rules=[gg.graph_rules.MaxDegree(2), never])


@pytest.mark.parametrize("target", [-1, 2, 1.0, None, "1", True])
def test_classes_that_do_not_exist(target: Any) -> None:
    with pytest.raises(TargetError, match="2 classes, from 0"):
        ring_finder().fit(target)


def test_before_fit() -> None:
    finder = ring_finder()
    for call in (finder.explain, lambda: finder.save("nowhere")):
        with pytest.raises(NotFittedError, match=r"gnn_interpreter.*fit\(target_class"):
            call()


def test_models_that_no_graphs_can_be_given_to() -> None:
    with pytest.raises(ModelCallError, match=r"3 node types.*features"):
        gg.GNNInterpreter(ringed(), 3, 4)
    with pytest.raises(TaskError, match="regression"):
        ring_finder(mode="regression")


def test_a_loss_that_is_not_finite() -> None:
    def breaks_later(
        x: Tensor, edge_index: Tensor, batch: Tensor, edge_weight: Tensor | None = None
    ) -> Tensor:
        return weighed(x, edge_index, batch, edge_weight) / (0.0 if len(x) > 90 else 1.0)

    settings = {**TINY, "restarts": 8, "samples": 4}
    with pytest.raises(FitError, match="gnn_interpreter is not finite"):
        gg.GNNInterpreter(breaks_later, 2, 4, **settings).fit(1)


def test_a_class_that_is_never_predicted_is_told() -> None:
    model = ringed()
    with torch.no_grad():
        model.head.bias[1] = -90.0
    finder = ring_finder(model=model).fit(1)
    with pytest.warns(UnreachedClassWarning, match="class 1"):
        assert len(finder.explain(2)) == 2
