"""Fleiss' kappa against the textbook and a literal loop; agreement of runs by hand."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

import glassgraph as gg
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.reachability import near_messages
from glassgraph.errors import (
    ExplanationFileError,
    HyperParameterError,
    InstanceError,
    UnknownMetricError,
)
from tests.diagnose.scenes import Chosen, Net, Relay, Votes, edges, messages, random_data, star

fleiss_kappa, seed_agreement = gg.diagnose.fleiss_kappa, gg.diagnose.seed_agreement

#: 14 raters put 10 subjects into 5 categories: how many chose each.
TEXTBOOK = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def test_the_textbook_example() -> None:
    raters = [torch.repeat_interleave(torch.tensor(counts)) for counts in TEXTBOOK]
    assert fleiss_kappa(torch.stack(raters, dim=1)) == pytest.approx(0.210, abs=5e-4)


def literal_kappa(masks: list[list[int]]) -> float:
    """The formula with loops over raters, items and categories."""
    n, N = len(masks), len(masks[0])
    categories = sorted({category for rater in masks for category in rater})
    agreement, share = 0.0, dict.fromkeys(categories, 0.0)
    for i in range(N):
        total = 0
        for j in categories:
            votes = sum(masks[rater][i] == j for rater in range(n))
            total += votes**2
            share[j] += votes / (N * n)
        agreement += (total - n) / (n * (n - 1)) / N
    chance = sum(p**2 for p in share.values())
    return (agreement - chance) / (1 - chance)


@pytest.mark.parametrize(("raters", "items", "categories"), [(2, 11, 2), (5, 17, 2), (7, 13, 3)])
def test_against_a_literal_loop(raters: int, items: int, categories: int) -> None:
    masks = torch.randint(categories, (raters, items))
    assert fleiss_kappa(masks) == pytest.approx(literal_kappa(masks.tolist()), rel=1e-12)


def test_bounds() -> None:
    same = torch.tensor([[True, False, True]] * 3)
    assert fleiss_kappa(same) == 1
    opposite = torch.tensor([[True, False], [False, True]])
    assert fleiss_kappa(opposite) == -1
    assert abs(fleiss_kappa(torch.rand(5, 20_000) < 0.3)) < 0.01


@pytest.mark.parametrize("value", [0, 1, 3])
def test_one_category_everywhere_is_undefined(value: int) -> None:
    assert math.isnan(fleiss_kappa(torch.full((3, 5), value)))


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (torch.zeros(1, 5).long(), "at least two raters"),
        (torch.zeros(3, 0).long(), "one item"),
        (torch.zeros(5).long(), "raters, items"),
        (torch.rand(3, 5), "float32"),
        (torch.tensor([[0, 1], [-1, 1]]), "got -1"),
    ],
)
def test_masks_that_are_none(masks: Tensor, message: str) -> None:
    with pytest.raises(UnknownMetricError, match=message):
        fleiss_kappa(masks)


def run(*kept: int, votes: int = 5, index: Any = (0,), **settings: Any) -> gg.Explanations:
    return Chosen(Votes(), score=edges(*kept), **settings).explain(
        star(*[1.0] * votes), list(index)
    )


def test_agreement_by_hand() -> None:
    """Three runs on five edges; two pairs of runs differ at edge 1 and two at edge 4."""
    found = seed_agreement([run(0, 1), run(0, 1, 4), run(0)], threshold=0.5)
    assert found.num_runs == 3
    assert found.num_items == 5
    assert found.retained_share == pytest.approx((2 / 5, 3 / 5, 1 / 5))
    assert found.agreement == pytest.approx((1 + 1 / 3 + 1 + 1 + 1 / 3) / 5)
    expected = literal_kappa([[1, 1, 0, 0, 0], [1, 1, 0, 0, 1], [1, 0, 0, 0, 0]])
    assert found.kappa == pytest.approx(expected, rel=1e-12)


def test_the_same_run_agrees_with_itself() -> None:
    data, explainer = random_data(), gg.EdgeGradients(Net(), "node", progress=False)
    runs = [explainer.explain(data) for _ in range(3)]
    found = seed_agreement(runs, top_share=0.3)
    assert found.kappa == 1
    assert found.agreement == 1


def test_runs_that_all_shut_everything() -> None:
    found = seed_agreement([run(), run()], threshold=0.5)
    assert math.isnan(found.kappa)
    assert found.agreement == 1
    assert found.retained_share == (0, 0)


def test_random_runs_agree_as_chance_does() -> None:
    model, data = Net(), random_data(nodes=53, num_edges=997)
    runs = [gg.Random(model, "node", seed=s, progress=False).explain(data) for s in range(5)]
    found = seed_agreement(runs, threshold=0.5)
    assert abs(found.kappa) < 0.02
    assert found.agreement == pytest.approx(0.5, abs=0.01)
    assert found.num_items == sum(len(runs[0].local(i).edge_id) for i in range(53))


def layered(*kept: tuple[int, int]) -> tuple[Chosen, Any, gg.Explanations]:
    data = star(0, 0)
    data.edge_index = torch.tensor([[1, 0], [0, 2]])
    explainer = Chosen(Relay([1, 1]), score=messages(*kept))
    return explainer, data, explainer.explain(data, [2])


def test_messages_that_cannot_reach_do_not_count() -> None:
    """1 -> 0 -> 2: edge 0 at the second layer comes too late for node 2."""
    (explainer, data, one), (*_, other) = layered((0, 0), (1, 1)), layered((0, 0))
    found = seed_agreement([one, other], explainer=explainer, data=data, threshold=0.5)
    assert found.num_items == 3
    assert found.agreement == pytest.approx(2 / 3)
    # Without the explainer, what every run scores exactly 0 is left out.
    found = seed_agreement([one, other], threshold=0.5)
    assert found.num_items == 2
    assert found.agreement == 1 / 2


def test_scores_for_each_layer_against_dense_masks() -> None:
    data, runs = random_data(), []
    for seed in (0, 1, 2):

        def score(batch: InstanceBatch, seed: int = seed) -> Tensor:
            torch.manual_seed(seed)
            return torch.rand(batch.num_layers, batch.num_edges) * near_messages(batch)

        runs.append(Chosen(Net(), score=score).explain(data, [2, 7, 9]))
    found = seed_agreement(runs, threshold=0.4)
    masks = torch.stack(
        [torch.cat([each.layer_edge_mask.flatten() for each in one]) for one in runs]
    )
    masks = masks[:, (masks != 0).any(dim=0)] > 0.4
    assert found.num_items == masks.size(1)
    assert found.kappa == pytest.approx(literal_kappa(masks.long().tolist()), rel=1e-9)


@pytest.mark.parametrize("level", ["node", "graph", "edge"])
def test_batches_do_not_matter(level: str) -> None:
    data, model, found = random_data(level), Net(level), []
    for budget in (1, 1 << 30):
        runs = [
            gg.Random(model, level, seed=s, memory_budget=budget, progress=False).explain(data)
            for s in range(3)
        ]
        found.append(seed_agreement(runs, top_share=0.3))
    assert found[0] == found[1]


def test_each_run_may_have_its_own_threshold() -> None:
    runs = [run(0), run(0)]
    for each, threshold in zip(runs, (0.5, 2.0), strict=True):
        each.provenance["threshold"] = threshold
    assert seed_agreement(runs).retained_share == (1 / 5, 0)


def test_runs_that_differ_in_more_than_the_seed() -> None:
    one = run(0)
    with pytest.raises(InstanceError, match="1 and 2 predictions"):
        seed_agreement([one, run(0, index=(0, 1))], threshold=0.5)
    with pytest.raises(InstanceError, match="at 1 of 1 positions"):
        seed_agreement([one, run(0, index=(1,))], threshold=0.5)
    other = Chosen(Votes(), score=edges(0)).explain(star(*[1.0] * 5), [0], target=0)
    with pytest.raises(InstanceError, match="classes at 1 of 1"):
        seed_agreement([one, other], threshold=0.5)
    with pytest.raises(ExplanationFileError, match="graph"):
        seed_agreement([one, run(0, votes=6)], threshold=0.5)
    other = gg.Saliency(Votes(), "node", progress=False).explain(star(*[1.0] * 5), [0])
    with pytest.raises(ExplanationFileError, match="'chosen' and 'saliency'"):
        seed_agreement([one, other], threshold=0.5)
    other = copy.copy(one)
    other.provenance = {**one.provenance, "model_fingerprint": "another"}
    with pytest.raises(ExplanationFileError, match="model_fingerprint"):
        seed_agreement([one, other], threshold=0.5)


def test_bad_arguments() -> None:
    one = run(0)
    with pytest.raises(UnknownMetricError, match="two runs; got 1"):
        seed_agreement([one], threshold=0.5)
    with pytest.raises(UnknownMetricError, match="two runs; got 0"):
        seed_agreement([])
    with pytest.raises(HyperParameterError, match=r"threshold=0\.5"):
        seed_agreement([one, one])
    with pytest.raises(HyperParameterError, match="explainer and data together"):
        seed_agreement([one, one], threshold=0.5, data=star(1))
    with pytest.raises(UnknownMetricError, match="nothing to agree on"):
        seed_agreement([run(index=(1,))] * 2, threshold=0.5)
    with pytest.raises(UnknownMetricError, match="nothing to agree on"):
        seed_agreement([run(index=())] * 2, threshold=0.5)
