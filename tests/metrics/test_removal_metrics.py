"""Robust fidelity, sufficiency, necessity, nodes and features, against loops of model calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GCNConv, global_max_pool, global_mean_pool

import glassgraph as gg
from glassgraph.core import random
from glassgraph.core.addresses import pair_address
from glassgraph.errors import TaskError, UnknownMetricError, UnsupportedModelError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.metrics import (
    fidelity,
    greedy_scores,
    necessity,
    robust_fidelity,
    sufficiency,
)
from tests.metrics.scenes import CLASSES, FEATURES, TwoLayers, random_graph, uniform, with_scores
from tests.metrics.test_fidelity import Links, TwoRelations

KINDS = (1, 3, 5)


class Pooled(nn.Module):
    """A GCN with mean or max pooling, which counts nodes without edges."""

    def __init__(self, pool: str = "mean") -> None:
        super().__init__()
        torch.manual_seed(11)
        self.conv1, self.conv2 = GCNConv(FEATURES, 7), GCNConv(7, CLASSES)
        self.pool = {"mean": global_mean_pool, "max": global_max_pool}[pool]
        self.double()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        h = self.conv1(x, edge_index).tanh()
        return 3 * self.pool(self.conv2(h, edge_index), batch)


def undirected(seed: int, nodes: int, pairs: int, *, lonely: int = 0) -> Data:
    """A graph whose edges are listed in both directions, with some nodes that have none."""
    generator = torch.Generator().manual_seed(seed)
    every = torch.combinations(torch.arange(nodes))
    some = every[torch.randperm(every.size(0), generator=generator)[:pairs]].t()
    x = torch.randn(nodes + lonely, FEATURES, generator=generator).double()
    return Data(x=x, edge_index=torch.cat([some, some.flip(0)], dim=1))


def graphs() -> list[Data]:
    return [undirected(1, 7, 9), undirected(2, 5, 3, lonely=2), undirected(3, 11, 17)]


def best_pairs(local: gg.LocalExplanation, k: int) -> set[frozenset[int]]:
    """The k pairs with the highest mean scores, ties as they are listed."""
    scores: dict[frozenset[int], list[float]] = {}
    for (a, b), score in zip(
        local.node_id[local.edge_index].t().tolist(), local.edge_score.tolist(), strict=True
    ):
        scores.setdefault(frozenset((a, b)), []).append(score)
    ordered = sorted(scores, key=lambda pair: -sum(scores[pair]) / len(scores[pair]))
    return set(ordered[:k])


def class_on(model: nn.Module, data: Data, kept: list[bool], *, lone: bool) -> int | None:
    """The class predicted with some edges alone; nodes that lose their last edge go."""
    edge_index = data.edge_index[:, torch.tensor(kept, dtype=torch.bool)]
    had = torch.zeros(data.num_nodes, dtype=torch.bool)
    had[data.edge_index.flatten()] = True
    has = torch.zeros_like(had)
    has[edge_index.flatten()] = True
    node = (has | ~had) if not lone else torch.ones_like(had)
    if not bool(node.any()):
        return None
    place = node.cumsum(0) - 1
    batch = torch.zeros(int(node.sum()), dtype=torch.long)
    return int(model(data.x[node], place[edge_index], batch).argmax())


@pytest.mark.parametrize("removal", ["delete_isolated", "delete"])
@pytest.mark.parametrize("pool", ["mean", "max"])
@torch.no_grad()
def test_sufficiency_and_necessity_equal_a_loop(pool: str, removal: Any) -> None:
    """k = 5 is more than the second graph's 3 pairs."""
    data, model = graphs(), Pooled(pool)
    explained = with_scores(model, data, [2, 0, 1], uniform(4), task="graph")
    found = {
        one.metric + one.level: one.values
        for ask in (sufficiency, necessity)
        for one in ask(explained, model, data, top_k=KINDS, removal=removal)
    }
    lone, seen = removal == "delete", set()
    for i, number in enumerate((2, 0, 1)):
        local, graph = explained.local(i), data[number]
        pairs = [frozenset(pair) for pair in graph.edge_index.t().tolist()]
        for k in KINDS:
            best = best_pairs(local, k)
            alone = class_on(model, graph, [pair in best for pair in pairs], lone=lone)
            without = class_on(model, graph, [pair not in best for pair in pairs], lone=lone)
            assert float(found[f"sufficiencytop{k}"][i]) == (alone == local.target)
            got = float(found[f"necessitytop{k}"][i])
            seen |= {("alone", alone == local.target), ("without", without == local.target)}
            assert got == (without != local.target)
    assert len(seen) >= 3, "the loop sees both answers"


