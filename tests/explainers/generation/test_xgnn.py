"""XGNN: known optima, the literal version, what it leaves alone, and what it refuses."""

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
from torch_geometric.nn import global_mean_pool

import glassgraph as gg
from glassgraph.errors import (
    ExplainerFileError,
    FitError,
    GlassgraphError,
    HyperParameterError,
    Interrupted,
    ModelCallError,
    ModelOutputError,
    NotFittedError,
    TargetError,
    TaskError,
    UnsupportedModelError,
)
from glassgraph.explainers.model_explainer import UnreachedClassWarning
from glassgraph_studies.reference.xgnn import Literal, Moved
from tests.explainers.generation.models import Ringed, hates, is_tree, ringed, sizes

pytestmark = pytest.mark.filterwarnings(
    "ignore::glassgraph.explainers.model_explainer.UnreachedClassWarning"
)
TINY: dict[str, Any] = {"iterations": 3, "episodes": 4, "num_rollouts": 3, "progress": False}


def ring_finder(**changes: Any) -> gg.XGNN:
    settings = {"rules": [gg.graph_rules.MaxDegree(2)], **TINY, **changes}
    model = settings.pop("model", None) or ringed()
    return gg.XGNN(model, ["A", "B"], settings.pop("max_nodes", 4), **settings)


def traces(found: gg.ModelExplanation) -> list[str]:
    """Everything that happened; as text, in which NaN is itself."""
    return [repr(graph.steps) for graph in found.graphs]


# What it finds


def test_the_best_graph_of_a_model_with_weights_set_by_hand() -> None:
    xgnn = ring_finder(iterations=15, episodes=8, slack=0.0).fit(target_class=1)
    found = xgnn.explain(n=5)
    best = found.to_networkx(0)
    assert nx.is_isomorphic(best, nx.cycle_graph(4))
    assert found.formula(0) == "B4"
    assert float(found.probability[0]) == pytest.approx(
        float(torch.tensor(1.5).sigmoid()), abs=1e-5
    )
    assert float(found.probability.mean()) > float(xgnn.random(50).probability.mean()) + 0.2
    assert xgnn.history["probability"].iloc[-1] > xgnn.history["probability"].iloc[0]


def test_trees_where_every_further_edge_is_a_cycle() -> None:
    xgnn = gg.XGNN(is_tree, 1, 5, **TINY).fit(target_class=1)
    for position in range(len(found := xgnn.explain(n=4))):
        assert nx.is_tree(found.to_networkx(position))
        assert found[position].node_type.numel() == 5
    cyclic = xgnn.fit(target_class=0).explain(n=4)
    assert all(graph.num_edges >= graph.node_type.numel() for graph in cyclic.graphs)


@pytest.mark.slow("the steps: test_equals_the_literal_version")
def test_learning_raises_the_mean_reward() -> None:
    history = ring_finder(iterations=20, episodes=8, num_rollouts=1).fit(1).history
    assert history["reward"].iloc[-5:].mean() > history["reward"].iloc[:5].mean()


