"""What does the model say of a changed graph, and is that another decision?

A *change* deletes an edge, inserts one, or sets a feature of a node to its baseline. What is
changed is so in the graph itself: degrees, softmaxes and means are computed anew. So changes are
evaluated by calling the model on the graph that results, as on a black box, never by shutting
messages. A layer that normalizes by degrees looks one hop farther than messages run; fields are
therefore one hop wider than those of other methods (`WidenedWiring`), and wider still where edges
may be inserted, since what lies behind their ends comes into sight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glassgraph.black_box.variants import Copies, Fill
from glassgraph.core import random
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import rows_agree
from glassgraph.core.intercept import Intervention
from glassgraph.core.reachability import visible_edges
from glassgraph.core.sites import OpaqueWiring, WidenedWiring
from glassgraph.errors import UnsupportedModelError
from glassgraph.explainers.perturbation.counterfactuals.feature_resets import FeatureResets
from glassgraph.explainers.perturbation.counterfactuals.insertions import Insertions
from glassgraph.explainers.perturbation.counterfactuals.kept_rules import KeptRules
from glassgraph.explainers.perturbation.counterfactuals.kinds import DELETIONS, Allowed
from glassgraph.explainers.perturbation.search.edge_subsets import Subsets
from glassgraph.explainers.perturbation.search.removal import DROPS_NODES
from glassgraph.explainers.perturbation.search.twin_edges import order_of_ties
from glassgraph.inputs import task

#: Edges in the masks of changes that are evaluated together, at most.
_EDGES_AT_ONCE = 1 << 22
#: The least that a probability of the explained class lacks of 1.
_TINY = 1e-16


@dataclass(frozen=True)
class Outcome:
    """What K sets of changes do.

    Attributes:
        distance: ``[K]`` how far the prediction went towards another decision: by how many nats
            the log-odds of the explained class fell (or rose, where it is not predicted); the
            change of a regression towards what it says without edges. NaN where nothing is left of
            a graph.
        flips: ``[K]`` whether the decision is another.
        keeps: ``[K]`` whether all rules are kept.
    """

    distance: Tensor
    flips: Tensor
    keeps: Tensor

    @property
    def is_valid(self) -> Tensor:
        """``[K]`` whether it is a counterfactual."""
        return self.flips & self.keeps

    def take(self, row: Tensor) -> Outcome:
        """Of some of the sets."""
        return Outcome(self.distance[row], self.flips[row], self.keeps[row])


class Changes:
    """Evaluates sets ``[K, I]`` of changes to instances.

    Items of an instance are edges that may go (or both directions of one), then edges that may
    come, then features that may be set to their baseline.

    Args:
        batch: the instances.
        budget: bytes that one pass may take.
        pairs: whether an edge and its reverse are one item.
        removal: ``"delete"``, or ``"delete_isolated"`` where nodes go with the last of their edges.
        effect: of a regression, which decides nothing, the share of what all edges do to the
            prediction that has to be undone.
        allowed: what may be changed besides.

    Attributes:
        items: ``[B, I]`` which changes there are of an instance: of what its prediction sees.
        in_pairs: whether an edge and its reverse are one item.
        insertions: the instances with all edges that may come.
        resets: the features that may change.

    Raises:
        UnsupportedModelError: if the fields, without the model's inner workings, do not give its
            predictions.
        HyperParameterError: if more may be changed than is allowed.
        GraphError: if nothing can be changed so.
    """

    def __init__(
        self,
        batch: InstanceBatch,
        budget: int,
        *,
        pairs: bool,
        removal: str = "delete",
        effect: float = 0.5,
        allowed: Allowed = DELETIONS,
    ) -> None:
        self.batch, self.in_pairs = seen_from_outside(batch), pairs
        self.insertions = (
            Insertions.of(self.batch, allowed, pairs=pairs)
            if allowed.inserts
            else Insertions.none(self.batch)
        )
        whole = self.insertions.batch
        self._subsets = Subsets(whole, False, budget, removal, pairs=pairs)
        self.resets = FeatureResets.of(self.batch, allowed)
        self._lay_out()
        drops = removal == DROPS_NODES
        self._rules = (
            KeptRules(whole, allowed.rules, drops_isolated=drops) if allowed.rules else None
        )
        edges = max(1, whole.num_edges // max(1, whole.num_instances))
        self._most = max(1, _EDGES_AT_ONCE // edges)
        self._refer(effect)

    def _lay_out(self) -> None:
        """Number the changes of each instance: those of edges, then those of features."""
        subsets, batch, whole = self._subsets, self.batch, self.insertions.batch
        seen = visible_edges(batch, batch.ones().bool())
        may_change = self.insertions.is_new.clone()
        may_change[self.insertions.own] = seen
        is_new = subsets.pad(self.insertions.is_new.to(torch.int64)) > 0
        #: ``[B, W]`` which items of edges are there before anything is changed.
        self._is_there = subsets.items & ~is_new
        self._num_edge_items = subsets.items.sum(dim=1)
        #: ``[f]`` the number of each change of a feature.
        self._column = self._num_edge_items[self.resets.instance] + self.resets.rank
        width = int((self._num_edge_items + self.resets.count).max().clamp_min(subsets.width))
        shape = (batch.num_instances, width)
        self.items = torch.zeros(shape, dtype=torch.bool, device=batch.device)
        self.items[:, : subsets.width] = subsets.pad(may_change.to(torch.int64)) > 0
        self.items[self.resets.instance, self._column] = True
        #: ``[B, I]`` by which ties are decided, whatever the order of edges.
        self.hash = torch.zeros(shape, dtype=torch.long, device=batch.device)
        self.hash[:, : subsets.width] = subsets.pad(random.hash64(2, order_of_ties(whole), 0))
        self.hash[self.resets.instance, self._column] = self.resets.hash(batch)

    def _refer(self, effect: float) -> None:
        """What is decided before anything is changed."""
        batch = self.batch
        everyone = torch.arange(batch.num_instances, device=batch.device)
        first = self.outputs(everyone, torch.zeros_like(self.items))
        self._check_reference(first)
        if batch.task.is_classification:
            self._decided = task.decision(batch.task, first, batch.targets)
            rows = batch.targets.rows
            towards = self._decided if rows is None else rows.all(self._decided)
            self._sign = torch.where(towards, 1.0, -1.0).to(batch.dtype)
        else:
            without = self._subsets.outputs(everyone, torch.zeros_like(self._is_there))
            whole = self._value(everyone, without) - self._value(everyone, first)
            self._sign, self._goal = whole.sign(), effect * whole.abs()
        self._start = self._distance(everyone, first)

    @property
    def num_items(self) -> Tensor:
        """``[B]`` number of items."""
        return self.items.sum(dim=1)

    @property
    def num_edges(self) -> Tensor:
        """``[B]`` how many edges may go, counted as they are changed."""
        return (self.items[:, : self._subsets.width] & self._is_there).sum(dim=1)

    @property
    def edge_items(self) -> Tensor:
        """``[B, I]`` the items that are edges, there or not."""
        found = self.items.clone()
        found[self.resets.instance, self._column] = False
        return found

    @property
    def has_rules(self) -> bool:
        """Whether a changed graph has to keep any."""
        return self._rules is not None

    def evaluate(self, instance: Tensor, changed: Tensor) -> Outcome:
        """What changes do.

        Args:
            instance: ``[K]`` whose changes these are, ascending.
            changed: ``[K, I]``.
        """
        found = [
            self.outcome(some, self.outputs(some, items), items)
            for some, items in zip(
                instance.split(self._most), changed.split(self._most), strict=True
            )
        ]
        if not found:
            none = instance.bool()
            return Outcome(self.batch.reference.new_empty(0), none, none)
        columns = ((each.distance, each.flips, each.keeps) for each in found)
        return Outcome(*map(torch.cat, zip(*columns, strict=True)))

    def outcome(self, instance: Tensor, output: Tensor, changed: Tensor) -> Outcome:
        """What outputs say, one for each of the instances ``[K]`` (or its rows)."""
        distance = self._distance(instance, output) - self._start[instance]
        flips = self._flips(instance, output, distance)
        keeps = torch.ones_like(flips)
        if self._rules is not None:
            edges = self._subsets.edges_of(instance, self._left(instance, changed))
            keeps = self._rules.holds(instance, *edges)
        return Outcome(distance, flips, keeps)

    def outputs(self, instance: Tensor, changed: Tensor) -> Tensor:
        """The model's outputs ``[K, C]`` of changed graphs."""
        return self._subsets.outputs(
            instance, self._left(instance, changed), self._fill(instance, changed)
        )

    def _left(self, instance: Tensor, changed: Tensor) -> Tensor:
        """``[K, W]`` which edges are there then."""
        edges = changed[:, : self._subsets.width] & self._subsets.items[instance]
        return self._is_there[instance] ^ edges

    def _fill(self, instance: Tensor, changed: Tensor) -> Fill | None:
        """The features then; None where none may change."""
        if not self.resets.instance.numel():
            return None
        variant, entry = self._entries(instance, changed)

        def fill(copies: Copies) -> Sequence[Tensor | None]:
            return self.resets.filled(self.batch, variant, entry, copies)

        return fill

    def _entries(self, instance: Tensor, changed: Tensor) -> tuple[Tensor, Tensor]:
        """Which set ``[p]``, ascending, changes a feature, and which one ``[p]``."""
        variant, column = changed.nonzero(as_tuple=True)
        owner = instance[variant]
        is_feature = column >= self._num_edge_items[owner]
        variant, owner, column = (each[is_feature] for each in (variant, owner, column))
        first = self.resets.count.cumsum(0) - self.resets.count
        return variant, first[owner] + column - self._num_edge_items[owner]

    # From items to the graph, and back

    def edges(self, value: Tensor) -> Tensor:
        """From items ``[B, I]`` to edges ``[e']``, those that may come included."""
        return self._subsets.unpad(value[:, : self._subsets.width])[0]

    def features(self, value: Tensor) -> Tensor:
        """From items ``[B, I]`` to features that may change ``[f]``."""
        return value[self.resets.instance, self._column]

    def present(self, share: Tensor) -> Tensor:
        """``[e']`` how much of each edge is there, where a share ``[B, I]`` of items changes."""
        moved = self.edges(share)
        return torch.where(self.insertions.is_new, moved, 1 - moved)

    def gather(self, value: Tensor) -> Tensor:
        """Sums ``[B, I]`` over the edges of items, of ``[e']``; zero of features."""
        found = value.new_zeros(self.items.shape)
        found[:, : self._subsets.width] = self._subsets.pad(value)
        return found

    # Decisions

    def _check_reference(self, first: Tensor) -> None:
        if not bool(rows_agree(first, self.batch.reference, self.batch.model_call).all()):
            raise UnsupportedModelError(
                "counterfactuals change the graph and call the model on what results, which has to "
                "give its predictions while nothing is changed; it does not, so the model looks "
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

    def _flips(self, instance: Tensor, output: Tensor, distance: Tensor) -> Tensor:
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
    wiring = wiring if isinstance(wiring, WidenedWiring) else WidenedWiring.of(wiring)
    opaque = wiring.opaque(sees_everything=batch.keeps_graphs)
    return replace(batch, wiring=opaque, intervention=Intervention(opaque, ()), _constants={})
