"""XGNN: graphs that a classifier takes for the best examples of a class."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from glassgraph.errors import FitError
from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.environment import (
    STREAM_EXPLAIN,
    Environment,
)
from glassgraph.explainers.graph_generation.episodes import (
    EpisodeRunner,
    Learn,
    RollBack,
)
from glassgraph.explainers.graph_generation.policy import Choice, Policy
from glassgraph.explainers.graph_generation.rollout import Rewards, RolloutValue
from glassgraph.explainers.graph_generation.trajectories import (
    Trajectories,
    generated_graphs,
)
from glassgraph.explainers.model_explainer import ModelExplainer
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.progress import progress_bar
from glassgraph.results.model_explanation import GeneratedGraph

_STEPS_PER_NODE = 3
_MOMENTUM, _WEIGHT_DECAY, _ADAM_BETAS, _CLIP = 0.9, 5e-4, (0.9, 0.99), 100.0


class XGNN(ModelExplainer):
    """Which graphs does a classifier take for the best examples of a class?

    A generator grows graphs edge by edge and is trained by policy gradient to please the classifier
    ``f``. A state is a graph ``G_t`` with the K node types beside it as candidates; an action joins
    a node of it to another one, or to a new node of one of the types. The policy is a graph network
    over both. For a class ``c`` of ``l`` classes a step to ``G_{t+1}`` is paid ::

        R_t    = R_f(G_{t+1}) + lambda_1 1/M sum_m R_f(rollout_m(G_{t+1})) + lambda_2 R_r
        R_f(G) = p(f(G) = c) - 1/l

    where roll-outs go on from ``G_{t+1}`` with the policy as it is, and ``R_r = -1`` if a rule is
    broken (the classifier is then not asked, and the rest of ``R_t`` is zero). The loss is
    ``-R_t (log pi(start) + log pi(end))``, one update after each step. A step that breaks a rule or
    is paid less than nothing is rolled back.

    `fit` learns for one class, `explain` generates graphs ``[n]`` as a `ModelExplanation`, `random`
    draws others under the same rules to hold them against. Probabilities are those of the model,
    rewards have their unit. Bond types play no part, as published: the classifier sees which atoms
    are joined, and a valence bounds the number of neighbors.

    Yuan, Tang, Hu and Ji, "XGNN: Towards Model-Level Explanations of Graph Neural Networks" (KDD
    2020, https://arxiv.org/abs/2006.02587). Where this differs, and what `XGNN.published` sets back
    to the settings of the authors' code (divelab/DIG, ``dig/xgraph/XGNN``):

    * Sign. With cross-entropy ``CE = -log pi``, the printed loss ``-R_t CE`` would raise what is
      punished. The code's ``+R_t CE`` is the policy gradient, and so is the loss here.
    * Log probabilities are those of the distribution that was sampled. The code's loss reads logits
      of rows where no node is.
    * Moves that break a rule are not offered where the rule can say so in advance (``mask_moves``).
      Published: they are, and cost the step.
    * A roll-out is worth the best graph on its way (``rollout_value="best"``). Published: its last
      one, or a penalty of 0.1 once a move is invalid. A full tree has nothing but cycles ahead: by
      its last graph it would look worse than a stump.
    * A step is rolled back if it is paid less than nothing and less than the state it left
      (``roll_back="worse"``). Published: less than nothing, which no first step passes where small
      graphs are far from the class.
    * An episode ends when nothing has been kept for a while (``patience``). Published: it does not,
      and learns at dead ends, where every action is punished, as much as anywhere else.
    * What an episode gives is the best of its graphs (``keep="best"``): of those within ``slack``
      of its highest probability the one with the most nodes, then the fewest edges. Published: the
      last. The generator has no action to stop with, so that goes on adding edges while the class
      is more probable than by chance. The trace has all steps.
    * The generator is the one of its best two iterations in a row (``weights="best"``), by the mean
      probability of their graphs. Published: the last. Learning goes on where there is nothing left
      to learn, and now and then it falls from 0.99 to 0.2 and does not come back.
    * Roll-outs look V steps ahead (``rollout_steps``). Published: to the end of the episode.
    * Episodes run side by side, the mean reward of the others is a baseline, and entropy is
      rewarded a little (``episodes``, ``baseline``, ``entropy``). Published: one episode, none of
      it.
    * ``lambda_1 = 2`` as in the code, which lets a hopeful roll-out outweigh a poor graph; Adam.
      The code: SGD with momentum, and a further 0.1 for every valid step.
    * An episode begins with a node of any type unless ``start`` says otherwise; the authors'
      molecules begin with carbon.

    Args:
        model: a graph classifier, a module or a function of the graph; it is only called.
        node_types: number K of node types, or their names in the order of the features' columns.
        max_nodes: V, nodes that a graph may have.
        rules: what every graph on the way has to keep: `glassgraph.graph_rules`, or functions
            ``(node_type [n], edge_index [2, e]) -> bool``.

    The other arguments are listed under ``__init__``; those that all such methods share
    (``features``, ``decorate``, ``start``, ...) are described in `ModelExplainer`.

    Raises:
        HyperParameterError: for values out of range; rules that no graph can keep. For errors about
            the model see `ModelExplainer`.

    Example:
        >>> def edges(x, edge_index, batch):  # the more edges, the surer is class 1
        ...     count = torch.bincount(batch[edge_index[0]], minlength=int(batch[-1]) + 1) / 2
        ...     return torch.stack([2.5 - count, count - 2.5], dim=1)
        >>> xgnn = XGNN(edges, node_types=1, max_nodes=3, iterations=2, progress=False)
        >>> found = xgnn.fit(target_class=1).explain(n=1)
        >>> found[0].num_edges, round(float(found.probability[0]), 3)  # the triangle
        (3, 0.731)
    """

    name: ClassVar[str] = "xgnn"
    traits: ClassVar[Traits] = Traits(
        family="generation",
        scores=(),
        is_learned=True,
        is_black_box=True,
        is_random=True,
        source="Yuan et al. 2020, arXiv:2006.02587",
    )
    #: Hyper-parameters as in the authors' code.
    published: ClassVar[dict[str, Any]] = {
        "episodes": 1,
        "max_steps": 30,
        "rollout_steps": 30,
        "rollout_value": "last",
        "step_reward": 0.1,
        "mask_moves": False,
        "roll_back": "negative",
        "patience": None,
        "keep": "last",
        "weights": "last",
        "baseline": False,
        "entropy": 0.0,
        "optimizer": "sgd",
    }

    iterations: int = setting("times that all episodes are run", default=50, at_least=1)
    episodes: int = setting("how many run side by side", default=16, at_least=1)
    max_steps: int | None = setting(
        "T, steps of an episode; None for 3 per node", default=None, at_least=1
    )
    num_rollouts: int = setting("M, roll-outs from each graph", default=10, at_least=0)
    rollout_steps: int | None = setting(
        "steps of a roll-out, if the episode has so many left; None for one per node",
        default=None,
        at_least=0,
    )
    rollout_value: RolloutValue = setting(
        "a roll-out is worth its 'best' or its 'last' graph", default="best"
    )
    rollout_weight: float = setting("lambda_1", default=2.0, at_least=0)
    rollout_penalty: float = setting(
        "what a roll-out by its last graph is worth that breaks a rule", default=-0.1
    )
    rule_weight: float = setting("lambda_2", default=1.0, at_least=0)
    step_reward: float = setting("paid for every valid step", default=0.0)
    mask_moves: bool = setting("do not offer moves that break rules", default=True)
    roll_back: RollBack = setting(
        "steps are rolled back if their reward is 'negative', or negative and 'worse' than before",
        default="worse",
    )
    patience: int | None = setting(
        "steps rolled back in a row that end an episode; None for no end", default=5, at_least=1
    )
    keep: Literal["best", "last"] = setting(
        "an episode gives its 'best' or its 'last' graph", default="best"
    )
    slack: float = setting(
        "graphs whose probability is lower than the best by no more than this are as good",
        default=0.01,
        at_least=0,
    )
    weights: Literal["best", "last"] = setting(
        "the generator is that of the 'best' or of the 'last' iteration", default="best"
    )
    baseline: bool = setting("subtract the mean reward of the other episodes", default=True)
    entropy: float = setting(
        "weight of the entropy of both distributions", default=0.01, at_least=0
    )
    optimizer: Literal["adam", "sgd"] = setting(
        "'adam', or 'sgd' with momentum 0.9 and weight decay 5e-4", default="adam"
    )
    learning_rate: float = setting("of either optimizer", default=0.01, above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.policy = self.make_policy()

    def _learn(self, target_class: int) -> None:
        runner = self.episode_runner(target_class)
        self.policy = policy = self.make_policy()
        learn = self._learner(policy)
        best, highest = policy.state_dict(), -math.inf
        rounds = range(self.iterations)
        is_hidden = not self.progress
        for iteration in progress_bar(rounds, "fit xgnn", disable=is_hidden, delay=1, leave=False):
            initial = self._draw_initial(self.episodes, iteration)
            trajectories = runner.run(policy, initial, iteration, learn)
            self._rows.append(self._summary(runner.environment, iteration, trajectories))
            value = sum(row["probability"] for row in self._rows[-2:])
            if value >= highest:
                highest, best = value, copy.deepcopy(policy.state_dict())
        if self.weights == "best":
            policy.load_state_dict(best)

    def _learner(self, policy: Policy) -> Learn:
        """One update of the policy after each step."""
        optimizer = self.make_optimizer(policy)

        def learn(choice: Choice, reward: Tensor) -> None:
            loss = policy_loss(choice, reward, self.baseline, self.entropy)
            if not torch.isfinite(loss):
                raise FitError(
                    "the loss of xgnn is not finite: the model's probabilities are not, or "
                    "learning_rate is too high"
                )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), _CLIP)
            optimizer.step()

        return learn

    def _summary(
        self, environment: Environment, iteration: int, trajectories: Trajectories
    ) -> dict[str, Any]:
        """A row of the history."""
        reached = environment.target_probability(self._chosen(trajectories)[0])
        reward = torch.cat([step.reward for step in trajectories.steps])
        return {
            "iteration": iteration,
            "reward": float(reward.mean()),
            "probability": float(reached.mean()),
            "best": float(reached.max()),
        }

    def _generate(self, target_class: int, n: int) -> tuple[GeneratedGraph, ...]:
        runner = self.episode_runner(target_class)
        initial = self._draw_initial(n, STREAM_EXPLAIN)
        trajectories = runner.run(self.policy, initial, STREAM_EXPLAIN)
        return generated_graphs(runner.environment, trajectories, *self._chosen(trajectories))

    def _chosen(self, trajectories: Trajectories) -> tuple[DenseGraphs, Tensor | None]:
        """What episodes give, and how many steps led to it; None for all."""
        return trajectories.best(self.slack) if self.keep == "best" else (trajectories.last, None)

    def _tensors(self) -> dict[str, Tensor]:
        return {name: value.cpu() for name, value in self.policy.state_dict().items()}

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        self.policy.load_state_dict(tensors)

    def episode_runner(self, target_class: int) -> EpisodeRunner:
        """How graphs grow towards a class.

        Raises:
            TargetError: if there is no such class.
        """
        rewards = Rewards(
            num_rollouts=self.num_rollouts,
            rollout_weight=self.rollout_weight,
            rule_weight=self.rule_weight,
            step_reward=self.step_reward,
            rollout_penalty=self.rollout_penalty,
            rollout_value=self.rollout_value,
            rollout_steps=self.max_nodes if self.rollout_steps is None else self.rollout_steps,
        )
        return EpisodeRunner(
            environment=replace(self.environment(target_class), mask_moves=self.mask_moves),
            rewards=rewards,
            max_steps=self.max_steps or _STEPS_PER_NODE * self.max_nodes,
            roll_back=self.roll_back,
            patience=self.patience,
        )

    def make_policy(self) -> Policy:
        """An untrained policy."""
        generator, where = torch.Generator().manual_seed(self.seed), self.classifier
        return Policy(len(self.node_types), generator, where.dtype, where.device)

    def make_optimizer(self, policy: Policy) -> torch.optim.Optimizer:
        """Of the policy's weights."""
        weights, rate = list(policy.parameters()), self.learning_rate
        if self.optimizer == "adam":
            return torch.optim.Adam(weights, lr=rate, betas=_ADAM_BETAS)
        return torch.optim.SGD(weights, lr=rate, momentum=_MOMENTUM, weight_decay=_WEIGHT_DECAY)


def policy_loss(choice: Choice, reward: Tensor, baseline: bool, entropy: float) -> Tensor:
    """Minus the expected reward, as far as its gradient goes, and minus some entropy.

    Args:
        choice: ``B`` moves.
        reward: ``[B]``.
        baseline: subtract the mean reward of the other moves.
        entropy: weight of the entropy.
    """
    advantage = reward
    others = reward.numel() - 1
    if baseline and others:
        advantage = reward - (reward.sum() - reward) / others
    return -(advantage * choice.log_probability).mean() - entropy * choice.entropy.mean()
