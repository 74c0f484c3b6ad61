"""GNNInterpreter: graphs of a class, as distributions that are learned by gradients."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import Batch, Data
from typing_extensions import Self

from glassgraph.calling.call import attempted
from glassgraph.errors import FitError, HyperParameterError, ModelCallError
from glassgraph.explainers.graph_generation.best_distributions import Best, Reached
from glassgraph.explainers.graph_generation.distributions import Draws, GraphDistributions
from glassgraph.explainers.graph_generation.drawn_graphs import Drawn, grow
from glassgraph.explainers.graph_generation.environment import STREAM_EXPLAIN, Environment
from glassgraph.explainers.graph_generation.relaxed_classifier import RelaxedClassifier, relax
from glassgraph.explainers.graph_generation.rule import satisfies
from glassgraph.explainers.graph_generation.trajectories import (
    Trajectories,
    generated_graphs,
    with_probabilities,
)
from glassgraph.explainers.model_explainer import ModelExplainer
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.hidden.graph_embedding import EmbeddingReader
from glassgraph.inputs.task import Targets, as_matrix, loss, predicted_class, score
from glassgraph.progress import progress_bar
from glassgraph.results.model_explanation import GeneratedGraph

#: Of a probability; a relaxation that is farther from the model's own answers is told.
_GAP = 0.05


class InexactRelaxationWarning(UserWarning):
    """On complete graphs with edges shut the model does not answer as on graphs without them."""


class GNNInterpreter(ModelExplainer):
    """Which distribution of graphs does a classifier take for a class?

    A graph has V nodes; the edge of each pair is there with probability ``sigmoid(w_ij)``, a node
    is of type k with probability ``softmax(xi_i)_k``, each for itself. With noise ``u`` uniform and
    temperature ``tau`` both become relaxed draws ::

        a_ij = sigmoid((w_ij + log u - log(1 - u)) / tau)
        z_i  = softmax((xi_i - log(-log u)) / tau)

    that the model is asked about: edges as ``edge_weight`` or as factors of its messages, nodes of
    several types in part. Gradient ascent raises, in the mean over draws, ::

        log p(c | G) + mu cos(psi(G), psi_c)
          - l1 mean|w, xi| - l2 mean(w, xi)^2
          - b softplus(sum sigmoid(w) - B)^2 - r mean KL(p_ij || p_ik)

    where ``psi`` is what the last linear layer reads, ``psi_c`` its mean over given graphs that the
    model assigns to the class, ``B`` a budget of edges, and the last term, over pairs of edges that
    meet, makes neighboring edges alike, so that they hang together.

    Many distributions are learned side by side from different beginnings (``restarts``). `fit`
    learns them for one class, `explain` makes graphs ``[n]`` of them as a `ModelExplanation`, the
    surest distributions first; `random` draws others under the same rules. A drawn graph becomes
    one that keeps the rules by growing along its edges, the most probable first: an edge after
    which a rule is broken is refused, and stands in the history as a step that is not valid; what
    does not hang together with the first node is dropped. All probabilities are the model's on
    finished graphs, never on relaxed ones.

    Wang and Shen, "GNNInterpreter: A Probabilistic Generative Model-Level Explanation for Graph
    Neural Networks" (ICLR 2023, https://arxiv.org/abs/2209.07924). Where this differs, and what
    `GNNInterpreter.published` sets back:

    * The class is asked for by its log probability (``objective``). Published: by its logit, which
      may rise with those of all other classes.
    * ``psi_c`` is the mean over examples that the *model* assigns to the class, as the model is
      explained; published: over those with its label. Without examples the term is left out.
    * Regularizers are means over logits and over pairs of edges, so that one weight serves all
      sizes; published: norms and sums. The weight of the budget stays what it is.
    * Rules: published, there are none.
    * The parameters are those of the best iteration by the probability of the finished graphs
      (``weights="best"``). Published: those of the last.
    * Types of edges are not learned; the rules know none. ``decorate`` may give constant ones.

    Args:
        model: a graph classifier whose messages can be changed, or that reads ``edge_weight``.
        node_types: number K of node types, or their names in the order of the features' columns.
        max_nodes: V, nodes of a drawn graph; what is dropped makes it smaller.
        rules: what every graph on the way has to keep: `glassgraph.graph_rules`, or functions
            ``(node_type [n], edge_index [2, e]) -> bool``.

    The other arguments are listed under ``__init__``; those that all such methods share
    (``features``, ``decorate``, ``start``, ...) are described in `ModelExplainer`. A function
    ``features`` has to depend on node types alone.

    Raises:
        HyperParameterError: for values out of range; rules that no graph can keep. For errors about
            the model see `ModelExplainer`.

    Example:
        >>> def edges(x, edge_index, batch, edge_weight=None):  # more edges, surer of class 1
        ...     weight = torch.ones(edge_index.size(1)) if edge_weight is None else edge_weight
        ...     count = (
        ...         torch.zeros(int(batch[-1]) + 1).index_add(0, batch[edge_index[0]], weight) / 2
        ...     )
        ...     return torch.stack([2.5 - count, count - 2.5], dim=1)
        >>> interpreter = GNNInterpreter(edges, node_types=1, max_nodes=3, progress=False)
        >>> found = interpreter.fit(target_class=1).explain(n=1)
        >>> found[0].num_edges, round(float(found.probability[0]), 3)  # the triangle
        (3, 0.731)
    """

    name: ClassVar[str] = "gnn_interpreter"
    traits: ClassVar[Traits] = Traits(
        family="generation",
        scores=(),
        is_learned=True,
        is_random=True,
        source="Wang and Shen 2023, arXiv:2209.07924",
    )
    #: Hyper-parameters that bring the objective near the published one.
    published: ClassVar[dict[str, Any]] = {"objective": "logit", "restarts": 1, "weights": "last"}

    iterations: int = setting("times that finished graphs are looked at", default=50, at_least=1)
    steps: int = setting("updates in an iteration", default=10, at_least=1)
    restarts: int = setting(
        "R, distributions that are learned side by side", default=16, at_least=1
    )
    samples: int = setting("relaxed draws of each in an update", default=4, at_least=1)
    temperature: float = setting("tau, of relaxed draws", default=0.2, above=0)
    objective: Literal["log_probability", "logit"] = setting(
        "the class is asked for by its 'log_probability' or its 'logit'", default="log_probability"
    )
    similarity_weight: float = setting(
        "mu, weight of the cosine to the mean embedding of examples", default=1.0, at_least=0
    )
    l1_weight: float = setting("of the mean absolute logit", default=0.01, at_least=0)
    l2_weight: float = setting("of the mean squared logit", default=0.01, at_least=0)
    budget: int | None = setting(
        "B, edges that cost nothing; None for one per node", default=None, at_least=1
    )
    budget_weight: float = setting("b, of expected edges beyond", default=0.1, at_least=0)
    connectivity_weight: float = setting(
        "r, of meeting edges that differ", default=0.01, at_least=0
    )
    draw: Literal["mode", "sample"] = setting(
        "graphs are the 'mode' of each distribution first (edges above one half), or a 'sample'",
        default="mode",
    )
    weights: Literal["best", "last"] = setting(
        "distributions are those of their 'best' or of the 'last' iteration", default="best"
    )
    slack: float = setting(
        "graphs whose probability is lower than the best by no more than this are as good",
        default=0.01,
        at_least=0,
    )
    learning_rate: float = setting("of Adam", default=0.1, above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._given = self.initial_graphs if self.start is not None else None
        self.distributions = self._untrained()
        self._examples: Sequence[Data] | None = None

    def fit(self, target_class: int, examples: Sequence[Data] | None = None) -> Self:
        """Learn distributions of graphs of a class, from scratch.

        Args:
            target_class: the class.
            examples: graphs as the model reads them, such as its training data; those that it
                assigns to the class say what their embedding is to be like. None for no such term.

        Raises:
            TargetError: if there is no such class.
            FitError: if the loss is not finite, or the model assigns no example to the class.
            HyperParameterError: if ``features`` is a function that depends on edges.
            ModelCallError: if the model fails on the examples.
            UnsupportedModelError: if the model neither sends messages that can be changed nor reads
                ``edge_weight``; with examples, if it has no linear layer that reads whole graphs.
            Interrupted: on Ctrl-C; what had been learned is kept.
        """
        self._examples = examples
        try:
            return super().fit(target_class)
        finally:
            self._examples = None

    def _learn(self, target_class: int) -> None:
        environment = self.environment(target_class)
        relaxed = self._relax()
        ideal = None if self._examples is None else self._ideal(target_class, self._examples)
        learned = self.distributions = self._untrained()
        for logit in (learned.edge_logit, learned.type_logit):
            logit.requires_grad_()
        optimizer = torch.optim.Adam(
            [learned.edge_logit, learned.type_logit], lr=self.learning_rate
        )
        best: Best | None = None
        for iteration in self._rounds():
            terms = [
                self._update(learned, relaxed, ideal, target_class, optimizer, (iteration, step))
                for step in range(self.steps)
            ]
            row, reached = self._summary(environment, learned)
            if best is None or self.weights == "last":
                best = Best.of(learned, reached)
            else:
                best = best.updated(learned, reached, self.slack)
            self._rows.append({"iteration": iteration, **_means(terms), **row})
            self.distributions = best.distributions.take(best.reached.order(self.slack))

    def _rounds(self) -> Iterator[int]:
        rounds, is_hidden = range(self.iterations), not self.progress
        yield from progress_bar(
            rounds, "fit gnn_interpreter", disable=is_hidden, delay=1, leave=False
        )

    def _relax(self) -> RelaxedClassifier:
        count = self.restarts * self.samples
        types = len(self.node_types)
        relaxed = relax(self.classifier, count, self.max_nodes, types, self.seed)
        if relaxed.gap > _GAP:
            warnings.warn(
                "on complete graphs with edges shut the model's probabilities are up to "
                f"{relaxed.gap:.2f} away from those on graphs without these edges (it may average "
                "over neighbors, or normalize by degrees and read no edge_weight): gradients lead "
                "elsewhere than they seem to. Probabilities of results are right; xgnn needs no "
                "gradients",
                InexactRelaxationWarning,
                stacklevel=5,
            )
        return relaxed

    def _update(
        self,
        learned: GraphDistributions,
        relaxed: RelaxedClassifier,
        ideal: Tensor | None,
        target: int,
        optimizer: torch.optim.Optimizer,
        address: tuple[int, int],
    ) -> dict[str, float]:
        """One step of gradient ascent of all distributions; what the terms were."""
        draws = learned.relaxed(self.samples, self.temperature, self.seed, *address)
        reader = EmbeddingReader(self.classifier.call.model) if ideal is not None else None
        with nullcontext() if reader is None else reader.watching():
            output = relaxed.output(draws)
        value = self._value(output, target)
        terms = {"objective": value.mean()}
        total = value.view(self.restarts, -1).mean(dim=1)
        if reader is not None and ideal is not None:
            alike = F.cosine_similarity(reader.read(len(output)), ideal[None])
            terms["similarity"] = alike.mean()
            total = total + self.similarity_weight * alike.view(self.restarts, -1).mean(dim=1)
        cost = (total - self.penalty(learned)).sum().neg()
        if not torch.isfinite(cost):
            raise FitError(
                "the loss of gnn_interpreter is not finite: the model's output is not, or "
                "learning_rate is too high"
            )
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        return {name: float(term.detach()) for name, term in terms.items()}

    def _value(self, output: Tensor, target: int) -> Tensor:
        """What is asked for of each draw, ``[R * S]``."""
        chosen = torch.full((len(output),), target, dtype=torch.long, device=output.device)
        targets = Targets(chosen)
        if self.objective == "logit":
            return score(self.task, output, targets)
        return -loss(self.task, output, targets, output)

    def penalty(self, learned: GraphDistributions) -> Tensor:
        """What regularizers cost each distribution, ``[R]``."""
        budget = self.max_nodes if self.budget is None else self.budget
        return (
            self.l1_weight * learned.size(1)
            + self.l2_weight * learned.size(2)
            + self.budget_weight * learned.over_budget(budget)
            + self.connectivity_weight * learned.disagreement()
        )

    @torch.no_grad()
    def _ideal(self, target: int, examples: Sequence[Data]) -> Tensor:
        """``[D]`` mean embedding of the examples that the model assigns to a class."""
        graphs = list(examples)
        if not graphs or not all(isinstance(each, Data) for each in graphs):
            raise HyperParameterError(
                "gnn_interpreter: examples is a list of torch_geometric Data, or None"
            )
        call, reader = self.classifier.call, EmbeddingReader(self.classifier.call.model)
        data = Batch.from_data_list(graphs).to(self.classifier.device)
        with reader.watching():
            result = attempted(lambda: call(data))
        if result is None:
            raise ModelCallError(
                "the model fails on the examples; give graphs as it was trained on, with the "
                "attributes that its forward names"
            )
        output = as_matrix(result, len(graphs), "graph")
        is_own = predicted_class(self.task, output) == target
        if not bool(is_own.any()):
            raise FitError(
                f"the model assigns none of {len(graphs)} examples to class {target}, so there is "
                "no embedding to be like; give examples of the class, or none"
            )
        return reader.read(len(graphs))[is_own].mean(dim=0)

    # Graphs

    @torch.no_grad()
    def _summary(
        self, environment: Environment, learned: GraphDistributions
    ) -> tuple[dict[str, float], Reached]:
        """The graphs that distributions stand for now: a row of the history, what they are like."""
        drawn = self._drawn(learned, learned.mode())
        graphs = grow(environment, drawn, self.initial_graphs, self._given is not None).last
        reached = environment.target_probability(graphs)
        broken = ~satisfies(environment.rules, drawn.graphs(len(self.node_types)))
        row = {
            "probability": float(reached.mean()),
            "best": float(reached.max()),
            "broken": float(broken.double().mean()),
        }
        return row, Reached(reached, graphs.num_nodes)

    def _drawn(self, learned: GraphDistributions, draws: Draws) -> Drawn:
        copies = len(draws.edge) // len(learned)
        probability = learned.logits[0].detach().sigmoid().repeat_interleave(copies, dim=0)
        return Drawn.of(draws, probability, learned.pairs)

    def _generate(self, target_class: int, n: int) -> tuple[GeneratedGraph, ...]:
        environment = self.environment(target_class)
        with torch.no_grad():
            drawn = self._drawn(self.distributions, self._draws(n))
        drawn = _each_in_turn(drawn, len(self.distributions), n)
        grown = grow(environment, drawn, self.initial_graphs, self._given is not None)
        asked: Trajectories = with_probabilities(environment, grown)
        return generated_graphs(environment, asked, asked.last, None)

    def _draws(self, n: int) -> Draws:
        """Enough graphs of each distribution, those of the first one first."""
        times = -(-n // len(self.distributions))
        drawn = self.distributions.sample(times, self.seed, STREAM_EXPLAIN)
        if self.draw == "mode":
            mode = self.distributions.mode()
            drawn.edge[::times], drawn.node_type[::times] = mode.edge, mode.node_type
        return drawn

    # What was learned

    def _untrained(self) -> GraphDistributions:
        like = torch.empty(0, dtype=self.classifier.dtype, device=self.classifier.device)
        types = len(self.node_types)
        return GraphDistributions.initial(
            self.restarts, self.max_nodes, types, self.seed, like, self._given
        )

    def _tensors(self) -> dict[str, Tensor]:
        learned = self.distributions
        return {
            "edge_logit": learned.edge_logit.detach().cpu(),
            "type_logit": learned.type_logit.detach().cpu(),
        }

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        untrained = self.distributions
        edge, types = (tensors[name].to(self.classifier.device) for name in self._tensors())
        if edge.shape != untrained.edge_logit.shape or types.shape != untrained.type_logit.shape:
            raise ValueError("logits have another shape")
        self.distributions = untrained.replaced(edge, types)


def _each_in_turn(drawn: Drawn, distributions: int, n: int) -> Drawn:
    """N graphs: one of each distribution, then another of each, ..."""
    number = torch.arange(n, device=drawn.node_type.device)
    times = len(drawn.node_type) // distributions
    row = number % distributions * times + number // distributions
    return Drawn(drawn.node_type[row], drawn.adjacency[row], drawn.weight[row])


def _means(terms: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: sum(each[name] for each in terms) / len(terms) for name in terms[0]}