def test_a_graph_without_nodes_has_no_prediction() -> None:
    """All three pairs of a triangle go, and with them its nodes; a node that was alone stays."""
    model = Pooled()
    for lonely, expected in ((0, 0), (1, 1)):
        data = [undirected(1, 3, 3, lonely=lonely)]
        explained = with_scores(model, data, [0], uniform(), task="graph")
        (found,) = necessity(explained, model, data, top_k=7)
        assert found.estimate.n == expected
        (kept,) = sufficiency(explained, model, data, top_k=7)
        assert kept.estimate.value == 1, "with all edges nothing has changed"


def test_nothing_selected_is_nothing_removed() -> None:
    data, model = graphs(), Pooled()
    explained = with_scores(model, data, [0, 1, 2], uniform(), task="graph")
    assert necessity(explained, model, data, top_k=0)[0].estimate.value == 0
    assert sufficiency(explained, model, data, top_k=0)[0].estimate.n == 1, "where a node stays"


def test_a_regression_has_no_class_to_keep() -> None:
    data, model = random_graph(), TwoLayers("gin", out=1)
    task = gg.Task("node", mode="regression")
    explained = with_scores(model, data, [0], uniform(), task=task)
    with pytest.raises(TaskError, match="a regression has none"):
        sufficiency(explained, model, data)
    assert robust_fidelity(explained, model, data, samples=2)[0].estimate.n == 1


# Robust fidelity


def number_of(seed: int, index: int, draw: int, ends: tuple[int, int]) -> float:
    """The number of a pair of nodes, by its address."""
    low, high = torch.tensor(min(ends)), torch.tensor(max(ends))
    address = random.hash64(2, low, high)
    return float(random.uniform(seed, torch.tensor(index), torch.tensor(draw), address))


@torch.no_grad()
def test_robust_fidelity_equals_a_loop_over_drawn_graphs() -> None:
    data, model, samples = random_graph(), TwoLayers("gcn"), 3
    explained = with_scores(model, data, [4, 0, 11], uniform())
    found = robust_fidelity(
        explained, model, data, removal="delete", top_k=4, samples=samples, seed=7,
        alpha_plus=0.4, alpha_minus=0.6,
    )  # fmt: skip
    pairs = data.edge_index.t().tolist()
    for i in range(len(explained)):
        local = explained.local(i)

        def f(mask: list[bool], local: gg.LocalExplanation = local) -> float:
            kept = data.edge_index[:, torch.tensor(mask)]
            return float(model(data.x, kept)[local.index].softmax(-1)[local.target])

        best = set(local.edge_id[torch.argsort(-local.edge_score, stable=True)[:4]].tolist())
        before, plus, minus = f([True] * len(pairs)), 0.0, 0.0
        for draw in range(samples):
            u = [number_of(7, local.index, draw, tuple(pair)) for pair in pairs]
            minus += before - f([e in best or u[e] < 0.6 for e in range(len(pairs))])
            u = [number_of(7, local.index, samples + draw, tuple(pair)) for pair in pairs]
            plus += before - f([e not in best or u[e] >= 0.4 for e in range(len(pairs))])
        got = [float(one.values[i]) for one in found]
        assert got[0] == pytest.approx(plus / samples, abs=1e-10)
        assert got[1] == pytest.approx(minus / samples, abs=1e-10)
        assert got[2] == pytest.approx((plus - minus) / samples, abs=1e-10)


