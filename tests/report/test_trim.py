"""Which edges of a large instance are drawn, on graphs small enough to say so by hand."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.report.trim import choose_edges, ranks

# A path 0 <- 1 <- 2 <- ... <- 10: edge e runs from e + 1 to e.
SOURCE = list(range(1, 11))
DESTINATION = list(range(10))


def peak(*edges: int) -> Tensor:
    """Zero, but for these edges, the first of them the strongest."""
    scores = torch.zeros(10)
    scores[list(edges)] = torch.arange(float(len(edges)), 0.0, -1.0)
    return scores


def test_ranks_are_by_magnitude_and_stable() -> None:
    scores = torch.tensor([0.5, -2.0, float("nan"), 0.5, 1.0, float("inf")])
    assert ranks(scores).tolist() == [3, 1, 5, 4, 2, 6]
    assert ranks(torch.empty(0)).tolist() == []


def test_what_fits_is_kept_whole() -> None:
    assert choose_edges(SOURCE, DESTINATION, [0], [peak(3)], None, 10) == list(range(10))


def test_the_strongest_edge_brings_its_way_to_the_seed() -> None:
    # Edge 3 runs from 4 to 3; edges 0, 1, 2 lead on to the seed, and 4 is the nearest left over.
    assert choose_edges(SOURCE, DESTINATION, [0], [peak(3)], None, 5) == [0, 1, 2, 3, 4]


def test_the_first_come_before_the_strongest() -> None:
    # They take the room of the strongest, 0.8 of 3; edge 3 is the first that touches them.
    first = choose_edges(SOURCE, DESTINATION, [], [peak(0, 9)], None, 3, [7, 4])
    assert first == [3, 4, 7]


def test_methods_take_turns() -> None:
    far_and_near = [peak(9, 8, 7, 6), peak(0, 1)]
    assert choose_edges(SOURCE, DESTINATION, [], far_and_near, None, 5) == [0, 1, 2, 8, 9]


def test_ground_truth_is_kept_after_the_strongest() -> None:
    truth = [int(e == 7) for e in range(10)]
    assert choose_edges(SOURCE, DESTINATION, [], [peak(2)], truth, 2) == [2, 7]


def test_without_scores_the_surroundings_of_the_seed_are_drawn() -> None:
    assert choose_edges(SOURCE, DESTINATION, [5], [], None, 2) == [4, 5]


def test_the_limit_holds_and_the_kept_edges_are_all_there() -> None:
    for limit in range(1, 10):
        kept = choose_edges(SOURCE, DESTINATION, [0], [peak(9), peak(4)], [1] * 10, limit)
        assert len(kept) == limit
        assert kept == sorted(set(kept))
