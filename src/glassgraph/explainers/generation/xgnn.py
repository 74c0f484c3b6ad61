"""XGNN: which graphs does a classifier take for the best examples of a class?

A generator grows graphs edge by edge and is trained by policy gradient to please the classifier
``f``. A state is a graph ``G_t`` with the K node types beside it as candidates; an action joins a
node of it to another one, or to a new node of one of the types. The policy is in `policy.py`. For a
class ``c`` of ``l`` classes a step to ``G_{t+1}`` is paid

    R_t = R_f(G_{t+1}) + lambda_1 1/M sum_m R_f(rollout_m(G_{t+1})) + lambda_2 R_r,
    R_f(G) = p(f(G) = c) - 1/l

where roll-outs go on from ``G_{t+1}`` with the policy as it is, and ``R_r = -1`` if a rule is
broken (the classifier is then not asked, and the rest of R_t is zero). The loss is
``-R_t (log pi(start) + log pi(end))``, one update after each step. A step that breaks a rule or is
paid less than nothing is rolled back.

Source: Yuan, Tang, Hu and Ji, "XGNN: Towards Model-Level Explanations of Graph Neural Networks"
(KDD 2020, https://arxiv.org/abs/2006.02587). Where this differs, and what `XGNN.published` sets
back to the settings of the authors' code (divelab/DIG, ``dig/xgraph/XGNN``):

* Sign. With cross-entropy ``CE = -log pi``, the printed loss ``-R_t CE`` would raise what is
  punished. The code's ``+R_t CE`` is the policy gradient, and so is the loss here.
* Log probabilities are those of the distribution that was sampled. The code's loss reads logits of
  rows where no node is.
* Moves that break a rule are not offered where the rule can say so in advance (``mask_moves``).
  Published: they are, and cost the step.
* A roll-out is worth the best graph on its way (``rollout_value="best"``). Published: its last one,
  or a penalty of 0.1 once a move is invalid. A full tree has nothing but cycles ahead: by its last
  graph it would look worse than a stump.
* A step is rolled back if it is paid less than nothing and less than the state it left
  (``roll_back="worse"``). Published: less than nothing, which no first step passes where small
  graphs are far from the class.
* An episode ends when nothing has been kept for a while (``patience``). Published: it does not, and
  learns at dead ends, where every action is punished, as much as anywhere else.
* What an episode gives is the best of its graphs (``keep="best"``): of those within ``slack`` of
  its highest probability the one with the most nodes, then the fewest edges. Published: the last.
  The generator has no action to stop with, so that goes on adding edges while the class is more
  probable than by chance. The trace has all steps.
* Roll-outs look V steps ahead (``rollout_steps``). Published: to the end of the episode.
* Episodes run side by side, the mean reward of the others is a baseline, and entropy is rewarded a
  little (``episodes``, ``baseline``, ``entropy``). Published: one episode, none of it.
* ``lambda_1 = 2`` as in the code, which lets a hopeful roll-out outweigh a poor graph; Adam. The
  code: SGD with momentum, and a further 0.1 for every valid step.
* An episode begins with a node of any type unless ``start`` says otherwise; the authors' molecules
  begin with carbon.

Bond types play no part, as published: the classifier sees which atoms are joined, and a valence
bounds the number of neighbors.
"""

from __future__ import annotations

import inspect
import platform
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
import torch_geometric
from torch import Tensor, nn
from tqdm.auto import tqdm
from typing_extensions import Self

from glassgraph._version import __version__
from glassgraph.core.model_explanation import GeneratedGraph, ModelExplanation
from glassgraph.core.outside.called import as_module
from glassgraph.core.protect import fingerprint, protected
from glassgraph.core.random import uniform
from glassgraph.core.task import Call, Mode, ReturnType, Task
from glassgraph.errors import (
    ExplainerFileError,
    FitError,
    Interrupted,
    NotFittedError,
    TargetError,
)
from glassgraph.explainers.base import Traits
from glassgraph.explainers.fitted_file import read_fitted, write_fitted
from glassgraph.explainers.generation import settings
from glassgraph.explainers.generation.beginnings import (
    Start,
    name_types,
    read_start,
    with_a_first_move,
)
from glassgraph.explainers.generation.classifier import Classifier, Decorate, Features
from glassgraph.explainers.generation.graph_rules import Judge, Rule, as_rule, from_json
from glassgraph.explainers.generation.growing import (
    Growth,
    Rewards,
    RollBack,
    RolloutValue,
)
from glassgraph.explainers.generation.policy import Choice, Policy
from glassgraph.explainers.generation.states import Graphs
from glassgraph.explainers.generation.traces import generated, with_probabilities
from glassgraph.explainers.generation.wandering import wander