def test_the_target_may_be_the_only_column_of_a_binary_model() -> None:
    def one_column(x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        return is_tree(x, edge_index, batch)[:, 1:]

    settings = {"mode": "binary_classification", **TINY}
    found = gg.XGNN(one_column, 1, 4, **settings).fit(1).explain(2)
    assert found[0].probabilities.shape == (2,)
    assert nx.is_tree(found.to_networkx(0))


def test_of_equally_good_graphs_the_most_nodes_and_the_fewest_edges() -> None:
    def same(x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        return torch.tensor([[0.0, 1.0]]).expand(int(batch[-1]) + 1, -1)

    found = gg.XGNN(same, 1, 4, **TINY).fit(1).explain(3)
    assert all(graph.node_type.numel() == 4 for graph in found.graphs)
    last = gg.XGNN(same, 1, 4, keep="last", **TINY).fit(1).explain(3)
    assert all(graph.num_edges == 6 for graph in last.graphs), "a complete graph: nothing stops it"
    for graph in found.graphs:
        sizes_before = [graph.at(step).num_nodes for step in range(graph.taken)]
        assert max(sizes_before) < 4


def test_the_generator_is_that_of_the_best_two_iterations_in_a_row() -> None:
    few = {"episodes": 3, "num_rollouts": 2, "max_steps": 5, "learning_rate": 0.3}
    best = ring_finder(iterations=6, **few).fit(1)
    reached = best.history["probability"].tolist()
    sums = [sum(reached[max(0, i - 1) : i + 1]) for i in range(6)]
    chosen = max(i for i in range(6) if sums[i] == max(sums))
    assert chosen < 5, "else the last generator would do as well"
    until = ring_finder(iterations=chosen + 1, weights="last", **few).fit(1)
    last = ring_finder(iterations=6, weights="last", **few).fit(1)
    pairs = [list(xgnn.policy.state_dict().values()) for xgnn in (best, until, last)]
    assert all(torch.equal(one, other) for one, other in zip(pairs[0], pairs[1], strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(pairs[0], pairs[2], strict=True))


# Beside the literal version


def key(trace: list[Any]) -> list[tuple[Any, ...]]:
    return [(step.start, step.is_valid, step.is_accepted, round(step.reward, 8)) for step in trace]


def not_three_of_a_kind(node_type: Tensor, edge_index: Tensor) -> bool:
    return int(torch.bincount(node_type).max()) < 3


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mask_moves": False, "optimizer": "sgd", "baseline": False},
        {"rollout_value": "last", "roll_back": "negative", "start": "A", "keep": "last"},
        {**gg.XGNN.published, "max_steps": 6},
        {"patience": 2, "max_steps": 9, "rules": [not_three_of_a_kind], "mask_moves": False},
        {"num_rollouts": 0, "entropy": 0.1, "rollout_steps": 1},
    ],
    ids=["default", "unmasked", "last", "published", "patience", "no-rollouts"],
)
def test_equals_the_literal_version(settings: dict[str, Any]) -> None:
    rules = [gg.graph_rules.MaxDegree({"A": 2}), not_three_of_a_kind]
    few = {"iterations": 2, "episodes": 3, "num_rollouts": 2, "max_steps": 5, "seed": 5}
    last = {"weights": "last"}  # which iteration to go back to is not part of the literal version
    xgnn = ring_finder(**{"rules": rules, **few, **last, **settings}).fit(1)
    literal = Literal(xgnn).fit(1)
    pairs = zip(xgnn.policy.parameters(), literal.policy.parameters(), strict=True)
    assert max(float((one - other).abs().max().detach()) for one, other in pairs) < 1e-6
    batched = [key(list(graph.steps)) for graph in xgnn.explain(3).graphs]
    written_out: list[list[Moved]] = literal.explain(1, 3)
    assert sorted(batched) == sorted(key(steps) for steps in written_out)
    assert any(steps for steps in batched)


def test_all_graphs_of_a_step_are_one_call() -> None:
    calls: list[int] = []

    def counted(model: nn.Module, data: Data) -> Tensor:
        calls.append(int(data.batch[-1]) + 1)
        out: Tensor = model(data.x, data.edge_index, data.batch)
        return out

    xgnn = ring_finder(call=counted, iterations=1, max_steps=4)
    calls.clear()
    xgnn.fit(1)
    assert len(calls) <= 4 + 1, "one call a step, and one for the history"
    assert max(calls) > 4 * 3


def test_an_episode_ends_when_nothing_is_kept_for_a_while() -> None:
    def only_two(node_type: Tensor, edge_index: Tensor) -> bool:
        return len(node_type) == 2

    for patience, steps in ((2, 3), (4, 5), (None, 12)):
        xgnn = ring_finder(rules=[only_two], patience=patience).fit(1)
        assert {len(graph.steps) for graph in xgnn.explain(3).graphs} == {steps}


# Randomness


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    one, same = ring_finder(seed=3).fit(1).explain(4), ring_finder(seed=3).fit(1).explain(4)
    assert traces(one) == traces(same)
    assert torch.equal(one.probability, same.probability)
    assert traces(ring_finder(seed=4).fit(1).explain(4)) != traces(one)


def test_an_episode_does_not_depend_on_how_many_there_are() -> None:
    xgnn = ring_finder().fit(1)
    few, many = xgnn.explain(2), xgnn.explain(9)
    assert all(steps in traces(many) for steps in traces(few))


def test_random_state_outside_is_left_alone() -> None:
    model = ringed()
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # type: ignore[union-attr]  # noqa: NPY002
    xgnn = ring_finder(model=model).fit(1)
    xgnn.explain(2)
    xgnn.random(2)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert np.array_equal(states[2], np.random.get_state()[1])  # type: ignore[arg-type]  # noqa: NPY002


# The model


def state_of(model: nn.Module) -> list[Any]:
    return [
        {name: value.clone() for name, value in model.state_dict().items()},
        [module.training for module in model.modules()],
        [parameter.requires_grad for parameter in model.parameters()],
        [len(module._forward_hooks) for module in model.modules()],
        [parameter.grad for parameter in model.parameters()],
    ]


def assert_untouched(model: nn.Module, before: list[Any]) -> None:
    after = state_of(model)
    assert all(torch.equal(value, after[0][name]) for name, value in before[0].items())
    assert after[1:] == before[1:]


def test_the_model_is_left_as_it_was() -> None:
    model = ringed().train()
    before = state_of(model)
    xgnn = ring_finder(model=model).fit(1)
    xgnn.explain(2)
    xgnn.random(2)
    assert_untouched(model, before)


def test_the_model_is_left_as_it_was_after_an_error() -> None:
    model = ringed().train()
    before, times = state_of(model), [0]

    def breaks(model: nn.Module, data: Data) -> Tensor:
        times[0] += 1
        if times[0] == 20:
            raise RuntimeError("gone")
        out: Tensor = model(data.x, data.edge_index, data.batch)
        return out

    xgnn = ring_finder(model=model, call=breaks)
    with pytest.raises(RuntimeError, match="gone"):
        xgnn.fit(1)
    assert times[0] == 20
    assert_untouched(model, before)


def test_an_interrupted_fit_keeps_what_it_had_learned() -> None:
    model, times = ringed(), [0]

    def waits(model: nn.Module, data: Data) -> Tensor:
        times[0] += 1
        if times[0] == 50:
            raise KeyboardInterrupt
        out: Tensor = model(data.x, data.edge_index, data.batch)
        return out

    xgnn = ring_finder(model=model, call=waits, iterations=40)
    with pytest.raises(Interrupted, match=r"[1-9]\d* iterations are done"):
        xgnn.fit(1)
    assert 1 <= len(xgnn.history) < 40
    assert len(xgnn.explain(2)) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_are_those_of_the_model(dtype: torch.dtype) -> None:
    xgnn = ring_finder(model=ringed(dtype)).fit(1)
    found = xgnn.explain(2)
    assert found.probability.dtype == dtype
    assert found.to_data(0).x.dtype == dtype
    assert all(parameter.dtype == dtype for parameter in xgnn.policy.parameters())


def test_the_order_of_nodes_does_not_matter_to_the_model() -> None:
    model = ringed()
    found = ring_finder(model=model, max_nodes=5).fit(1).explain(4)
    for position, graph in enumerate(found.graphs):
        data = found.to_data(position)
        order = torch.randperm(data.num_nodes, generator=torch.Generator().manual_seed(position))
        back = order.argsort()
        batch = torch.zeros(data.num_nodes).long()
        with torch.no_grad():
            shuffled = model.eval()(data.x[order], back[data.edge_index], batch).softmax(1)[0]
        torch.testing.assert_close(shuffled, graph.probabilities)


# Inputs of the model


def test_what_nodes_carry() -> None:
    seen: dict[str, Tensor] = {}

    def look(x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        seen["x"], seen["degree"] = x, torch.bincount(edge_index[0], minlength=len(x))
        return is_tree(x, edge_index, batch)

    gg.XGNN(look, 3, 4, features="degree", **TINY).fit(1)
    assert torch.equal(seen["x"][:, 0], seen["degree"].to(seen["x"].dtype))
    gg.XGNN(look, 3, 4, features="constant", **TINY).fit(1)
    assert seen["x"].shape[1] == 1
    assert bool((seen["x"] == 1).all())
    gg.XGNN(look, 3, 4, **TINY).fit(1)
    assert torch.equal(seen["x"].sum(1), torch.ones(len(seen["x"])))
    gg.XGNN(look, 3, 4, features=lambda t, e: t[:, None] * 2.0, **TINY).fit(1)
    assert set(seen["x"].unique().tolist()) <= {0.0, 2.0, 4.0}


def test_other_attributes_are_added_by_a_function() -> None:
    def decorate(data: Data) -> Data:
        data.edge_attr = torch.ones(data.edge_index.size(1), 1)
        return data

    def reads(x: Tensor, edge_index: Tensor, edge_attr: Tensor, batch: Tensor) -> Tensor:
        assert edge_attr.size(0) == edge_index.size(1)
        return is_tree(x, edge_index, batch)

    found = gg.XGNN(reads, 1, 4, decorate=decorate, **TINY).fit(1).explain(2)
    assert found.to_data(0).edge_attr.size(0) == found[0].edge_index.size(1)


def test_growing_from_a_graph() -> None:
    triangle = (torch.tensor([1, 1, 0]), torch.tensor([[0, 1, 2], [1, 2, 0]]))
    found = ring_finder(start=triangle, rules=[], max_nodes=5).fit(1).explain(3)
    for graph in found.graphs:
        assert graph.at(0).node_type.tolist() == [1, 1, 0]
        assert graph.at(0).edge_index.size(1) == 6
        assert graph.node_type[:3].tolist() == [1, 1, 0]


def test_the_first_node() -> None:
    found = ring_finder(start="A").fit(1).explain(6)
    assert {graph.at(0).node_type.tolist()[0] for graph in found.graphs} == {0}
    anything = ring_finder().fit(1).explain(12)
    assert {graph.at(0).node_type.tolist()[0] for graph in anything.graphs} == {0, 1}


def test_a_type_that_cannot_begin_does_not() -> None:
    def no_lonely_a(node_type: Tensor, edge_index: Tensor) -> bool:
        return int(node_type[0]) != 0

    found = ring_finder(rules=[no_lonely_a]).fit(1).explain(12)
    assert {graph.at(0).node_type.tolist()[0] for graph in found.graphs} == {1}
    assert found.validity == 1.0


# Random graphs


def test_random_graphs_keep_rules_and_size() -> None:
    xgnn = ring_finder(max_nodes=5).fit(1)
    drawn = xgnn.random(20)
    assert all(graph.node_type.numel() == 5 for graph in drawn.graphs)
    assert drawn.validity == 1.0
    assert drawn.provenance["is_random"]
    found = xgnn.explain(4)
    alike = xgnn.random(9, like=found)
    sizes_of = [(g.node_type.numel(), g.num_edges) for g in found.graphs]
    assert sorted({(g.node_type.numel(), g.num_edges) for g in alike.graphs}) == sorted(
        set(sizes_of)
    )
    assert len({graph.node_type.numel() for graph in alike.graphs}) <= len(set(sizes_of))
    for graph in alike.graphs:
        assert graph.steps[-1].probability == pytest.approx(float(graph.probabilities[1]))


def test_random_graphs_need_a_class_but_no_fit() -> None:
    xgnn = gg.XGNN(is_tree, 1, 4, **TINY)
    with pytest.raises(NotFittedError, match="fit"):
        xgnn.random(2)
    drawn = xgnn.random(30, target_class=0)
    torch.testing.assert_close(
        drawn.probability, torch.stack([g.probabilities[0] for g in drawn.graphs])
    )


def test_random_moves_are_uniform_over_edges_to_come() -> None:
    """From a path of three, with four nodes: three places for the new node and one for an edge."""
    path = (torch.tensor([0, 0, 0]), torch.tensor([[0, 1], [1, 2]]))
    drawn = gg.XGNN(is_tree, 1, 4, start=path, **TINY).random(400, target_class=1)
    closed = sum((step := graph.steps[0]).added < 0 for graph in drawn.graphs)
    assert closed / 400 == pytest.approx(0.25, abs=0.06)
    assert step.is_accepted


def test_stuck_random_graphs_begin_anew() -> None:
    """Two nodes that take one neighbor are stuck at once; six nodes need others."""
    limit = gg.graph_rules.MaxDegree({"B": 1})
    xgnn = gg.XGNN(is_tree, ["A", "B"], 6, rules=[limit], **TINY)
    drawn = xgnn.random(40, target_class=1)
    assert all(graph.node_type.numel() == 6 for graph in drawn.graphs)
    assert all(sum(s.is_accepted for s in g.steps) == g.num_edges for g in drawn.graphs)


# Files


def test_a_saved_generator_generates_the_same(tmp_path: Path) -> None:
    model = ringed()
    xgnn = ring_finder(model=model).fit(1)
    path = xgnn.save(tmp_path / "xgnn.safetensors")
    again = gg.XGNN.load(path, model, progress=False)
    one, other = xgnn.explain(4), again.explain(4)
    assert traces(one) == traces(other)
    assert torch.equal(one.probability, other.probability)
    assert one.provenance == other.provenance
    assert again.history.equals(xgnn.history)
    assert again.target_class == 1


def test_functions_have_to_be_given_again(tmp_path: Path) -> None:
    model = ringed()

    def features(node_type: Tensor, edge_index: Tensor) -> Tensor:
        return torch.eye(2).double()[node_type]

    xgnn = ring_finder(model=model, features=features, rules=[not_three_of_a_kind]).fit(1)
    path = xgnn.save(tmp_path / "xgnn.safetensors")
    with pytest.raises(ExplainerFileError, match=r"features=\.\.\., rules=\.\.\."):
        gg.XGNN.load(path, model)
    again = gg.XGNN.load(path, model, features=features, rules=[not_three_of_a_kind])
    assert traces(again.explain(3)) == traces(xgnn.explain(3))


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    path = ring_finder().fit(1).save(tmp_path / "xgnn.safetensors")
    other = ringed()
    with torch.no_grad():
        other.head.bias += 1
    with pytest.raises(ExplainerFileError, match="fingerprint"):
        gg.XGNN.load(path, other)
    with pytest.raises(ExplainerFileError, match="'xgnn', not 'pg_explainer'"):
        gg.PGExplainer.load(path, ringed())
    (tmp_path / "bad").write_bytes(b"no tensors")
    with pytest.raises(ExplainerFileError, match="damaged"):
        gg.XGNN.load(tmp_path / "bad", ringed())


# Bad input


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_nodes": 1}, "max_nodes is an integer of at least 2; got 1"),
        ({"max_nodes": 2.5}, "max_nodes"),
        ({"iterations": 0}, "xgnn: iterations must be an integer of at least 1; got 0"),
        ({"episodes": True}, "episodes"),
        ({"epsiodes": 3}, "did you mean 'episodes'"),
        ({"iterations": "five"}, "iterations must be an integer"),
        ({"num_rollouts": -1}, "num_rollouts"),
        ({"max_steps": 0}, "max_steps"),
        ({"patience": 0}, "patience"),
        ({"learning_rate": 0.0}, "learning_rate must be a number above 0"),
        ({"entropy": -0.1}, "entropy must be a number of at least 0"),
        ({"slack": -1.0}, "slack"),
        ({"rollout_value": "mean"}, "'best' or 'last'; got 'mean'"),
        ({"optimizer": "lbfgs"}, "'adam' or 'sgd'"),
        ({"features": "onehot"}, "'one_hot', 'degree', 'constant'"),
        ({"start": "C"}, r"a node type \(A, B\)"),
        ({"start": 2}, "start is None"),
        ({"start": ([0, 5], [[0], [1]])}, r"lie in 0..1"),
        ({"start": ([0, 1], [[0], [0]])}, "two different nodes"),
        ({"start": ([0, 1], [[0], [7]])}, "two different nodes"),
        ({"start": ([0] * 5, [[], []])}, "5 nodes; 1 to max_nodes=4"),
        ({"start": ([0, 1, 0], [[0, 1, 2], [1, 2, 0]]), "max_nodes": 3}, "is full"),
        ({"seed": 2**64}, "seed must be an integer"),
        ({"rules": [3]}, "rules holds rules"),
    ],
    ids=str,
)
def test_values_out_of_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(HyperParameterError, match=message):
        ring_finder(**changes)