@pytest.mark.parametrize("removal", ["shut", "delete", "delete_isolated"])
@pytest.mark.parametrize("level", ["node", "graph"])
def test_with_nothing_random_it_is_fidelity(level: str, removal: Any) -> None:
    """Also of an instance without edges, and of one whose S is all of its edges."""
    data: Any = random_graph() if level == "node" else [*graphs(), undirected(5, 3, 0)]
    model = TwoLayers("gcn") if level == "node" else Pooled()
    explained = with_scores(model, data, [0, 3, 1], uniform(), task=level)
    asked = {"removal": removal, "sparsity": (0.0, 0.4, 1.0)}
    plain = fidelity(explained, model, data, **asked)
    found = robust_fidelity(explained, model, data, alpha_plus=1, alpha_minus=0, **asked)
    known = torch.tensor([bool(explained.local(i).edge_id.numel()) for i in range(3)])
    assert bool(known.all()) is (level == "node")
    for k in range(3):
        plus, minus, delta = (one.values[known] for one in found[3 * k : 3 * k + 3])
        assert torch.equal(plus.nan_to_num(9), plain.plus_prob[k].nan_to_num(9))
        assert torch.equal(minus.nan_to_num(9), plain.minus_prob[k].nan_to_num(9))
        assert torch.equal(delta.nan_to_num(9), (plus - minus).nan_to_num(9))
        assert found[3 * k].level == plain.levels[k]


def test_both_directions_come_or_go_together() -> None:
    data = undirected(3, 11, 17)
    address = pair_address(TypedGraph.read(data))
    by_pair: dict[frozenset[int], set[int]] = {}
    for pair, each in zip(data.edge_index.t().tolist(), address.tolist(), strict=True):
        by_pair.setdefault(frozenset(pair), set()).add(each)
    assert {len(each) for each in by_pair.values()} == {1}
    assert len(set(address.tolist())) == len(by_pair) == 17


@pytest.mark.parametrize("removal", ["shut", "delete"])
def test_an_instance_has_the_same_draws_alone_and_among_others(removal: Any) -> None:
    data, model = random_graph(), TwoLayers("gcn")
    explained = with_scores(model, data, [0, 4, 5, 11], uniform())
    asked = {"removal": removal, "samples": 5, "seed": 3}
    many = robust_fidelity(explained, model, data, **asked)
    for i in range(4):
        alone = robust_fidelity(explained[i : i + 1], model, data, memory_budget=20_000, **asked)
        for one, other in zip(many, alone, strict=True):
            assert float(one.values[i]) == pytest.approx(float(other.values[0]), abs=1e-12)
    other = robust_fidelity(explained, model, data, removal=removal, samples=5, seed=4)
    assert not torch.allclose(many[0].values, other[0].values)


def test_shares_and_samples_are_checked() -> None:
    data, model = random_graph(), TwoLayers("gcn")
    explained = with_scores(model, data, [4], uniform())
    with pytest.raises(UnknownMetricError, match="alpha_minus is a share"):
        robust_fidelity(explained, model, data, alpha_minus=1.5)
    with pytest.raises(UnknownMetricError, match="samples must be at least 1"):
        robust_fidelity(explained, model, data, samples=0)


# Nodes and features


def with_nodes(
    model: nn.Module, data: Any, index: Any, task: str = "node", seed: int = 2
) -> gg.Explanations:
    """Explanations with random node scores."""
    made = gg.Random(model, task, seed=seed).explain(data, index=index)
    return replace(
        made, parts=[replace(part, edge_score=None) for part in made.parts], _where=[], _bounds={}
    )


def free_nodes(local: gg.LocalExplanation, k: int) -> set[int]:
    """The k best nodes, the explained ones left out."""
    order = torch.argsort(-local.node_score, stable=True)
    ids = [n for n in local.node_id[order].tolist() if n not in local.seeds.tolist()]
    return set(ids[:k])


