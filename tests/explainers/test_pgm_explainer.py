"""PGM-Explainer: tests and blankets against scipy and loops, the method sample by sample."""

from __future__ import annotations

import itertools
import sys
import warnings
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.core import random
from glassgraph.errors import HyperParameterError, MissingExtraError, UnsupportedModelError
from glassgraph.explainers.surrogate.graphical_model.independence import independence_tests
from glassgraph.explainers.surrogate.graphical_model.markov_blanket import markov_blankets
from glassgraph.explainers.surrogate.graphical_model.network import learn_edges
from glassgraph.testing.cases import Case
from glassgraph.testing.compare import expect_same, scores
from tests.explainers.opaque import Opaque
from tests.laws import literal

# Chi-square


def scipy_test(one: list[int], other: list[int], given: list[Any]) -> tuple[float, int, float]:
    """Statistic, degrees of freedom and p, one stratum after the other."""
    statistic, dof = 0.0, 0
    for stratum in sorted(set(given)):
        rows = [k for k, each in enumerate(given) if each == stratum]
        table = stats.contingency.crosstab([one[k] for k in rows], [other[k] for k in rows])
        found = stats.chi2_contingency(table.count, correction=False)
        statistic, dof = statistic + found.statistic, dof + found.dof
    return statistic, dof, float(stats.chi2.sf(statistic, dof)) if dof else 1.0


def test_a_table_by_hand() -> None:
    # 30 and 10 against 10 and 30: all of E is 20, so chi2 = 4 * 100 / 20.
    one = torch.tensor([[0] * 40 + [1] * 40])
    other = torch.tensor([[0] * 30 + [1] * 10 + [0] * 10 + [1] * 30])
    found = independence_tests(one, other)
    assert found.statistic.item() == 20
    assert found.dof.item() == 1
    assert found.p.item() == pytest.approx(stats.chi2.sf(20, 1), rel=1e-12)


@pytest.mark.parametrize("num_strata", [1, 5])
def test_many_tables_are_those_of_scipy(num_strata: int) -> None:
    generator = torch.Generator().manual_seed(1)
    one = torch.randint(4, (17, 61), generator=generator)
    other = torch.where(torch.rand(17, 61, generator=generator) < 0.4, one, 3 - one).clamp_max(2)
    one[3], other[4], one[5] = 2, 0, one[5] % 2  # nothing varies, nothing varies, two values
    stratum = torch.randint(num_strata, (17, 61), generator=generator)
    found = independence_tests(one.to(torch.int8), other, None if num_strata == 1 else stratum)
    for k in range(17):
        expected = scipy_test(one[k].tolist(), other[k].tolist(), stratum[k].tolist())
        assert found.statistic[k].item() == pytest.approx(expected[0], rel=1e-12)
        assert found.dof[k].item() == expected[1]
        assert found.p[k].item() == pytest.approx(expected[2], rel=1e-9)
    assert found.p[3] == found.p[4] == 1


def test_surprise_tells_apart_what_confidence_ties() -> None:
    code = torch.tensor([[0, 1] * 200, [0, 1] * 150 + [0, 0] * 50])
    found = independence_tests(code, torch.tensor([[0, 1] * 200]).expand(2, -1))
    assert (1 - found.p).tolist() == [1, 1]
    assert found.surprise[0] > found.surprise[1] > 16


# Markov blankets


def loop_blanket(
    code: list[list[int]], target: list[int], order: list[int], alpha: float
) -> set[int]:
    def is_dependent(j: int, given: list[int]) -> bool:
        labels = [tuple(code[i][r] for i in given) for r in range(len(target))]
        return scipy_test(code[j], target, labels)[2] < alpha

    blanket: list[int] = []
    while True:
        more = [j for j in order if j not in blanket and is_dependent(j, blanket)]
        if not more:
            break
        blanket.append(more[0])
    has_changed = True
    while has_changed:
        has_changed = False
        for j in sorted(blanket, key=order.index, reverse=True):
            if not is_dependent(j, [i for i in blanket if i != j]):
                blanket.remove(j)
                has_changed = True
    return set(blanket)


