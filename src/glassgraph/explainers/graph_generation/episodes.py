"""Episodes of a generator side by side: moves, rewards, roll-back, an end where nothing is kept.

Random numbers have addresses (seed, iteration, episode, step, roll-out, sub-step), so an episode
does not depend on the others beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.environment import Environment
from glassgraph.explainers.graph_generation.policy import Choice, Policy
from glassgraph.explainers.graph_generation.rollout import (
    Address,
    Rewards,
    evaluate_step,
)
from glassgraph.explainers.graph_generation.trajectories import Trajectories, Transition

RollBack = Literal["worse", "negative"]
Learn = Callable[[Choice, Tensor], None]


@dataclass(frozen=True)
class EpisodeRunner:
    """Runs episodes of a policy.

    Attributes:
        environment: where graphs grow.
        rewards: what steps are paid.
        max_steps: T.
        roll_back: ``"negative"`` or ``"worse"``.
        patience: steps rolled back in a row that end an episode; None for no end.
    """

    environment: Environment
    rewards: Rewards
    max_steps: int
    roll_back: RollBack
    patience: int | None

    def run(
        self, policy: Policy, initial: DenseGraphs, iteration: int, learn: Learn | None = None
    ) -> Trajectories:
        """Run an episode from each graph; ``learn(choice, reward)`` is called after every step."""
        trajectories, state = Trajectories(initial), initial
        value = torch.full_like(initial.num_nodes, -math.inf, dtype=torch.double)
        refused = torch.zeros_like(initial.num_nodes)
        for step in range(self.max_steps):
            offered = self.environment.offered_moves(state)
            goes_on = offered.flatten(1).any(dim=1)
            if self.patience is not None:
                goes_on &= refused < self.patience
            row = goes_on.nonzero().flatten()
            if not row.numel():
                break
            address = Address(iteration, row, step)
            taken = self._step(policy, state, offered[row], value[row], address, learn)
            trajectories.steps.append(taken)
            refused[row] = torch.where(taken.is_accepted, 0, refused[row] + 1)
            value[row] = torch.where(taken.is_accepted, taken.reward.double(), value[row])
            state = taken.after
        return trajectories

    def _step(
        self,
        policy: Policy,
        state: DenseGraphs,
        offered: Tensor,
        value: Tensor,
        address: Address,
        learn: Learn | None,
    ) -> Transition:
        """One move of those episodes that go on; ``value [b]`` is what their last one was paid."""
        row = address.episode
        before = state.take(row)
        numbers = address.numbers(self.environment.seed, torch.zeros_like(row), 1)[:, 0]
        with torch.set_grad_enabled(learn is not None):
            choice = policy.choose(before, offered, numbers)
        after = before.after(choice.start, choice.end)
        is_valid = self.environment.is_valid(before, after, choice.start, choice.end)
        left = self.max_steps - address.step - 1
        probability, reward = evaluate_step(
            self.environment, self.rewards, policy, after, is_valid, address, left
        )
        if learn is not None:
            learn(choice, reward)
        is_accepted = reward >= 0
        if self.roll_back == "worse":
            is_accepted = is_accepted | (reward >= value)
        is_accepted = is_accepted & is_valid
        return Transition(
            episode=row,
            start=choice.start,
            end=choice.end,
            is_valid=is_valid,
            is_accepted=is_accepted,
            probability=probability,
            reward=reward,
            after=state.put(row, after.where(is_accepted, before)),
        )