@pytest.mark.parametrize("node_types", [0, [], ["A", "A"], "AB", None, True])
def test_node_types_are_a_number_or_names(node_types: Any) -> None:
    with pytest.raises(HyperParameterError, match="node_types"):
        gg.XGNN(is_tree, node_types, 4)


def never(node_type: Tensor, edge_index: Tensor) -> bool:
    return False


def test_rules_that_no_graph_can_keep() -> None:
    with pytest.raises(HyperParameterError, match="the function 'never' forbids every first move"):
        ring_finder(rules=[gg.graph_rules.MaxDegree(2), never])
    square = ([0, 0, 1], [[0, 1, 2], [1, 2, 0]])
    with pytest.raises(HyperParameterError, match=r"MaxDegree\(2\) forbids every first move"):
        ring_finder(start=square)
    apart = ([0, 0, 1, 1], [[0, 2], [1, 3]])
    ring_finder(start=apart, rules=[gg.graph_rules.Connected()])
    three = ([0, 0, 1], [[], []])
    with pytest.raises(HyperParameterError, match=r"Connected\(\) forbids"):
        ring_finder(start=three, rules=[gg.graph_rules.Connected()])


def test_rules_that_contradict_each_other_are_both_named() -> None:
    def only_a(node_type: Tensor, edge_index: Tensor) -> bool:
        return bool((node_type == 0).all())

    def some_b(node_type: Tensor, edge_index: Tensor) -> bool:
        return bool((node_type == 1).any())

    with pytest.raises(HyperParameterError, match=r"'only_a' and .*'some_b' together forbid"):
        ring_finder(rules=[only_a, some_b])