if TYPE_CHECKING:
    import pandas as pd

#: Iterations count from 0; what is drawn outside of them has these addresses.
STREAM_EXPLAIN, STREAM_WANDER, STREAM_START = -1, -2, -3
_STEPS_PER_NODE = 3
_MOMENTUM, _WEIGHT_DECAY, _ADAM_BETAS, _CLIP = 0.9, 5e-4, (0.9, 0.99), 100.0


class UnreachedClassWarning(UserWarning):
    """None of the generated graphs is predicted to be of the class they were generated for."""


class XGNN:
    """Generates graphs that a classifier assigns to a class.

    Args:
        model: a graph classifier, a module or a function of the graph; it is only called, and left
            exactly as it was, also after an error.
        node_types: number of node types, or their names in the order of the features' columns.
        max_nodes: V, nodes that a graph may have.
        rules: what every graph on the way has to keep: `glassgraph.graph_rules`, or functions
            ``(node_type, edge_index) -> bool``. Graphs are simple in any case.
        features: what nodes carry: ``"one_hot"``, ``"degree"`` or ``"constant"`` (one column
            each), or a function ``(node_type [n], edge_index [2, e]) -> x [n, F]``. Many graphs
            are packed into one.
        decorate: ``decorate(data) -> data`` adds whatever else the model reads, such as
            ``edge_attr``, to a packed graph.
        start: what growing begins with: a node of any type (None), of the type of this name or
            number, or a graph ``(node_type, edge_index)``.
        mode: ``"multiclass_classification"`` (the default) or ``"binary_classification"``.
        return_type: the model returns ``"raw"`` logits (the default), ``"probs"`` or
            ``"log_probs"``.
        call: how to call the model, ``call(model, data) -> Tensor``; by default the names in
            ``forward``'s signature are looked up in the data.
        iterations: times that all episodes are run; the code's 50.
        episodes: how many run side by side.
        max_steps: T, steps of an episode; None for 3 per node.
        num_rollouts: M.
        rollout_steps: steps of a roll-out, if the episode has so many left; None for one per node.
        rollout_value: ``"best"`` or ``"last"`` graph of a roll-out.
        rollout_weight: lambda_1.
        rollout_penalty: what a roll-out by its last graph is worth that breaks a rule.
        rule_weight: lambda_2.
        step_reward: paid for every valid step.
        mask_moves: do not offer moves that break rules.
        roll_back: steps are rolled back if their reward is ``"negative"``, or negative and
            ``"worse"`` than before.
        patience: steps rolled back in a row that end an episode; None for no end.
        keep: an episode gives its ``"best"`` or its ``"last"`` graph.
        slack: graphs whose probability is lower than the best by no more than this are as good; of
            them the one with the most nodes is taken, and with the fewest edges.
        baseline: subtract the mean reward of the other episodes.
        entropy: weight of the entropy of both distributions.
        optimizer: ``"adam"`` or ``"sgd"`` (momentum 0.9, weight decay 5e-4).
        learning_rate: of either.
        seed: seed of everything random.
        progress: show a progress bar on long work.

    Raises:
        HyperParameterError: for values out of range; rules that no graph can keep.
        TaskError: for a regression.
        ModelCallError: if the model cannot be called on such graphs.
        ModelOutputError: if it does not return one row per graph.
        UnsupportedModelError: if its answers depend on the other graphs in the call.

    Example:
        >>> def edges(x, edge_index, batch):  # the more edges, the surer is class 1
        ...     count = torch.bincount(batch[edge_index[0]], minlength=int(batch[-1]) + 1) / 2
        ...     return torch.stack([2.5 - count, count - 2.5], dim=1)
        >>> xgnn = XGNN(edges, node_types=1, max_nodes=3, iterations=2, progress=False)
        >>> xgnn.fit(target_class=1).explain(n=1)[0].num_edges
        3
    """

    name: ClassVar[str] = "xgnn"
    traits: ClassVar[Traits] = Traits(
        family="generation",
        scores=(),
        is_learned=True,
        is_amortized=False,
        is_black_box=True,
        is_signed=False,
        is_random=True,
        source="Yuan, Tang, Hu & Ji, KDD 2020, https://arxiv.org/abs/2006.02587",
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
        "baseline": False,
        "entropy": 0.0,
        "optimizer": "sgd",
    }

    def __init__(
        self,
        model: nn.Module,
        node_types: int | Sequence[str],
        max_nodes: int,
        *,
        rules: Iterable[Rule | Judge] = (),
        features: Features = "one_hot",
        decorate: Decorate | None = None,
        start: Start = None,
        mode: Mode | None = None,
        return_type: ReturnType | None = None,
        call: Call | None = None,
        iterations: int = 50,
        episodes: int = 16,
        max_steps: int | None = None,
        num_rollouts: int = 10,
        rollout_steps: int | None = None,
        rollout_value: RolloutValue = "best",
        rollout_weight: float = 2.0,
        rollout_penalty: float = -0.1,
        rule_weight: float = 1.0,
        step_reward: float = 0.0,
        mask_moves: bool = True,
        roll_back: RollBack = "worse",
        patience: int | None = 5,
        keep: Literal["best", "last"] = "best",
        slack: float = 0.01,
        baseline: bool = True,
        entropy: float = 0.01,
        optimizer: Literal["adam", "sgd"] = "adam",
        learning_rate: float = 0.01,
        seed: int = 0,
        progress: bool = True,
    ) -> None:
        self.model = as_module(model)
        self.node_types = name_types(node_types)
        self.max_nodes = max_nodes
        self.rules = [as_rule(rule) for rule in rules]
        self.features, self.decorate, self.start, self.call = features, decorate, start, call
        self.mode, self.return_type = mode, return_type
        self.iterations, self.episodes, self.max_steps = iterations, episodes, max_steps
        self.num_rollouts, self.rollout_steps = num_rollouts, rollout_steps
        self.rollout_value, self.rollout_weight = rollout_value, rollout_weight
        self.rollout_penalty, self.rule_weight = rollout_penalty, rule_weight
        self.step_reward, self.mask_moves = step_reward, mask_moves
        self.roll_back, self.patience = roll_back, patience
        self.keep, self.slack = keep, slack
        self.baseline, self.entropy = baseline, entropy
        self.optimizer, self.learning_rate = optimizer, learning_rate
        self.seed, self.progress = seed, progress
        settings.check(vars(self))

        self.task = Task.of("graph", mode=mode, return_type=return_type)
        self._rules = [rule.bind(self.node_types) for rule in self.rules]
        self._classifier = Classifier(self.model, self.task, features, decorate, call)
        starts = read_start(start, self.node_types, max_nodes, self._classifier.device)
        self.starts = with_a_first_move(starts, self._rules)
        self._probe()
        self.target_class: int | None = None
        self.policy: Policy | None = None
        self._rows: list[dict[str, Any]] = []

    @property
    def is_fitted(self) -> bool:
        """Whether there is a generator to explain with."""
        return self.policy is not None and bool(self._rows)

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        """Everything but the model, functions by their names (JSON-able)."""
        names = list(inspect.signature(type(self).__init__).parameters)[2:-1]
        return {name: settings.told(getattr(self, name)) for name in names}

    @property
    def history(self) -> pd.DataFrame:
        """One row per iteration: mean reward, mean and highest probability of its graphs."""
        import pandas as pd

        return pd.DataFrame(self._rows)

    def fit(self, target_class: int) -> Self:
        """Train a generator for a class, from scratch.

        Raises:
            TargetError: if there is no such class.
            FitError: if the loss is not finite.
            Interrupted: on Ctrl-C; the generator keeps what it had learned.
        """
        growth = self.growth(target_class)
        self.target_class, self._rows = growth.target, []
        self.policy = self.make_policy()
        try:
            with protected(self.model), torch.enable_grad():
                self._learn(growth, self.policy)
        except KeyboardInterrupt as interrupt:
            done = f"{len(self._rows)} of {self.iterations} iterations are done"
            raise Interrupted(f"interrupted while fitting xgnn: {done}") from interrupt
        return self

    def _learn(self, growth: Growth, policy: Policy) -> None:
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

        rounds = range(self.iterations)
        for iteration in tqdm(rounds, "fit xgnn", disable=not self.progress, delay=1, leave=False):
            begin = self._begin(self.episodes, iteration)
            episodes = growth.grow(policy, begin, iteration, learn)
            graphs = episodes.best(self.slack)[0] if self.keep == "best" else episodes.last
            reached = growth.classifier(graphs)[:, growth.target]
            reward = torch.cat([step.reward for step in episodes.steps])
            self._rows.append(
                {
                    "iteration": iteration,
                    "reward": float(reward.mean()),
                    "probability": float(reached.mean()),
                    "best": float(reached.max()),
                }
            )

    def explain(self, n: int = 10) -> ModelExplanation:
        """Generate graphs for the class that `fit` was given.

        Raises:
            NotFittedError: before `fit`.
        """
        growth, policy = self._fitted(), self.policy
        assert policy is not None
        with protected(self.model):
            begin = self._begin(settings.at_least("n", n, 1), STREAM_EXPLAIN)
            episodes = growth.grow(policy, begin, STREAM_EXPLAIN)
            graphs, taken = (
                episodes.best(self.slack) if self.keep == "best" else (episodes.last, None)
            )
            found = generated(growth, episodes, graphs, taken)
        explanation = self._explanation(growth.target, found)
        self._warn_if_unreached(explanation)
        return explanation

    def random(
        self,
        n: int = 10,
        *,
        target_class: int | None = None,
        like: ModelExplanation | None = None,
    ) -> ModelExplanation:
        """Random graphs under the same rules, to hold generated ones against.

        Moves are drawn uniformly from those that keep the rules, each edge counted once.

        Args:
            n: how many.
            target_class: the class whose probability is of interest; that of `fit` by default.
            like: graph ``i`` gets as many nodes and edges as graph ``i`` of these (from the start
                again where they are fewer). Without, growing ends at ``max_nodes`` nodes.

        Raises:
            NotFittedError: without a class, before `fit`.
        """
        growth = self._fitted() if target_class is None else self.growth(target_class)
        begin = self._begin(settings.at_least("n", n, 1), STREAM_WANDER)
        nodes = torch.full((n,), self.max_nodes, device=begin.node_type.device)
        edges = torch.full_like(nodes, -1)
        if like is not None and len(like):
            of = [like[i % len(like)] for i in range(n)]
            nodes = nodes.new_tensor([graph.node_type.numel() for graph in of])
            edges = edges.new_tensor([graph.num_edges for graph in of])
        with protected(self.model):
            episodes, graphs = wander(growth, begin, nodes, edges)
            found = generated(growth, with_probabilities(growth, episodes), graphs, None)
        return self._explanation(growth.target, found, is_random=True)

    # Files

    def save(self, path: str | Path) -> Path:
        """Write the generator, and for which model it is, into one safetensors file.

        Raises:
            NotFittedError: before `fit`.
            OutputError: if the file cannot be written.
        """
        growth, policy = self._fitted(), self.policy
        assert policy is not None
        functions = [n for n in ("features", "decorate", "call") if callable(getattr(self, n))]
        if any(rule.to_json() is None for rule in self.rules):
            functions.append("rules")
        about = {
            "hyper_parameters": self.hyper_parameters,
            "functions": functions,
            "target": growth.target,
            "history": self._rows,
        }
        tensors = {name: value.cpu() for name, value in policy.state_dict().items()}
        return write_fitted(Path(path), self.name, self.model, tensors, about)

    @classmethod
    def load(cls, path: str | Path, model: nn.Module, **shared: Any) -> Self:
        """Read what `save` wrote.

        Args:
            path: the file.
            model: the very model it was fitted for.
            **shared: ``progress``, and those of ``rules``, ``features``, ``decorate`` and ``call``
                that are functions, which no file can hold.

        Raises:
            ExplainerFileError: if the file is damaged, of another method, format or model, or a
                function is missing.
        """
        tensors, header = read_fitted(Path(path), cls.name, as_module(model))
        missing = [name for name in header["functions"] if name not in shared]
        if missing:
            raise ExplainerFileError(
                f"{path} was fitted with functions, which no file can hold; give them again: "
                + ", ".join(f"{name}=..." for name in missing)
            )
        known = header["hyper_parameters"]
        if isinstance(known["start"], list):
            known["start"] = tuple(known["start"])
        if "rules" not in shared:
            known["rules"] = [from_json(rule) for rule in known["rules"]]
        xgnn = cls(model, **{**known, **shared})
        xgnn.policy = xgnn.make_policy()
        xgnn.policy.load_state_dict(tensors)
        xgnn.target_class, xgnn._rows = int(header["target"]), header["history"]
        return xgnn

    # Helpers

    def _probe(self) -> None:
        """Ask the model about some small graphs, as many beginnings as graphs after a move."""
        with protected(self.model):
            row, start, end = self.starts.moves().nonzero(as_tuple=True)
            first = slice(0, 2)
            grown = self.starts.take(row[first]).after(start[first], end[first])
            self._classifier.probe(Graphs.join([self.starts.take(first), grown]))

    def _begin(self, count: int, iteration: int) -> Graphs:
        """``count`` beginnings, each drawn from those that are possible."""
        row = torch.arange(count, device=self.starts.node_type.device)
        number = uniform(self.seed, STREAM_START, iteration, row)
        return self.starts.take((number * len(self.starts)).long())

    def growth(self, target_class: int) -> Growth:
        """How graphs grow towards a class.

        Raises:
            TargetError: if there is no such class.
        """
        classes = range(self._classifier.num_classes)
        if not isinstance(target_class, int) or target_class not in classes:
            raise TargetError(
                f"target_class {target_class!r} is out of range: the model has {len(classes)} "
                "classes, from 0"
            )
        return Growth(
            classifier=self._classifier,
            rules=self._rules,
            target=target_class,
            chance=0.5 if self.task.mode == "binary_classification" else 1 / len(classes),
            rewards=Rewards(
                self.num_rollouts,
                self.rollout_weight,
                self.rule_weight,
                self.step_reward,
                self.rollout_penalty,
                self.rollout_value,
                self.max_nodes if self.rollout_steps is None else self.rollout_steps,
            ),
            max_steps=self.max_steps or _STEPS_PER_NODE * self.max_nodes,
            mask_moves=self.mask_moves,
            roll_back=self.roll_back,
            patience=self.patience,
            seed=self.seed,
        )

    def _fitted(self) -> Growth:
        if not self.is_fitted or self.target_class is None:
            raise NotFittedError(
                "xgnn learns to generate before it explains: call .fit(target_class=...), or load "
                "a file"
            )
        return self.growth(self.target_class)

    def make_optimizer(self, policy: Policy) -> torch.optim.Optimizer:
        """Of the policy's weights."""
        weights, rate = list(policy.parameters()), self.learning_rate
        if self.optimizer == "adam":
            return torch.optim.Adam(weights, lr=rate, betas=_ADAM_BETAS)
        return torch.optim.SGD(weights, lr=rate, momentum=_MOMENTUM, weight_decay=_WEIGHT_DECAY)

    def make_policy(self) -> Policy:
        """An untrained policy."""
        generator = torch.Generator().manual_seed(self.seed)
        where = self._classifier
        return Policy(len(self.node_types), generator, where.dtype, where.device)

    def _warn_if_unreached(self, explanation: ModelExplanation) -> None:
        if not any(self._is_reached(graph, explanation.target) for graph in explanation.graphs):
            warnings.warn(
                f"none of the {len(explanation)} generated graphs is predicted to be of class "
                f"{explanation.target}: the highest probability is "
                f"{float(explanation.probability.max()):.3g}. The class may need more than "
                f"max_nodes={self.max_nodes} nodes, other rules, or more iterations; or the model "
                "never predicts it",
                UnreachedClassWarning,
                stacklevel=3,
            )

    def _is_reached(self, graph: GeneratedGraph, target: int) -> bool:
        if self.task.mode == "binary_classification":
            return float(graph.probabilities[target]) > 0.5
        return int(graph.probabilities.argmax()) == target

    def _explanation(
        self, target: int, graphs: tuple[GeneratedGraph, ...], *, is_random: bool = False
    ) -> ModelExplanation:
        provenance = {
            "method": self.name,
            "is_random": is_random,
            "hyper_parameters": self.hyper_parameters,
            "target": target,
            "task": vars(self.task),
            "model": type(self.model).__name__,
            "model_fingerprint": fingerprint(self.model),
            "versions": {
                "glassgraph": __version__,
                "torch": torch.__version__,
                "torch_geometric": torch_geometric.__version__,
                "python": platform.python_version(),
            },
        }
        return ModelExplanation(self.name, target, self.node_types, graphs, provenance)


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
