"""PGExplainer: one small network says of every edge how much the predictions need it.

With ``h`` the hidden states of the model's nodes, each edge ``u -> v`` of an instance has

    a_uv = MLP([h_u, h_v, h_target])                 node tasks
    a_uv = MLP([h_u, h_v])                           graph and link tasks
    z_uv = sigmoid((log eps - log(1 - eps) + a_uv) / tau)        eps ~ U(0, 1), while fitting

and ``z`` multiplies the edge's messages at every layer. Over many instances the network learns

    min  mean over instances of  -log P(c | z) + size * relu(sum z - budget)
                                 + entropy * mean H(z) + connectivity * mean CE(z, z')

where ``c`` is the class that the model predicts, ``H`` the entropy of a gate, and ``CE(z, z')`` the
cross-entropy between gates that meet in a node. The temperature falls from ``temperature[0]`` to
``temperature[1]`` as ``tau_0 (tau_1 / tau_0)^(epoch / epochs)``. An unseen prediction is explained
by ``sigmoid(a)``, without noise.

What is cut out of a graph has wrong states at its boundary, so ``h`` is read on the user's full
graph (`glassgraph.hidden.node_states`). The noise of an edge is a function of the seed, the
instance, the edge and the epoch alone.

An edge is known by the states at its ends: where these look alike, so do the scores. And scores
follow what the model needs, which may be the absence of a motif: then its edges come last, see
``docs/motifs.md``.

Three options are ours. Where states differ much in scale, ``standardize`` lets the network see the
small ones. Half open gates can be so far from the model's input that the first steps just open
everything; ``start`` begins with open ones. Which solution is found depends on the start of the
network; of several ``restarts`` the one with the least loss is kept. The entropy has no weight by
default (1 in PyG and in most of the paper's settings): it settles gates before there is evidence.

Differences to the authors' code (https://github.com/flyingdoog/PGExplainer): predicted classes in
the place of labels; every instance counts in every epoch (their graph notebooks follow the last
graph alone, their node notebooks give all nodes the last one's label); the entropy is that of the
gate over existing edges (their graph code takes the sigmoid twice, over all pairs of nodes); both
directions of an edge have gates of their own; nothing of the model is in training mode.
``noise_bias=0.5`` is their BA-Community setting, which has no noise at all. Differences to PyG's:
links, states of all layers, many instances in a step, the exact entropy (PyG's is that of
``0.99 z + 0.005``), no settings that leak into the next explainer.

Luo, Cheng, Xu, Yu, Zong, Chen and Zhang, "Parameterized Explainer for Graph Neural Network"
(NeurIPS 2020, https://arxiv.org/abs/2011.04573).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from glassgraph.core import random
from glassgraph.core.addresses import edge_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.instances import Instances
from glassgraph.core.prepare import Preparation
from glassgraph.core.shared import packed_batches
from glassgraph.core.task import Task
from glassgraph.errors import FitError, GraphError, HyperParameterError
from glassgraph.explainers.amortized import AmortizedExplainer, Lessons, fit_target
from glassgraph.explainers.gates import Kind, visits
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.traits import Traits
from glassgraph.hidden.node_states import NodeStates
from glassgraph.learn.concrete import connectivity, entropy
from glassgraph.learn.edge_scorer import EdgeScorer
from glassgraph.results.explanation import Attribution

#: Predictions in one lesson where nothing else limits them.
_MOST = 256


class PGExplainer(AmortizedExplainer):
    """A network over hidden states that scores edges, learned over many predictions.

    Args:
        model: the model.
        task: the task.
        epochs: how often every prediction is visited.
        learning_rate: of Adam.
        batch_size: predictions in one step; None for all at once.
        size: weight of the sum of gates, see ``budget``.
        entropy: weight of their mean entropy.
        budget: the sum of gates of an instance up to which size is free; at 0 every gate counts.
        connectivity: weight of the disagreement of gates that meet in a node.
        temperature: of the gates, in the first epoch and after the last.
        noise_bias: ``eps`` is drawn from ``[noise_bias, 1 - noise_bias]``; 0.5 is without noise.
        states: which hidden states are read: ``"all"`` layers side by side, the ``"last"`` one, or
            the name of a submodule that returns one row for each node.
        read_target: read the states of the explained node, or of both ends of the link; None for
            node tasks alone.
        hidden_channels: width of the network's hidden layer.
        standardize: read states in units of their standard deviation over the lessons' edges.
        start: added to ``a`` at the start: with 0 gates begin half open, with more than
            ``temperature[0]`` mostly open.
        restarts: networks that are fitted, each from its own start; the one with the least loss in
            the end is kept.
        **shared: see `Explainer`.

    Raises:
        HyperParameterError: for values out of range.
    """

    name = "pg_explainer"
    traits = Traits(
        family="perturbation",
        scores=("edge",),
        is_learned=True,
        is_amortized=True,
        is_black_box=False,
        is_signed=False,
        is_random=True,
        source="Luo et al. 2020, arXiv:2011.04573",
    )
    scope = Scope(heterogeneous=False, names_receivers=True)
    test_settings: ClassVar[Mapping[str, Any]] = {"epochs": 3, "learning_rate": 0.01}
    holds_back = False

    def __init__(
        self,
        model: nn.Module,
        task: str | Task = "node",
        *,
        epochs: int = 30,
        learning_rate: float = 0.003,
        batch_size: int | None = 10,
        size: float = 0.05,
        entropy: float = 0.0,
        budget: float = 0.0,
        connectivity: float = 0.0,
        temperature: Sequence[float] = (5.0, 1.0),
        noise_bias: float = 0.0,
        states: str = "all",
        read_target: bool | None = None,
        hidden_channels: int = 64,
        standardize: bool = True,
        start: float = 0.0,
        restarts: int = 1,
        **shared: Any,
    ) -> None:
        super().__init__(model, task, **shared)
        positive = {
            "epochs": epochs,
            "learning_rate": learning_rate,
            "batch_size": batch_size,
            "hidden_channels": hidden_channels,
            "restarts": restarts,
        }
        for name, value in positive.items():
            if value is not None and not value > 0:
                raise HyperParameterError(f"{name} must be positive; got {value}")
        weights = {"size": size, "entropy": entropy, "budget": budget, "connectivity": connectivity}
        for name, value in weights.items():
            if not value >= 0:
                raise HyperParameterError(f"{name} must not be negative; got {value}")
        if len(temperature) != 2 or not min(temperature) > 0:
            raise HyperParameterError(
                "temperature must be two positive numbers, of the first and the last epoch; got "
                f"{temperature}"
            )
        if not 0 <= noise_bias <= 0.5:
            raise HyperParameterError(f"noise_bias must lie in [0, 0.5]; got {noise_bias}")
        if read_target and self.task.level == "graph":
            raise HyperParameterError("read_target is for node and link tasks: a graph has no node")
        self.epochs = int(epochs)
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.size = size
        self.entropy = entropy
        self.budget = budget
        self.connectivity = connectivity
        self.temperature = [float(each) for each in temperature]
        self.noise_bias = noise_bias
        self.states = states
        self.read_target = read_target
        self.hidden_channels = hidden_channels
        self.standardize = standardize
        self.start = start
        self.restarts = int(restarts)
        self._states = NodeStates(states, self.check)
        self._scorer: EdgeScorer | None = None

    # Fitting

    @property
    def is_fitted(self) -> bool:
        """Whether there is a network to explain with."""
        return self._scorer is not None

    def _lessons(
        self,
        preparation: Preparation,
        instances: Instances,
        kinds: Sequence[Kind] | None,
        size: int | None,
        is_one: bool = False,
    ) -> Iterator[tuple[Tensor, _Scene]]:
        most = None if is_one else min(size or self.batch_size or _MOST, _MOST)
        for position, batch in packed_batches(
            preparation, instances, fit_target(preparation), most
        ):
            yield position, _Scene.read(batch, self._states)

    def _learn(self, train: Lessons, validation: Lessons) -> None:
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

    def _new_scorer(self, train: Lessons) -> EdgeScorer:
        first: _Scene = train[0]
        targets = first.targets.size(1) if self._reads_target else 0
        channels = first.states.size(1)
        scorer = EdgeScorer(channels, targets, self.hidden_channels, self.start).to(first.states)
        if self.standardize:
            ends = [scene.states[torch.cat([scene.source, scene.destination])] for scene in train]
            scorer.standardize(torch.cat(ends))
        return scorer

    def _fit(
        self, scorer: EdgeScorer, train: Lessons, validation: Lessons, restart: int, bar: Any
    ) -> None:
        optimizer = torch.optim.Adam(scorer.parameters(), lr=self.learning_rate, fused=True)
        order = visits(train, self.epochs * len(train), self.seed)
        for epoch in range(self.epochs):
            losses = []
            for _ in range(len(train)):
                with torch.enable_grad():
                    loss = self._loss(scorer, next(order), epoch)
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

    @property
    def _reads_target(self) -> bool:
        return self.task.level == "node" if self.read_target is None else self.read_target

    def _loss(self, scorer: EdgeScorer, scene: _Scene, epoch: int) -> Tensor:
        """The mean loss of some instances in an epoch."""
        batch, owner = scene.batch, scene.batch.edge_instance
        start, end = self.temperature
        temperature = start * (end / start) ** (epoch / self.epochs)
        logit = (scene.location(scorer) + self._noise(scene, epoch)) / temperature
        gate = torch.sigmoid(logit)
        loss = batch.loss(gate)
        total = loss.new_zeros(batch.num_instances)
        loss = loss + self.size * (total.index_add(0, owner, gate) - self.budget).clamp_min(0)
        count = batch.edges_per_instance.clamp_min(1)
        loss = loss + self.entropy * total.index_add(0, owner, entropy(logit)) / count
        if self.connectivity:
            fields = batch.fields
            loss = loss + self.connectivity * connectivity(
                logit, fields.source, fields.destination, owner, batch.num_instances
            )
        return loss.mean()

    def _noise(self, scene: _Scene, epoch: int) -> Tensor:
        """Logits of uniform noise ``[e]``."""
        uniform = random.uniform(self.seed, scene.address, epoch)
        drawn = self.noise_bias + (1 - 2 * self.noise_bias) * uniform
        return drawn.logit().to(scene.states.dtype)

    @torch.no_grad()
    def _measure(self, scorer: EdgeScorer, lessons: Lessons, epoch: int | None = None) -> float:
        epoch = self.epochs if epoch is None else epoch
        total = sum(
            float(self._loss(scorer, scene, epoch)) * scene.batch.num_instances for scene in lessons
        )
        return float(total / lessons.num_predictions)

    # Explaining

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """The probability that an edge's gate is more open than shut."""
        scorer = self._fitted()
        if not batch.num_edges:
            return Attribution(edge=batch.ones())
        with torch.no_grad():
            scene = _Scene.read(batch, self._states, with_noise=False)
            width = scene.states.size(1)
            if width != scorer.channels:
                raise GraphError(
                    f"{self.name} was fitted on states of width {scorer.channels}; here the model "
                    f"has {width}"
                )
            return Attribution(edge=torch.sigmoid(scene.location(scorer)))

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


