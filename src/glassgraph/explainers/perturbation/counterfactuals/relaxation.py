"""Gradients of a prediction with respect to edges that are there or not.

Where the model takes weights of edges, and zero weights are seen to do what deleting does, weights
are what gradients are taken of: degrees then change with them, and one run gives both the
prediction without some edges and its derivative. Elsewhere gates on messages stand in for edges, as
in all methods with masks; degrees stay, so what the gradient says is held against real deletions.
"""

from __future__ import annotations

import copy
from typing import Any, Literal

import torch
from torch import Tensor

from glassgraph.calling.out_of_memory import let_through
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import rows_agree
from glassgraph.core.output_rows import select_rows
from glassgraph.explainers.perturbation.counterfactuals.deletion import Deletions

#: What gradients are taken of.
Relaxation = Literal["auto", "edge_weight", "messages"]

_NAME = "edge_weight"


class Relaxed:
    """Outputs of a batch as a differentiable function of what is left of each edge.

    Args:
        batch: the instances, with the sites of the model.
        deletions: what deleting really does.
        relaxation: what gradients are taken of; ``"auto"`` takes weights where they are right.

    Attributes:
        is_exact: whether zeros do what deleting does.
    """

    def __init__(self, batch: InstanceBatch, deletions: Deletions, relaxation: Relaxation) -> None:
        self._batch = batch
        self._given = self._weights()
        self.is_exact = False
        if relaxation != "messages" and batch.model_call.needs(_NAME):
            self.is_exact = self._given is not None and self._agrees(deletions)

    def output(self, present: Tensor) -> Tensor:
        """The model's output ``[R, C]`` with ``present [e]``, from 0 to 1, of each edge."""
        if not self.is_exact:
            return self._batch.output(present)
        return self._weighted(present)

    def _weights(self) -> Tensor | None:
        """``[e]`` the user's weights of edges, or ones; None where they are not of that shape."""
        batch = self._batch
        if batch.graph.is_heterogeneous:
            return None
        given = getattr(batch.packed.data, _NAME, None)
        if given is None:
            return batch.ones()
        shape = (batch.num_edges,)
        is_right = isinstance(given, Tensor) and given.shape == shape and given.is_floating_point()
        return given if is_right else None

    def _weighted(self, present: Tensor) -> Tensor:
        batch, given = self._batch, self._given
        assert given is not None
        data: Any = copy.copy(batch.packed.data)
        data[_NAME] = given * present
        output = batch.model_call(data)
        return select_rows(batch.task, output, batch.output_rows, batch.num_predictions)

    @torch.no_grad()
    def _agrees(self, deletions: Deletions) -> bool:
        """Whether the model reads weights, and those of zero do what deleting does.

        Each third of the items is asked for, and none.
        """
        batch = self._batch
        everyone = torch.arange(batch.num_instances, device=batch.device)
        column = torch.arange(deletions.items.size(1), device=batch.device)
        try:
            for third in range(4):
                deleted = deletions.items & (column % 3 == third)
                present = 1 - deletions.spread(deleted.to(batch.dtype))
                expected = deletions.outputs(everyone, deleted)
                found = self._weighted(present)
                if not bool(rows_agree(found, expected, batch.model_call).all()):
                    return False
            return self._is_read(present)
        except Exception as error:  # noqa: BLE001 - it may need more than weights of edges
            let_through(error)
            return False

    def _is_read(self, present: Tensor) -> bool:
        leaf = present.clone().requires_grad_()
        with torch.enable_grad():
            output = self._weighted(leaf)
            if not output.requires_grad:
                return False
            (gradient,) = torch.autograd.grad(output.sum(), [leaf], allow_unused=True)
        return gradient is not None
