"""Episodes of a generator side by side: moves, rewards, roll-outs, roll-back.

All graphs that a step asks about, those after the move and those of every roll-out, are one call of
the model. Random numbers have addresses (seed, iteration, episode, step, roll-out, sub-step), so an
episode does not depend on the others beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from glassgraph.core.random import uniform
from glassgraph.explainers.generation.ground import Episodes, Ground, Recorded, keeps
from glassgraph.explainers.generation.policy import Choice, Policy
from glassgraph.explainers.generation.states import Graphs

RolloutValue = Literal["best", "last"]
RollBack = Literal["worse", "negative"]
Learn = Callable[[Choice, Tensor], None]


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
class Growth(Ground):
    """How graphs grow towards a class.

    Attributes:
        rewards: what steps are paid.
        max_steps: T.
        mask_moves: offer only moves that keep the rules, as far as rules know in advance.
        roll_back: ``"negative"`` or ``"worse"``.
        patience: steps rolled back in a row that end an episode; None for no end.
    """

    rewards: Rewards
    max_steps: int
    mask_moves: bool
    roll_back: RollBack
    patience: int | None

    def grow(
        self, policy: Policy, begin: Graphs, iteration: int, learn: Learn | None = None
    ) -> Episodes:
        """Run an episode from each graph; ``learn(choice, reward)`` is called after every step."""
        episodes, state = Episodes(begin), begin
        value = torch.full_like(begin.size, -math.inf, dtype=torch.double)
        refused = torch.zeros_like(begin.size)
        for step in range(self.max_steps):
            allowed = self.allowed(state)
            goes_on = allowed.flatten(1).any(dim=1)
            if self.patience is not None:
                goes_on &= refused < self.patience
            row = _where(goes_on)
            if not row.numel():
                break
            before = state.take(row)
            numbers = self._numbers(iteration, row, step, torch.zeros_like(row), 1)[:, 0]
            with torch.set_grad_enabled(learn is not None):
                choice = policy.choose(before, allowed[row], numbers)
            after = before.after(choice.start, choice.end)
            is_valid = self.is_valid(before, after, choice.start, choice.end)
            probability, reward = self._pay(policy, after, is_valid, iteration, row, step)
            if learn is not None:
                learn(choice, reward)
            is_accepted = reward >= 0
            if self.roll_back == "worse":
                is_accepted = is_accepted | (reward >= value[row])
            is_accepted = is_accepted & is_valid
            refused[row] = torch.where(is_accepted, 0, refused[row] + 1)
            value[row] = torch.where(is_accepted, reward.double(), value[row])
            state = state.put(row, after.where(is_accepted, before))
            episodes.steps.append(
                Recorded(
                    row, choice.start, choice.end, is_valid, is_accepted, probability, reward, state
                )
            )
        return episodes

    def allowed(self, graphs: Graphs) -> Tensor:
        """Moves that are offered, ``[B, V, V + K]``."""
        return self.legal(graphs) if self.mask_moves else graphs.candidates()

    def is_valid(self, before: Graphs, after: Graphs, start: Tensor, end: Tensor) -> Tensor:
        """Whether moves are possible and the graphs after them keep all rules, ``[B]``."""
        row = torch.arange(len(before), device=start.device)
        if not self.mask_moves:
            is_simple = before.moves()[row, start, end]
            where = _where(is_simple)
            return is_simple.index_copy(0, where, keeps(self.rules, after.take(where)))
        return keeps([rule for rule in self.rules if not rule.foresees], after)

    @torch.no_grad()
    def _pay(
        self,
        policy: Policy,
        after: Graphs,
        is_valid: Tensor,
        iteration: int,
        row: Tensor,
        step: int,
    ) -> tuple[Tensor, Tensor]:
        """Probability and reward of a step, ``[b]`` each."""
        rewards = self.rewards
        where = _where(is_valid)
        valid = after.take(where)
        visited, owner, is_clean = self._roll_out(policy, valid, iteration, row[where], step)
        found = self.classifier(Graphs.join([valid, visited]))[:, self.target]
        own, along = found[: len(valid)], found[len(valid) :]
        reward = torch.full_like(row, 0, dtype=found.dtype) - rewards.rule_weight
        probability = torch.full_like(reward, math.nan)
        earned = own - self.chance + rewards.step_reward
        if rewards.num_rollouts:
            ahead = own.repeat_interleave(rewards.num_rollouts) - self.chance
            if rewards.rollout_value == "best":
                ahead = ahead.scatter_reduce(0, owner, along - self.chance, "amax")
            else:
                ahead = torch.where(is_clean, along - self.chance, rewards.rollout_penalty)
            ahead = ahead.view(-1, rewards.num_rollouts).mean(dim=1)
            earned = earned + rewards.rollout_weight * ahead
        return probability.index_copy(0, where, own), reward.index_copy(0, where, earned)

    def _roll_out(
        self, policy: Policy, graphs: Graphs, iteration: int, row: Tensor, step: int
    ) -> tuple[Graphs, Tensor, Tensor]:
        """Let the policy go on M times from each graph, until no move is left or a rule breaks.

        Returns:
            The graphs to ask about, the roll-out ``[s]`` that each belongs to, and which roll-outs
            broke no rule ``[B * M]``.
        """
        times = self.rewards.num_rollouts
        state = graphs.repeat(times)
        number = torch.arange(len(state), device=row.device)
        is_clean = torch.ones_like(number, dtype=torch.bool)
        episode, rollout = row.repeat_interleave(times), 1 + number % max(1, times)
        alive, visited, owner = number, [state.take(number[:0])], [number[:0]]
        left = min(self.max_steps - step - 1, self.rewards.rollout_steps)
        numbers = self._numbers(iteration, episode, step, rollout, left)
        for substep in range(left):
            before = state.take(alive)
            allowed = self.allowed(before)
            goes_on = _where(allowed.flatten(1).any(dim=1))
            if not goes_on.numel():
                break
            alive, before = alive[goes_on], before.take(goes_on)
            choice = policy.choose(before, allowed[goes_on], numbers[alive, substep])
            after = before.after(choice.start, choice.end)
            is_valid = self.is_valid(before, after, choice.start, choice.end)
            is_clean[alive[~is_valid]] = False
            kept = _where(is_valid)
            alive, after = alive[kept], after.take(kept)
            state = state.put(alive, after)
            visited.append(after)
            owner.append(alive)
        if self.rewards.rollout_value == "last":
            return state, number, is_clean
        return Graphs.join(visited), torch.cat(owner), is_clean

    def _numbers(
        self, iteration: int, episode: Tensor, step: int, rollout: Tensor, substeps: int
    ) -> Tensor:
        """Two uniform numbers for each address and sub-step, ``[b, S, 2]``."""
        substep = torch.arange(substeps, device=episode.device)[:, None]
        which = torch.arange(2, device=episode.device)
        episode, rollout = episode[:, None, None], rollout[:, None, None]
        return uniform(self.seed, iteration, episode, step, rollout, substep, which)


def _where(condition: Tensor) -> Tensor:
    return condition.nonzero().flatten()
