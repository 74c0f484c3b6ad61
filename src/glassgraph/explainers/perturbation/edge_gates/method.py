"""What methods share that score edges by one small network, learned over many predictions."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.prepare import Preparation
from glassgraph.errors import FitError, GraphError, HyperParameterError
from glassgraph.explainers.amortized import AmortizedExplainer
from glassgraph.explainers.constant import saturated
from glassgraph.explainers.perturbation.edge_gates.edge_states import EdgeStates
from glassgraph.explainers.settings import setting
from glassgraph.explainers.shared_batches import packed_batches
from glassgraph.explainers.training_batches import TrainingBatches, fit_target
from glassgraph.hidden.node_states import NodeStates
from glassgraph.inputs.instances import Instances
from glassgraph.learn.edge_scorer import EdgeScorer
from glassgraph.results.explanation import Attribution

#: Predictions in one batch where nothing else limits them.
_MOST = 256


class EdgeLoss(Protocol):
    """What the network is learned for."""

    def loss(self, scorer: EdgeScorer, edges: EdgeStates, epoch: int) -> Tensor:
        """The mean loss of some instances in an epoch."""
        ...


class EdgeScorerExplainer(AmortizedExplainer[EdgeStates]):
    """Edges scored from the states at their ends, whatever the network is learned for."""

    holds_back = False

    epochs: int = setting("how often every prediction is visited", default=30, at_least=1)
    learning_rate: float = setting("of Adam", default=0.003, above=0)
    batch_size: int | None = setting(
        "predictions in one step; None for all at once", default=10, at_least=1
    )
    states: str = setting(
        "hidden states that are read: of 'all' layers side by side, of the 'last' one, or the name "
        "of a submodule that returns one row for each node",
        default="all",
    )
    read_target: bool | None = setting(
        "read the states of the explained node, or of both ends of the link; None for node tasks "
        "alone",
        default=None,
    )
    hidden_channels: int = setting("width of the network's hidden layer", default=64, at_least=1)
    standardize: bool = setting(
        "read states in units of their standard deviation over the edges that are learned from",
        default=True,
    )
    start: float = setting("added to a at the start, where 0 is half open", default=0.0)
    restarts: int = setting(
        "networks that are fitted, each from its own start; that with the least loss in the end is "
        "kept",
        default=1,
        at_least=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.read_target and self.task.level == "graph":
            raise HyperParameterError(
                f"{self.name}: read_target is for node and link tasks: a graph has no node"
            )
        self._states = NodeStates(self.states, self.check, self.memory_budget)
        self._scorer: EdgeScorer | None = None

    # Fitting

    @property
    def is_fitted(self) -> bool:
        """Whether there is a network to explain with."""
        return self._scorer is not None

    def _cut(
        self, preparation: Preparation, instances: Instances, size: int | None, budget: int | None
    ) -> Iterator[tuple[Tensor, InstanceBatch]]:
        """Batches where each prediction has a field of its own."""
        most = None if budget is None else min(size or self.batch_size or _MOST, _MOST)
        return packed_batches(preparation, instances, fit_target(preparation), most)

    def _reader(self) -> Callable[[InstanceBatch], EdgeStates]:
        return lambda batch: EdgeStates.read(batch, self._states)

    def _learn(
        self, train: TrainingBatches[EdgeStates], validation: TrainingBatches[EdgeStates]
    ) -> None:
        torch.manual_seed(self.seed)  # noqa: TID251 - inside the protected random state
        least = math.inf
        with self._bar(self.restarts * self.epochs * len(train), is_fit=True) as bar:
            for restart in range(self.restarts):
                scorer = self._new_scorer(train)
                self._fit(scorer, train, validation, restart, bar)
                if self.restarts > 1:
                    loss = self._measure(scorer, validation if len(validation) else train)
                    if loss < least:
                        least, self._scorer = loss, scorer

    def _new_scorer(self, train: TrainingBatches[EdgeStates]) -> EdgeScorer:
        first = train[0]
        reads_target = self.task.level == "node" if self.read_target is None else self.read_target
        targets = first.targets.size(1) if reads_target else 0
        channels = first.states.size(1)
        scorer = EdgeScorer(channels, targets, self.hidden_channels, self.start).to(first.states)
        if self.standardize:
            ends = [edges.states[torch.cat([edges.source, edges.destination])] for edges in train]
            scorer.standardize(torch.cat(ends))
        return scorer

    def _fit(
        self,
        scorer: EdgeScorer,
        train: TrainingBatches[EdgeStates],
        validation: TrainingBatches[EdgeStates],
        restart: int,
        bar: Any,
    ) -> None:
        objective = self._objective()
        optimizer = torch.optim.Adam(scorer.parameters(), lr=self.learning_rate, fused=True)
        order = train.shuffled(self.epochs * len(train), self.seed)
        for epoch in range(self.epochs):
            losses = []
            for edges in itertools.islice(order, len(train)):
                with torch.enable_grad():
                    loss = objective.loss(scorer, edges, epoch)
                    if not bool(torch.isfinite(loss)):
                        raise FitError(_not_finite(loss, epoch))
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()
                optimizer.step()
                if restart == 0:  # should it be interrupted
                    self._scorer = scorer
                losses.append(loss.detach())
                bar.update(1)
            row = {"restart": restart, "epoch": epoch, "loss": float(torch.stack(losses).mean())}
            if len(validation):
                row["validation_loss"] = self._measure(scorer, validation, epoch)
            self._rows.append(row)

    @abstractmethod
    def _objective(self) -> EdgeLoss:
        """What the network is learned for."""

    @torch.no_grad()
    def _measure(
        self, scorer: EdgeScorer, batches: TrainingBatches[EdgeStates], epoch: int | None = None
    ) -> float:
        epoch, objective = self.epochs if epoch is None else epoch, self._objective()
        total = sum(
            float(objective.loss(scorer, edges, epoch)) * edges.batch.num_instances
            for edges in batches
        )
        return float(total / batches.num_predictions)

    # Explaining

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """The probability that an edge's gate is more open than shut."""
        scorer = self._fitted().to(batch.device)
        if not batch.num_edges:
            return Attribution(edge=batch.ones())
        with torch.no_grad():
            edges = EdgeStates.read(batch, self._states, with_noise=False)
            width = edges.states.size(1)
            if width != scorer.channels:
                raise GraphError(
                    f"{self.name} was fitted on states of width {scorer.channels}; here the model "
                    f"has {width}"
                )
            edge = self._scores(batch, torch.sigmoid(edges.location(scorer)))
            return Attribution(edge=edge, reasons=saturated(batch, edge))

    def _scores(self, batch: InstanceBatch, gate: Tensor) -> Tensor:
        """Scores ``[e]`` of edges, from what the network says of each."""
        return gate

    def _fitted(self) -> EdgeScorer:
        self._require_fit()
        assert self._scorer is not None
        return self._scorer

    # Files

    def _modules(self) -> dict[str, nn.Module]:
        return {"scorer": self._fitted()}

    def _about(self) -> dict[str, Any]:
        scorer = self._fitted()
        return {"channels": scorer.channels, "num_targets": scorer.num_targets}

    def _restore(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
        with torch.device("meta"):  # draws no random numbers
            scorer = EdgeScorer(about["channels"], about["num_targets"], self.hidden_channels)
        state = {name.removeprefix("scorer."): value for name, value in tensors.items()}
        scorer.load_state_dict(state, assign=True)
        self._scorer = scorer.requires_grad_(False)


def _not_finite(loss: Tensor, epoch: int) -> str:
    return (
        f"the loss became {float(loss.detach())} in epoch {epoch}; what had been learned before is "
        "kept. A smaller learning_rate, or features of a smaller scale, may help"
    )
