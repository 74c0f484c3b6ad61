"""From "these predictions of that model" to instance batches that are known to be right.

`Preparation.read` checks the data and traces the model once. `Preparation.batches` cuts out
receptive fields, packs them within a memory budget, and compares each packed prediction with the
prediction on the user's own graph (`Context`). Where they differ (global attention, graph-wide
normalization, a tensor closed over in the model) the instance falls back to the full graph, one at
a time, and the user is told once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from glassgraph.calling.call import ModelCall, refuse_chance
from glassgraph.calling.compiled import compiled_parts
from glassgraph.calling.out_of_memory import let_through
from glassgraph.core.batch import InstanceBatch, assemble
from glassgraph.core.compiled_check import check_compiled
from glassgraph.core.constant_tables import read_tables, write_tables
from glassgraph.core.context import (
    Context,
    all_agree,
    data_about,
    full_context,
    graph_context,
    local_context,
    predictions_in_graphs,
    refuse_whole,
    rows_agree,
    run_on,
    single_graph,
    without_nan,
)
from glassgraph.core.copies import instances_are_apart
from glassgraph.core.costs import Costs, affordable, refuse_large_fields, small_fields
from glassgraph.core.intercept import Intervention, PlanMismatch, naming_other_messages
from glassgraph.core.output_rows import output_rows, select_rows
from glassgraph.core.plan import SiteConstants, plan_sites
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
from glassgraph.core.trials import first_right, first_way
from glassgraph.core.trust import AT_FIRST, ONE_IN, Trust, Undecided
from glassgraph.errors import (
    FieldTooLargeError,
    GraphError,
    ModelCallError,
    TargetError,
    WholeGraphError,
)
from glassgraph.inputs.graph import WHOLE_EDGES, TypedGraph
from glassgraph.inputs.instances import (
    Instances,
    complete_task,
    one_for_each,
    refuse_edges_between,
    resolve_instances,
)
from glassgraph.inputs.labels import labels_of
from glassgraph.inputs.links import check_link_attributes, find_links, num_explained_edges
from glassgraph.inputs.node_tables import NodeTables
from glassgraph.inputs.pack import everything, pack_whole
from glassgraph.inputs.receptive import Fields, receptive_fields, whole_graphs
from glassgraph.inputs.task import Target, Targets, Task, resolve_targets

#: How a packed prediction is checked: against the user's full graph, against the surroundings of
#: the receptive fields (one hop more), or as is affordable: in full, or a sample of them.
Check = Literal["auto", "full", "local"]
#: What was packed, and which of its predictions ``[B]`` are right.
Packing = tuple[InstanceBatch, Tensor]

#: Graphs up to this many edges are always checked in full.
FULL_CHECK_EDGES = WHOLE_EDGES
#: Copies of each message that a forward and backward pass keeps, roughly.
_COPIES = 6
#: Graphs of a batch that are also run alone, to see that the model does not mix them.
_GRAPHS_CHECKED = 4
#: Instances among which those are looked for that a check can afford.
_SAMPLED_FROM = 16
#: How often formulas may be told apart by further runs for one group; each round leaves fewer.
_ROUNDS = 32
#: Predictions that are made once more with other parts of the graph beside them.
_COMPARED = 4


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
        model_call: how the model is called.
        task: the task.
        graph: the user's graph(s).
        wiring: the model's sites.
        check: how packed predictions are checked.
        told: what the user has been told of the model.
    """

    model_call: ModelCall
    task: Task
    graph: TypedGraph
    wiring: Wiring
    check: Check
    told: Told = field(repr=False)
    _knows_tables: bool = field(default=False, repr=False)
    _spent: int = field(default=0, repr=False)
    _alone: dict[tuple[int, ...], Tensor] = field(default_factory=dict, repr=False)
    _is_mixed: bool | None = field(default=None, repr=False)
    _trust: Trust | None = field(default=None, repr=False)
    _tables: Mapping[int, SiteConstants] | None = field(default=None, repr=False)
    _keeps_graphs: bool = field(default=False, repr=False)

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
        preparation = Preparation(plain, task, graph, wiring, check, told)
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
        return Preparation(model_call, task, graph, wiring, check, told)

    @property
    def costs(self) -> Costs:
        """What runs of the model take."""
        return Costs(self.graph, self.wiring)

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
            self._is_mixed = schedule.is_mixed
        self._keeps_graphs |= schedule.keeps_graphs
        if self._trust is None and self._may_trust_fields():
            self._trust = Trust(self.graph, self.wiring)
        each = one_for_each(target, instances)
        full = None
        if self.checks_in_full():
            full = full_context(self.graph, self.wiring, self.model_call, self.task, instances)
        start, group = schedule.start, len(instances)
        if budget is not None:
            group = schedule.group or self.costs.first_group(budget, _COPIES, self.task.level)
        while start < len(instances):
            schedule.start, schedule.group = start, group
            stop = min(start + group, len(instances))
            position = torch.arange(start, stop, device=self.graph.device)
            self._spent, num_nodes = 0, 0
            for few in self._affordable(instances, position, budget):
                for covered, batch in self._prepare(instances, few, each, full, budget):
                    self._spent += self.costs.of_run(batch.num_nodes, batch.num_edges, _COPIES)
                    num_nodes += batch.num_nodes
                    schedule.is_mixed, schedule.keeps_graphs = self._is_mixed, self._keeps_graphs
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
        reason: tuple[str, Exception | None] | None = None
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
        for group in self._groups_of_graphs(instances, position, budget):
            batch = self._in_whole_graphs(instances.take(group), group, target, full)
            if batch is None:
                break
            self._keeps_graphs = True
            self.told.search_unseen(batch)
            yield group, batch
            position = position[group.numel() :]
        if position.numel():
            self._refuse_whole(instances.take(position), reason)
        for number, one in enumerate(position.view(-1, 1)):
            whole = self.whole(instances.take(one), one, target)
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

        around = not self._trusts_fields(chosen, budget)
        cost = refuse_large_fields(self.costs, chosen, budget, _COPIES, around=around)
        part = (cost.cumsum(0) - cost) // budget // 2
        return position.split(torch.bincount(part).tolist()) if int(part[-1]) else [position]

    def _refuse_whole(self, left: Instances, reason: tuple[str, Exception | None] | None) -> None:
        """Refuse predictions that fields do not give, where the graph is too large to be run.

        Raises:
            WholeGraphError: naming the first of them.
        """
        what, error = reason or (DIFFERENT, None)
        cause = "" if error is None else f" ({type(error).__name__}: {error})"
        tables = NodeTables.of(self.model_call.model, self.graph)
        advice = "" if tables is None else f" ({tables.advice})"
        what = {DIFFERENT: BEYOND}.get(what, what)
        given = 0 if self._trust is None else self._trust.num_given
        if given:
            advice += f" ({given:,} were explained before, of which one in {ONE_IN} was checked)"
        refuse_whole(
            self.graph, f"{what}{cause}, as for {self.task.level} {int(left.index[0])}{advice}"
        )

    def _groups_of_graphs(
        self, instances: Instances, position: Tensor, budget: int | None
    ) -> Iterator[Tensor]:
        """Instances whose whole graphs, a copy for each, lie within the budget together.

        Nothing where there is one graph, whose copies no model could tell apart, where graphs are
        joined by edges or are instances themselves, and where a graph is too large to be copied.
        """
        graph = self.graph
        if graph.node_graph is None or self.task.level == "graph" or graph.joined is not None:
            return
        of_instance = instances.graph[position]
        nodes, edges = (each.pointer.diff()[of_instance].tolist() for each in graph.by_graph)
        first, spent = 0, 0
        for number, (num_nodes, num_edges) in enumerate(zip(nodes, edges, strict=True)):
            cost = self.costs.of_run(num_nodes, num_edges, _COPIES)
            if budget is not None and cost > budget:
                return
            if budget is not None and spent + cost > budget:
                yield position[first:number]
                first, spent = number, 0
            spent += cost
        if first < position.numel():
            yield position[first:]

    def _in_whole_graphs(
        self, chosen: Instances, position: Tensor, target: Target | Targets, full: Context | None
    ) -> InstanceBatch | None:
        """Each instance with a copy of its whole graph; None if their predictions are not right."""

        def packed() -> InstanceBatch | None:
            if full is None:
                reference = predictions_in_graphs(self.graph, self.model_call, self.task, chosen)
            else:
                reference = full.output[position]
            targets = self.targets(chosen, position, target, reference)
            fields = whole_graphs(self.graph, chosen.graph, chosen.seeds)
            batch = self.assemble(chosen, fields, targets, reference, {}, keeps_graphs=True)
            output = batch.output(gates=batch.ones())
            if not bool(rows_agree(output, reference, self.model_call).all()):
                return None
            return batch if self._keeps_graphs or instances_are_apart(batch) else None

        try:
            with torch.no_grad():
                return packed()
        except (TargetError, ModelCallError):
            raise
        except Exception as error:  # noqa: BLE001 - the packed graphs are ours
            let_through(error)
            refuse_chance(packed, error)
            return None

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
            most = None if self.check == "full" else _GRAPHS_CHECKED
            singles = self._single_graphs(chosen, most)
        elif self.wiring.has_derived_sites:
            return None, none_right, POOLED, None

        def packed() -> tuple[InstanceBatch, Tensor, bool]:
            if singles is not None:
                batch, is_right = self._pack_graphs(chosen, position, target, *singles)
            else:
                batch, is_right = self.on_fields(
                    lambda way: way._pack_fields(chosen, position, target, full, budget)
                )
            return batch, is_right, bool(is_right.any()) and self._mixes(batch)

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

    def _mixes(self, batch: InstanceBatch) -> bool:
        """Whether the model's predictions depend on what lies beside them; asked once."""
        if batch.num_instances < 2:
            has_all = batch.num_nodes == self.graph.num_nodes
            if self.task.level == "graph" or (has_all and batch.num_edges == self.graph.num_edges):
                return False  # nothing lies beside it, nor does anything lack
        if self._is_mixed is None:
            self._is_mixed = not (instances_are_apart(batch) and self._is_alike_elsewhere(batch))
        return self._is_mixed

    def _is_alike_elsewhere(self, batch: InstanceBatch) -> bool:
        """Whether some predictions stay as they are when other parts of the graph lie beside them.

        What was compared so far may be all that is joined to a node, and still not all there is.
        """
        if self.task.level != "node" or self.checks_in_full():
            return True
        few = torch.arange(min(_COMPARED, batch.num_instances), device=batch.device)
        number = self.graph.type_position(self.task.node_type)
        seeds = batch.fields.node[batch.fields.seed[few]]
        others = small_fields(self.costs, number)
        every = torch.cat([seeds, others.view(-1, 1)])
        index = every.view(-1) - self.graph.node_offset[number]
        beside = Instances(index, torch.zeros_like(index), every)
        found = local_context(self.graph, self.wiring, self.model_call, self.task, beside).output
        return bool(rows_agree(found[few], batch.reference[few], self.model_call).all())

    def on_fields(self, pack: Callable[[Preparation], Packing]) -> Packing:
        """Pack fields, with the model called as it is or, if that is not right, cut like the data.

        Args:
            pack: packs with a preparation, and says which predictions are right.

        Raises:
            Exception: what it raised at first, if nothing is right.
        """

        def packed(call: ModelCall) -> Packing:
            way = replace(self, model_call=call)
            found = pack(way)
            self._spent = way._spent
            return found

        found = first_right(self._calls(), packed)
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

    def _pack_fields(
        self,
        chosen: Instances,
        position: Tensor,
        target: Target | Targets,
        full: Context | None,
        budget: int | None,
    ) -> tuple[InstanceBatch, Tensor]:
        """Receptive fields side by side, and which of their predictions are right."""
        fields = self._fields(chosen)
        if full is None and self._trusts_fields(chosen, budget):
            assert self._trust is not None
            try:
                found = self._pack_trusted(chosen, position, target, fields, self._trust, budget)
            except PlanMismatch:
                self._trust.is_lost, found = True, None
                self.told.lost_trust(self._trust.num_given)
            if found is not None:
                return found
            if budget is not None and self.graph.must_stay_cut:
                refuse_large_fields(self.costs, chosen, budget, _COPIES)
        if full is None:
            context = local_context(self.graph, self.wiring, self.model_call, self.task, chosen)
            self._spent += self.costs.of_run(context.num_nodes, context.num_edges, 1)
            reference = context.output
        else:
            context, reference = full, full.output[position]
        targets = self.targets(chosen, position, target, reference)
        batch = self.assemble(chosen, fields, targets, reference, context.constants)
        with torch.no_grad():
            return batch, rows_agree(batch.output(gates=batch.ones()), reference, self.model_call)

    def _fields(self, chosen: Instances) -> Fields:
        wiring = self.wiring
        both = wiring.needs_both_directions
        return receptive_fields(self.graph, chosen.seeds, wiring.num_hops, both)

    def tabulate(self, budget: int) -> None:
        """Compute for all edges of a graph on disk what layers derive from the graph alone.

        Raises:
            OutputError: if the store's folder cannot be written to.
        """
        if self.graph.must_stay_cut:
            write_tables(self.graph, self.model_call, self.wiring, budget)

    # Fields of large graphs, of which a few are held against what lies around them

    def _may_trust_fields(self) -> bool:
        """Whether a check of a few fields may speak for others: not of models that only run."""
        is_opaque = isinstance(self.wiring, OpaqueWiring)
        is_large = self.check == "auto" and not self.checks_in_full()
        return is_large and self.task.level == "node" and not is_opaque

    def _trusts_fields(self, chosen: Instances, budget: int | None) -> bool:
        """Whether fields of a large graph need no run on what lies around them.

        The first ones are held against it, and then one in so many.

        Args:
            chosen: instances that are to be explained.
            budget: bytes that a check may take.
        """
        trust = self._trust
        if trust is None:
            return False
        if trust.is_due and self._known_constants(trust) is not None:
            self._check_some(trust, chosen, budget)
        return trust.is_given and self._known_constants(trust) is not None

    def _known_constants(self, trust: Trust) -> Mapping[int, SiteConstants] | None:
        """What fields would get wrong at their boundary: by formulas, or tabulated."""
        if trust.has_formulas:
            return trust.constants()
        if self._tables is None and self.graph.must_stay_cut:
            self._tables = read_tables(self.graph, self.model_call, self.wiring)
        return self._tables

    def _check_some(self, trust: Trust, chosen: Instances, budget: int | None) -> None:
        """Check fields of a few instances, or else of other nodes, that a budget allows."""
        few = chosen.take(_spread(len(chosen), _SAMPLED_FROM, self.graph.device))
        if budget is not None:
            few = few.take(affordable(self.costs, few, budget, _COPIES))
            if not len(few):
                few = self._other_nodes()
                few = few.take(affordable(self.costs, few, budget, _COPIES))
        if len(few):
            self._check_fields(trust, few.take(_spread(len(few), trust.sampled, self.graph.device)))
        else:
            trust.skip()

    def _other_nodes(self) -> Instances:
        """Some nodes with small fields."""
        number = self.graph.type_position(self.task.node_type)
        seeds = small_fields(self.costs, number).view(-1, 1)
        index = seeds.view(-1) - self.graph.node_offset[number]
        return Instances(index, torch.zeros_like(index), seeds)

    def _check_fields(self, trust: Trust, few: Instances) -> None:
        """Hold a few fields against what lies around them, and learn from it."""

        def packed(way: Preparation) -> Packing:
            context = local_context(way.graph, way.wiring, way.model_call, way.task, few)
            fields = way._fields(few)
            nothing = Targets(torch.zeros_like(few.index))
            learning = trust.learning(context.constants)
            batch = way.assemble(few, fields, nothing, context.output, learning)
            output = batch.output(gates=batch.ones())
            return batch, rows_agree(output, context.output, way.model_call)

        try:
            with torch.no_grad():
                is_right = bool(self.on_fields(packed)[1].all())
        except Exception as error:  # noqa: BLE001 - without trust the same fails, and is told of
            let_through(error)
            is_right = False
        trust.found(is_right=is_right)
        if trust.is_lost or trust.is_misled:
            self.told.lost_trust(trust.num_given)

    def _pack_trusted(
        self,
        chosen: Instances,
        position: Tensor,
        target: Target | Targets,
        fields: Fields,
        trust: Trust,
        budget: int | None,
    ) -> Packing | None:
        """Receptive fields side by side, whose predictions are the model's; None if they are not.

        Raises:
            PlanMismatch: if they are not, and others before may not have been.
            FieldTooLargeError: if that has to be found out, and what lies around is too large.
        """
        nothing = Targets(torch.zeros_like(chosen.index))
        reference = fields.node.new_zeros((len(chosen), 1), dtype=torch.get_default_dtype())
        for _ in range(_ROUNDS):
            constants = self._known_constants(trust)
            if trust.is_lost or constants is None:
                break
            try:
                with trust.comparing():
                    batch = self.assemble(chosen, fields, nothing, reference, constants)
            except Undecided as undecided:
                few = chosen.take(undecided.instances[:_SAMPLED_FROM])
                if budget is not None and self.graph.must_stay_cut:
                    cheap = affordable(self.costs, few, budget, _COPIES)
                    if not cheap.numel():
                        refuse_large_fields(self.costs, few, budget, _COPIES)
                    few = few.take(cheap)
                self._check_fields(trust, few.take(_spread(len(few), AT_FIRST, fields.node.device)))
                continue
            trust.give(len(chosen))
            with torch.no_grad():
                batch.reference = without_nan(batch.output(gates=batch.ones()))
            batch.targets = self.targets(chosen, position, target, batch.reference)
            return batch, torch.ones(len(chosen), dtype=torch.bool, device=self.graph.device)
        return None

    def _pack_graphs(
        self,
        chosen: Instances,
        position: Tensor,
        target: Target | Targets,
        sample: Tensor,
        alone: Tensor,
    ) -> tuple[InstanceBatch, Tensor]:
        """Graphs side by side, and which of their predictions are right.

        Graphs are whole either way; only a model that mixes the graphs of a batch can go wrong, so
        a few (``sample``, with predictions ``alone``) are run alone, and all of them only if one of
        those differs. What was run alone for an earlier batch is remembered, until it differs.
        """
        rows = chosen.rows
        placeholder = Targets(torch.zeros_like(rows.node if rows else chosen.index), rows=rows)
        fields = whole_graphs(self.graph, chosen.graph)
        batch = self.assemble(chosen, fields, placeholder, alone[:1], {})
        with torch.no_grad():
            batch.reference = batch.output()
        is_right = torch.ones(len(chosen), dtype=torch.bool, device=self.graph.device)
        reference = batch.reference_of(sample)
        is_right[sample] = all_agree(reference, alone, self.model_call, batch.targets.take(sample))
        if not bool(is_right.all()):
            self._alone.clear()
            sample, alone = self._single_graphs(chosen, None)
            is_right = all_agree(batch.reference, alone, self.model_call, placeholder)
        batch.targets = self.targets(chosen, position, target, batch.reference)
        return batch, is_right

    def _single_graphs(self, chosen: Instances, most: int | None) -> tuple[Tensor, Tensor]:
        return graph_context(self.graph, self.model_call, self.task, chosen, most, self._alone)

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
        """Pack fields of some instances."""
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
            plans = plan_sites(
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

    def _uncut(self, chosen: Instances) -> tuple[Any, Fields]:
        """The user's own data, all of it as one field."""
        graph = self.graph
        if self.task.level == "graph":
            data = single_graph(graph, int(chosen.graph[0]), self.model_call, self.task)
            return data, whole_graphs(graph, chosen.graph)
        data = data_about(graph, self.task, self.model_call, chosen)
        return data, everything(graph, chosen.seeds)

    def checks_in_full(self) -> bool:
        """Whether packed predictions are compared with the full graph."""
        if self.task.level == "graph" or self.check == "local":
            return False
        return self.check == "full" or self.graph.num_edges <= FULL_CHECK_EDGES

    def targets(
        self, chosen: Instances, position: Tensor, target: Target | Targets, reference: Tensor
    ) -> Targets:
        """The explained classes of some instances."""
        if isinstance(target, Targets):
            target = target.take(position).chosen
        return resolve_targets(
            self.task,
            target,
            reference,
            lambda: labels_of(self.graph, self.task, chosen),
            chosen.rows,
        )


def _spread(size: int, most: int, device: torch.device) -> Tensor:
    """At most so many positions out of ``size``, at even distances."""
    if size <= most:
        return torch.arange(size, device=device)
    return torch.linspace(0, size - 1, most, device=device).long()


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
