"""What RCExplainer minimizes: how far outputs lie beyond the boundaries of decision regions.

The last layer of a classifier is linear in the embedding ``phi`` that it reads. So the region in
which it decides for class c is cut out by hyperplanes, one against every other class j:

    B_j(phi) = (w_c - w_j) phi + (b_c - b_j) = z_c - z_j

which outputs tell, whatever the embedding: the difference of two scores, or log-probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.undirected import edges_of_items, takes_pairs
from glassgraph.explainers.perturbation.edge_gates.edge_states import EdgeStates
from glassgraph.inputs.rows import mean_rows
from glassgraph.inputs.task import Targets, Task
from glassgraph.learn.concrete import entropy
from glassgraph.learn.edge_scorer import EdgeScorer

#: The least that a probability counts as.
_TINY = 1e-12


def sides(task: Task, output: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
    """On which side of each boundary outputs lie, and how far: ``[R, C]``, and which there are.

    Args:
        task: the task, of classes.
        output: ``[R, C]``.
        targets: the explained classes. Of a pair ``(a, b)`` there is one boundary, and so there is
            of several labels, each of which is the case or not.
    """
    logit = _logits(task, output)
    chosen = targets.chosen.view(-1, 1)
    own = logit.gather(1, chosen)
    if targets.contrast is not None:
        far = own - logit.gather(1, targets.contrast.view(-1, 1))
        return far, torch.ones_like(far, dtype=torch.bool)
    if task.mode == "binary_classification" and output.size(1) > 1:
        return own, torch.ones_like(own, dtype=torch.bool)
    is_other = torch.ones_like(logit, dtype=torch.bool).scatter(1, chosen, False)
    return own - logit, is_other


def _logits(task: Task, output: Tensor) -> Tensor:
    """Scores whose differences are log-odds; of one column for two classes, both."""
    if task.return_type != "raw":
        share = output.exp() if task.return_type == "log_probs" else output
        if task.mode == "binary_classification":
            output = share.clamp(_TINY, 1 - _TINY).logit()
        else:
            output = share.clamp_min(_TINY).log() if task.return_type == "probs" else output
    if task.mode == "binary_classification" and output.size(1) == 1:
        return torch.cat([torch.zeros_like(output), output], dim=1)
    return output


def mean_of_pairs(batch: InstanceBatch, value: Tensor, pairs: bool | None) -> Tensor:
    """Values ``[e]``, the same for both directions of an edge where they are one.

    Args:
        batch: the instances.
        value: ``[e]``.
        pairs: whether they are; None where every edge of the graph has its reverse.
    """
    if not takes_pairs(batch.graph, pairs):
        return value
    items = edges_of_items(batch, pairs=True)
    first, second = items[:, 0], items[:, 1].where(items[:, 1] >= 0, items[:, 0])
    mean = (value[first] + value[second]) / 2
    return value.index_copy(0, first, mean).index_copy(0, second, mean)


@dataclass(frozen=True)
class Boundaries:
    """The loss of edge scores.

    Attributes:
        factual: share of the term about the explanation alone.
        size: weight of the sum of gates.
        entropy: weight of their mean entropy.
        pairs: whether both directions of an edge have one gate, see `mean_of_pairs`.
    """

    factual: float
    size: float
    entropy: float
    pairs: bool | None

    def loss(self, scorer: EdgeScorer, edges: EdgeStates, epoch: int) -> Tensor:
        """The mean loss of some instances."""
        batch, owner = edges.batch, edges.batch.edge_instance
        logit = edges.location(scorer)
        gate = mean_of_pairs(batch, torch.sigmoid(logit), self.pairs)
        start, exists = sides(batch.task, batch.reference, batch.targets)
        total = gate.new_zeros(batch.num_instances)
        loss = total
        if self.factual > 0:
            loss = loss + self.factual * self._stays(batch, gate, start, exists)
        if self.factual < 1:
            loss = loss + (1 - self.factual) * self._leaves(batch, 1 - gate, start, exists)
        count = batch.edges_per_instance.clamp_min(1)
        loss = loss + self.size * total.index_add(0, owner, gate)
        loss = loss + self.entropy * total.index_add(0, owner, entropy(logit)) / count
        return loss.mean()

    def _stays(self, batch: InstanceBatch, gate: Tensor, start: Tensor, exists: Tensor) -> Tensor:
        """``[B]`` the mean over boundaries of ``sigmoid(-B(G) B(S))``."""
        far, _ = sides(batch.task, batch.output(gate), batch.targets)
        each = torch.sigmoid(-start * far).masked_fill(~exists, 0)
        return mean_rows(batch.targets.rows, each.sum(dim=1) / exists.sum(dim=1))

    def _leaves(self, batch: InstanceBatch, rest: Tensor, start: Tensor, exists: Tensor) -> Tensor:
        """``[B]`` the least over boundaries of ``sigmoid(B(G) B(G - S))``."""
        far, _ = sides(batch.task, batch.output(rest), batch.targets)
        each = torch.sigmoid(start * far).masked_fill(~exists, float("inf"))
        return mean_rows(batch.targets.rows, each.amin(dim=1))
