"""Whether the predictions of a batch depend on what lies beside them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import local_context, rows_agree
from glassgraph.core.copies import instances_are_apart
from glassgraph.core.costs import small_fields
from glassgraph.core.packer import Packer
from glassgraph.inputs.instances import Instances

#: Predictions that are made once more with other parts of the graph beside them.
_COMPARED = 4


@dataclass
class Mixing:
    """What is known of one model on one graph.

    Attributes:
        checks_in_full: whether predictions are compared with the full graph anyway.
        is_mixed: whether they depend on what lies beside them; None if nobody asked yet.
    """

    checks_in_full: bool
    is_mixed: bool | None = None

    def mixes(self, packer: Packer, batch: InstanceBatch) -> bool:
        """Whether the model mixes what lies in this batch; asked once."""
        graph = packer.graph
        if batch.num_instances < 2:
            has_all = batch.num_nodes == graph.num_nodes and batch.num_edges == graph.num_edges
            if packer.task.level == "graph" or has_all:
                return False  # nothing lies beside it, nor does anything lack
        if self.is_mixed is None:
            is_alike = instances_are_apart(batch) and self._is_alike_elsewhere(packer, batch)
            self.is_mixed = not is_alike
        return self.is_mixed

    def _is_alike_elsewhere(self, packer: Packer, batch: InstanceBatch) -> bool:
        """Whether some predictions stay as they are when other parts of the graph lie beside them.

        What was compared so far may be all that is joined to a node, and still not all there is.
        """
        graph, task = packer.graph, packer.task
        if task.level != "node" or self.checks_in_full:
            return True
        few = torch.arange(min(_COMPARED, batch.num_instances), device=batch.device)
        seeds = batch.fields.node[batch.fields.seed[few, 0]]
        every = torch.cat([seeds, small_fields(packer.costs, task)])
        beside = Instances.of_nodes(graph, task, every)
        found = local_context(graph, packer.wiring, packer.model_call, task, beside).output
        return bool(rows_agree(found[few], batch.reference[few], packer.model_call).all())
