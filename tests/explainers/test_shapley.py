"""Shapley values: against the definition, by their axioms, and by how far estimates scatter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCN, SimpleConv, global_add_pool

import glassgraph as gg
from glassgraph.errors import HyperParameterError, NoMessagePassingError, UnsupportedModelError
from glassgraph.explainers.constant import ConstantScoresWarning
from glassgraph.explainers.perturbation.shapley_values.enumeration import AllCoalitions
from glassgraph.explainers.perturbation.shapley_values.kernel import KernelPairs
from glassgraph.explainers.perturbation.shapley_values.permutations import OrdersInPairs
from glassgraph.explainers.registry import METHODS
from glassgraph_studies.reference.shapley import myerson, shapley

NUMBER = gg.Task("node", mode="regression")
NODES, FEATURES = 7, 3


def network(seed: int = 0, classes: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    return GCN(FEATURES, 5, 2, classes).double().eval()


def small_graph(edges: int = 7, seed: int = 0) -> Data:
    """A graph in which node 0 is reached by every edge."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(NODES, FEATURES, generator=generator, dtype=torch.float64)
    edge_index = torch.tensor([[1, 2, 3, 3, 4, 5, 6, 0], [0, 0, 1, 2, 1, 2, 2, 2]])
    return Data(x=x, edge_index=edge_index[:, :edges])


