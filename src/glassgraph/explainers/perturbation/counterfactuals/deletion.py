"""What does the model say once some edges are gone, and is that another decision?

An edge that is gone is not in the graph: degrees, softmaxes and means are computed anew. So a
deletion is evaluated by calling the model on what is left, as on a black box, never by shutting
messages. A layer that normalizes by degrees looks one hop farther than messages run; fields are
therefore one hop wider than those of other methods (`WidenedWiring`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glassgraph.core import random
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import rows_agree
from glassgraph.core.intercept import Intervention
from glassgraph.core.reachability import visible_edges
from glassgraph.core.sites import OpaqueWiring
from glassgraph.errors import UnsupportedModelError
from glassgraph.explainers.perturbation.search.edge_subsets import Subsets
from glassgraph.explainers.perturbation.search.twin_edges import order_of_ties
from glassgraph.inputs import task

#: Edges in the masks of deletions that are evaluated together, at most.
_EDGES_AT_ONCE = 1 << 22
#: The least that a probability of the explained class lacks of 1.
_TINY = 1e-16


@dataclass(frozen=True)
class Outcome:
    """What K deletions do.

    Attributes:
        distance: ``[K]`` how far the prediction went towards another decision: by how many nats
            the log-odds of the explained class fell (or rose, where it is not predicted); the
            change of a regression towards what it says without edges. NaN where nothing is left of
            a graph.
        changes: ``[K]`` whether the decision is another.
    """

    distance: Tensor
    changes: Tensor


class Deletions:
    """Evaluates deletions ``[K, I]`` of items (edges, or both directions of one) of instances.

    Args:
        batch: the instances.
        budget: bytes that one pass may take.
        pairs: whether an edge and its reverse are one item.
        removal: ``"delete"``, or ``"delete_isolated"`` where nodes go with the last of their edges.
        effect: of a regression, which decides nothing, the share of what all edges do to the
            prediction that has to be undone.

    Attributes:
        items: ``[B, I]`` which items of an instance its prediction sees.
        in_pairs: whether an edge and its reverse are one item.

    Raises:
        UnsupportedModelError: if the fields, without the model's inner workings, do not give its
            predictions.
    """

    def __init__(
        self,
        batch: InstanceBatch,
        budget: int,
        *,
        pairs: bool,
        removal: str = "delete",
        effect: float = 0.5,
    ) -> None:
        self.batch, self.in_pairs = seen_from_outside(batch), pairs
        self._subsets = Subsets(self.batch, False, budget, removal, pairs=pairs)
        seen = visible_edges(self.batch, batch.ones().bool())
        self.items = self._subsets.pad(seen.to(torch.int64)) > 0
        edges = max(1, batch.num_edges // max(1, batch.num_instances))
        self._most = max(1, _EDGES_AT_ONCE // edges)
        #: ``[B, I]`` by which ties are decided, whatever the order of edges.
        self.hash = self._subsets.pad(random.hash64(2, order_of_ties(batch), 0))
        everyone = torch.arange(batch.num_instances, device=batch.device)
        first = self._evaluate(everyone, self._subsets.items)
        self._check_reference(first)
        if batch.task.is_classification:
            self._decided = task.decision(batch.task, first, batch.targets)
            rows = batch.targets.rows
            towards = self._decided if rows is None else rows.all(self._decided)
            self._sign = torch.where(towards, 1.0, -1.0).to(batch.dtype)
        else:
            without = self._evaluate(everyone, torch.zeros_like(self.items))
            whole = self._value(everyone, without) - self._value(everyone, first)
            self._sign, self._goal = whole.sign(), effect * whole.abs()
        self._start = self._distance(everyone, first)

    @property
    def num_items(self) -> Tensor:
        """``[B]`` number of items."""
        return self.items.sum(dim=1)

    def evaluate(self, instance: Tensor, deleted: Tensor) -> Outcome:
        """What deletions do.

        Args:
            instance: ``[K]`` whose deletion it is, ascending.
            deleted: ``[K, I]`` the items that go.
        """
        found = []
        for some, goes in zip(instance.split(self._most), deleted.split(self._most), strict=True):
            found.append(self._evaluate(some, self._subsets.items[some] & ~goes))
        output = torch.cat(found) if found else self.batch.reference[:0]
        return self.outcome(instance, output)

    def outcome(self, instance: Tensor, output: Tensor) -> Outcome:
        """What outputs say, one for each of the instances ``[K]`` (or its rows)."""
        distance = self._distance(instance, output) - self._start[instance]
        return Outcome(distance, self._changes(instance, output, distance))

    def outputs(self, instance: Tensor, deleted: Tensor) -> Tensor:
        """The model's outputs without some items."""
        return self._evaluate(instance, self._subsets.items[instance] & ~deleted)

    def spread(self, value: Tensor) -> Tensor:
        """From items ``[B, I]`` to edges ``[e]``."""
        return self._subsets.unpad(value)[0]

    def gather(self, value: Tensor) -> Tensor:
        """Sums ``[B, I]`` over the edges of items, of ``[e]``."""
        return self._subsets.pad(value)

    def _evaluate(self, instance: Tensor, kept: Tensor) -> Tensor:
        return self._subsets.outputs(instance, kept)

    def _check_reference(self, first: Tensor) -> None:
        if not bool(rows_agree(first, self.batch.reference, self.batch.model_call).all()):
            raise UnsupportedModelError(
                "counterfactuals delete edges and call the model on what is left, which has to "
                "give its predictions while nothing is deleted; it does not, so the model looks "
                "farther than one hop beyond its messages, or at all graphs of a batch. Take a "
                "method that finds out how far a model looks: smallest_counterfactual"
            )

    def _distance(self, instance: Tensor, output: Tensor) -> Tensor:
        if not self.batch.task.is_classification:
            return self._sign[instance] * self._value(instance, output)
        targets = self.batch.targets.take(instance)
        loss = task.loss(self.batch.task, output.double(), targets, output)
        loss = loss + (-torch.expm1(-loss.clamp_min(_TINY))).log()  # from -log p to log-odds
        signed: Tensor = self._sign[instance] * loss.to(self.batch.dtype)
        return signed

    def _value(self, instance: Tensor, output: Tensor) -> Tensor:
        """What a regression says."""
        return task.explained_probability(
            self.batch.task, output, self.batch.targets.take(instance)
        )

    def _changes(self, instance: Tensor, output: Tensor, distance: Tensor) -> Tensor:
        exists = ~distance.isnan()
        if not self.batch.task.is_classification:
            goal = self._goal[instance]
            rounding = math.pow(torch.finfo(goal.dtype).eps, 0.75)
            return exists & (distance >= goal * (1 - rounding)) & (goal > rounding)
        targets = self.batch.targets
        decided = task.decision(self.batch.task, output, targets.take(instance))
        same = decided == self._decided[targets.rows_of(instance)]
        stays = same if targets.rows is None else targets.rows.take(instance).all(same)
        return exists & ~stays


def seen_from_outside(batch: InstanceBatch) -> InstanceBatch:
    """The same instances, of whose model nothing is known but how far it looks."""
    wiring = batch.wiring
    if isinstance(wiring, OpaqueWiring):
        return batch
    opaque = OpaqueWiring(
        reach=wiring.num_hops,
        looks_ahead=wiring.needs_both_directions,
        sees_everything=batch.keeps_graphs,
    )
    return replace(batch, wiring=opaque, intervention=Intervention(opaque, ()), _constants={})
