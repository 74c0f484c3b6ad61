"""Searches for walks against the list of all walks."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.nn import GINConv, GraphSAGE

from glassgraph.errors import WalkError
from glassgraph.explainers.decomposition.walks import joins
from glassgraph.explainers.decomposition.walks.lists import (
    Walks,
    all_walks,
    best_meeting,
    ranked,
    score_walks,
)
from glassgraph.explainers.decomposition.walks.neurons import best_neuron_walks
from glassgraph.explainers.decomposition.walks.paths import (
    average_paths,
    longest_paths,
    promising_walks,
)
from glassgraph.explainers.decomposition.walks.search import (
    ApproximateSearchWarning,
    best_walks,
    search_walks,
)
from glassgraph.relevance.walks import Step, WalkGraph, WalkLayer
from tests.relevance.walk_scenes import KINDS, graph, model_of, read

each_kind = pytest.mark.parametrize("kind", KINDS)


def best_of_list(found: Walks, instance: int, k: int, *, by_size: bool = True) -> list[float]:
    score = found.score[found.instance == instance]
    value = score.abs() if by_size else score
    return score[value.argsort(descending=True)][:k].tolist()


@each_kind
def test_the_list_is_in_order_and_each_walk_has_its_score(kind: str) -> None:
    walks, _ = read(model_of(kind), graph(), [0, 1])
    found = all_walks(walks, most=10_000)
    assert torch.equal(torch.bincount(found.instance), walks.num_walks.long())
    assert torch.unique(found.node, dim=0).size(0) == found.node.size(0)
    size = found.score.abs()
    assert bool((found.instance.diff() >= 0).all())
    assert bool(((size.diff() <= 1e-10) | (found.instance.diff() > 0)).all())
    shuffled = torch.randperm(found.score.numel())
    torch.testing.assert_close(
        score_walks(walks, found.node[shuffled]), found.score[shuffled], rtol=1e-10, atol=1e-14
    )


def test_equal_walks_come_in_the_order_of_their_nodes() -> None:
    """Rounding does not decide, and does not spread from one walk to the next."""
    walks, _ = read(model_of("gcn"), graph(), [0])
    node = torch.tensor([[2, 0, 0, 0], [1, 0, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0]])
    noise = torch.tensor([1e-15, 0.0, 2e-15, 0.0]).double()
    found = ranked(walks, node, torch.tensor([-0.5, 0.5, 0.5, 1.0]).double() - noise)
    assert found.node[:, 0].tolist() == [0, 1, 2, 3]
    ladder = torch.arange(4).double() * 2e-11 + 1
    assert ranked(walks, node, ladder).node[:, 0].tolist() == [0, 3, 1, 2]


@each_kind
def test_best_walks_are_the_best_of_the_list(kind: str) -> None:
    walks, _ = read(model_of(kind), graph(), [0, 1])
    everything = all_walks(walks, most=10_000)
    for k in (1, 5, 10_000):
        found = search_walks(walks, k)
        listed = best_walks(walks, k)
        torch.testing.assert_close(listed.score, found.score, rtol=1e-10, atol=1e-14)
        for instance in (0, 1):
            scores = best_of_list(everything, instance, k)
            own = found.score[found.instance == instance]
            assert own.tolist() == pytest.approx(scores, abs=1e-13)
        assert torch.unique(found.node, dim=0).size(0) == found.node.size(0)
        torch.testing.assert_close(score_walks(walks, found.node), found.score)


def test_pairs_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joins, "_MOST_PAIRS", 3)
    walks, _ = read(model_of("gin"), graph(), [0, 1])
    expected = all_walks(walks, most=10_000)
    found = search_walks(walks, 4)
    for instance in (0, 1):
        scores = best_of_list(expected, instance, 4)
        assert found.score[found.instance == instance].tolist() == pytest.approx(scores)


def test_walks_that_cannot_win_are_dropped_without_a_loss() -> None:
    """One chain carries nearly everything: with little memory the search still is exact."""
    walks = chain_of_blocks(strong=100.0)
    expected = all_walks(walks, most=10_000)
    found = search_walks(walks, 1, most_numbers=40)
    assert found.node[0].tolist() == expected.node[0].tolist()


def test_a_search_that_had_to_drop_walks_says_so() -> None:
    walks = chain_of_blocks(strong=1.0)
    expected = all_walks(walks, most=10_000)
    with pytest.warns(ApproximateSearchWarning, match="of 1 instances"):
        found = search_walks(walks, 20, most_numbers=40)
    torch.testing.assert_close(score_walks(walks, found.node), found.score)
    assert found.score.numel() == 20
    assert float(found.score.abs().max()) <= float(expected.score.abs().max()) + 1e-12


def chain_of_blocks(strong: float) -> WalkGraph:
    """Four nodes, all joined, and one walk whose blocks are stronger than the others."""
    walks, _ = read(model_of("gcn"), graph(), [0])
    n = walks.num_nodes
    sender, receiver = torch.tensor(list(product(range(n), repeat=2))).t()
    layers = []
    for position, layer in enumerate(walks.layers):
        (step,) = layer.steps
        block = torch.rand(n * n, *step.block.shape[1:]).double()
        block[(sender == position) & (receiver == position + 1)] *= strong
        nothing = torch.full_like(sender, -1)
        steps = (Step(step.site, sender, receiver, nothing, step.columns, block, step.state),)
        layers.append(WalkLayer(steps, layer.stay))
    start = torch.rand_like(walks.start)
    everywhere = torch.ones(n, dtype=torch.bool)
    return replace(walks, start=start, layers=tuple(layers), is_end=everywhere)


@pytest.mark.parametrize("kind", ["gcn", "sage", "rgcn"])
def test_neuron_walks_are_the_best_products(kind: str) -> None:
    """All walks from number to number, written out."""
    data = Data(x=graph().x[:3], edge_index=torch.tensor([[0, 1, 1], [1, 2, 1]]))
    data.edge_type = torch.tensor([0, 1, 1])
    walks, _ = read(model_of(kind), data, [2, 1])
    current = [
        ((v,), (c,), float(walks.start[v, c]))
        for v, c in product(range(walks.num_nodes), range(walks.widths[0]))
    ]
    for layer in walks.layers:
        stay, longer = dict(layer.stay.t().tolist()), []
        for nodes, columns, value in current:
            v, c = nodes[-1], columns[-1]
            if c in stay:
                longer.append(((*nodes, v), (*columns, stay[c]), value))
            for step in layer.steps:
                if not step.columns.start <= c < step.columns.stop:
                    continue
                for row in (step.sender == v).nonzero().view(-1).tolist():
                    for to, factor in enumerate(step.block[row, c - step.columns.start].tolist()):
                        path = (*nodes, int(step.receiver[row])), (*columns, to)
                        longer.append((*path, value * factor))
        current = [each for each in longer if each[2]]
    current = [each for each in current if walks.is_end[each[0][-1]]]
    assert sum(each[2] for each in current) == pytest.approx(float(walks.relevance().sum()))
    for k in (1, 7, 1000):
        found = best_neuron_walks(walks, k)
        for instance in (0, 1):
            own = [each for each in current if walks.node_instance[each[0][0]] == instance]
            own.sort(key=lambda each: -abs(each[2]))
            rows = (found.instance == instance).nonzero().view(-1)
            scores = [each[2] for each in own[:k]]
            assert found.score[rows].tolist() == pytest.approx(scores, rel=1e-10)
            paths = {(each[0], each[1][:-1]): each[2] for each in own}
            for row in rows.tolist():  # of equal products any may be among the best
                path = tuple(found.node[row].tolist()), tuple(found.column[row].tolist())
                assert float(found.score[row]) == pytest.approx(paths.pop(path), rel=1e-10)
        listed = [*map(tuple, promising_walks(walks, "emp_neu", k).tolist())]
        assert listed == sorted(set(map(tuple, found.node.tolist())))


def sage(data: Data) -> GraphSAGE:
    """Big enough that no two paths are equal by chance."""
    return GraphSAGE(3, 6, 3, 2, aggr="sum").double().eval()


def literal_best_path(model: GraphSAGE, data: Data, node: int, average: bool) -> list[int]:
    """He et al.'s two searches with dense Jacobians, one node at a time."""
    states = [data.x]
    for number, conv in enumerate(model.convs):
        out = conv(states[-1], data.edge_index)
        states.append(out.relu() if number < 2 else out)
    best = {node: (0.0, None, [node])}
    for layer in (2, 1, 0):
        conv, found = model.convs[layer], {}
        for v, (total, gradient, path) in best.items():
            sources = data.edge_index[0][data.edge_index[1] == v].tolist()
            for u in {*sources, v}:
                jacobian = sources.count(u) * conv.lin_l.weight
                if u == v:
                    jacobian = jacobian + conv.lin_r.weight
                if layer == 2:
                    jacobian = jacobian[:1]
                else:
                    jacobian = jacobian * (states[layer + 1][v] > 0).double().unsqueeze(1)
                if average:
                    row, score = None, total + float(jacobian.mean(0) @ states[layer][u])
                else:
                    row = jacobian[0] if gradient is None else gradient @ jacobian
                    score = float(row @ states[layer][u])
                if u not in found or score > found[u][0]:
                    found[u] = (score, row, [u, *path])
        best = found
    return max(best.values(), key=lambda each: each[0])[2]