def test_blankets_are_those_of_the_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes, samples, alpha = [5, 0, 7], 301, 0.05
    owner = torch.repeat_interleave(torch.arange(3), torch.tensor(sizes))
    code = torch.randint(4, (12, samples), generator=generator)
    noise = torch.rand(12, samples, generator=generator)
    code[1] = torch.where(noise[1] < 0.8, code[0], code[1])  # speaks through its parent alone
    code[9] = torch.where(noise[9] < 0.7, code[8], code[9])
    target = torch.randint(2, (3, samples), generator=generator)
    target[0] = ((code[0] + code[3] // 2 + (noise[0] < 0.1)) > 2).long()
    target[2] = (code[8] > 1).long() ^ (noise[2] < 0.1).long()
    p = independence_tests(code, target[owner]).p
    rank = torch.empty(12, dtype=torch.long)
    for number in range(3):
        own = (owner == number).nonzero().view(-1)
        rank[own[p[own].argsort()]] = torch.arange(own.numel())
    found = markov_blankets(code, owner, target, rank, alpha)
    for number in (0, 2):
        own = (owner == number).nonzero().view(-1)
        expected = loop_blanket(
            code[own].tolist(), target[number].tolist(), rank[own].argsort().tolist(), alpha
        )
        assert set(found[own].nonzero().view(-1).tolist()) == expected
    assert found[0]
    assert found[8]
    assert p[1] < 1e-9  # dependent by itself
    assert not found[1]  # and not given the others


def test_growing_needs_both_of_an_exclusive_or() -> None:
    """Alone neither tells anything; one is in by a hair, then the other is certain."""
    grid = list(itertools.product((0, 1), (0, 1))) * 50
    code = torch.tensor(grid).t().clone()
    target = (code[0] ^ code[1]).view(1, -1).clone()
    target[0, :20] = code[0, :20]
    code = torch.cat([code, (torch.arange(200) // 4 % 2).view(1, -1)])
    found = markov_blankets(code, torch.zeros(3).long(), target, torch.tensor([0, 1, 2]), 0.3)
    assert found.tolist() == [True, True, False]


# The method, sample by sample


def draws(seed: int, key: int, node: int, samples: int, width: int, stream: int) -> Any:
    """Coins ``[R]`` and bits ``[R, F]`` of one node."""
    own = random.hash64(1, torch.tensor(node))
    address = random.hash64(seed, torch.tensor(key), own, stream)
    sample = torch.arange(samples)
    word = random.hash64(2, address, sample)
    word = random.hash64(2, address, sample.view(-1, 1), torch.zeros(1).long())
    bits = torch.stack([(word[:, 0] >> f) & 1 for f in range(width)], dim=1)
    return random.uniform(1, address, sample) < 0.5, bits


def perturbed(x: Tensor, mode: str, flags: Tensor, bits: Tensor, sample: int) -> Tensor:
    changed = x.clone()
    for node in range(x.size(0)):
        if flags[node, sample]:
            changed[node] = {
                "randint": bits[node, sample].to(x.dtype),
                "zero": torch.zeros_like(x[0]),
                "mean": x.mean(dim=0),
            }[mode]
    return changed


@pytest.mark.parametrize("influence", [True, False])
def test_nodes_are_explained_as_the_loop_explains_them(influence: bool) -> None:
    case, samples, seed = Case("gin", "node"), 37, 3
    model, data = case.model(), case.data()
    settings = {"min_drop": 0.02, "num_samples": samples, "influence": influence}
    explainer = gg.PGMExplainer(model, case.task(), seed=seed, progress=False, **settings)
    for explanation in explainer.explain(data, case.index):
        local = explanation.local
        drawn = [draws(seed, 0, n, samples, 5, 0) for n in range(data.num_nodes)]
        flags, bits = (torch.stack(each) for each in zip(*drawn, strict=True))
        at = local.index
        with torch.no_grad():
            before = literal.predict_one(model, case, data).softmax(-1)
            after = [
                literal.predict_one(
                    model, case, data, perturbed(data.x, "randint", flags, bits, sample)
                ).softmax(-1)
                for sample in range(samples)
            ]
        for row, node in enumerate(local.node_id.tolist()):

            def falls(j: int, before=before, after=after) -> list[int]:
                c = int(before[j].argmax())
                return [int(before[j, c] - each[j, c] > 0.02) for each in after]

            coins = flags[node].int().tolist()
            if node == at:
                one, other = coins, falls(at)
            elif influence:
                one = [2 * s + i for s, i in zip(coins, falls(node), strict=True)]
                other = [
                    2 * s + i for s, i in zip(flags[at].int().tolist(), falls(at), strict=True)
                ]
            else:
                one, other = coins, falls(at)
            statistic, dof, p = scipy_test(one, other, [0] * samples)
            table = local.tables["nodes"]
            assert table["chi2"][row].item() == pytest.approx(statistic, rel=1e-9)
            assert table["dof"][row].item() == dof
            expected = -torch.tensor(p).double().log10().item()
            if node == at:
                senders = data.edge_index[0, data.edge_index[1] == at]
                expected = max(expected, explanation.node_score[senders].max().item())
            assert local.node_score[row].item() == pytest.approx(expected, rel=1e-6, abs=1e-7)
        assert (local.tables["nodes"]["dependent"] == (local.tables["nodes"]["p"] < 0.05)).all()


@pytest.mark.parametrize("mode", ["zero", "mean", "randint"])
def test_graphs_have_two_rounds(mode: str) -> None:
    case, samples, seed, top = Case("gcn", "graph"), 48, 4, 1
    model, graphs = case.model(), list(case.data())
    explainer = gg.PGMExplainer(
        model, case.task(), seed=seed, progress=False, num_samples=samples, top=top,
        perturbation=mode, score="confidence",
    )  # fmt: skip
    for explanation in explainer.explain(graphs, case.index):
        data, local = graphs[explanation.local.index], explanation.local
        nodes = range(data.num_nodes)

        def tested(count: int, stream: int, allowed: Any, data=data, local=local) -> list[float]:
            drawn = [draws(seed, local.index, n, count, 5, stream) for n in range(data.num_nodes)]
            flags, bits = (torch.stack(each) for each in zip(*drawn, strict=True))
            flags[[n for n in range(data.num_nodes) if n not in allowed]] = False
            drops = []
            with torch.no_grad():
                before = literal.predict_one(model, case, data).softmax(-1)[0]
                for sample in range(count):
                    x = perturbed(data.x, mode, flags, bits, sample)
                    after = literal.predict_one(model, case, data, x).softmax(-1)[0]
                    drops.append(float((before - after)[local.target]))
            border = max(sorted(drops)[-(count // 8)], 1e-12)
            has_changed = [int(drop >= border - 1e-12) for drop in drops]
            return [
                scipy_test(flags[n].int().tolist(), has_changed, [0] * count)[2]
                for n in range(data.num_nodes)
            ]

        first = tested(samples // 2, 1, set(nodes))
        fifth = sorted(first)[4 * top] if data.num_nodes > 4 * top else 1.0
        assert fifth > sorted(first)[4 * top - 1]  # no ties, or a hash decides
        candidates = {n for n in nodes if first[n] < fifth}
        second = tested(samples, 0, candidates)
        expected = 1 - torch.tensor(second).double()
        assert torch.allclose(local.node_score, expected, atol=1e-9)
        assert local.tables["nodes"]["dependent"].sum() <= top


def test_links_are_explained() -> None:
    """A link scores what its one end gets from node 2; node 4 has nothing to say."""

    class Dot(nn.Module):
        def forward(self, x: Tensor, edge_index: Tensor, edge_label_index: Tensor) -> Tensor:
            h = torch.zeros_like(x).index_add(0, edge_index[1], x[edge_index[0]])
            return h[edge_label_index[0]]

    data = Data(
        x=torch.tensor([[0.1], [0.1], [3.0], [0.1], [0.1]]),
        edge_index=torch.tensor([[2, 4, 3], [0, 1, 2]]),
        edge_label_index=torch.tensor([[0], [1]]),
    )
    explainer = gg.PGMExplainer(
        Dot(), "edge", mode="binary_classification", perturbation="zero", network=True,
        progress=False,
    )  # fmt: skip
    explanation = explainer.explain(data)[0]
    frame = explainer.explain(data).table("nodes").set_index("node")
    assert frame.index[frame.in_blanket].tolist() == [2]
    assert explanation.node_score.argmax() == 2
    assert (explanation.node_score[[0, 1, 3, 4]] < 2).all()
    network = explainer.explain(data).table("network")
    assert network[["parent", "child"]].values.tolist() == [[2, -1]]


# Networks


def test_hill_climbing_finds_a_chain() -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(2, (400,), generator=generator)
    flips = torch.rand(2, 400, generator=generator) < 0.1
    second = first ^ flips[0].long()
    third = second ^ flips[1].long()
    alone = torch.randint(4, (400,), generator=generator)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = learn_edges(torch.stack([first, second, third, alone]))
    assert {frozenset(pair) for pair in found} == {frozenset((0, 1)), frozenset((1, 2))}


def test_the_blanket_is_the_parents_of_the_prediction() -> None:
    case = Case("gin", "node")
    explainer = gg.PGMExplainer(
        case.model(), case.task(), min_drop=0.0, network=True, progress=False
    )
    explanations = explainer.explain(case.data(), case.index)
    nodes, network = explanations.table("nodes"), explanations.table("network")
    assert len(network)
    for position, index in enumerate(case.index):
        own = network[network.position == position]
        blanket = nodes[(nodes.position == position) & nodes.in_blanket].node
        assert set(own[own.child == index].parent) == set(blanket)
        assert index not in set(own.parent)
        assert set(own.parent) | set(own.child) <= {*blanket, index}


def test_without_pgmpy_only_networks_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pgmpy.causal_discovery", None)
    case = Case("gin", "node")
    settings: dict[str, Any] = {"min_drop": 0.0, "progress": False}
    gg.PGMExplainer(case.model(), case.task(), **settings).explain(case.data(), case.index)
    with pytest.raises(MissingExtraError, match=r"glassgraph\[bayes\]"):
        learn_edges(torch.zeros(2, 5))


# What it must keep to


@pytest.mark.parametrize("level", ["node", "graph", "edge"])
def test_an_opaque_model_is_explained_alike(level: str) -> None:
    case = Case("gcn", level)
    settings: dict[str, Any] = {"num_samples": 30, "min_drop": 0.01, "progress": False}
    plain = gg.PGMExplainer(case.model(), case.task(), **settings)
    hidden = Opaque(case.model(), lambda model, data: literal.predict(model, case, data))
    opaque = gg.PGMExplainer(hidden, case.task(), **settings)
    for one, other in zip(
        plain.explain(case.data(), case.index), opaque.explain(case.data(), case.index), strict=True
    ):
        expect_same(scores(one), scores(other))


def test_a_model_that_never_changes_depends_on_nothing() -> None:
    data = Case("gin", "node").data()
    found = gg.PGMExplainer(
        lambda x, edge_index: torch.zeros(x.size(0), 2) * x[:, :1], progress=False, network=True
    ).explain(data, [4])
    assert not found[0].node_score.any()
    assert not len(found.table("network"))


@pytest.mark.parametrize("mode", ["scale", "uniform", "randint", "max", "mean"])
def test_drawn_features_are_in_their_range(mode: str) -> None:
    seen = []

    def model(x: Tensor, edge_index: Tensor) -> Tensor:
        seen.append(x)
        return torch.cat([x[:, :1], -x[:, :1]], dim=1)

    data = Data(x=torch.tensor([[2.0, 7.0]] * 3 + [[4.0, 7.0]]), edge_index=torch.tensor(
        [[0, 1, 2], [3, 3, 3]]
    ))  # fmt: skip
    gg.PGMExplainer(model, perturbation=mode, num_hops=1, num_samples=150, progress=False).explain(
        data, [3]
    )
    (values,) = (x for x in seen if x.size(0) == 600)  # the others are probes
    low, high = {"scale": (0, 14), "randint": (0, 7)}.get(mode, (2, 7))
    assert low <= values.min()
    assert values.max() <= high
    is_new = (values != 2) & (values != 4) & (values != 7)
    if mode == "max":
        assert not is_new.any()
        assert (values == 4).sum() == pytest.approx(150 + 450 / 2, rel=0.1)
    if mode == "mean":
        assert set(values[is_new].tolist()) == {2.5}
    if mode == "randint":
        assert set(values[is_new].tolist()) == {0, 1}
        assert values[is_new].mean() == pytest.approx(0.5, abs=0.05)
    if mode == "uniform":
        assert not is_new[:, 1].any()  # the same everywhere
        drawn = values[is_new[:, 0], 0]
        assert drawn.mean() == pytest.approx(3, abs=0.1)
        assert drawn.std() == pytest.approx(2 / 12**0.5, abs=0.05)
    if mode == "scale":
        drawn = values[is_new[:, 1], 1]
        assert drawn.mean() == pytest.approx(7, abs=0.5)
        assert drawn.min() < 0.5
        assert drawn.max() > 13.5


@pytest.mark.parametrize(
    "settings",
    [{"perturbation": "noise"}, {"num_samples": 1}, {"top": 0}, {"significance": 1.0},
     {"perturb_probability": 0.0}, {"min_drop": -0.1}, {"score": "p"}],
)  # fmt: skip
def test_what_is_out_of_range_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(HyperParameterError, match=next(iter(settings))):
        gg.PGMExplainer(nn.Identity(), **settings)


def test_features_are_needed() -> None:
    data = Data(num_nodes=3, edge_index=torch.tensor([[0, 1], [1, 2]]))

    def degrees(edge_index: Tensor, num_nodes: int) -> Tensor:
        degree = torch.bincount(edge_index[1], minlength=num_nodes).float()
        return torch.stack([degree, -degree], dim=1)

    with pytest.raises(UnsupportedModelError, match="features"):
        gg.PGMExplainer(degrees, num_hops=1, progress=False).explain(data, [1])
