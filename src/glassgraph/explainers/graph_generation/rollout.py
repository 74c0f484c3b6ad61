"""What a step of an episode is paid: the classifier's word on the graph, and on what may follow.

Roll-outs go on from a graph with the policy as it is. All graphs that a step asks about, those
after the move and those of every roll-out, are one call of the model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from glassgraph.core.random import uniform
from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.environment import Environment
from glassgraph.explainers.graph_generation.policy import Policy

RolloutValue = Literal["best", "last"]


@dataclass(frozen=True)
class Rewards:
    """What a step is paid; see `glassgraph.XGNN` for the formula and the arguments."""

    num_rollouts: int
    rollout_weight: float
    rule_weight: float
    step_reward: float
    rollout_penalty: float
    rollout_value: RolloutValue
    rollout_steps: int


@dataclass(frozen=True)
class Address:
    """Which step of which episodes is taken; what random numbers go by.

    Attributes:
        iteration: of learning, or one of the streams beside it.
        episode: ``[b]`` numbers of the episodes.
        step: number of the step.
    """

    iteration: int
    episode: Tensor
    step: int

    def take(self, row: Tensor) -> Address:
        """Of some of the episodes."""
        return Address(self.iteration, self.episode[row], self.step)

    def numbers(self, seed: int, rollout: Tensor, substeps: int) -> Tensor:
        """Two uniform numbers for each roll-out (0: the step itself) and sub-step, ``[b, S, 2]``.

        An episode's numbers do not depend on the episodes beside it.
        """
        substep = torch.arange(substeps, device=rollout.device)[:, None]
        which = torch.arange(2, device=rollout.device)
        episode, rollout = self.episode[:, None, None], rollout[:, None, None]
        return uniform(seed, self.iteration, episode, self.step, rollout, substep, which)


@dataclass(frozen=True)
class Rollouts:
    """Graphs on the way of roll-outs.

    Attributes:
        graphs: S graphs to ask the classifier about.
        rollout: ``[S]`` the roll-out that each belongs to.
        is_clean: ``[B * M]`` which roll-outs broke no rule.
    """

    graphs: DenseGraphs
    rollout: Tensor
    is_clean: Tensor


@torch.no_grad()
def evaluate_step(
    environment: Environment,
    rewards: Rewards,
    policy: Policy,
    after: DenseGraphs,
    is_valid: Tensor,
    address: Address,
    steps_left: int,
) -> tuple[Tensor, Tensor]:
    """Probability of the class and reward of a step, ``[b]`` each.

    Args:
        environment: rules and classifier.
        rewards: what is paid.
        policy: goes on in roll-outs.
        after: ``b`` graphs after the move.
        is_valid: ``[b]`` whether the move keeps the rules.
        address: of the step.
        steps_left: of the episode, which no roll-out exceeds.
    """
    where = is_valid.nonzero().flatten()
    valid = after.take(where)
    ahead = roll_out(environment, rewards, policy, valid, address.take(where), steps_left)
    found = environment.target_probability(DenseGraphs.cat([valid, ahead.graphs]))
    own, along = found[: len(valid)], found[len(valid) :]
    earned = own - environment.chance + rewards.step_reward
    if rewards.num_rollouts:
        worth = _worth(ahead, own - environment.chance, along - environment.chance, rewards)
        earned = earned + rewards.rollout_weight * worth
    reward = torch.full_like(is_valid, 0, dtype=found.dtype) - rewards.rule_weight
    probability = torch.full_like(reward, math.nan)
    return probability.index_copy(0, where, own), reward.index_copy(0, where, earned)


def _worth(ahead: Rollouts, own: Tensor, along: Tensor, rewards: Rewards) -> Tensor:
    """Mean worth ``[b]`` of the roll-outs from each graph."""
    if rewards.rollout_value == "best":
        start = own.repeat_interleave(rewards.num_rollouts)
        worth = start.scatter_reduce(0, ahead.rollout, along, "amax")
    else:
        worth = torch.where(ahead.is_clean, along, rewards.rollout_penalty)
    return worth.view(-1, rewards.num_rollouts).mean(dim=1)


def roll_out(
    environment: Environment,
    rewards: Rewards,
    policy: Policy,
    graphs: DenseGraphs,
    address: Address,
    steps_left: int,
) -> Rollouts:
    """Let the policy go on M times from each graph, until no move is left or a rule breaks."""
    times = rewards.num_rollouts
    state = graphs.repeat(times)
    alive = number = torch.arange(len(state), device=address.episode.device)
    is_clean = torch.ones_like(number, dtype=torch.bool)
    visited, rollout = [state.take(number[:0])], [number[:0]]
    steps = min(steps_left, rewards.rollout_steps)
    each = address.take(number // max(1, times))
    numbers = each.numbers(environment.seed, 1 + number % max(1, times), steps)
    for substep in range(steps):
        before = state.take(alive)
        offered = environment.offered_moves(before)
        goes_on = offered.flatten(1).any(dim=1).nonzero().flatten()
        if not goes_on.numel():
            break
        alive, before = alive[goes_on], before.take(goes_on)
        choice = policy.choose(before, offered[goes_on], numbers[alive, substep])
        after = before.after(choice.start, choice.end)
        is_valid = environment.is_valid(before, after, choice.start, choice.end)
        is_clean[alive[~is_valid]] = False
        kept = is_valid.nonzero().flatten()
        alive, after = alive[kept], after.take(kept)
        state = state.put(alive, after)
        visited.append(after)
        rollout.append(alive)
    if rewards.rollout_value == "last":
        return Rollouts(state, number, is_clean)
    return Rollouts(DenseGraphs.cat(visited), torch.cat(rollout), is_clean)