@pytest.mark.parametrize("target", [-1, 2, 1.0, None, "1", True])
def test_classes_that_do_not_exist(target: Any) -> None:
    with pytest.raises(TargetError, match="2 classes, from 0"):
        ring_finder().fit(target)


def test_before_fit() -> None:
    xgnn = ring_finder()
    assert not xgnn.is_fitted
    for call in (xgnn.explain, lambda: xgnn.save("nowhere")):
        with pytest.raises(NotFittedError, match="fit\\(target_class"):
            call()
    with pytest.raises(HyperParameterError, match="n is an integer of at least 1"):
        xgnn.fit(1).explain(0)


def test_the_wrong_width_is_told_with_what_the_model_says() -> None:
    with pytest.raises(ModelCallError, match=r"\(6, 3\).*one_hot.*3 node types.*features") as told:
        gg.XGNN(ringed(), 3, 4)
    assert isinstance(told.value.__cause__, (RuntimeError, ValueError))


def test_features_of_the_wrong_length() -> None:
    with pytest.raises(HyperParameterError, match="one row for each"):
        ring_finder(features=lambda t, e: torch.ones(1, 2))


def test_a_model_without_one_row_per_graph() -> None:
    class PerNode(nn.Module):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return x

    with pytest.raises(ModelOutputError, match="one row for each graph"):
        gg.XGNN(PerNode(), 2, 4)


