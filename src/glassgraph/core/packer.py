"""Makes one instance batch of some instances: packed fields, or the user's own graph.

It knows how the model is called and what it sends, and checks nothing: what a batch predicts is
compared with what the model predicts by `glassgraph.core.prepare`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from glassgraph.calling.call import ModelCall
from glassgraph.core.batch import InstanceBatch, assemble
from glassgraph.core.context import data_about, run_on, single_graph, without_nan
from glassgraph.core.costs import Costs
from glassgraph.core.intercept import Intervention, naming_other_messages
from glassgraph.core.output_rows import output_rows, select_rows
from glassgraph.core.plan import SiteConstants, plan_sites
from glassgraph.core.sites import Wiring
from glassgraph.core.trials import first_right
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.labels import labels_of
from glassgraph.inputs.links import num_explained_edges
from glassgraph.inputs.node_tables import NodeTables
from glassgraph.inputs.pack import everything, pack_whole
from glassgraph.inputs.receptive import Fields, receptive_fields, whole_graphs
from glassgraph.inputs.task import Target, Targets, Task, resolve_targets

#: What was packed, and which of its predictions ``[B]`` are right.
Packing = tuple[InstanceBatch, Tensor]


@dataclass
class Packer:
    """A model on a graph.

    Attributes:
        graph: the user's graph(s).
        task: the task.
        wiring: the model's sites.
        model_call: how the model is called; `on_fields` may find a way that is right for fields.
    """

    graph: TypedGraph
    task: Task
    wiring: Wiring
    model_call: ModelCall
    _knows_tables: bool = field(default=False, repr=False)

    @property
    def costs(self) -> Costs:
        """What runs of the model take."""
        return Costs(self.graph, self.wiring)

    def fields(self, chosen: Instances) -> Fields:
        """The receptive fields of instances of a node or link task."""
        wiring = self.wiring
        both = wiring.needs_both_directions
        return receptive_fields(self.graph, chosen.seeds, wiring.num_hops, both)

    def targets(
        self, chosen: Instances, position: Tensor, target: Target | Targets, reference: Tensor
    ) -> Targets:
        """The explained classes of some instances.

        Args:
            chosen: the instances.
            position: ``[B]`` where they stand among all instances that are explained.
            target: what the user asks for, or for each of all instances its own class.
            reference: ``[B, C]`` their predictions.

        Raises:
            TargetError: for a class that is not there.
        """
        if isinstance(target, Targets):
            target = target.take(position).chosen
        return resolve_targets(
            self.task,
            target,
            reference,
            lambda: labels_of(self.graph, self.task, chosen),
            chosen.rows,
        )

    def assemble(
        self,
        chosen: Instances,
        fields: Fields,
        targets: Targets,
        reference: Tensor,
        constants: Mapping[int, SiteConstants],
        *,
        keeps_graphs: bool = False,
    ) -> InstanceBatch:
        """Pack fields of some instances.

        Raises:
            CannotPack: if an attribute cannot be cut.
            PlanMismatch: if the packed graph runs through other sites than the traced one.
        """
        return assemble(
            graph=self.graph,
            fields=fields,
            wiring=self.wiring,
            task=self.task,
            targets=targets,
            reference=reference,
            key=chosen.index,
            model_call=self.model_call,
            constants=constants,
            keeps_graphs=keeps_graphs,
        )

    def whole(self, chosen: Instances, position: Tensor, target: Target | Targets) -> InstanceBatch:
        """One instance on the user's own graph, uncut; several share it (not of a graph task)."""
        graph = self.graph
        data, fields = self._uncut(chosen)
        about_edges = self.task.is_about_edges
        packed = pack_whole(graph, data, fields, chosen.index if about_edges else None)
        rows = output_rows(graph, fields, packed, self.task, chosen.rows)
        num_rows = num_explained_edges(graph, self.task) if about_edges else None
        with torch.no_grad():
            result = run_on(self.model_call, data)
            reference = without_nan(select_rows(self.task, result, rows, len(chosen), num_rows))
        with naming_other_messages():
            plans, _ = plan_sites(
                graph, fields, packed, self.wiring, self.model_call, {}, can_trim=False
            )
        return InstanceBatch(
            task=self.task,
            fields=fields,
            wiring=self.wiring,
            targets=self.targets(chosen, position, target, reference),
            reference=reference,
            key=chosen.index,
            is_whole=True,
            graph=graph,
            packed=packed,
            model_call=self.model_call,
            intervention=Intervention(self.wiring, plans),
            output_rows=rows,
        )

    def on_fields(self, pack: Callable[[Packer], Packing]) -> Packing:
        """Pack fields, with the model called as it is or, if that is not right, cut like the data.

        Args:
            pack: packs with a packer, and says which predictions are right.

        Raises:
            Exception: what it raised at first, if nothing is right.
        """
        found = first_right(self._calls(), lambda call: pack(replace(self, model_call=call)))
        self.model_call = found[0].model_call
        return found

    def _calls(self) -> Iterator[ModelCall]:
        """How the model may be called on fields."""
        yield self.model_call
        if self.model_call.tables is None and not self._knows_tables:
            self._knows_tables = True
            tables = NodeTables.of(self.model_call.model, self.graph)
            if tables is not None:
                yield self.model_call.with_tables(tables)

    def _uncut(self, chosen: Instances) -> tuple[Any, Fields]:
        """The user's own data, all of it as one field."""
        graph = self.graph
        if self.task.level == "graph":
            data = single_graph(graph, int(chosen.graph[0]), self.model_call, self.task)
            return data, whole_graphs(graph, chosen.graph)
        data = data_about(graph, self.task, self.model_call, chosen)
        return data, everything(graph, chosen.seeds)