@torch.no_grad()
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("search", ["longest", "amp_ave"])
def test_best_paths_are_those_of_dense_jacobians(search, seed: int) -> None:
    torch.manual_seed(seed)
    data = graph(seed)
    model = sage(data)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            torch.nn.init.zeros_(parameter)
    walks, batch = read(model, data)
    found = (
        longest_paths(walks, 1, by_size=False) if search == "longest" else average_paths(walks, 1)
    )
    assert found.instance.tolist() == list(range(5))
    for node in range(5):
        path = batch.fields.node[found.node[node]].tolist()
        assert path == literal_best_path(model, data, node, search == "amp_ave")


def test_longest_paths_have_exact_scores_and_wide_searches_find_the_best() -> None:
    walks, _ = read(model_of("gin"), graph(), [0, 1])
    narrow, wide = (longest_paths(walks, k, by_size=False) for k in (1, 500))
    torch.testing.assert_close(score_walks(walks, narrow.node), narrow.score)
    everything = all_walks(walks, most=10_000)
    for instance in (0, 1):
        scores = best_of_list(everything, instance, 500, by_size=False)
        assert wide.score[wide.instance == instance].tolist() == pytest.approx(scores, abs=1e-13)


def test_more_walks_than_wanted_are_counted_not_listed() -> None:
    torch.manual_seed(0)
    source, destination = torch.tensor(list(product(range(30), repeat=2))).t()
    data = Data(x=torch.rand(30, 2), edge_index=torch.stack([source, destination]))

    class Deep(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = torch.nn.ModuleList(GINConv(torch.nn.Linear(2, 2)) for _ in range(8))

        def forward(self, x, edge_index):
            for conv in self.convs:
                x = conv(x, edge_index).relu() / 30
            return x

    walks, _ = read(Deep().eval(), data, [0])
    assert float(walks.num_walks[0]) == 30.0**8
    with pytest.raises(WalkError, match="656,100,000,000 walks, and at most 1,000 may be listed"):
        all_walks(walks, most=1000)
    assert 2 <= best_meeting(walks) <= 6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ApproximateSearchWarning)
        found = search_walks(walks, 3, most_numbers=100_000)
    assert found.score.numel() == 3


