"""Gradients of a prediction with respect to edges that are there or not, and to features.

Where the model takes weights of edges, and zero weights are seen to do what deleting does, weights
are what gradients are taken of: degrees then change with them, and one run gives both the
prediction without some edges and its derivative. Elsewhere gates on messages stand in for edges, as
in all methods with masks; degrees stay, so what the gradient says is held against real deletions.
Edges that are not there have no messages, so weights alone say what inserting them does.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from glassgraph.calling.out_of_memory import let_through
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import rows_agree
from glassgraph.core.intercept import Intervention
from glassgraph.core.output_rows import select_rows
from glassgraph.core.plan import plan_sites
from glassgraph.errors import UnsupportedModelError
from glassgraph.explainers.perturbation.counterfactuals.changes import Changes
from glassgraph.inputs.node_features import with_features

Features: TypeAlias = "Sequence[Tensor | None] | None"
#: What gradients are taken of.
Relaxation = Literal["auto", "edge_weight", "messages"]

_NAME = "edge_weight"


class Relaxed:
    """Outputs of a batch as a differentiable function of what is left of each edge.

    Args:
        batch: the instances, with the sites of the model.
        changes: what changing the graph really does.
        relaxation: what gradients are taken of; ``"auto"`` takes weights where they are right.

    Raises:
        UnsupportedModelError: if edges may be inserted, and weights do not say what that does.
    """

    def __init__(self, batch: InstanceBatch, changes: Changes, relaxation: Relaxation) -> None:
        self._use(batch, changes)
        self._by_weights = torch.zeros(batch.num_instances, dtype=torch.bool, device=batch.device)
        if relaxation != "messages" and batch.model_call.needs(_NAME) and self._given is not None:
            self._by_weights |= self._agrees(changes)
        if not self.is_exact and bool(changes.insertions.is_new.any()):
            raise UnsupportedModelError(
                "an edge that is not there has no message to learn from, so insertions are learned "
                "through weights: the model has to take edge_weight, and an edge of weight 0 to be "
                "as good as none (relaxation='auto' or 'edge_weight'). That is not so here; take "
                "smallest_counterfactual, which tries insertions"
            )

    def _use(self, batch: InstanceBatch, changes: Changes) -> None:
        self._batch, self._changes = batch, changes
        self._whole = changes.insertions.batch
        self._given = self._weights()
        self._intervention = self._whole.intervention

    @property
    def is_exact(self) -> bool:
        """Whether zeros do what deleting does, for all instances."""
        return bool(self._by_weights.all())

    def take(self, rows: Tensor, batch: InstanceBatch, changes: Changes) -> Relaxed:
        """The same for some of the instances, of which it is known what zeros do.

        Args:
            rows: which ones.
            batch: they, packed anew.
            changes: theirs.
        """
        found = copy.copy(self)
        found._use(batch, changes)
        found._by_weights = self._by_weights[rows]
        if bool(found._by_weights.any()):
            found._intervention = found._without_far_messages()
        return found

    def changed(self, share: Tensor) -> Tensor:
        """The model's output ``[R, C]`` with a share ``[B, I]``, from 0 to 1, of each change."""
        features, resets = None, self._changes.resets
        if resets.instance.numel():
            features = resets.reset(self._batch, self._changes.features(share))
        return self.output(self._changes.present(share), features)

    def output(self, present: Tensor, features: Features = None) -> Tensor:
        """The model's output ``[R, C]`` with ``present``, from 0 to 1, of each edge.

        Args:
            present: ``[e]``, or ``[e']`` with the edges that may be inserted.
            features: of the nodes; None for their own.
        """
        if self.is_exact:
            return self._weighted(present, features)
        gated = self._batch.output(present, features)
        if not bool(self._by_weights.any()):
            return gated
        rows = self._batch.targets.rows
        by_weights = self._by_weights if rows is None else self._by_weights[rows.instance]
        return torch.where(by_weights.view(-1, 1), self._weighted(present, features), gated)

    def _without_far_messages(self) -> Intervention:
        """Leaves out what can reach no prediction, while arguments follow the weights."""
        own = self._batch
        if own.is_whole or bool(self._changes.insertions.is_new.any()):
            return self._whole.intervention  # of other sites nothing is known
        plans, _ = plan_sites(own.graph, own.fields, own.packed, own.wiring, own.model_call, {})
        return Intervention(own.wiring, plans)

    def _weights(self) -> Tensor | None:
        """``[e']`` the user's weights of edges, or ones; None where they are not of that shape."""
        batch = self._whole
        if batch.graph.is_heterogeneous:
            return None
        given = getattr(batch.packed.data, _NAME, None)
        if given is None:
            return batch.ones()
        shape = (batch.num_edges,)
        is_right = isinstance(given, Tensor) and given.shape == shape and given.is_floating_point()
        return given if is_right else None

    def _weighted(self, present: Tensor, features: Features = None) -> Tensor:
        batch, given = self._whole, self._given
        assert given is not None
        plain = batch.packed.data
        data: Any = copy.copy(with_features(batch.graph, plain, batch.feature_names, features))
        data[_NAME] = given * present
        with self._intervention.gates(None):
            output = batch.model_call(data)
        return select_rows(batch.task, output, batch.output_rows, batch.num_predictions)

    @torch.no_grad()
    def _agrees(self, changes: Changes) -> Tensor:
        """``[B]`` whether the model reads weights, and those of zero do what deleting does.

        Each third of the items is asked for, whatever their order; self-loops alone, of which
        layers add those that are missing; and none.
        """
        batch, agree = self._batch, torch.ones_like(self._by_weights)
        everyone = torch.arange(batch.num_instances, device=batch.device)
        fields = self._whole.fields
        is_loop = changes.gather((fields.source == fields.destination).long()) > 0
        edges = changes.edge_items
        probes = [edges & (changes.hash % 3 == third) for third in range(3)]
        probes += [edges & is_loop, torch.zeros_like(edges)]
        try:
            self._intervention = self._without_far_messages()
            for probe in probes:
                present = changes.present(probe.to(batch.dtype))
                expected = changes.outputs(everyone, probe)
                same = rows_agree(self._weighted(present), expected, batch.model_call)
                rows = batch.targets.rows
                agree &= same if rows is None else rows.all(same)
            return agree & self._is_read(present)
        except Exception as error:  # noqa: BLE001 - it may need more than weights of edges
            let_through(error)
            return torch.zeros_like(agree)

    def _is_read(self, present: Tensor) -> bool:
        leaf = present.clone().requires_grad_()
        with torch.enable_grad():
            output = self._weighted(leaf)
            if not output.requires_grad:
                return False
            (gradient,) = torch.autograd.grad(output.sum(), [leaf], allow_unused=True)
        return gradient is not None
