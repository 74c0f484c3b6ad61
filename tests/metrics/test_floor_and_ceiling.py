"""Chance, searches for a metric, and the area of deletion: on models whose answers are known."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.errors import TaskError, UnknownMetricError
from glassgraph.metrics import (
    Measured,
    best_of,
    deletion_area,
    fidelity,
    greedy_scores,
    necessity,
    random_scores,
    robust_fidelity,
    sufficiency,
)
from tests.metrics.scenes import Sum, TwoLayers, random_graph, uniform, with_scores
from tests.metrics.test_removal_metrics import Pooled, best_pairs, class_on, graphs, undirected


class Planted(nn.Module):
    """The logit of class 1 of a node: the sum of what its senders say."""

    def __init__(self) -> None:
        super().__init__()
        self.sum = Sum()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        said = self.sum(x, edge_index)
        return torch.cat([0 * said, said], dim=1)


def planted() -> Data:
    """Node 0 hears 1.5 from each of 1 and 2, and next to nothing from 3 to 9."""
    x = torch.tensor([0, 1.5, 1.5, *[0.01] * 7]).double().view(-1, 1)
    edge_index = torch.stack([torch.arange(1, 10), torch.zeros(9, dtype=torch.long)])
    return Data(x=x, edge_index=edge_index)


def truth(local: gg.LocalExplanation) -> Tensor:
    return (local.edge_id < 2).double()


def planted_explanations() -> dict[str, gg.Explanations]:
    data, model = planted(), Planted()
    right = with_scores(model, data, [0], truth)
    return {
        "truth": right,
        "inverse": with_scores(model, data, [0], lambda local: -truth(local)),
        "random": random_scores(right, seed=2),
    }


# Ranks of truth, inverse and random


@pytest.mark.parametrize("removal", ["shut", "delete"])
def test_the_truth_comes_first_and_its_inverse_last(removal: Any) -> None:
    data, model, found = planted(), Planted(), {}
    for name, explained in planted_explanations().items():
        (area,) = deletion_area(explained, model, data, removal=removal, draws=50)
        robust = robust_fidelity(explained, model, data, removal=removal, top_k=2)[2]
        plain = fidelity(explained, model, data, removal=removal, top_k=2).measured()
        found[name] = [
            area.estimate.value,
            robust.estimate.value,
            plain[0].estimate.value,
            -plain[1].estimate.value,
        ]
    for best, worst, between in zip(found["truth"], found["inverse"], found["random"], strict=True):
        assert best > between + 0.01
        assert between >= worst
    assert found["truth"][0] > 0 > found["inverse"][0]


def test_the_area_by_hand() -> None:
    """Three edges that say 2, 0 and 0: random orders lose the first at place 1, 2 or 3."""
    x = torch.tensor([[0.0], [2.0], [0.0], [0.0]]).double()
    data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
    explained = with_scores(Planted(), data, [0], lambda local: (local.edge_id == 0).double())
    high, low = torch.tensor([2.0, 0.0]).sigmoid().tolist()
    (found,) = deletion_area(explained, Planted(), data, steps=3, draws=600, seed=1)
    # After one removal the random curve stands at 2/3, after two at 1/3 of the way.
    expected = (high - low) * (2 / 3 + 1 / 3) / 3
    assert found.estimate.value == pytest.approx(expected, abs=0.015)
    assert found.better == "higher"


def test_random_scores_have_no_area_and_random_draws_do_not_depend_on_company() -> None:
    data, model = random_graph(), TwoLayers("gcn")
    explained = with_scores(model, data, list(range(13)), uniform())
    (found,) = deletion_area(random_scores(explained, 5), model, data, draws=20)
    assert found.estimate.low < 0 < found.estimate.high
    for i in (0, 7):
        one = with_scores(model, data, list(range(13)), uniform())[i : i + 1]
        (alone,) = deletion_area(random_scores(one, 5), model, data, draws=20)
        expected = found.values[i]
        assert float(alone.values[0].nan_to_num(9)) == pytest.approx(
            float(expected.nan_to_num(9)), abs=1e-12
        )


def test_an_instance_without_edges_has_no_number() -> None:
    data, model = planted(), Planted()
    explained = with_scores(model, data, [3, 0], truth)
    (found,) = deletion_area(explained, model, data)
    assert found.values.isnan().tolist() == [True, False]
    assert found.estimate.n == 1
    assert len(greedy_scores(explained, model, data, "fidelity_plus")) == 2


# Chance


def test_random_scores_keep_everything_but_scores() -> None:
    data, model = random_graph(), TwoLayers("gcn")
    made = gg.IntegratedGradients(model, "node", progress=False).explain(data, index=[4, 0, 11])
    drawn, again, other = (random_scores(made, seed) for seed in (1, 1, 2))
    for i in range(3):
        old, new = made.local(i), drawn.local(i)
        assert (old.index, old.target) == (new.index, new.target)
        assert torch.equal(old.edge_id, new.edge_id)
        for name in ("edge_score", "layer_edge_score", "node_score", "feature_score"):
            before, after = getattr(old, name), getattr(new, name)
            assert (before is None) == (after is None)
            if after is not None:
                assert before.shape == after.shape
                assert 0 < float(after.min()) < float(after.max()) < 1
                assert torch.equal(after, getattr(again.local(i), name))
                assert not torch.equal(after, getattr(other.local(i), name))
        alone = random_scores(made[i : i + 1], 1).local(0)
        assert torch.equal(alone.feature_score, new.feature_score)
    assert drawn.method == drawn.provenance["method"] == "random"
    assert drawn.threshold is None


def test_random_scores_in_pairs_and_of_heterogeneous_padding() -> None:
    data, model = undirected(3, 11, 17), TwoLayers("gin")
    explained = with_scores(model, data, [0], uniform())
    local = random_scores(explained, 3, in_pairs=True).local(0)
    by_pair: dict[frozenset[int], set[float]] = {}
    ends = local.node_id[local.edge_index].t().tolist()
    for pair, score in zip(ends, local.edge_score.tolist(), strict=True):
        by_pair.setdefault(frozenset(pair), set()).add(score)
    assert {len(each) for each in by_pair.values()} == {1}
    assert len({score for each in by_pair.values() for score in each}) == len(by_pair)


# Ceilings


def all_values(explained: gg.Explanations, i: int, graph: Data, k: int, model: nn.Module) -> Any:
    """For every set of k pairs: whether the class stays with it alone, and changes without it."""
    local = explained.local(i)
    pairs = [frozenset(pair) for pair in graph.edge_index.t().tolist()]
    units = sorted(set(pairs), key=sorted)
    for chosen in itertools.combinations(units, min(k, len(units))):
        alone = class_on(model, graph, [pair in chosen for pair in pairs], lone=False)
        without = class_on(model, graph, [pair not in chosen for pair in pairs], lone=False)
        yield alone == local.target, without is not None and without != local.target


@pytest.mark.parametrize("k", [1, 2, 3])
@torch.no_grad()
def test_a_ceiling_is_no_more_than_the_optimum_and_reaches_it_with_one_pair(k: int) -> None:
    data, model = [*graphs()[:2], undirected(8, 5, 7)], Pooled("max")
    explained = with_scores(model, data, [0, 1, 2], uniform(), task="graph")
    for at, (metric, ask) in enumerate((("sufficiency", sufficiency), ("necessity", necessity))):
        search = greedy_scores(explained, model, data, metric)  # type: ignore[arg-type]
        (found,) = ask(search, model, data, top_k=k)
        (chance,) = ask(random_scores(explained, 3, in_pairs=True), model, data, top_k=k)
        for i in range(3):
            optimum = max(each[at] for each in all_values(explained, i, data[i], k, model))
            got = float(found.values[i].nan_to_num(0))
            assert got <= optimum
            if k == 1:
                assert got == optimum
        assert found.estimate.value >= chance.estimate.value - 1e-12


@pytest.mark.parametrize("metric", ["fidelity_plus", "fidelity_minus", "robust_fidelity_delta"])
def test_where_edges_add_up_the_search_finds_the_best_order(metric: Any) -> None:
    """Logits are sums of what senders say; one of them says no."""
    x = torch.tensor([0, 0.3, 2.0, -1.0, 0.7, 1.1]).double().view(-1, 1)
    edge_index = torch.stack([torch.arange(1, 6), torch.zeros(5, dtype=torch.long)])
    data = Data(x=x, edge_index=edge_index)
    explained = with_scores(Planted(), data, [0], uniform())
    found = greedy_scores(explained, Planted(), data, metric, samples=200)
    order = torch.argsort(-found.local(0).edge_score).tolist()
    assert [found.local(0).edge_id[e] for e in order] == [1, 4, 3, 0, 2]
    assert found.method == f"greedy_{metric}"
    # Bounded: two steps, the rest by what they do alone, which is the same here.
    short = greedy_scores(explained, Planted(), data, metric, samples=200, steps=2, candidates=3)
    assert torch.argsort(-short.local(0).edge_score).tolist() == order
    assert bool((short.local(0).edge_score[order[:2]] > 1).all())
    assert bool((short.local(0).edge_score[order[2:]] < 1).all())


@torch.no_grad()
def test_a_search_is_the_greedy_loop() -> None:
    """Forward addition of directed edges for f(S), on a model where edges do not add up."""
    data, model = random_graph(), TwoLayers("gcn")
    explained = with_scores(model, data, [4, 0], uniform())
    found = greedy_scores(explained, model, data, "fidelity_minus", removal="delete", steps=3)
    for i in range(2):
        local = found.local(i)
        chosen: list[int] = []
        for _ in range(3):

            def f(more: int, local: gg.LocalExplanation = local, so_far: Any = chosen) -> float:
                kept = torch.zeros(data.edge_index.size(1), dtype=torch.bool)
                kept[[*so_far, more]] = True
                out = model(data.x, data.edge_index[:, kept])[local.index]
                return float(out.softmax(-1)[local.target])

            chosen.append(max((e for e in local.edge_id.tolist() if e not in chosen), key=f))
        best = torch.argsort(-local.edge_score, stable=True)[:3]
        assert local.edge_id[best].tolist() == chosen
    alone = greedy_scores(explained[1:], model, data, "fidelity_minus", removal="delete", steps=3)
    assert torch.equal(alone.local(0).edge_score, found.local(1).edge_score)


def test_a_search_beats_what_it_searches_for() -> None:
    data, model = random_graph(), TwoLayers("gat")
    explained = with_scores(model, data, [0, 4, 5, 11], uniform())
    asked: dict[str, Any] = {"top_k": 3, "samples": 20, "seed": 0}
    search = greedy_scores(explained, model, data, "robust_fidelity_delta", samples=20, seed=0)
    best = robust_fidelity(search, model, data, **asked)[2]
    for seed in range(3):
        chance = robust_fidelity(random_scores(explained, seed), model, data, **asked)[2]
        assert best.estimate.value > chance.estimate.value
    beside = best.beside(floor=chance, ceiling=best)
    assert beside.normalized == 1


def test_both_directions_of_a_pair_are_added_together() -> None:
    data, model = graphs(), Pooled()
    explained = with_scores(model, data, [0, 2], uniform(), task="graph")
    local = greedy_scores(explained, model, data, "sufficiency").local(0)
    assert len(best_pairs(local, 4)) == 4
    by_pair: dict[frozenset[int], set[float]] = {}
    ends = local.node_id[local.edge_index].t().tolist()
    for pair, score in zip(ends, local.edge_score.tolist(), strict=True):
        by_pair.setdefault(frozenset(pair), set()).add(score)
    assert {len(each) for each in by_pair.values()} == {1}


def test_a_black_box_is_searched_by_deletion() -> None:
    data, model = random_graph(), TwoLayers("gin")
    explained = with_scores(model, data, [4, 0], uniform())

    def called(x: Tensor, edge_index: Tensor) -> Tensor:
        return model(x, edge_index)

    one = greedy_scores(explained, called, data, "fidelity_plus", removal="delete", steps=2)
    other = greedy_scores(explained, model, data, "fidelity_plus", removal="delete", steps=2)
    assert torch.equal(one.local(0).edge_score, other.local(0).edge_score)


def test_mistakes_are_named() -> None:
    data, model = random_graph(), TwoLayers("gcn")
    explained = with_scores(model, data, [4], uniform())
    with pytest.raises(UnknownMetricError, match="a search is there for 'sufficiency'"):
        greedy_scores(explained, model, data, "sparsity")  # type: ignore[arg-type]
    with pytest.raises(UnknownMetricError, match="candidates must be at least 1"):
        greedy_scores(explained, model, data, "necessity", candidates=0)
    with pytest.raises(UnknownMetricError, match="draws must be at least 1"):
        deletion_area(explained, model, data, draws=0)
    task = gg.Task("node", mode="regression")
    model = TwoLayers("gin", out=1)
    explained = with_scores(model, data, [4], uniform(), task=task)
    with pytest.raises(TaskError, match="a regression has none"):
        greedy_scores(explained, model, data, "sufficiency")
    assert len(greedy_scores(explained, model, data, "fidelity_plus", steps=1)) == 1


def only(edge: int, local: gg.LocalExplanation) -> Tensor:
    return torch.arange(local.edge_id.numel()) == edge


def test_without_steps_edges_are_ordered_by_what_each_costs() -> None:
    model, data = TwoLayers("gin").eval(), random_graph()
    found = gg.Occlusion(model, "node", progress=False).explain(data, [2, 5])
    order = greedy_scores(found, model, data, "fidelity_plus", task=gg.Task("node"), steps=0)
    for number in range(2):
        local, drop = order.local(number), []
        for edge in range(local.edge_id.numel()):
            one = with_scores(
                model, data, [2, 5], lambda each, e=edge: torch.arange(len(each.edge_id)) == e
            )
            drop.append(float(fidelity(one, model, data, top_k=1).plus_prob[0, number]))
        ranked = torch.tensor(drop)[torch.argsort(local.edge_score, descending=True)]
        assert bool((ranked.diff() <= 1e-12).all())


def test_the_better_search_counts_instance_by_instance() -> None:
    nan = float("nan")
    one = Measured.of("m", "a", torch.tensor([0.2, 0.9, nan, nan]).double(), level="0.7")
    other = Measured.of("m", "b", torch.tensor([0.5, 0.1, 0.3, nan]).double(), level="0.7")
    for better, expected in (("higher", [0.5, 0.9, 0.3]), ("lower", [0.2, 0.1, 0.3])):
        found = best_of([dataclasses.replace(each, better=better) for each in (one, other)])
        assert found.values[:3].tolist() == pytest.approx(expected)
        assert bool(found.values[3].isnan())
        assert found.estimate.n == 3
    signed = [
        dataclasses.replace(each, better="zero", values=-each.values) for each in (one, other)
    ]
    assert best_of(signed).values[:3].tolist() == pytest.approx([-0.2, -0.1, -0.3])
    for wrong in ([], [one, dataclasses.replace(other, level="0.9")]):
        with pytest.raises(UnknownMetricError, match="one metric at one level"):
            best_of(wrong)
