"""The policy network, and which way its gradient points."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from glassgraph.explainers.generation.xgnn import policy_loss
from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.policy import Choice, Policy, invert

TYPES = 3


def policy(seed: int = 0) -> Policy:
    return Policy(TYPES, torch.Generator().manual_seed(seed), torch.float64)


def path(room: int) -> DenseGraphs:
    edges = torch.tensor([[0, 1], [1, 2]])
    return DenseGraphs.from_edges(torch.tensor([0, 2, 1]), edges, room, TYPES)


def test_room_that_is_not_used_changes_nothing() -> None:
    network = policy()
    starts, ends = network(path(3))
    wide_starts, wide_ends = network(path(7))
    torch.testing.assert_close(wide_starts[:, :3], starts)
    torch.testing.assert_close(wide_ends[:, :3, :3], ends[:, :, :3])
    torch.testing.assert_close(wide_ends[:, :3, 7:], ends[:, :, 3:])


def test_one_start_reads_the_same_ends_as_all_starts() -> None:
    network, graphs = policy(), path(4)
    starts, ends = network(graphs)
    allowed = graphs.moves()
    choice = network.choose(graphs, allowed, torch.tensor([[0.5, 0.5]]).double())
    start, end = int(choice.start), int(choice.end)
    start_log = starts.masked_fill(~allowed.any(2), -math.inf).log_softmax(1)[0, start]
    end_log = ends[0, start].masked_fill(~allowed[0, start], -math.inf).log_softmax(0)[end]
    torch.testing.assert_close(choice.log_probability[0], start_log + end_log)
    assert bool(allowed[0, start, end])


def test_moves_come_as_often_as_they_are_probable() -> None:
    network, graphs = policy(1), path(4)
    allowed = graphs.moves()
    shares = (torch.arange(200).double() + 0.5) / 200
    grid = torch.cartesian_prod(shares, shares)
    choice = network.choose(graphs.repeat(len(grid)), allowed.expand(len(grid), -1, -1), grid)
    moves = choice.start * 100 + choice.end
    for move in moves.unique():
        is_it = moves == move
        expected = float(choice.log_probability.detach()[is_it][0].exp())
        assert float(is_it.double().mean()) == pytest.approx(expected, abs=0.012)


def test_weights_depend_on_the_generator_and_leave_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = policy(3), policy(3), policy(4)
    assert torch.equal(before, torch.get_rng_state())
    pairs = zip(one.parameters(), same.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.embedding.weight, other.embedding.weight)


def test_inverting_the_distribution() -> None:
    weight = torch.tensor([[0.0, 2.0, 0.0, 6.0]]).expand(4, -1)
    number = torch.tensor([1e-9, 0.2499, 0.2501, 1 - 1e-9], dtype=torch.double)
    assert invert(weight, number).tolist() == [1, 1, 3, 3]


def chosen(logits: Tensor, action: int) -> Choice:
    log = logits.log_softmax(0)
    nothing = torch.zeros(1, dtype=torch.double)
    return Choice(torch.tensor([action]), torch.tensor([0]), log[action].view(1), nothing)


@pytest.mark.parametrize("reward", [1.0, -1.0])
def test_what_is_rewarded_becomes_more_probable(reward: float) -> None:
    logits = torch.tensor([0.3, -0.2, 0.1]).double().requires_grad_()
    before = logits.detach().softmax(0)
    loss = policy_loss(chosen(logits, 1), torch.tensor([reward]).double(), False, 0.0)
    (gradient,) = torch.autograd.grad(loss, logits)
    # d/dz of -R log softmax(z)_1 is R (pi - e_1)
    expected = reward * (before - torch.tensor([0.0, 1.0, 0.0]).double())
    torch.testing.assert_close(gradient, expected)
    after = (logits.detach() - 0.1 * gradient).softmax(0)
    assert float(after[1] - before[1]) * reward > 0


def test_the_baseline_is_the_mean_of_the_others() -> None:
    log = torch.tensor([-1.0, -2.0, -3.0]).double()
    nothing = torch.zeros(3, dtype=torch.double)
    choice = Choice(torch.zeros(3).long(), torch.zeros(3).long(), log, nothing)
    reward = torch.tensor([1.0, 4.0, 7.0]).double()
    loss = policy_loss(choice, reward, True, 0.0)
    by_hand = -((1 - 5.5) * -1.0 + (4 - 4.0) * -2.0 + (7 - 2.5) * -3.0) / 3
    assert float(loss) == pytest.approx(by_hand)
    alone = policy_loss(chosen(torch.zeros(2).double(), 0), torch.ones(1).double(), True, 0.0)
    assert float(alone) == pytest.approx(math.log(2)), "without others nothing is subtracted"


def test_entropy_is_rewarded() -> None:
    choice = Choice(
        torch.zeros(1).long(), torch.zeros(1).long(), torch.zeros(1), torch.tensor([2.0])
    )
    assert float(policy_loss(choice, torch.zeros(1), False, 0.5)) == -1.0


def test_entropy_by_hand() -> None:
    graphs = path(3)  # full: only the edge 0-2 is missing, from either end
    choice = policy().choose(graphs, graphs.moves(), torch.tensor([[0.1, 0.5]]).double())
    starts, _ = policy()(graphs)
    share = starts[0, [0, 2]].softmax(0)
    torch.testing.assert_close(choice.entropy[0], -(share * share.log()).sum())