@dataclass(frozen=True)
class _Scene:
    """A batch, and what the network reads on it.

    Attributes:
        batch: the batch.
        states: ``[N, D]`` hidden states.
        source, destination: ``[e]`` their rows of each edge's ends.
        targets: ``[B, S]`` their rows of the explained nodes.
        address: ``[e]`` of each edge's noise.
    """

    batch: InstanceBatch
    states: Tensor
    source: Tensor
    destination: Tensor
    targets: Tensor
    address: Tensor
    kinds: Sequence[Kind] = ()

    @staticmethod
    def read(batch: InstanceBatch, states: NodeStates, *, with_noise: bool = True) -> _Scene:
        """Look up the states of a batch's nodes."""
        table, fields = states.read(batch), batch.fields
        address = fields.edge
        if with_noise:
            key = batch.key[batch.edge_instance]
            address = random.hash64(0, key, edge_address(batch))
        return _Scene(
            batch=batch,
            states=table.states,
            source=table.row[fields.source],
            destination=table.row[fields.destination],
            targets=table.row[fields.seed],
            address=address,
        )

    @property
    def num_messages(self) -> int:
        """Number of edges with a gate."""
        return self.batch.num_edges

    @property
    def num_bytes(self) -> int:
        """Memory that it takes besides the batch."""
        tensors = (self.states, self.source, self.destination, self.targets, self.address)
        return sum(each.numel() * each.element_size() for each in tensors)

    def location(self, scorer: EdgeScorer) -> Tensor:
        """Scores ``[e]`` of the edges."""
        return scorer(  # type: ignore[no-any-return]
            self.states, self.source, self.destination, self.targets, self.batch.edge_instance
        )


def _not_finite(loss: Tensor, epoch: int) -> str:
    return (
        f"the loss became {float(loss.detach())} in epoch {epoch}; what had been learned before is "
        "kept. A smaller learning_rate, or features of a smaller scale, may help"
    )
