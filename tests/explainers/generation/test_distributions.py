"""Distributions over graphs, what is drawn of them, what grows of that, and which ones are kept."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pytest
import torch
from torch import Tensor

from glassgraph.explainers.graph_generation.best_distributions import Best, Reached
from glassgraph.explainers.graph_generation.classifier import Classifier
from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.distributions import GraphDistributions
from glassgraph.explainers.graph_generation.drawn_graphs import Drawn, grow
from glassgraph.explainers.graph_generation.environment import Environment
from glassgraph.explainers.graph_generation.graph_rules import MaxDegree
from glassgraph.inputs.task import Task
from tests.explainers.generation.models import ringed

LIKE = torch.zeros(0).double()


def distributions(count: int = 2, nodes: int = 4, types: int = 2) -> GraphDistributions:
    return GraphDistributions.initial(count, nodes, types, 0, LIKE, None)


def environment(*rules: Any) -> Environment:
    classifier = Classifier(ringed(), Task("graph"))
    return Environment(classifier, [rule.bind(["A", "B"]) for rule in rules], 1, 0.5, 0)


def single(*kinds: int, nodes: int = 4) -> DenseGraphs:
    types = torch.full((len(kinds), nodes), -1)
    types[:, 0] = torch.tensor(kinds)
    return DenseGraphs(types, torch.zeros(len(kinds), nodes, nodes, dtype=torch.bool), 2)


def drawn(kinds: list[int], edges: dict[tuple[int, int], float]) -> Drawn:
    size = len(kinds)
    weight = torch.zeros(1, size, size).double()
    for (a, b), value in edges.items():
        weight[0, a, b] = weight[0, b, a] = value
    return Drawn(torch.tensor([kinds]), weight > 0, weight)


# Draws


def test_relaxed_draws_are_the_formula() -> None:
    learned = distributions()
    found = learned.relaxed(3, 0.5, 7, 1, 2)
    edge_noise, type_noise = learned._noise(3, 7, 1, 2)
    for row in range(2):
        for sample in range(3):
            u = edge_noise[row, sample]
            wanted = ((learned.edge_logit[row] + (u / (1 - u)).log()) / 0.5).sigmoid()
            torch.testing.assert_close(found.edge[3 * row + sample], wanted)
            gumbel = -(-type_noise[row, sample].log()).log()
            kind = ((learned.type_logit[row] + gumbel) / 0.5).softmax(-1)
            torch.testing.assert_close(found.node_type[3 * row + sample], kind)


def test_shares_of_draws_are_the_probabilities() -> None:
    learned = distributions(1)
    sampled, relaxed = learned.sample(4000, 3), learned.relaxed(4000, 0.1, 3)
    for draws in (sampled, relaxed):
        share = (draws.edge > 0.5).double().mean(0)
        torch.testing.assert_close(share, learned.edge_logit[0].sigmoid(), atol=0.03, rtol=0)
        kinds = torch.nn.functional.one_hot(draws.node_type.argmax(-1), 2).double().mean(0)
        torch.testing.assert_close(kinds, learned.type_logit[0].softmax(-1), atol=0.03, rtol=0)
    assert set(sampled.edge.unique().tolist()) == {0.0, 1.0}


def test_a_distribution_does_not_depend_on_those_beside_it() -> None:
    few, many = distributions(1), distributions(5)
    assert torch.equal(few.edge_logit[0], many.edge_logit[0])
    assert torch.equal(few.sample(2, 0).edge, many.sample(4, 0).edge[:2])


def test_a_given_graph_is_certain() -> None:
    given = DenseGraphs.from_edges(torch.tensor([1, 0]), torch.tensor([[0], [1]]), 4, 2)
    learned = GraphDistributions.initial(2, 4, 2, 0, LIKE, given)
    for draws in (learned.mode(), learned.sample(50, 1), learned.relaxed(50, 0.2, 1)):
        assert bool((draws.edge[:, 0] > 0.999).all())
        assert set(draws.node_type[:, :2].argmax(-1).flatten().tolist()) == {0, 1}
        assert bool((draws.node_type[:, 0, 1] > 0.999).all())
    assert len(set(learned.sample(50, 1).edge[:, 1].tolist())) == 2


# Growing


def test_a_graph_grows_along_its_surest_edges_first() -> None:
    graph = drawn([0, 1, 1, 0], {(0, 1): 0.6, (1, 2): 0.9, (0, 2): 0.7})
    found = grow(environment(), graph, single(0, 1), is_given=False)
    ends = [(int(step.start), int(step.end)) for step in found.steps]
    # Begins with node 2, which expects the most edges: node 1, then node 0, then what is left.
    assert ends == [(0, 4 + 1), (0, 4 + 0), (2, 1)]
    assert found.last.node_type.tolist() == [[1, 1, 0, -1]]
    assert int(found.last.num_edges) == 3


def test_an_edge_that_breaks_a_rule_is_refused() -> None:
    star = drawn([0, 0, 0, 0], {(0, 1): 0.9, (0, 2): 0.8, (0, 3): 0.7})
    found = grow(environment(MaxDegree(2)), star, single(0), is_given=False)
    assert [bool(step.is_valid) for step in found.steps] == [True, True, False]
    assert int(found.last.num_nodes) == 3
    assert MaxDegree(2).bind(["A", "B"]).holds(found.last).all()


def test_only_types_that_may_begin_do() -> None:
    path = drawn([0, 0, 0, 1], {(0, 1): 0.9, (1, 2): 0.9})
    found = grow(environment(), path, single(1), is_given=False)
    assert found.last.node_type[0].tolist() == [1, -1, -1, -1], "node 3 stands alone"
    other = drawn([0, 0, 0, 0], {(0, 1): 0.9, (1, 2): 0.9})
    found = grow(environment(), other, single(1), is_given=False)
    assert found.last.node_type[0].tolist() == [1, 0, 0, -1], "the middle gets a type that may"


def test_what_is_left_is_a_largest_piece() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(40, 7, 7, generator=generator).double().triu(1)
    weight = torch.where(weight > 0.8, weight, 0.0)
    weight = weight + weight.transpose(1, 2)
    graphs = Drawn(torch.zeros(40, 7).long(), weight > 0, weight)
    found = grow(environment(), graphs, single(0, nodes=7), is_given=False).last
    for row in range(40):
        graph = nx.from_numpy_array(graphs.adjacency[row].numpy())
        largest = max(map(len, nx.connected_components(graph)))
        assert int(found.num_nodes[row]) == largest
        pieces = [c for c in nx.connected_components(graph) if len(c) == largest]
        edges = {graph.subgraph(piece).number_of_edges() for piece in pieces}
        assert int(found.num_edges[row]) in edges


# What is kept


def reached(probability: list[float], nodes: list[int]) -> Reached:
    return Reached(torch.tensor(probability), torch.tensor(nodes))


def marked(*values: float) -> GraphDistributions:
    edge = torch.tensor(values)[:, None].expand(-1, 6).clone()
    return GraphDistributions(edge, torch.zeros(len(values), 4, 2))


@pytest.mark.parametrize(
    ("after", "nodes", "is_kept"),
    [(0.9, 4, True), (0.895, 5, True), (0.895, 4, False), (0.8, 9, False), (0.95, 2, True)],
    ids=["as-good", "larger", "less-probable", "far", "outdoes"],
)
def test_of_nearly_equal_graphs_the_larger(after: float, nodes: int, is_kept: bool) -> None:
    best = Best.of(marked(1.0), reached([0.9], [4]))
    best = best.updated(marked(2.0), reached([after], [nodes]), slack=0.01)
    assert best.distributions.edge_logit[0, 0] == (2.0 if is_kept else 1.0)
    assert float(best.highest) == pytest.approx(max(after, 0.9))


def test_the_order_of_distributions() -> None:
    order = reached([0.5, 0.99, 0.985, 0.7], [9, 3, 4, 1]).order(slack=0.01)
    assert order.tolist() == [2, 1, 3, 0]


def test_what_is_kept_is_no_longer_learned_on() -> None:
    learned = marked(1.0)
    learned.edge_logit.requires_grad_()
    best = Best.of(learned, reached([0.9], [4]))
    with torch.no_grad():
        learned.edge_logit += 1
    assert float(best.distributions.edge_logit[0, 0]) == 1.0
    values: Tensor = best.updated(learned, reached([0.95], [4]), 0.0).distributions.edge_logit
    assert not values.requires_grad
