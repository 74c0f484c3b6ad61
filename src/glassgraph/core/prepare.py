"""From "these predictions of that model" to instance batches that are known to be right.

`Preparation.read` checks the data and traces the model once. `Preparation.batches` cuts out
receptive fields, packs them within a memory budget, and compares each packed prediction with the
prediction on the user's own graph (`Context`). Where they differ (global attention, graph-wide
normalization, a tensor closed over in the model) the instance falls back to the full graph, one at
a time, and the user is told once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.calling.call import ModelCall, refuse_chance
from glassgraph.calling.compiled import compiled_parts
from glassgraph.calling.out_of_memory import let_through
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.compiled_check import check_compiled
from glassgraph.core.constant_tables import write_tables
from glassgraph.core.context import (
    Check,
    Context,
    full_context,
    is_checked_in_full,
    local_context,
    refuse_whole,
    rows_agree,
)
from glassgraph.core.costs import COPIES, Costs, refuse_large_fields
from glassgraph.core.mixing import Mixing
from glassgraph.core.packed_graphs import (
    SingleGraphs,
    groups_of_graphs,
    in_whole_graphs,
    pack_graphs,
)
from glassgraph.core.packer import Packer, Packing
from glassgraph.core.sites import OpaqueWiring, Wiring
from glassgraph.core.told import (
    BEYOND,
    DIFFERENT,
    MIXED,
    POOLED,
    UNCUT,
    OnUnseen,
    Told,
    tell_of_pooling,
)
from glassgraph.core.tracing import trace_wiring
from glassgraph.core.trials import first_way
from glassgraph.core.trust import ONE_IN, Trust
from glassgraph.core.trusted_fields import TrustedFields
from glassgraph.errors import (
    FieldTooLargeError,
    GraphError,
    ModelCallError,
    TargetError,
    WholeGraphError,
)
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.instances import (
    Instances,
    complete_task,
    one_for_each,
    refuse_edges_between,
    resolve_instances,
)
from glassgraph.inputs.links import check_link_attributes, find_links
from glassgraph.inputs.node_tables import NodeTables
from glassgraph.inputs.task import Target, Targets, Task

#: Why predictions are not explained on fields, and what was raised.
Reason = tuple[str, Exception | None]


@dataclass
class Schedule:
    """Where `Preparation.batches` stands, so that a run which died goes on with the same batches.

    Attributes:
        start: how many instances the groups before this one hold.
        group: how many instances this one takes; None for as many as surely fit.
        is_mixed: whether predictions depend on what lies beside them; None if nobody asked yet.
        keeps_graphs: whether graphs are known to be needed whole.
    """

    start: int = 0
    group: int | None = None
    is_mixed: bool | None = None
    keeps_graphs: bool = False


@dataclass
class Preparation:
    """A model and a graph, ready to be explained.

    Attributes:
        packer: what makes batches of instances: the model, its sites, the graph and the task.
        check: how packed predictions are checked.
        told: what the user has been told of the model.
    """

    packer: Packer
    check: Check
    told: Told = field(repr=False)
    _spent: int = field(default=0, repr=False)
    _keeps_graphs: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        checks_in_full = self.checks_in_full()
        self._singles = SingleGraphs(runs_all=self.check == "full")
        self._mixing = Mixing(checks_in_full)
        # a check of a few fields may speak for others, but not of models that only run
        is_sampled = self.check == "auto" and not checks_in_full and self.task.level == "node"
        self._trusted: TrustedFields | None = None
        if is_sampled and not isinstance(self.wiring, OpaqueWiring):
            self._trusted = TrustedFields(self.told, Trust(self.graph, self.wiring))

    def rewired(
        self, rewire: Callable[[Wiring], Wiring], model_call: ModelCall | None = None
    ) -> Preparation:
        """The same with other sites, or with the model called in another way."""
        call = self.model_call if model_call is None else model_call
        packer = replace(self.packer, wiring=rewire(self.wiring), model_call=call)
        return replace(self, packer=packer)

    @property
    def graph(self) -> TypedGraph:
        """What the user gave, one graph or several."""
        return self.packer.graph

    @property
    def task(self) -> Task:
        """The task."""
        return self.packer.task

    @property
    def wiring(self) -> Wiring:
        """The model's sites."""
        return self.packer.wiring

    @property
    def model_call(self) -> ModelCall:
        """How the model is called."""
        return self.packer.model_call

    @property
    def costs(self) -> Costs:
        """What runs of the model take."""
        return self.packer.costs

    @staticmethod
    def read(
        model: nn.Module,
        model_call: ModelCall,
        task: Task,
        data: Any,
        check: Check = "auto",
        on_unseen: OnUnseen = "ignore",
    ) -> Preparation:
        """Check the data, trace the model, build the index of edges.

        Call it inside ``protected(model)``.

        Raises:
            GlassgraphError: for a malformed graph, a model without messages, a call that fails, a
                compiled model that returns something else than the modules that it was made of.
        """
        parts = compiled_parts(model)
        graph, task, model_call = _read_graph(data, task, model_call)

        def trace(way: ModelCall, form: TypedGraph) -> tuple[ModelCall, Wiring]:
            plain = way.uncompiled()
            try:
                return plain, trace_wiring(model, plain, form, task)
            except WholeGraphError:  # a part of the graph may need its part of the model's tables
                tables = NodeTables.of(model, form)
                if tables is None or plain.tables is not None:
                    raise
                cutting = plain.with_tables(tables)
                return cutting, trace_wiring(model, cutting, form, task)

        with _naming_missing_edges(graph):
            model_call, graph, (plain, wiring) = first_way(model_call, graph, task, trace)
        told = Told(graph, task, on_unseen)
        preparation = Preparation(Packer(graph, task, wiring, plain), check, told)
        if parts:
            sample = told.sample(plain)
            check_compiled(parts, model_call, plain, sample, lambda: told.is_unstable(plain))
        tell_of_pooling(wiring)
        if task.level != "graph":
            _ = graph.incoming
            if wiring.needs_both_directions or not preparation.checks_in_full():
                _ = graph.outgoing
        return preparation

    @staticmethod
    def with_wiring(
        model_call: ModelCall,
        task: Task,
        data: Any,
        check: Check,
        find_wiring: Callable[[ModelCall, TypedGraph, Task], Wiring],
    ) -> Preparation:
        """Check the data, of a model whose wiring is found in another way than by tracing it.

        Call it inside ``protected(model)``.

        Args:
            model_call: how the model is called.
            task: the task.
            data: the user's graph(s).
            check: how packed predictions are checked.
            find_wiring: what the model looks at, on the checked graph.

        Raises:
            GlassgraphError: for a malformed graph, or a call that fails.
        """
        graph, task, model_call = _read_graph(data, task, model_call)
        with _naming_missing_edges(graph):
            model_call, graph, wiring = first_way(
                model_call, graph, task, lambda way, form: find_wiring(way, form, task)
            )
        told = Told(graph, task, "ignore")
        return Preparation(Packer(graph, task, wiring, model_call), check, told)

    def instances(self, index: Any) -> Instances:
        """Check and resolve what to explain; None means everything.

        Raises:
            InstanceError: if an index is out of range or has the wrong form.
        """
        return resolve_instances(self.graph, self.task, index)

    def batches(
        self,
        instances: Instances,
        target: Target,
        budget: int | None,
        schedule: Schedule | None = None,
    ) -> Iterator[tuple[Tensor, InstanceBatch]]:
        """Instance batches within a memory budget, each with the positions it covers.

        Without a budget all are in one batch, but for those that fall back to the full graph.
        A ``schedule`` says where to begin, and is kept up to date.
        """
        schedule = Schedule() if schedule is None else schedule
        if schedule.is_mixed is not None:
            self._mixing.is_mixed = schedule.is_mixed
        self._keeps_graphs |= schedule.keeps_graphs
        each = one_for_each(target, instances)
        full = None
        if self.checks_in_full():
            full = full_context(self.graph, self.wiring, self.model_call, self.task, instances)
        start, group = schedule.start, len(instances)
        if budget is not None:
            group = schedule.group or self.costs.first_group(budget, COPIES, self.task.level)
        while start < len(instances):
            schedule.start, schedule.group = start, group
            stop = min(start + group, len(instances))
            position = torch.arange(start, stop, device=self.graph.device)
            self._spent, num_nodes = 0, 0
            for few in self._affordable(instances, position, budget):
                for covered, batch in self._prepare(instances, few, each, full, budget):
                    self._spent += self.costs.of_run(batch.num_nodes, batch.num_edges, COPIES)
                    num_nodes += batch.num_nodes
                    schedule.is_mixed = self._mixing.is_mixed
                    schedule.keeps_graphs = self._keeps_graphs
                    yield covered, batch
            if budget is None:
                return
            mean_cost = max(1, self._spent // int(position.numel()))
            most = self.costs.side_by_side(num_nodes // int(position.numel()), 4096)
            group = max(1, min(4 * group, budget // mean_cost, most))
            start = stop

    # Cutting, packing, checking

    def _prepare(
        self,
        instances: Instances,
        position: Tensor,
        target: Target | Targets,
        full: Context | None,
        budget: int | None,
    ) -> Iterator[tuple[Tensor, InstanceBatch]]:
        """Batches of some instances: cut, in whole graphs, or else one at a time."""
        reason: Reason | None = None
        if not self._keeps_graphs:
            chosen = instances.take(position)
            batch, is_right, why, error = self._side_by_side(chosen, position, target, full, budget)
            kept = is_right.nonzero().view(-1)
            if batch is not None and kept.numel():
                if kept.numel() < position.numel():
                    batch = batch.take(kept)
                self.told.search_unseen(batch)
                yield position[kept], batch
            position, reason = position[~is_right], (why, error)
        for group in groups_of_graphs(self.packer, instances, position, budget):
            chosen = instances.take(group)
            batch = in_whole_graphs(
                self.packer, chosen, group, target, full, are_apart=self._keeps_graphs
            )
            if batch is None:
                break
            self._keeps_graphs = True
            self.told.search_unseen(batch)
            yield group, batch
            position = position[group.numel() :]
        if position.numel():
            self._refuse_whole(instances.take(position), reason)
        for number, one in enumerate(position.view(-1, 1)):
            whole = self.packer.whole(instances.take(one), one, target)
            if number == 0:
                self.told.search_unseen(whole)
                self.told.fall_back(self.model_call, *(reason or (DIFFERENT, None)))
            yield one, whole

    def _affordable(
        self, instances: Instances, position: Tensor, budget: int | None
    ) -> Sequence[Tensor]:
        """A group of instances; of a large graph on disk in parts, where it is far over the budget.

        Raises:
            FieldTooLargeError: if a single instance is over the budget, before its field is read.
        """
        if budget is None or not self.graph.must_stay_cut or self.task.level == "graph":
            return [position]
        chosen = instances.take(position)
        around = not self._trusts_fields(self.packer, chosen, budget)
        cost = refuse_large_fields(self.costs, chosen, budget, COPIES, around=around)
        part = (cost.cumsum(0) - cost) // budget // 2
        return position.split(torch.bincount(part).tolist()) if int(part[-1]) else [position]

    def _refuse_whole(self, left: Instances, reason: Reason | None) -> None:
        """Refuse predictions that fields do not give, where the graph is too large to be run.

        Raises:
            WholeGraphError: naming the first of them.
        """
        what, error = reason or (DIFFERENT, None)
        cause = "" if error is None else f" ({type(error).__name__}: {error})"
        tables = NodeTables.of(self.model_call.model, self.graph)
        advice = "" if tables is None else f" ({tables.advice})"
        what = {DIFFERENT: BEYOND}.get(what, what)
        given = 0 if self._trusted is None else self._trusted.trust.num_given
        if given:
            advice += f" ({given:,} were explained before, of which one in {ONE_IN} was checked)"
        refuse_whole(
            self.graph, f"{what}{cause}, as for {self.task.level} {int(left.index[0])}{advice}"
        )

    def _side_by_side(
        self,
        chosen: Instances,
        position: Tensor,
        target: Target | Targets,
        full: Context | None,
        budget: int | None,
    ) -> tuple[InstanceBatch | None, Tensor, str, Exception | None]:
        """Instances packed, which of their predictions are right, and why the others are not."""
        none_right = torch.zeros(len(chosen), dtype=torch.bool, device=self.graph.device)
        singles = None
        if self.task.level == "graph":  # what fails on a graph of its own is the user's to mend
            singles = self._singles.run(self.packer, chosen)
        elif self.wiring.has_derived_sites:
            return None, none_right, POOLED, None

        def packed() -> tuple[InstanceBatch, Tensor, bool]:
            if singles is not None:
                batch, is_right = pack_graphs(
                    self.packer, self._singles, chosen, position, target, singles
                )
            else:
                batch, is_right = self.packer.on_fields(
                    lambda way: self._pack_fields(way, chosen, position, target, full, budget)
                )
            is_mixed = bool(is_right.any()) and self._mixing.mixes(self.packer, batch)
            return batch, is_right, is_mixed

        try:
            batch, is_right, is_mixed = packed()
        except (TargetError, ModelCallError, FieldTooLargeError):
            raise
        except Exception as error:  # noqa: BLE001
            let_through(error)
            # The cut graph is ours: what fails there may still run on the user's graph.
            refuse_chance(packed, error)
            return None, none_right, UNCUT, error
        return (None, none_right, MIXED, None) if is_mixed else (batch, is_right, DIFFERENT, None)

    def _pack_fields(
        self,
        way: Packer,
        chosen: Instances,
        position: Tensor,
        target: Target | Targets,
        full: Context | None,
        budget: int | None,
    ) -> Packing:
        """Receptive fields side by side, and which of their predictions are right."""
        fields = way.fields(chosen)
        if full is None and self._trusts_fields(way, chosen, budget):
            assert self._trusted is not None
            found = self._trusted.pack(way, chosen, position, target, fields, budget)
            if found is not None:
                return found
            if budget is not None and self.graph.must_stay_cut:
                refuse_large_fields(self.costs, chosen, budget, COPIES)
        if full is None:
            context = local_context(self.graph, self.wiring, way.model_call, self.task, chosen)
            self._spent += self.costs.of_run(context.num_nodes, context.num_edges, 1)
            reference = context.output
        else:
            context, reference = full, full.output[position]
        targets = way.targets(chosen, position, target, reference)
        batch = way.assemble(chosen, fields, targets, reference, context.constants)
        with torch.no_grad():
            return batch, rows_agree(batch.output(gates=batch.ones()), reference, way.model_call)

    def _trusts_fields(self, way: Packer, chosen: Instances, budget: int | None) -> bool:
        return self._trusted is not None and self._trusted.are_given(way, chosen, budget)

    def tabulate(self, budget: int) -> None:
        """Compute for all edges of a graph on disk what layers derive from the graph alone.

        Raises:
            OutputError: if the store's folder cannot be written to.
        """
        if self.graph.must_stay_cut:
            write_tables(self.graph, self.model_call, self.wiring, budget)

    def checks_in_full(self) -> bool:
        """Whether packed predictions are compared with the full graph."""
        return is_checked_in_full(self.graph, self.task, self.check)


@contextmanager
def _naming_missing_edges(graph: TypedGraph) -> Iterator[None]:
    """Of data without ``edge_index``, say so where the model fails on them."""
    try:
        yield
    except ModelCallError as error:
        if graph.has_edge_index:
            raise
        raise GraphError(
            f"edge_index is missing; expected a [2, E] tensor of node ids ({error})"
        ) from error


def _read_graph(data: Any, task: Task, model_call: ModelCall) -> tuple[TypedGraph, Task, ModelCall]:
    """The user's graph, the task with nothing left to guess, and the model called as it says."""
    graph = TypedGraph.read(data)
    task = complete_task(task, graph, model_call)
    if task.is_about_links:  # before the model meets them
        find_links(graph, task)
        check_link_attributes(graph, task, model_call)
    if task.level == "graph":
        refuse_edges_between(graph)
    return graph, task, model_call.for_edges(task.edge_type)