def test_regression_is_refused() -> None:
    with pytest.raises(TaskError, match="regression"):
        ring_finder(mode="regression")


def test_a_model_that_looks_across_graphs_is_refused() -> None:
    def mixes(x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        pooled = global_mean_pool(x, batch)
        return pooled - pooled.mean(dim=0)

    with pytest.raises(UnsupportedModelError, match="keep them apart by `batch`"):
        gg.XGNN(mixes, 2, 4)


def test_probabilities_that_are_not_finite() -> None:
    def broken(x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        return torch.full((int(batch[-1]) + 1, 2), float("nan"))

    with pytest.raises(UnsupportedModelError, match="not finite"):
        gg.XGNN(broken, 2, 4)

    def breaks_later(x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        nodes, _ = sizes(edge_index, batch)
        return torch.stack([nodes, torch.where(nodes > 2, torch.nan, nodes)], dim=1)

    with pytest.raises(FitError, match="not finite"):
        gg.XGNN(breaks_later, 2, 4, **TINY).fit(1)


def test_a_class_that_is_never_predicted_is_told_with_its_best_probability() -> None:
    xgnn = gg.XGNN(hates, 1, 4, **TINY).fit(1)
    with pytest.warns(UnreachedClassWarning, match=r"class 1: the highest probability is 0\.1"):
        found = xgnn.explain(2)
    assert len(found) == 2
    assert issubclass(UnreachedClassWarning, UserWarning)


def test_every_error_is_one_of_ours() -> None:
    assert all(
        issubclass(each, GlassgraphError)
        for each in (FitError, NotFittedError, TargetError, HyperParameterError)
    )


def test_a_batch_norm_in_training_mode_is_not_fed() -> None:
    model = Ringed().double().train()
    ring_finder(model=model).fit(1)
    assert int(model.normal.num_batches_tracked) == 0
