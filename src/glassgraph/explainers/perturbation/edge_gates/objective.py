"""What PGExplainer minimizes; see `glassgraph.explainers.PGExplainer`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.explainers.perturbation.edge_gates.edge_states import EdgeStates
from glassgraph.learn.concrete import connectivity, entropy
from glassgraph.learn.edge_scorer import EdgeScorer


@dataclass(frozen=True)
class Objective:
    """The loss of edge scores, with noise that has an address.

    Attributes:
        seed: seed of the noise.
        epochs: number of epochs.
        temperature: of the gates, in the first epoch and after the last.
        noise_bias: ``eps`` is drawn from ``[noise_bias, 1 - noise_bias]``.
        size: weight of the sum of gates beyond the budget.
        budget: sum of the gates of an instance up to which size is free.
        entropy: weight of their mean entropy.
        connectivity: weight of the disagreement of gates that meet in a node.
    """

    seed: int
    epochs: int
    temperature: Sequence[float]
    noise_bias: float
    size: float
    budget: float
    entropy: float
    connectivity: float

    def loss(self, scorer: EdgeScorer, edges: EdgeStates, epoch: int) -> Tensor:
        """The mean loss of some instances in an epoch."""
        batch, owner = edges.batch, edges.batch.edge_instance
        start, end = self.temperature
        temperature = start * (end / start) ** (epoch / self.epochs)
        logit = (edges.location(scorer) + self._noise(edges, epoch)) / temperature
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

    def _noise(self, edges: EdgeStates, epoch: int) -> Tensor:
        """Logits of uniform noise ``[e]``."""
        uniform = random.uniform(self.seed, edges.address, epoch)
        drawn = self.noise_bias + (1 - 2 * self.noise_bias) * uniform
        return drawn.logit().to(edges.states.dtype)
