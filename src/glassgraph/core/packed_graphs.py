"""Whole graphs side by side: those of a graph task, and those of nodes that cannot be cut out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from glassgraph.calling.call import refuse_chance
from glassgraph.calling.out_of_memory import let_through
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import Context, rows_agree, run_on, single_graph, without_nan
from glassgraph.core.copies import instances_are_apart
from glassgraph.core.costs import COPIES
from glassgraph.core.output_rows import output_rows, select_rows
from glassgraph.core.packer import Packer, Packing
from glassgraph.errors import ModelCallError, TargetError
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.pack import pack, pack_whole
from glassgraph.inputs.receptive import whole_graphs
from glassgraph.inputs.task import Target, Targets

#: Graphs of a batch that are also run alone, to see that the model does not mix them.
_GRAPHS_CHECKED = 4


@dataclass
class SingleGraphs:
    """What the model predicts for single graphs, as the user gave them; run once each.

    Attributes:
        runs_all: whether all graphs of a batch are run alone, not only a few.
    """

    runs_all: bool
    _known: dict[tuple[int, ...], Tensor] = field(default_factory=dict, repr=False)

    def run(self, packer: Packer, chosen: Instances) -> tuple[Tensor, Tensor]:
        """Run some of these graphs: the first, the last, the largest ones.

        Returns:
            Positions ``[k]`` among the instances, and the rows ``[R, C]`` of their predictions.

        Raises:
            ModelCallError: if the model fails.
            ModelOutputError: if it does not return one row per graph.
        """
        num, graph = len(chosen), packer.graph
        if self.runs_all or num <= _GRAPHS_CHECKED:
            return self._run(packer, chosen, torch.arange(num, device=graph.device))
        components = graph.joined.component[chosen.graph] if graph.joined else chosen.graph
        size = graph.by_component[1].pointer.diff()[components]
        ends = torch.tensor([0, num - 1], device=graph.device)
        largest = size.topk(_GRAPHS_CHECKED - 2).indices
        return self._run(packer, chosen, torch.unique(torch.cat([ends, largest])))

    def run_anew(self, packer: Packer, chosen: Instances) -> tuple[Tensor, Tensor]:
        """The same of all of them, whatever was run before."""
        self._known.clear()
        return self._run(packer, chosen, torch.arange(len(chosen), device=packer.graph.device))

    def _run(self, packer: Packer, chosen: Instances, position: Tensor) -> tuple[Tensor, Tensor]:
        names = [_name(chosen, each) for each in position.tolist()]
        for name, each in zip(names, position.view(-1, 1), strict=True):
            if name not in self._known:
                self._known[name] = _alone(packer, chosen.take(each))
        return position, torch.cat([self._known[name] for name in names])


def pack_graphs(
    packer: Packer,
    singles: SingleGraphs,
    chosen: Instances,
    position: Tensor,
    target: Target | Targets,
    sample: tuple[Tensor, Tensor],
) -> Packing:
    """Graphs of a graph task side by side, and which of their predictions are right.

    Graphs are whole either way; only a model that mixes the graphs of a batch can go wrong, so
    a few are run alone, and all of them only if one of those differs.

    Args:
        packer: the model on the graphs.
        singles: what graphs give alone.
        chosen: the instances.
        position: ``[B]`` where they stand among all instances.
        target: the explained classes.
        sample: what `SingleGraphs.run` gave for them.
    """
    few, alone = sample
    rows = chosen.rows
    placeholder = Targets(torch.zeros_like(rows.node if rows else chosen.index), rows=rows)
    fields = whole_graphs(packer.graph, chosen.graph)
    batch = packer.assemble(chosen, fields, placeholder, alone[:1], {})
    with torch.no_grad():
        batch.reference = batch.plain_output()
    is_right = torch.ones(len(chosen), dtype=torch.bool, device=packer.graph.device)
    reference = batch.reference_of(few)
    is_right[few] = _agree(packer, reference, alone, batch.targets.take(few))
    if not bool(is_right.all()):
        few, alone = singles.run_anew(packer, chosen)
        is_right = _agree(packer, batch.reference, alone, placeholder)
    batch.targets = packer.targets(chosen, position, target, batch.reference)
    return batch, is_right


def groups_of_graphs(
    packer: Packer, instances: Instances, position: Tensor, budget: int | None
) -> Iterator[Tensor]:
    """Instances whose whole graphs, a copy for each, lie within the budget together.

    Nothing where there is one graph, whose copies no model could tell apart, where graphs are
    joined by edges or are instances themselves, and where a graph is too large to be copied.

    Yields:
        Positions ``[b]`` among the instances.
    """
    graph = packer.graph
    if graph.node_graph is None or packer.task.level == "graph" or graph.joined is not None:
        return
    of_instance = instances.graph[position]
    nodes, edges = (each.pointer.diff()[of_instance].tolist() for each in graph.by_graph)
    first, spent = 0, 0
    for number, (num_nodes, num_edges) in enumerate(zip(nodes, edges, strict=True)):
        cost = packer.costs.of_run(num_nodes, num_edges, COPIES)
        if budget is not None and cost > budget:
            return
        if budget is not None and spent + cost > budget:
            yield position[first:number]
            first, spent = number, 0
        spent += cost
    if first < position.numel():
        yield position[first:]


def in_whole_graphs(
    packer: Packer,
    chosen: Instances,
    position: Tensor,
    target: Target | Targets,
    full: Context | None,
    *,
    are_apart: bool,
) -> InstanceBatch | None:
    """Each instance with a copy of its whole graph; None if their predictions are not right.

    Args:
        packer: the model on the graphs.
        chosen: the instances.
        position: ``[B]`` where they stand among all instances.
        target: the explained classes.
        full: predictions on the user's whole data, if they are known.
        are_apart: whether copies are known to leave each other alone.
    """

    def packed() -> InstanceBatch | None:
        reference = _predictions(packer, chosen) if full is None else full.output[position]
        targets = packer.targets(chosen, position, target, reference)
        fields = whole_graphs(packer.graph, chosen.graph, chosen.seeds)
        batch = packer.assemble(chosen, fields, targets, reference, {}, keeps_graphs=True)
        output = batch.output(gates=batch.ones())
        if not bool(rows_agree(output, reference, packer.model_call).all()):
            return None
        return batch if are_apart or instances_are_apart(batch) else None

    try:
        with torch.no_grad():
            return packed()
    except (TargetError, ModelCallError):
        raise
    except Exception as error:  # noqa: BLE001 - the packed graphs are ours
        let_through(error)
        refuse_chance(packed, error)
        return None


def _name(instances: Instances, position: int) -> tuple[int, ...]:
    """What tells a graph's prediction from others: the graph, and which of its rows are meant."""
    graph, rows = int(instances.graph[position]), instances.rows
    if rows is None:
        return (graph,)
    first, stop = rows.pointer[position : position + 2].tolist()
    return (graph, int(rows.number[first]), stop - first)


