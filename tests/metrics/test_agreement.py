"""Agreement: numbers by hand, a literal loop, and chance in closed form."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.errors import InstanceError, UnknownMetricError
from glassgraph.metrics import agreement
from tests.diagnose.scenes import Votes, star, stars
from tests.metrics.scenes import TwoLayers, random_graph, with_scores


def said(*rows: list[float], number: int = 1) -> list[gg.Explanations]:
    """Explanations of the centers of stars, by rows of scores of a star's edges."""
    data = stars(number, *([1.0] * len(rows[0])))
    return [
        with_scores(Votes(), data, data.centers, lambda _, row=row: torch.tensor(row))
        for row in rows
    ]


def test_numbers_by_hand() -> None:
    runs = said([5.0, 4, 3, 2, 1], [5.0, 1, 4, 3, 2])
    overlap, rank, worst = agreement(runs, top_k=2)
    assert overlap.estimate.value == 0.5  # {0, 1} and {0, 2}
    assert rank.estimate.value == pytest.approx(1 - 6 * (9 + 1 + 1 + 1) / (5 * 24))
    assert worst.estimate.value == pytest.approx(1 - (25 + 4 + 12 + 6 + 2) / 55)
    assert agreement(runs, top_k=2, overlap="jaccard")[0].estimate.value == pytest.approx(1 / 3)
    assert [each.better for each in (overlap, rank, worst)] == ["higher", "higher", "lower"]


def test_equal_to_a_loop_over_pairs() -> None:
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(4, 13, generator=generator).tolist()
    overlap, rank, worst = agreement(said(*rows), top_k=5)
    shares, ranks, angles = [], [], []
    for a, b in combinations(map(np.array, rows), 2):
        shares.append(len({*np.argsort(-a)[:5]} & {*np.argsort(-b)[:5]}) / 5)
        ranks.append(spearmanr(a, b).statistic)
        angles.append(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    # Scores are stored in float32.
    assert overlap.estimate.value == pytest.approx(np.mean(shares), abs=1e-6)
    assert rank.estimate.value == pytest.approx(np.mean(ranks), abs=1e-6)
    assert worst.estimate.value == pytest.approx(np.max(angles), abs=1e-6)
    first = agreement(said(*rows), top_k=5, against="first")[0].estimate.value
    assert first == pytest.approx(np.mean(shares[:3]), abs=1e-6)


@pytest.mark.parametrize(("edges", "chance"), [(37, 10 / 37), (11, 10 / 11), (7, 1.0)])
def test_the_floor_of_the_overlap_is_what_two_random_sets_share(edges: int, chance: float) -> None:
    generator = torch.Generator().manual_seed(3)
    runs = said(*torch.randn(2, edges, generator=generator).tolist(), number=60)
    overlap, rank, _ = agreement(runs)
    assert overlap.floor is not None
    assert rank.floor is not None
    assert overlap.floor.value == pytest.approx(chance, abs=0.02)
    assert rank.floor.value == pytest.approx(0, abs=0.04)


def test_random_scores_lie_at_their_floor() -> None:
    data = stars(80, *([1.0] * 23))
    runs = [
        gg.Random(Votes(), "node", seed=seed, progress=False).explain(data, data.centers)
        for seed in range(3)
    ]
    for found in agreement(runs):
        assert found.floor is not None
        assert abs(found.estimate.value - found.floor.value) < 0.03
    assert agreement(runs, over="node")[0].estimate.n == 80


def test_the_same_scores_agree_whatever_their_ties() -> None:
    row = [1.0, 1, 0, 0, 0, 0, 0]
    overlap, rank, worst = agreement(said(row, row), top_k=4)
    assert overlap.estimate.value == pytest.approx(1)
    assert rank.estimate.value == pytest.approx(1)
    assert worst.estimate.value == pytest.approx(0)


def test_constant_scores_say_nothing() -> None:
    flat = [1.0] * 7
    for found in agreement(said(flat, flat), top_k=3):
        assert math.isnan(found.estimate.value)
        assert found.estimate.n == 0
    overlap, rank, worst = agreement(said(flat, [7.0, 6, 5, 4, 3, 2, 1]), top_k=3)
    assert overlap.estimate.value == pytest.approx(3 / 7)  # what chance gives
    assert rank.estimate.value == 0
    zero = agreement(said([0.0] * 7, [7.0, 6, 5, 4, 3, 2, 1]), top_k=3)[2]
    assert zero.estimate.value == 1
    assert worst.estimate.value < 1


def test_one_edge_has_no_rank() -> None:
    data = star(1.0)
    runs = [gg.Random(Votes(), "node", seed=seed).explain(data, [0]) for seed in range(2)]
    assert [each.estimate.n for each in agreement(runs)] == [0, 0, 0]


def test_features_are_compared_where_there_are_scores_of_them() -> None:
    data = random_graph()
    model = TwoLayers("gcn")
    run = gg.Saliency(model, progress=False).explain(data, [0, 1])
    assert agreement([run, run], over="feature")[1].estimate.value == pytest.approx(1)
    with pytest.raises(UnknownMetricError, match="no scores of features"):
        agreement([gg.Random(model).explain(data, [0])] * 2, over="feature")


def test_bad_input_is_named() -> None:
    runs = said([1.0, 2, 3], [3.0, 2, 1])
    with pytest.raises(UnknownMetricError, match="at least two"):
        agreement(runs[:1])
    with pytest.raises(UnknownMetricError, match="top_k"):
        agreement(runs, top_k=0)
    with pytest.raises(UnknownMetricError, match="over must be one of"):
        agreement(runs, over="walk")  # type: ignore[arg-type]
    data: Data = random_graph()
    one, other = (gg.Random(TwoLayers("gcn")).explain(data, [i]) for i in (0, 1))
    with pytest.raises(InstanceError, match="not the same ones"):
        agreement([one, other])


def test_values_are_those_of_each_instance() -> None:
    data = stars(2, 1.0, 1, 1)
    rows: list[list[Tensor]] = [
        [torch.tensor([3.0, 2, 1]), torch.tensor([3.0, 2, 1])],
        [torch.tensor([3.0, 2, 1]), torch.tensor([1.0, 2, 3])],
    ]
    runs = []
    for row in rows:
        left = iter(row)
        runs.append(with_scores(Votes(), data, data.centers, lambda _, left=left: next(left)))
    values = agreement(runs, top_k=1)[0].values
    assert values is not None
    assert values.tolist() == [1, 0]
