"""XGNN written out: episode by episode, roll-out by roll-out, a call of the model for each graph.

This is how the paper puts it and how its code runs. A graph is a list of node types and a set of
edges; the policy sees one graph without padding, its candidates being further nodes; a move is
allowed if the graph after it keeps the rules. Random numbers have the addresses of
`glassgraph.XGNN`, so that both take the same moves, which the tests and the measurement of speed
rest on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgraph.calling.protect import protected
from glassgraph.core.random import uniform
from glassgraph.explainers.generation.xgnn import XGNN
from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.environment import (
    STREAM_EXPLAIN,
    STREAM_INITIAL,
)
from glassgraph.explainers.graph_generation.episodes import EpisodeRunner
from glassgraph.explainers.graph_generation.policy import Policy


@dataclass(frozen=True)
class Plain:
    """A graph: node types, and edges as pairs (smaller, larger)."""

    types: tuple[int, ...]
    edges: frozenset[tuple[int, int]]

    def after(self, start: int, end: int, num_types: int) -> Plain | None:
        """The graph with one more edge; None if it is there already."""
        types, node = self.types, end
        if end >= len(types):
            types, node = (*types, end - len(types)), len(types)
        pair = (min(start, node), max(start, node))
        return None if pair in self.edges else Plain(types, self.edges | {pair})


@dataclass(frozen=True)
class Moved:
    """What happened in a step: ``end`` counts candidates from the number of nodes on."""

    start: int
    end: int
    is_valid: bool
    is_accepted: bool
    reward: float


@dataclass
class Literal:
    """A literal generator with the settings of an `XGNN`, which is only read.

    Attributes:
        xgnn: settings, rules, the classifier.
        policy: trained by `fit`.
        calls: of the classifier.
    """

    xgnn: XGNN
    policy: Policy = field(init=False)
    calls: int = 0

    def fit(self, target: int) -> Literal:
        """Train as `XGNN.fit` does with ``weights="last"``."""
        own, runner = self.xgnn, self.xgnn.episode_runner(target)
        self.policy = own.make_policy()
        optimizer = own.make_optimizer(self.policy)
        with protected(own.model), torch.enable_grad():
            for iteration in range(own.iterations):
                states = self._begin(own.episodes, iteration)
                values = [-math.inf] * len(states)
                refused = [0] * len(states)
                for step in range(runner.max_steps):
                    losses, rewards, entropies = [], [], []
                    for row in range(len(states)):
                        if runner.patience is not None and refused[row] >= runner.patience:
                            continue
                        told = self._step(runner, states, values, iteration, row, step)
                        if told is not None:
                            moved, log, entropy = told
                            refused[row] = 0 if moved.is_accepted else refused[row] + 1
                            losses.append(log)
                            entropies.append(entropy)
                            rewards.append(moved.reward)
                    if not losses:
                        break
                    loss = self._loss(losses, rewards, entropies)
                    optimizer.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(list(self.policy.parameters()), 100.0)
                    optimizer.step()
        return self

    @torch.no_grad()
    def explain(self, target: int, n: int) -> list[list[Moved]]:
        """The steps of n episodes."""
        runner = self.xgnn.episode_runner(target)
        states = self._begin(n, STREAM_EXPLAIN)
        found = []
        with protected(self.xgnn.model):
            for row in range(n):
                values = [-math.inf] * n
                steps: list[Moved] = []
                for step in range(runner.max_steps):
                    last = steps[-runner.patience :] if runner.patience else []
                    if (
                        last
                        and len(last) == runner.patience
                        and not any(each.is_accepted for each in last)
                    ):
                        break
                    told = self._step(runner, states, values, STREAM_EXPLAIN, row, step)
                    if told is None:
                        break
                    steps.append(told[0])
                found.append(steps)
        return found

    def _loss(self, logs: list[Tensor], rewards: list[float], entropies: list[Tensor]) -> Tensor:
        total = torch.zeros((), dtype=logs[0].dtype)
        for row, log in enumerate(logs):
            others = [reward for at, reward in enumerate(rewards) if at != row]
            mean = sum(others) / len(others) if self.xgnn.baseline and others else 0.0
            total = total - (rewards[row] - mean) * log - self.xgnn.entropy * entropies[row]
        return total / len(logs)

    def _step(
        self,
        runner: EpisodeRunner,
        states: list[Plain],
        values: list[float],
        iteration: int,
        row: int,
        step: int,
    ) -> tuple[Moved, Tensor, Tensor] | None:
        """One step of an episode; None if no move is left."""
        graph = states[row]
        choice = self._choose(runner, graph, (iteration, row, step, 0, 0))
        if choice is None:
            return None
        start, end, log, entropy = choice
        after = self._valid(runner, graph, start, end)
        reward = -runner.rewards.rule_weight
        if after is not None:
            with torch.no_grad():
                reward = self._reward(runner, after, iteration, row, step)
        is_accepted = after is not None and (
            reward >= 0 or (runner.roll_back == "worse" and reward >= values[row])
        )
        if is_accepted and after is not None:
            states[row], values[row] = after, reward
        return Moved(start, end, after is not None, is_accepted, reward), log, entropy

    def _reward(
        self, runner: EpisodeRunner, graph: Plain, iteration: int, row: int, step: int
    ) -> float:
        rewards = runner.rewards
        own = self._ask(runner, graph) - runner.environment.chance
        ahead = []
        for rollout in range(1, 1 + rewards.num_rollouts):
            state, best, is_clean = graph, own, True
            for substep in range(min(runner.max_steps - step - 1, rewards.rollout_steps)):
                choice = self._choose(runner, state, (iteration, row, step, rollout, substep))
                if choice is None:
                    break
                after = self._valid(runner, state, choice[0], choice[1])
                if after is None:
                    is_clean = False
                    break
                state = after
                if rewards.rollout_value == "best":
                    best = max(best, self._ask(runner, state) - runner.environment.chance)
            if rewards.rollout_value == "best":
                ahead.append(best)
            elif is_clean:
                ahead.append(self._ask(runner, state) - runner.environment.chance)
            else:
                ahead.append(rewards.rollout_penalty)
        mean = sum(ahead) / len(ahead) if ahead else 0.0
        return own + rewards.step_reward + rewards.rollout_weight * mean

    def _choose(
        self, runner: EpisodeRunner, graph: Plain, address: tuple[int, int, int, int, int]
    ) -> tuple[int, int, Tensor, Tensor] | None:
        """Start, end, log probability and entropy; None if no move is allowed."""
        num_types = len(self.xgnn.node_types)
        nodes = range(len(graph.types))
        ends = range(len(graph.types) + num_types)
        allowed = [
            [end for end in ends if end != start and self._is_offered(runner, graph, start, end)]
            for start in nodes
        ]
        starts = [start for start in nodes if allowed[start]]
        if not starts:
            return None
        hidden = self._embed(graph)
        start_log = self.policy.start_head(hidden[starts]).squeeze(-1).log_softmax(dim=0)
        at = _draw(start_log, self._number(address, 0))
        start = starts[at]
        pairs = torch.cat(
            [hidden[allowed[start]], hidden[start].expand(len(allowed[start]), -1)], 1
        )
        end_log = self.policy.end_head(pairs).squeeze(-1).log_softmax(dim=0)
        chosen = _draw(end_log, self._number(address, 1))
        entropy = -(start_log.exp() * start_log).sum() - (end_log.exp() * end_log).sum()
        return start, allowed[start][chosen], start_log[at] + end_log[chosen], entropy

    def _embed(self, graph: Plain) -> Tensor:
        """Of nodes and candidates, ``[n + K, D]``."""
        num_types = len(self.xgnn.node_types)
        weight = self.policy.embedding.weight
        types = torch.tensor([*graph.types, *range(num_types)])
        adjacency = torch.eye(len(types), dtype=weight.dtype)
        for source, destination in graph.edges:
            adjacency[source, destination] = adjacency[destination, source] = 1
        scale = adjacency.sum(dim=1).rsqrt().diag()
        hidden: Tensor = self.policy.embedding(F.one_hot(types, num_types).to(weight.dtype))
        for layer in self.policy.convolutions:
            hidden = F.relu6(layer(scale @ adjacency @ scale @ hidden))
        return hidden

    def _is_offered(self, runner: EpisodeRunner, graph: Plain, start: int, end: int) -> bool:
        if not runner.environment.mask_moves:
            return True
        after = self._possible(runner, graph, start, end)
        if after is None:
            return False
        dense = self._dense(runner, after)
        return all(
            bool(rule.holds(dense)[0]) for rule in runner.environment.rules if rule.masks_moves
        )

    def _possible(self, runner: EpisodeRunner, graph: Plain, start: int, end: int) -> Plain | None:
        after = graph.after(start, end, len(self.xgnn.node_types))
        return None if after is None or len(after.types) > self.xgnn.max_nodes else after

    def _valid(self, runner: EpisodeRunner, graph: Plain, start: int, end: int) -> Plain | None:
        after = self._possible(runner, graph, start, end)
        if after is None:
            return None
        dense = self._dense(runner, after)
        return (
            after if all(bool(rule.holds(dense)[0]) for rule in runner.environment.rules) else None
        )

    def _ask(self, runner: EpisodeRunner, graph: Plain) -> float:
        self.calls += 1
        return float(runner.environment.target_probability(self._dense(runner, graph))[0])

    def _dense(self, runner: EpisodeRunner, graph: Plain) -> DenseGraphs:
        edges = torch.tensor(sorted(graph.edges)).long().view(-1, 2).t()
        room, num_types = self.xgnn.max_nodes, len(self.xgnn.node_types)
        return DenseGraphs.from_edges(torch.tensor(graph.types), edges, room, num_types)

    def _begin(self, count: int, iteration: int) -> list[Plain]:
        starts = self.xgnn.initial_graphs
        found = []
        for row in range(count):
            number = float(uniform(self.xgnn.seed, STREAM_INITIAL, iteration, row))
            types, edges = starts.single(int(number * len(starts)))
            pairs = {(a, b) for a, b in edges.t().tolist() if a < b}
            found.append(Plain(tuple(types.tolist()), frozenset(pairs)))
        return found

    def _number(self, address: tuple[int, int, int, int, int], which: int) -> float:
        iteration, row, step, rollout, substep = address
        return float(uniform(self.xgnn.seed, iteration, row, step, rollout, substep, which))


def _draw(log: Tensor, number: float) -> int:
    """The entry in which a share of the probability falls."""
    weights = log.detach().exp().double().tolist()
    left = number * math.fsum(weights)
    for at, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return at
    return len(weights) - 1