def _alone(packer: Packer, instance: Instances) -> Tensor:
    """The prediction ``[r, C]`` for one graph, run by itself."""
    graph, task = packer.graph, packer.task
    data = single_graph(graph, int(instance.graph[0]), packer.model_call, task)
    with torch.no_grad():
        result = run_on(packer.model_call, data)
    fields = whole_graphs(graph, instance.graph)
    rows = output_rows(graph, fields, pack_whole(graph, data, fields), task, instance.rows)
    return without_nan(select_rows(task, result, rows, 1))


def _predictions(packer: Packer, instances: Instances) -> Tensor:
    """Predictions ``[B, C]`` about nodes, links or edges, of whole graphs with each graph once."""
    graph, task, model_call = packer.graph, packer.task, packer.model_call
    graphs = torch.unique(instances.graph)
    fields = whole_graphs(graph, graphs)
    span = max(graph.num_nodes, 1)
    owner = torch.searchsorted(graphs, instances.graph).view(-1, 1)
    key = fields.node_instance * span + fields.node
    fields = replace(fields, seed=torch.searchsorted(key, owner * span + instances.seeds))
    packed = pack(graph, fields, model_call, task, instances.index)
    rows = output_rows(graph, fields, packed, task, None)
    return without_nan(select_rows(task, model_call(packed.data), rows, len(instances)))


def _agree(packer: Packer, output: Tensor, reference: Tensor, targets: Targets) -> Tensor:
    """Which instances ``[B]`` have the same output ``[R, C]`` in all their rows, up to rounding."""
    same = rows_agree(output, reference, packer.model_call)
    return same if targets.rows is None else targets.rows.all(same)