class Pooled(nn.Module):
    """Two rounds of messages and a sum over all nodes, squared."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = SimpleConv()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, FEATURES, dtype=torch.float64))

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        x = torch.tanh(self.conv(x, edge_index) + x) * self.weight
        pooled = global_add_pool(self.conv(x, edge_index) + x, batch)
        return pooled.square().sum(dim=1, keepdim=True)


def deleted(model: nn.Module, data: Data, column: int) -> Callable[[frozenset[int]], float]:
    """The score of node 0 with some edges alone, called literally."""

    def worth(edges: frozenset[int]) -> float:
        with torch.no_grad():
            left = data.edge_index[:, sorted(edges)]
            return float(model(data.x, left)[0, column])

    return worth


def players(found: gg.Explanations, number: int = 0) -> dict[str, Tensor]:
    return found.local(number).tables["players"]


@pytest.mark.parametrize("value", ["score", "probability"])
def test_exact_values_of_edges_are_those_of_the_definition(value: str) -> None:
    model, data = network(), small_graph()
    explainer = gg.ShapleyEdges(model, "node", value=value, num_hops=3, progress=False)
    found = explainer.explain(data, [0], target=1)

    def probability(edges: frozenset[int]) -> float:
        with torch.no_grad():
            return float(model(data.x, data.edge_index[:, sorted(edges)])[0].softmax(0)[1])

    worth = deleted(model, data, 1) if value == "score" else probability
    expected = shapley(range(data.num_edges), worth)
    assert found[0].edge_mask.tolist() == pytest.approx(expected, abs=1e-12)
    assert not players(found)["standard_error"].any()
    games = found.table("games")
    assert games["together"][0] == pytest.approx(worth(frozenset(range(data.num_edges))))
    assert games["without"][0] == pytest.approx(worth(frozenset()))
    assert (games["players"][0], games["coalitions"][0], bool(games["exact"][0])) == (7, 128, True)


@pytest.mark.slow("deleted edges: test_exact_values_of_edges_are_those_of_the_definition")
def test_shut_messages_are_those_of_gates() -> None:
    """With degrees left as they are, against gates set by hand."""
    model, data = network(), small_graph()
    explainer = gg.ShapleyEdges(model, "node", removal="shut", progress=False)
    found = explainer.explain(data, [0], target=2)

    def worth(edges: frozenset[int]) -> float:
        keep = torch.zeros(data.num_edges, dtype=torch.bool)
        keep[sorted(edges)] = True
        return float(explainer.predict(data, found, keep=keep).outputs[0, 2])

    expected = shapley(range(data.num_edges), worth)
    assert found[0].edge_mask.tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("removal", ["cut", "zero"])
def test_exact_values_of_nodes_are_those_of_the_definition(removal: str) -> None:
    model, data = network(), small_graph()
    explainer = gg.ShapleyNodes(model, "node", removal=removal, num_hops=3, progress=False)
    found = explainer.explain(data, [0], target=1)

    def worth(nodes: frozenset[int]) -> float:
        there = torch.zeros(NODES, dtype=torch.bool)
        there[sorted(nodes)] = True
        x, edge_index = data.x, data.edge_index
        if removal == "zero":
            x = x * there.view(-1, 1)
        else:
            there[0] = True
            edge_index = edge_index[:, there[edge_index].all(dim=0)]
        with torch.no_grad():
            return float(model(x, edge_index)[0, 1])

    playing = list(range(NODES)) if removal == "zero" else list(range(1, NODES))
    playing = [node for node in playing if node != 6 or data.num_edges > 6]
    expected = torch.zeros(NODES, dtype=torch.float64)
    expected[playing] = torch.tensor(shapley(playing, worth), dtype=torch.float64)
    local = found.local(0)
    assert local.node_score is not None
    assert local.node_score.tolist() == pytest.approx(expected[local.node_id].tolist(), abs=1e-12)
    assert local.total == pytest.approx(float(expected.sum()))
    assert local.absorbed == pytest.approx(0, abs=1e-12)


def test_myerson_values_are_those_of_the_definition() -> None:
    model, data = Pooled(), small_graph()
    data.edge_index = torch.tensor([[1, 0, 2, 3, 5], [0, 1, 3, 2, 4]])  # 0-1, 2-3, 5-4; 6 alone
    task = gg.Task("graph", mode="regression")

    def worth(nodes: frozenset[int]) -> float:
        there = torch.zeros(NODES, dtype=torch.bool)
        there[sorted(nodes)] = True
        edge_index = data.edge_index[:, there[data.edge_index].all(dim=0)]
        with torch.no_grad():
            return float(model(data.x, edge_index, torch.zeros(NODES, dtype=torch.long)))

    edges = data.edge_index.t().tolist()
    settings: dict[str, Any] = {"myerson": True, "progress": False}
    found = gg.ShapleyNodes(model, task, **settings).explain(data)
    expected = myerson(range(NODES), (), map(tuple, edges), worth)
    assert found.local(0).node_score.tolist() == pytest.approx(expected, abs=1e-11)
    assert expected != pytest.approx(shapley(range(NODES), worth))
    evaluated = int(found.table("games")["evaluated"][0])
    assert evaluated <= 2**NODES


@pytest.mark.parametrize("removal", ["cut", "zero"])
def test_myerson_joins_through_the_explained_node(removal: str) -> None:
    model, data = network(), small_graph()
    settings: dict[str, Any] = {"removal": removal, "num_hops": 3, "progress": False}
    found = gg.ShapleyNodes(model, "node", myerson=True, **settings).explain(data, [0], target=1)
    plain = gg.ShapleyNodes(model, "node", **settings).explain(data, [0], target=1)
    assert found.local(0).total == pytest.approx(plain.local(0).total)
    same = torch.allclose(found.local(0).node_score, plain.local(0).node_score)
    assert same == (removal == "cut")  # what is not joined to it is not heard anyway


@pytest.mark.parametrize("estimator", ["kernel", "permutation"])
@pytest.mark.parametrize("method", ["shapley_edges", "shapley_nodes"])
def test_estimates_are_efficient_and_near(method: str, estimator: str) -> None:
    model, data = network(), small_graph(8)
    samples = 90 if estimator == "kernel" else 400
    sampled = {"estimator": estimator, "exact_up_to": 0, "samples": samples}
    masks, errors = [], []
    for settings in ({}, sampled):
        explainer = METHODS[method](model, "node", num_hops=3, progress=False, **settings)
        found = explainer.explain(data, [0], target=1)
        table, games = players(found), found.table("games")
        brought = float(games["together"][0] - games["without"][0])
        assert float(table["value"].sum()) == pytest.approx(brought, abs=1e-13)
        masks.append(table["value"])
        errors.append(table["standard_error"])
    error = (masks[0] - masks[1]).abs()
    assert bool((error <= 4 * errors[1] + 1e-12).all())
    assert method == "shapley_nodes" or bool((errors[1] > 0).any())


def test_symmetric_edges_have_equal_values() -> None:
    """Two neighbors with equal features, each with a neighbor of its own alike."""
    x = torch.tensor([[1.0, 2.0, 0.0], [3.0, 1.0, 1.0], [3.0, 1.0, 1.0], [0.0, 4.0, 2.0]])
    x = torch.cat([x, x[3:]]).double()
    data = Data(x=x, edge_index=torch.tensor([[1, 2, 3, 4], [0, 0, 1, 2]]))
    mask = gg.ShapleyEdges(network(), progress=False).explain(data, [0], target=0)[0].edge_mask
    assert float(mask[0]) == pytest.approx(float(mask[1]), abs=1e-12)
    assert float(mask[2]) == pytest.approx(float(mask[3]), abs=1e-12)
    assert float(mask[0]) != pytest.approx(float(mask[2]), abs=1e-3)


def test_a_dummy_scores_nothing_and_what_cannot_be_heard_costs_nothing() -> None:
    x = torch.tensor([[1.0], [2.0], [0.0], [5.0], [7.0]])
    data = Data(x=x, edge_index=torch.tensor([[1, 2, 0, 4], [0, 0, 3, 3]]))  # 0 -> 3 leads away
    found = gg.ShapleyEdges(SimpleConv(), NUMBER, progress=False).explain(data, [0])
    assert found[0].edge_mask.tolist() == [2.0, 0.0, 0.0, 0.0]
    games = found.table("games")
    assert (games["players"][0], games["coalitions"][0], games["evaluated"][0]) == (2, 4, 4)


def test_coalitions_that_leave_the_same_are_evaluated_once() -> None:
    """On a path of edges toward the node, only how far it is whole makes a difference."""
    data = Data(x=torch.rand(5, 1), edge_index=torch.tensor([[1, 2, 3, 4], [0, 1, 2, 3]]))

    def chain(x: Tensor, edge_index: Tensor) -> Tensor:
        conv = SimpleConv()
        for _ in range(4):
            x = x + conv(x, edge_index)
        return x

    found = gg.ShapleyEdges(chain, NUMBER, num_hops=4, progress=False).explain(data, [0])
    games = found.table("games")
    assert (games["coalitions"][0], games["evaluated"][0]) == (16, 5)


def test_values_are_linear_in_the_model() -> None:
    """Those of a sum of two models are the sums of theirs, draws included."""
    one, other, data = network(1), network(2), small_graph(8)
    settings: dict[str, Any] = {"exact_up_to": 0, "samples": 90, "num_hops": 3, "progress": False}

    def together(x: Tensor, edge_index: Tensor) -> Tensor:
        return 2 * one(x, edge_index) - other(x, edge_index)

    first, second, both = (
        gg.ShapleyEdges(model, **settings).explain(data, [0], target=1)[0].edge_mask
        for model in (one, other, together)
    )
    torch.testing.assert_close(both, 2 * first - second, rtol=0, atol=1e-12)


def table_game(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """All coalitions of a random game, and what they are worth."""
    generator = torch.Generator().manual_seed(seed)
    masks = AllCoalitions(count, torch.device("cpu")).masks
    worth = torch.randn(2**count, generator=generator, dtype=torch.float64)
    return masks, worth + masks.double() @ torch.arange(count).double()


def test_least_squares_over_all_coalitions_is_exact() -> None:
    count = 7
    _, worth = table_game(count)
    exact = AllCoalitions(count, torch.device("cpu")).estimate(worth).value
    address = torch.arange(count)
    pairs = KernelPairs.draw(address, torch.tensor(3), 0, 2**count - 2)
    assert pairs.is_exact
    number = pairs.masks.long() @ (1 << torch.arange(count))
    everyone = AllCoalitions(count, torch.device("cpu")).masks.long() @ (1 << torch.arange(count))
    by_number = torch.empty_like(worth)
    by_number[everyone] = worth
    found = pairs.estimate(by_number[number])
    torch.testing.assert_close(found.value, exact, rtol=0, atol=1e-10)
    assert not found.standard_error.any()


@pytest.mark.parametrize(("draw", "samples"), [(KernelPairs.draw, 400), (OrdersInPairs.draw, 400)])
def test_standard_errors_are_what_estimates_scatter_by(
    draw: Callable[..., Any], samples: int
) -> None:
    """Over many seeds: unbiased, as wide as said, and 95 % within two standard errors."""
    count, seeds = 11, 150
    masks, worth = table_game(count)
    exact = AllCoalitions(count, torch.device("cpu")).estimate(worth).value
    bits = 1 << torch.arange(count)
    by_number = torch.empty_like(worth)
    by_number[masks.long() @ bits] = worth
    address, key = torch.arange(count) * 7 + 1, torch.tensor(5)
    scores = []
    for seed in range(seeds):
        sample = draw(address, key, seed, samples)
        found = sample.estimate(by_number[sample.masks.long() @ bits])
        scores.append((found.value - exact) / found.standard_error)
    score = torch.stack(scores)
    assert float(score.mean(dim=0).abs().max()) < 0.4  # 1 / sqrt(150) = 0.08
    assert 0.85 < float(score.square().mean().sqrt()) < 1.15
    assert 0.92 < float((score.abs() < 2).double().mean()) < 0.98


def test_a_contrast_is_the_difference_of_two_classes() -> None:
    model, data = network(), small_graph()
    settings: dict[str, Any] = {"num_hops": 3, "progress": False}
    one, other, both = (
        gg.ShapleyEdges(model, **settings).explain(data, [0], target=target)[0].edge_mask
        for target in (2, 0, (2, 0))
    )
    torch.testing.assert_close(both, one - other, rtol=0, atol=1e-12)


def test_too_few_samples_are_refused() -> None:
    explainer = gg.ShapleyEdges(network(), samples=20, exact_up_to=0, num_hops=3, progress=False)
    with pytest.raises(HyperParameterError, match=r"20 coalitions are too few for the 7 players"):
        explainer.explain(small_graph(), [0])
    settings: dict[str, Any] = {"estimator": "permutation", "num_hops": 3, "progress": False}
    explainer = gg.ShapleyEdges(network(), samples=20, exact_up_to=0, **settings)
    with pytest.raises(HyperParameterError, match="'permutation' needs at least 24"):
        explainer.explain(small_graph(), [0])
    gg.ShapleyEdges(network(), samples=20, num_hops=3, progress=False).explain(small_graph(), [0])


def test_where_nothing_plays() -> None:
    data = Data(x=torch.rand(3, 1), edge_index=torch.tensor([[0, 0], [1, 2]]))
    for method in (gg.ShapleyEdges, gg.ShapleyNodes):
        explainer = method(SimpleConv(), NUMBER, num_hops=1, progress=False)
        local = explainer.explain(data, [0]).local(0)
        assert int(local.tables["games"]["players"]) == 0
        assert float(local.tables["games"]["together"] - local.tables["games"]["without"]) == 0
    settings: dict[str, Any] = {"num_hops": 2, "progress": False}
    noise = gg.ShapleyEdges(lambda x, edge_index: x.sum(1), NUMBER, **settings)
    with pytest.warns(ConstantScoresWarning):
        noise.explain(small_graph(), [0])


def test_values_within_their_errors_are_remarked() -> None:
    """A model that goes by whether the number of edges is even: everything averages out."""

    def parity(x: Tensor, edge_index: Tensor) -> Tensor:
        received = torch.zeros(x.size(0), dtype=torch.float64).index_add(
            0, edge_index[1], torch.ones(edge_index.size(1), dtype=torch.float64)
        )
        return 1 - 2 * (received % 2)

    ends = torch.stack([torch.arange(1, 14), torch.zeros(13, dtype=torch.long)])
    star = Data(x=torch.rand(14, 1).double(), edge_index=ends)
    settings: dict[str, Any] = {"exact_up_to": 0, "samples": 200, "num_hops": 1, "progress": False}
    found = gg.ShapleyEdges(parity, NUMBER, estimator="permutation", **settings).explain(star, [0])
    assert found.local(0).remark is not None
    assert "errors are as large as the values" in found.local(0).remark


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(HyperParameterError, match="num_hops=3 says how far a called model looks"):
        gg.ShapleyEdges(network(), removal="shut", num_hops=3)
    with pytest.raises(HyperParameterError, match="looks into the model"):
        gg.ShapleyEdges(lambda x, edge_index: x, removal="shut")
    with pytest.raises(NoMessagePassingError):
        gg.ShapleyEdges(nn.Linear(2, 2), removal="shut")
    for settings in ({"removal": "zero"}, {"estimator": "lasso"}, {"samples": 0}):
        with pytest.raises(HyperParameterError):
            gg.ShapleyEdges(network(), **settings)  # type: ignore[arg-type]
    data = Data(edge_index=small_graph().edge_index, num_nodes=NODES)

    def degrees(edge_index: Tensor, num_nodes: int) -> Tensor:
        return torch.bincount(edge_index[1], minlength=num_nodes).view(-1, 1).double()

    explainer = gg.ShapleyNodes(degrees, NUMBER, removal="zero", num_hops=1, progress=False)
    with pytest.raises(UnsupportedModelError, match="removal='cut'"):
        explainer.explain(data, [0])


def test_every_target_of_many_classes_has_its_own_game() -> None:
    model, data = network(classes=4), small_graph()
    explainer = gg.ShapleyEdges(model, num_hops=3, progress=False)
    found = explainer.explain(data, [0, 2, 0], target=torch.tensor([3, 1, 2]))
    for position, (node, target) in enumerate([(0, 3), (2, 1), (0, 2)]):
        alone = explainer.explain(data, [node], target=target)
        torch.testing.assert_close(found[position].edge_mask, alone[0].edge_mask)