@pytest.mark.parametrize("removal", ["delete", "zero", "mean"])
@torch.no_grad()
def test_removing_nodes_equals_a_loop(removal: Any) -> None:
    data, model = random_graph(), TwoLayers("gcn")
    explained = with_nodes(model, data, [0, 4, 11])
    found = fidelity(explained, model, data, of="node", removal=removal, top_k=[2, 4])
    for i in range(3):
        local = explained.local(i)

        def f(gone: set[int], local: gg.LocalExplanation = local) -> float:
            node = torch.tensor([n not in gone for n in range(data.num_nodes)])
            x, edge_index = data.x, data.edge_index
            if removal == "delete":
                edge_index = edge_index[:, node[edge_index].all(dim=0)]
            else:
                base = data.x.mean(0) if removal == "mean" else 0 * data.x[0]
                x = torch.where(node.view(-1, 1), x, base)
            return float(model(x, edge_index)[local.index].softmax(-1)[local.target])

        for k, size in enumerate((2, 4)):
            best = free_nodes(local, size)
            rest = set(range(data.num_nodes)) - best - {local.index}
            assert float(found.plus_prob[k, i]) == pytest.approx(f(set()) - f(best), abs=1e-10)
            assert float(found.minus_prob[k, i]) == pytest.approx(f(set()) - f(rest), abs=1e-10)


@torch.no_grad()
def test_deleting_nodes_of_pooled_graphs_changes_what_is_pooled() -> None:
    data, model = graphs(), Pooled()
    explained = with_nodes(model, data, [2, 0], "graph")
    found = fidelity(explained, model, data, of="node", removal="delete", top_k=[3])
    for i, number in enumerate((2, 0)):
        local, graph = explained.local(i), data[number]
        gone = free_nodes(local, 3)
        kept = torch.tensor([n not in gone for n in range(graph.num_nodes)])
        place, inside = kept.cumsum(0) - 1, kept[graph.edge_index].all(dim=0)

        def f(x: Tensor, edges: Tensor, target: Any = local.target) -> float:
            batch = torch.zeros(x.size(0), dtype=torch.long)
            return float(model(x, edges, batch).softmax(-1)[0, target])

        after = f(graph.x[kept], place[graph.edge_index[:, inside]])
        assert float(found.plus_prob[0, i]) == pytest.approx(
            f(graph.x, graph.edge_index) - after, abs=1e-10
        )
    everything = fidelity(explained, model, data, of="node", removal="delete", top_k=[99])
    assert bool(everything.plus_prob.isnan().all()), "an empty graph has no prediction"
    assert float(everything.minus_prob.abs().max()) < 1e-12


@torch.no_grad()
def test_nodes_that_are_shut_send_and_receive_nothing() -> None:
    """With sums, that is deleting their edges."""
    data, model = random_graph(), TwoLayers("gin")
    explained = with_nodes(model, data, [0, 4])
    shut = fidelity(explained, model, data, of="node", top_k=3)
    gone = fidelity(explained, model, data, of="node", removal="delete", top_k=3)
    assert shut.removal == "shut"
    assert torch.allclose(shut.plus_prob, gone.plus_prob, atol=1e-10)
    assert float(gone.plus_prob.abs().max()) > 0.01


@pytest.mark.parametrize("black_box", [False, True])
@torch.no_grad()
def test_removing_features_equals_a_loop(black_box: bool) -> None:
    data, model = random_graph(), TwoLayers("gcn")
    explained = gg.IntegratedGradients(model, "node", progress=False).explain(data, index=[0, 4])
    asked: Any = (lambda x, edge_index: model(x, edge_index)) if black_box else model
    for removal in ("zero", "mean"):
        found = fidelity(explained, asked, data, of="feature", removal=removal, top_k=6)
        base = data.x.mean(0) if removal == "mean" else 0 * data.x[0]
        for i in range(2):
            local = explained.local(i)
            score = torch.full_like(data.x, -torch.inf)
            score[local.node_id] = local.feature_score.double()
            best = torch.zeros(score.numel(), dtype=torch.bool)
            best[score.flatten().argsort(descending=True, stable=True)[:6]] = True
            best = best.view_as(score)

            def f(x: Tensor, local: gg.LocalExplanation = local) -> float:
                return float(model(x, data.edge_index)[local.index].softmax(-1)[local.target])

            before = f(data.x)
            without, alone = torch.where(best, base, data.x), torch.where(best, data.x, base)
            assert float(found.plus_prob[0, i]) == pytest.approx(before - f(without), abs=1e-10)
            assert float(found.minus_prob[0, i]) == pytest.approx(before - f(alone), abs=1e-10)


