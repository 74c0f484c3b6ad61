"""PGExplainer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.prepare import Preparation
from glassgraph.errors import FitError, GraphError, HyperParameterError
from glassgraph.explainers.amortized import AmortizedExplainer
from glassgraph.explainers.constant import saturated
from glassgraph.explainers.perturbation.edge_gates.edge_states import EdgeStates
from glassgraph.explainers.perturbation.edge_gates.objective import Objective
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.shared_batches import packed_batches
from glassgraph.explainers.training_batches import TrainingBatches, fit_target
from glassgraph.explainers.traits import Traits
from glassgraph.hidden.node_states import NodeStates
from glassgraph.inputs.instances import Instances
from glassgraph.learn.edge_scorer import EdgeScorer
from glassgraph.results.explanation import Attribution

#: Predictions in one batch where nothing else limits them.
_MOST = 256


class PGExplainer(AmortizedExplainer[EdgeStates]):
    """Which edges does one small network, learned over many predictions, say that they need?

    With ``h`` the hidden states of the model's nodes, each edge ``u -> v`` of an instance has::

        a_uv = MLP([h_u, h_v, h_target])                 node tasks
        a_uv = MLP([h_u, h_v])                           graph and link tasks
        z_uv = sigmoid((log eps - log(1 - eps) + a_uv) / tau)        eps ~ U(0, 1), while fitting

    and ``z`` multiplies the edge's messages at every layer. Over many instances the network learns
    ::

        min  mean over instances of  -log P(c | z) + size * relu(sum z - budget)
                                     + entropy * mean H(z) + connectivity * mean CE(z, z')

    where ``c`` is the class that the model predicts, ``H`` the entropy of a gate, and ``CE(z, z')``
    the cross-entropy between gates that meet in a node. The temperature ``tau`` falls from
    ``temperature[0]`` to ``temperature[1]`` as ``tau_0 (tau_1 / tau_0)^(epoch / epochs)``. An
    unseen prediction is explained by ``sigmoid(a)`` in [0, 1], one score for each edge ``[E]``,
    without noise.

    What is cut out of a graph has wrong states at its boundary, so ``h`` is read on the user's full
    graph (`glassgraph.hidden.node_states`). On heterogeneous graphs ``h`` are the states that each
    layer's messages show, types of different widths side by side, and one network serves all edge
    types. The noise of an edge is a function of the seed, the instance, the edge and the epoch
    alone.

    An edge is known by the states at its ends: where these look alike, so do the scores. And scores
    follow what the model needs, which may be the absence of a motif: then its edges come last, see
    ``docs/motifs.md``.

    Three options are ours. Where states differ much in scale, ``standardize`` lets the network see
    the small ones. Half open gates can be so far from the model's input that the first steps just
    open everything; a ``start`` above ``temperature[0]`` begins with mostly open ones. Which
    solution is found depends on the start of the network; of several ``restarts`` the one with the
    least loss is kept. The entropy has no weight by default (1 in PyG and in most of the paper's
    settings): it settles gates before there is evidence.

    Differences to the authors' code (https://github.com/flyingdoog/PGExplainer): predicted classes
    in the place of labels; every instance counts in every epoch (their graph notebooks follow the
    last graph alone, their node notebooks give all nodes the last one's label); the entropy is that
    of the gate over existing edges (their graph code takes the sigmoid twice, over all pairs of
    nodes); both directions of an edge have gates of their own; nothing of the model is in training
    mode. ``noise_bias=0.5`` is their BA-Community setting, which has no noise at all. Differences
    to PyG's: links, states of all layers, many instances in a step, the exact entropy (PyG's is
    that of ``0.99 z + 0.005``), no settings that leak into the next explainer.

    Luo, Cheng, Xu, Yu, Zong, Chen and Zhang, "Parameterized Explainer for Graph Neural Network"
    (NeurIPS 2020, https://arxiv.org/abs/2011.04573).

    Raises:
        HyperParameterError: for values out of range.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(31, 3), edge_index=torch.randint(31, (2, 97)))
        >>> explainer = gg.PGExplainer(GCN(3, 8, 2, 2), "node", epochs=3)
        >>> explanation = explainer.fit(data, index=range(23)).explain(data, index=[29])[0]
        >>> explanation.edge_mask.shape  # [E]
        torch.Size([97])
        >>> len(explainer.history)
        3
    """

    name = "pg_explainer"
    traits = Traits(
        family="perturbation",
        scores=("edge",),
        is_learned=True,
        is_amortized=True,
        is_random=True,
        source="Luo et al. 2020, arXiv:2011.04573",
    )
    scope = Scope(names_receivers=True)
    test_settings: ClassVar[Mapping[str, Any]] = {"epochs": 3, "learning_rate": 0.01}
    evidence_settings: ClassVar[Mapping[str, Any]] = {"epochs": 200, "entropy": 0.0}
    holds_back = False

    epochs: int = setting("how often every prediction is visited", default=30, at_least=1)
    learning_rate: float = setting("of Adam", default=0.003, above=0)
    batch_size: int | None = setting(
        "predictions in one step; None for all at once", default=10, at_least=1
    )
    size: float = setting("weight of the sum of gates beyond the budget", default=0.05, at_least=0)
    entropy: float = setting("weight of the gates' mean entropy", default=0.0, at_least=0)
    budget: float = setting(
        "sum of the gates of an instance up to which size is free; at 0 every gate counts",
        default=0.0,
        at_least=0,
    )
    connectivity: float = setting(
        "weight of the disagreement of gates that meet in a node", default=0.0, at_least=0
    )
    temperature: Sequence[float] = setting(
        "of the gates, in the first epoch and after the last", default=(5.0, 1.0), above=0
    )
    noise_bias: float = setting(
        "eps is drawn from [noise_bias, 1 - noise_bias]; 0.5 is without noise",
        default=0.0,
        at_least=0,
        at_most=0.5,
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
        if len(self.temperature) != 2:
            raise HyperParameterError(
                f"{self.name}: temperature must be two numbers, of the first and the last epoch; "
                f"got {self.temperature}"
            )
        if self.read_target and self.task.level == "graph":
            raise HyperParameterError(
                f"{self.name}: read_target is for node and link tasks: a graph has no node"
            )
        self.temperature = [float(each) for each in self.temperature]
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

    def _objective(self) -> Objective:
        return Objective(
            seed=self.seed,
            epochs=self.epochs,
            temperature=self.temperature,
            noise_bias=self.noise_bias,
            size=self.size,
            budget=self.budget,
            entropy=self.entropy,
            connectivity=self.connectivity,
        )

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
            edge = torch.sigmoid(edges.location(scorer))
            return Attribution(edge=edge, reasons=saturated(batch, edge))

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
