"""From "these predictions of that model" to instance batches that are known to be right.

`Preparation.read` checks the data and traces the model once. `Preparation.batches` cuts out
receptive fields, packs them within a memory budget, and compares each packed prediction with the
prediction on the user's own graph (`Context`). Where they differ (global attention, graph-wide
normalization, a tensor closed over in the model) the instance falls back to the full graph, one at
a time, and the user is told once.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from glassgraph.core.batch import InstanceBatch, assemble, output_rows, select_rows
from glassgraph.core.call import ModelCall
from glassgraph.core.context import Context, full_context, local_context, own_data
from glassgraph.core.graph import TypedGraph
from glassgraph.core.instances import Instances, labels_of, resolve_instances
from glassgraph.core.intercept import Intervention
from glassgraph.core.pack import Packed, everything, typed_views, whole_node_positions, whole_views
from glassgraph.core.plan import plan_sites
from glassgraph.core.receptive import Fields, receptive_fields, whole_graphs
from glassgraph.core.sites import Wiring
from glassgraph.core.task import Target, Targets, Task, resolve_targets
from glassgraph.core.tracing import trace_wiring
from glassgraph.errors import GlassgraphError, TaskError

#: How a packed prediction is checked: against the user's full graph, against the surroundings of
#: the receptive fields (one hop more), or whichever is affordable.
Check = Literal["auto", "full", "local"]

#: Graphs up to this many edges are always checked in full.
FULL_CHECK_EDGES = 50_000
#: Copies of each message that a forward and backward pass keeps, roughly.
_COPIES = 6


class FallbackWarning(UserWarning):
    """Instances could not be cut out of their graph and are explained on the full graph."""


@dataclass
class Preparation:
    """A model and a graph, ready to be explained.

    Attributes:
        model_call: how the model is called.
        task: the task.
        graph: the user's graph(s).
        wiring: the model's sites.
        check: how packed predictions are checked.
    """

    model_call: ModelCall
    task: Task
    graph: TypedGraph
    wiring: Wiring
    check: Check = "auto"
    _warned: set[str] = field(default_factory=set, repr=False)

    @staticmethod
    def read(
        model: nn.Module, model_call: ModelCall, task: Task, data: Any, check: Check = "auto"
    ) -> Preparation:
        """Check the data, trace the model, build the index of edges.

        Call it inside ``protected(model)``.

        Raises:
            GlassgraphError: for a malformed graph, a model without messages, a call that fails.
        """
        graph = TypedGraph.read(data)
        task = _complete_task(task, graph)
        wiring = trace_wiring(model, model_call, graph)
        preparation = Preparation(model_call, task, graph, wiring, check)
        if task.level != "graph":
            _ = graph.incoming
            if wiring.needs_both_directions:
                _ = graph.outgoing
        return preparation

    def instances(self, index: Any) -> Instances:
        """Check and resolve what to explain; None means everything.

        Raises:
            InstanceError: if an index is out of range or has the wrong form.
        """
        return resolve_instances(self.graph, self.task, index)

    def batches(
        self, instances: Instances, target: Target, budget: int
    ) -> Iterator[tuple[Tensor, InstanceBatch]]:
        """Instance batches within a memory budget, each with the positions it covers."""
        full = (
            full_context(self.graph, self.wiring, self.model_call, self.task, instances)
            if self._checks_in_full()
            else None
        )
        start, group = 0, self._first_group(budget)
        while start < len(instances):
            stop = min(start + group, len(instances))
            position = torch.arange(start, stop, device=self.graph.device)
            cost = 0
            for covered, batch in self._prepare(instances, position, target, full):
                cost += self._cost(batch.num_nodes, batch.num_edges)
                yield covered, batch
            mean_cost = max(1, cost // int(position.numel()))
            group = max(1, min(4 * group, budget // (2 * mean_cost), 4096))
            start = stop

    # Cutting, packing, checking

    def _prepare(
        self, instances: Instances, position: Tensor, target: Target, full: Context | None
    ) -> Iterator[tuple[Tensor, InstanceBatch]]:
        chosen = instances.take(position)
        try:
            fields = self._fields(chosen)
            context = (
                local_context(self.graph, self.wiring, self.model_call, self.task, chosen)
                if full is None
                else full
            )
            reference = context.output if full is None else full.output[position]
            targets = self._targets(chosen, position, target, reference)
            batch = self._assemble(chosen, fields, targets, reference, context, can_trim=True)
            with torch.no_grad():
                packed_output = batch.output(gates=batch.ones())
            is_right = _rows_agree(packed_output, reference)
        except GlassgraphError:
            raise
        except Exception as error:  # noqa: BLE001
            # The cut graph is ours: what fails there may still run on the user's graph.
            self._tell("the model could not run on receptive fields", error)
            is_right = torch.zeros(len(chosen), dtype=torch.bool, device=self.graph.device)
        else:
            if bool(is_right.all()):
                yield position, batch
                return
            self._tell("predictions on receptive fields differ from those on the full graph", None)
            kept = is_right.nonzero().view(-1)
            if kept.numel():
                part = self._assemble(
                    chosen.take(kept),
                    fields.take(kept),
                    targets.take(kept),
                    reference[kept],
                    context,
                    can_trim=True,
                )
                yield position[kept], part
        for wrong in (~is_right).nonzero().view(-1).tolist():
            one = position[wrong : wrong + 1]
            yield one, self._whole(instances.take(one), one, target)

    def _assemble(
        self,
        chosen: Instances,
        fields: Fields,
        targets: Targets,
        reference: Tensor,
        context: Context,
        can_trim: bool,
    ) -> InstanceBatch:
        return assemble(
            graph=self.graph,
            fields=fields,
            wiring=self.wiring,
            task=self.task,
            targets=targets,
            reference=reference,
            key=self._keys(chosen),
            model_call=self.model_call,
            constants=context.constants,
            can_trim=can_trim,
        )

    def _keys(self, chosen: Instances) -> Tensor:
        """Random numbers of graph tasks depend on the graph's content, not its place in a list."""
        return torch.zeros_like(chosen.index) if self.task.level == "graph" else chosen.index

    def _fields(self, chosen: Instances) -> Fields:
        if self.task.level == "graph":
            return whole_graphs(self.graph, chosen.graph)
        return receptive_fields(
            self.graph, chosen.seeds, self.wiring.num_hops, self.wiring.needs_both_directions
        )

    def _whole(self, chosen: Instances, position: Tensor, target: Target) -> InstanceBatch:
        """One instance on the user's own graph, uncut."""
        number = int(chosen.graph[0])
        seeds = chosen.seeds if self.task.level != "graph" else None
        is_many = self.graph.node_graph is not None and self.task.level == "graph"
        if is_many:
            fields = whole_graphs(self.graph, chosen.graph, seeds)
            data = copy.copy(self.graph.single(number))
            if self.model_call.needs("batch") and not self.graph.is_heterogeneous:
                data.batch = torch.zeros(data.num_nodes, dtype=torch.long, device=self.graph.device)
        else:
            fields = everything(self.graph, seeds)
            data = own_data(self.graph, self.task)
        packed = Packed(data, whole_views(self.graph, fields), whole_node_positions(self.graph))
        if is_many and self.graph.is_heterogeneous:
            packed = Packed(data, typed_views(data, fields, self.graph), packed.node_position)
        if self.task.level == "edge":
            data.edge_label_index = chosen.seeds.t().contiguous()
        rows = output_rows(self.graph, fields, packed, self.task)
        with torch.no_grad():
            reference = select_rows(self.task, self.model_call(data), rows, 1)
        plans = plan_sites(
            self.graph, fields, packed, self.wiring, self.model_call, {}, can_trim=False
        )
        return InstanceBatch(
            task=self.task,
            fields=fields,
            wiring=self.wiring,
            targets=self._targets(chosen, position, target, reference),
            reference=reference,
            key=self._keys(chosen),
            is_whole=True,
            graph=self.graph,
            packed=packed,
            model_call=self.model_call,
            intervention=Intervention(self.wiring, plans),
            output_rows=rows,
        )

    def _checks_in_full(self) -> bool:
        if self.check != "auto":
            return self.check == "full"
        return self.task.level == "graph" or self.graph.num_edges <= FULL_CHECK_EDGES

    def _targets(
        self, chosen: Instances, position: Tensor, target: Target, reference: Tensor
    ) -> Targets:
        if isinstance(target, Tensor) and target.numel() > 1:
            target = target.to(position.device)[position]
        return resolve_targets(
            self.task, target, reference, lambda: labels_of(self.graph, self.task, chosen)
        )

    def _cost(self, num_nodes: int, num_edges: int) -> int:
        width = self.wiring.width // max(1, len(self.wiring.sites))
        features = 16 + width
        return 4 * _COPIES * (num_edges * (self.wiring.width + 8) + num_nodes * features)

    def _first_group(self, budget: int) -> int:
        if self.task.level == "graph":
            nodes = -(-self.graph.num_nodes // self.graph.num_graphs)
            edges = -(-self.graph.num_edges // self.graph.num_graphs)
        else:
            nodes, edges = self.graph.num_nodes, self.graph.num_edges
        worst = max(1, self._cost(nodes, edges))
        return max(1, min(budget // worst, 1024))

    def _tell(self, what: str, error: Exception | None) -> None:
        if what in self._warned:
            return
        self._warned.add(what)
        reason = "" if error is None else f" ({type(error).__name__}: {error})"
        warnings.warn(
            f"{what}{reason}; falling back to the full graph, one instance at a time: the result "
            "is right, but slower",
            FallbackWarning,
            stacklevel=2,
        )


def _rows_agree(output: Tensor, reference: Tensor) -> Tensor:
    """Which rows ``[B]`` of two outputs are equal up to rounding."""
    precise = reference.dtype == torch.float64
    relative, absolute = (1e-9, 1e-10) if precise else (2e-4, 1e-5)
    scale = reference.abs().amax(dim=1) if reference.size(1) else reference.new_zeros(0)
    distance = (output - reference).abs().amax(dim=1)
    return distance <= absolute + relative * scale


def _complete_task(task: Task, graph: TypedGraph) -> Task:
    """Name the explained node type of a heterogeneous graph.

    Raises:
        TaskError: if it cannot be told.
    """
    if not graph.is_heterogeneous:
        if task.node_type is not None:
            raise TaskError("node_type is for heterogeneous graphs; this graph has no types")
        return task
    if task.level == "edge":
        raise TaskError("link prediction on heterogeneous graphs is not supported yet")
    if task.level == "graph":
        return task
    if task.node_type is not None:
        graph.type_position(task.node_type)
        return task
    labeled = [name for name in graph.node_types if "y" in graph.data[name]]
    if len(labeled) != 1:
        names = ", ".join(repr(name) for name in graph.node_types)
        raise TaskError(
            f"the graph has node types {names}; say which one is predicted: "
            "task=glassgraph.Task('node', node_type=...)"
        )
    return Task.of(task, node_type=labeled[0])
