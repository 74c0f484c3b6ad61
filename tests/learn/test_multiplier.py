"""A multiplier rises while its constraint is violated and falls while it is slack."""

import torch

from glassgraph.learn.multiplier import Multiplier


def test_it_follows_each_violation_by_itself_and_stays_positive() -> None:
    multiplier = Multiplier(3, learning_rate=0.05)
    assert torch.allclose(multiplier.value, torch.ones(3))
    for _ in range(400):
        before = multiplier.value
        multiplier.ascend(torch.tensor([0.7, -0.7, 0.0]))
        after = multiplier.value
        assert after[0] > before[0]
        assert 0 < after[1] < before[1]
        assert after[2] == before[2]
    turned = multiplier.value
    for _ in range(100):
        multiplier.ascend(torch.tensor([-0.7, 0.7, 0.0]))
    assert multiplier.value[0] < turned[0]
    assert multiplier.value[1] > turned[1]


def test_it_finds_the_multiplier_of_a_small_problem() -> None:
    """``min x^2`` subject to ``x >= 1`` has ``x = 1`` and ``lambda = 2``."""
    multiplier = Multiplier(1, learning_rate=0.01)
    for _ in range(3000):
        x = multiplier.value / 2  # minimizes x^2 + lambda (1 - x)
        multiplier.ascend(1 - x)
    assert torch.allclose(multiplier.value, torch.tensor([2.0]), atol=0.05)