def test_a_node_without_edges_has_no_walks() -> None:
    """Plain sums without the node itself: nothing arrives."""
    data = Data(x=torch.rand(3, 2), edge_index=torch.tensor([[0], [1]]))
    model = GraphSAGE(2, 4, 2, 2, root_weight=False, bias=False).eval()
    walks, _ = read(model, data, [2, 1])
    assert walks.num_walks.tolist() == [0, 0]  # no walk of two steps ends anywhere
    for found in (all_walks(walks, most=9), best_walks(walks, 3), search_walks(walks, 3)):
        assert found.node.shape == (0, 3)
    assert best_neuron_walks(walks, 2).score.numel() == 0
    for search in ("longest", "amp_ave", "emp_neu"):
        assert promising_walks(walks, search, 1).shape == (0, 3)
    assert score_walks(walks, torch.zeros(0, 3).long()).numel() == 0
    with pytest.raises(WalkError, match="where no message runs"):
        score_walks(walks, torch.tensor([[0, 0, 0]]))


@pytest.mark.parametrize(
    ("walk", "words"),
    [
        ([0, 1, 0], "one node for each of the 3 layers and one more"),
        ([3, 2, 3, 0], "walk 0 steps from node 2 to 3 at layer 1, where no message runs"),
        ([3, 1, 0, 1], "ends at node 1, which the prediction does not read"),
        ([9, 0, 0, 0], "between 0 and 3"),
    ],
)
def test_walks_that_are_not_in_the_graph_are_refused(walk: list[int], words: str) -> None:
    walks, _ = read(model_of("gcn"), graph(), [0])  # its field: nodes 0 to 3
    if walk[-1] == 1:  # with all messages, also those that do not reach node 0
        is_end = torch.tensor([True, False, False, False])
        walks = replace(read(model_of("gcn"), graph(), [1])[0], is_end=is_end)
    with pytest.raises(WalkError, match=words):
        score_walks(walks, torch.tensor([walk]))