def test_what_has_no_feature_scores_or_no_floats_is_named() -> None:
    data, model = random_graph(), TwoLayers("gcn")
    explained = with_scores(model, data, [4], uniform())
    with pytest.raises(UnknownMetricError, match="needs scores of the 5 features"):
        fidelity(explained, model, data, of="feature")
    with pytest.raises(UnknownMetricError, match="'zero' or 'mean'; got 'shut'"):
        fidelity(explained, model, data, of="feature", removal="shut")
    with pytest.raises(UnknownMetricError, match="of must be"):
        fidelity(explained, model, data, of="layer")  # type: ignore[arg-type]

    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.conv = nn.Embedding(5, 3), GCNConv(3, 2)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.conv(self.table(x.view(-1)), edge_index)

    words = Data(x=torch.arange(5).view(-1, 1), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
    explained = with_nodes(Words(), words, [3])
    with pytest.raises(UnsupportedModelError, match="takes floating numbers"):
        fidelity(explained, Words(), words, of="node", removal="zero")


@pytest.mark.parametrize(
    ("of", "removal"),
    [("node", "delete"), ("node", "shut"), ("feature", "zero"), ("edge", "delete_isolated")],
)
def test_batching_changes_nothing(of: Any, removal: Any) -> None:
    data, model = graphs(), Pooled()
    explained = gg.IntegratedGradients(model, "graph", progress=False).explain(data)
    asked = {"of": of, "removal": removal, "sparsity": (0.2, 0.6)}
    many = fidelity(explained, model, data, **asked)
    for i in range(3):
        alone = fidelity(explained[i : i + 1], model, data, memory_budget=5_000, **asked)
        assert torch.allclose(alone.plus_prob[:, 0], many.plus_prob[:, i], atol=1e-12)
        assert torch.allclose(alone.minus_prob[:, 0], many.minus_prob[:, i], atol=1e-12)


# Several types, rows, links


def typed() -> HeteroData:
    generator = torch.Generator().manual_seed(6)
    data = HeteroData()
    data["author"].x = torch.randn(5, 2, generator=generator).double()
    data["paper"].x = torch.randn(3, 3, generator=generator).double()
    data["author", "writes", "paper"].edge_index = torch.tensor([[0, 1, 2, 4], [0, 0, 1, 0]])
    data["author", "reads", "paper"].edge_index = torch.tensor([[3, 2, 0], [0, 0, 2]])
    data["paper"].y = torch.tensor([0, 1, 2])
    return data


@torch.no_grad()
def test_nodes_of_several_types_are_found_by_their_type() -> None:
    data, model = typed(), TwoRelations()
    explained = with_nodes(model, data, [0])
    local = explained.local(0)
    assert set(local.node_type or []) == {"author", "paper"}
    names = zip(local.node_type or [], local.node_id.tolist(), local.node_score, strict=True)
    best = max((s, n) for t, n, s in names if t == "author")[1]
    for removal in ("delete", "shut", "zero"):
        found = fidelity(explained, model, data, of="node", removal=removal, top_k=1)  # type: ignore[arg-type]
        x = dict(data.x_dict)
        edges = dict(data.edge_index_dict)
        if removal == "zero":
            x["author"] = x["author"] * (torch.arange(5) != best).view(-1, 1)
        else:
            edges = {key: ends[:, ends[0] != best] for key, ends in edges.items()}
        before = model(data.x_dict, data.edge_index_dict)[0].softmax(-1)[local.target]
        after = model(x, edges)[0].softmax(-1)[local.target]
        assert float(found.plus_prob) == pytest.approx(float(before - after), abs=1e-10)
        assert abs(float(found.plus_prob)) > 1e-6


@pytest.mark.parametrize("removal", ["shut", "delete"])
def test_edges_of_several_types_are_drawn_and_searched(removal: Any) -> None:
    data, model = typed(), TwoRelations()
    explained = with_scores(model, data, [0, 2], uniform())
    plain = fidelity(explained, model, data, removal=removal, top_k=2)
    asked = {"removal": removal, "top_k": 2}
    found = robust_fidelity(explained, model, data, alpha_plus=1, alpha_minus=0, **asked)
    assert torch.equal(found[0].values, plain.plus_prob[0])
    search = greedy_scores(explained, model, data, "fidelity_plus", removal=removal)
    best = fidelity(search, model, data, removal=removal, top_k=1).plus_prob[0, 0]
    ones = [
        with_scores(model, data, [0], lambda local, e=e: torch.arange(5) == e) for e in range(5)
    ]
    every = [fidelity(one, model, data, removal=removal, top_k=1).plus_prob for one in ones]
    assert float(best) == pytest.approx(float(torch.stack(every).max()), abs=1e-12)


@torch.no_grad()
def test_links_keep_their_ends() -> None:
    data, model = random_graph(), Links()
    data.edge_label_index = torch.tensor([[0, 3, 7], [9, 2, 1]])
    task = gg.Task("edge", mode="binary_classification")
    made = gg.Random(model, task).explain(data, index=[2])
    explained = replace(
        made, parts=[replace(part, edge_score=None) for part in made.parts], _where=[], _bounds={}
    )
    found = fidelity(explained, model, data, of="node", removal="delete", top_k=99)
    local = explained.local(0)
    sign = 1 if local.target == 1 else -1

    def f(nodes: Tensor) -> float:
        inside = data.edge_index[:, torch.isin(data.edge_index, nodes).all(dim=0)]
        return float((sign * model(data.x, inside, data.edge_label_index[:, [2]])).sigmoid())

    before = f(torch.arange(data.num_nodes))
    assert float(found.plus_prob) == pytest.approx(
        before - f(torch.cat([local.seeds, outside(local)])), abs=1e-10
    )
    assert float(found.minus_prob) == pytest.approx(before - f(local.node_id), abs=1e-10)


def outside(local: gg.LocalExplanation) -> Tensor:
    """Nodes beyond the receptive field, which count for degrees alone."""
    return torch.tensor([n for n in range(13) if n not in local.node_id.tolist()]).long()


@pytest.mark.parametrize("removal", ["delete", "shut", "zero"])
def test_a_row_keeps_its_own_node_and_no_other(removal: Any) -> None:
    """Two rows of one graph: what stays of the one is not what stays of the other."""
    data, model = [undirected(1, 7, 9)], TwoLayers("gin")
    task = gg.Task("graph", rows="nodes")
    made = gg.Random(model, task).explain(data, index=[(0, 2), (0, 5)])
    explained = replace(
        made, parts=[replace(part, edge_score=None) for part in made.parts], _where=[], _bounds={}
    )
    many = fidelity(explained, model, data, of="node", removal=removal, top_k=[4, 6])
    for i in range(2):
        alone = fidelity(
            explained[i : i + 1], model, data, of="node", removal=removal, top_k=[4, 6]
        )
        assert torch.allclose(alone.plus_prob[:, 0], many.plus_prob[:, i], atol=1e-12)
        assert torch.allclose(alone.minus_prob[1], torch.zeros(1).double(), atol=1e-12)


def test_many_states_share_a_few_passes() -> None:
    """50 draws at three levels, twice: 300 states of each of 3 graphs."""
    data, model = graphs(), Pooled()
    explained = with_scores(model, data, [0, 1, 2], uniform(), task="graph")
    for removal in ("shut", "delete_isolated"):
        calls: list[int] = []
        handle = model.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        robust_fidelity(explained, model, data, removal=removal)  # type: ignore[arg-type]
        handle.remove()
        assert len(calls) < 40
