"""Hidden states of a batch's nodes as they are on the user's own graph.

On a receptive field only the states that reach its prediction are right: a node at the boundary
lacks its own neighbors there. Methods that read states of all nodes need those of the full graph.
They are read once for each graph and looked up by node; on graphs too large for that, from the
surroundings of the batch's fields, wide enough that every node of a field has all its neighbors at
every layer. Graphs of a graph task are whole anyway. On heterogeneous graphs states are read before
each layer, see `glassgraph.hidden.typed_states`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import Check, is_checked_in_full
from glassgraph.core.costs import refuse_large_fields
from glassgraph.core.packer import Packer
from glassgraph.hidden.states import StateReader, module_states
from glassgraph.hidden.typed_states import typed_states
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.receptive import receptive_fields
from glassgraph.inputs.task import Target


@dataclass(frozen=True)
class StateTable:
    """States, and where those of a batch's nodes stand.

    Attributes:
        states: ``[N, D]``, detached.
        row: ``[n]`` the row of each node of the batch.
    """

    states: Tensor
    row: Tensor


class NodeStates:
    """Reads states, and keeps those of the last graph.

    Args:
        which: ``"all"`` layers side by side, the ``"last"`` layer, or the name of a submodule.
        check: whether the model may run on the full graph, see `Check`.
        budget: bytes that a run on surroundings may take, of a graph on disk; None for any.
    """

    def __init__(self, which: str, check: Check, budget: int | None = None) -> None:
        self._which, self._check, self._budget = which, check, budget
        self._reader = StateReader()
        self._kept: tuple[TypedGraph, list[tuple[int, int]], Tensor] | None = None

    def read(self, batch: InstanceBatch) -> StateTable:
        """The states of a batch's nodes.

        Raises:
            HyperParameterError: if there is no submodule of the name.
            UnsupportedModelError: if the states cannot be read; those of a submodule are not on
                heterogeneous graphs.
            FieldTooLargeError: if a graph is on disk, and they depend on too much of it.
        """
        node = batch.fields.node
        if batch.is_whole or batch.keeps_graphs or batch.task.level == "graph":
            return StateTable(self._states(batch), torch.arange(node.numel(), device=node.device))
        packer = Packer(batch.graph, batch.task, batch.wiring, batch.model_call)
        seeds = node[batch.fields.seed]
        instances = Instances(batch.key, torch.zeros_like(batch.key), seeds)
        if not is_checked_in_full(batch.graph, batch.task, self._check):
            return self._read_around(packer, instances, batch)
        model = batch.model_call.model
        version = [(id(each), each._version) for each in (*model.parameters(), *model.buffers())]
        if self._kept is None or self._kept[0] is not batch.graph or self._kept[1] != version:
            one = torch.zeros(1, dtype=torch.long, device=node.device)
            target: Target = None if batch.task.is_classification else 0
            whole = packer.whole(instances.take(one), one, target)
            self._kept = batch.graph, version, self._states(whole)
        return StateTable(self._kept[2], node)

    def _read_around(
        self, packer: Packer, instances: Instances, batch: InstanceBatch
    ) -> StateTable:
        """On twice as many hops: the last layer's states depend on as many as a prediction."""
        wiring = batch.wiring
        if self._budget is not None and batch.graph.must_stay_cut:
            shared = replace(
                instances.take(batch.key.new_zeros(1)), seeds=instances.seeds.view(1, -1)
            )
            costs = packer.costs
            refuse_large_fields(costs, shared, self._budget, 1, hops=2 * wiring.num_hops)
        fields = receptive_fields(
            batch.graph,
            instances.seeds.reshape(1, -1),
            2 * wiring.num_hops,
            wiring.needs_both_directions,
            with_surroundings=True,
        )
        everywhere = replace(
            fields,
            seed=fields.seed.view(instances.seeds.shape),
            distance=torch.zeros_like(fields.distance),  # no message is left out
        )
        around = packer.assemble(instances, everywhere, batch.targets, batch.reference, {})
        return StateTable(self._states(around), torch.searchsorted(fields.node, batch.fields.node))

    def _states(self, batch: InstanceBatch) -> Tensor:
        if batch.graph.is_heterogeneous and self._which in ("all", "last"):
            found = typed_states(batch, last=self._which == "last")
        elif self._which == "all":
            found = self._reader.read(batch)
        elif self._which == "last":
            found = self._reader.read(batch, [batch.num_layers - 1])
        else:
            found = module_states(batch, self._which).layers
        return torch.cat([each.detach().flatten(1) for each in found], dim=1).to(batch.dtype)
