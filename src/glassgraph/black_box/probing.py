"""How far does a model look that is only called?

Nothing is known of a black box but what it returns. So its predictions on ever larger surroundings
of a few nodes are held against those on the whole graph: the first size that gives the same is how
far it looks. To tell "the same" from "the same by chance", this is asked of the user's graph, of
the graph with other features, and of the graph with fewer edges.

A model that normalizes by degrees looks one hop farther than its messages run: edges at the
boundary change the degrees there.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glassgraph.black_box.probed_part import part_to_probe
from glassgraph.calling.call import ModelCall, refuse_chance
from glassgraph.calling.out_of_memory import let_through
from glassgraph.calling.sampled import thin_edges
from glassgraph.core.context import Check, data_about, refuse_whole, rows_agree, run_on
from glassgraph.core.output_rows import OutputRows, output_rows, select_rows
from glassgraph.core.prepare import Preparation
from glassgraph.core.sites import OpaqueWiring
from glassgraph.errors import GlassgraphError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.instances import Instances, resolve_instances
from glassgraph.inputs.links import edge_attributes, num_explained_edges
from glassgraph.inputs.node_features import (
    all_features,
    feature_names,
    with_features,
    with_others,
)
from glassgraph.inputs.node_tables import NodeTables
from glassgraph.inputs.pack import everything, pack, pack_whole
from glassgraph.inputs.receptive import Fields, receptive_fields
from glassgraph.inputs.task import Task

#: Predictions that are looked at.
_PROBES = 16
#: Hops that are tried before a prediction counts as one that sees everything.
_MOST_HOPS = 10


def prepare_black_box(
    model_call: ModelCall, task: Task, data: Any, check: Check, num_hops: int | None
) -> Preparation:
    """Check the data, and find out how far a model looks by calling it alone.

    Call it inside ``protected(model)``.

    Args:
        model_call: how the model is called.
        task: the task.
        data: the user's graph(s).
        check: how packed predictions are checked.
        num_hops: how far the model looks, None to find out.

    Raises:
        GlassgraphError: for a malformed graph, or a call that fails.
    """

    def find_wiring(model_call: ModelCall, graph: TypedGraph, task: Task) -> OpaqueWiring:
        if num_hops is not None or task.level == "graph":
            return OpaqueWiring(reach=num_hops or 1)
        return find_reach(model_call, graph, task)

    preparation = Preparation.with_wiring(model_call, task, data, check, find_wiring)
    wiring, graph = preparation.wiring, preparation.graph
    if isinstance(wiring, OpaqueWiring) and wiring.sees_everything:
        tables = NodeTables.of(model_call.model, graph)
        if tables is not None:  # what lies in the model may belong to nodes
            cutting = preparation.model_call.with_tables(tables)
            found = find_reach(cutting, graph, preparation.task)
            if not found.sees_everything:
                preparation = preparation.rewired(lambda _: found, cutting)
    if isinstance(preparation.wiring, OpaqueWiring) and preparation.wiring.sees_everything:
        refuse_whole(
            graph,
            "how far the model looks was not found on parts of the graph (say num_hops=, if you "
            "know it)",
        )
    return preparation


def find_reach(model_call: ModelCall, graph: TypedGraph, task: Task) -> OpaqueWiring:
    """How far the model looks on this graph.

    Call it inside ``protected(model)``. Where nothing short of everything gives the predictions,
    the reach is that of the whole graph.

    Args:
        model_call: how the model is called.
        graph: the user's graph.
        task: a task about nodes or links.
    """
    probes = _probes(graph, task)
    if graph.must_stay_cut:
        graph, probes = part_to_probe(graph, probes, model_call, task)
    scenes = _scenes(model_call, graph, task, probes)
    farthest = max(1, graph.num_nodes)
    for looks_ahead in (False, True):
        for hops in range(1, min(_MOST_HOPS, farthest) + 1):
            found = [scene.fields(hops, looks_ahead) for scene in scenes]
            if all(
                scene.is_right(model_call, task, fields)
                for scene, fields in zip(scenes, found, strict=True)
            ):
                goes_on = any(
                    scene.fields(hops + 1, looks_ahead).edge.numel() > fields.edge.numel()
                    for scene, fields in zip(scenes, found, strict=True)
                )
                return OpaqueWiring(reach=hops, looks_ahead=looks_ahead, is_exact=goes_on)
            if all(not bool((fields.distance == hops).any()) for fields in found):
                break  # there is nothing farther away
    return OpaqueWiring(reach=farthest, looks_ahead=True, sees_everything=True)


@dataclass(frozen=True)
class _Scene:
    """A graph, and the model's predictions on all of it."""

    graph: TypedGraph
    instances: Instances
    reference: Tensor

    def fields(self, hops: int, looks_ahead: bool) -> Fields:
        return receptive_fields(self.graph, self.instances.seeds, hops, looks_ahead)

    def is_right(self, model_call: ModelCall, task: Task, fields: Fields) -> bool:
        """Whether the model predicts the same from fields alone.

        Raises:
            ModelCallError: if it fails on them once and not when it is called again.
        """
        try:
            packed = pack(self.graph, fields, model_call, task, self.instances.index)
            rows = output_rows(self.graph, fields, packed, task, self.instances.rows)
        except Exception as error:  # noqa: BLE001 - what cannot be cut needs the whole
            let_through(error)
            return False
        names = feature_names(self.graph, model_call.needs)
        features = all_features(self.graph, packed.data, names)
        is_changed = fields.node_instance % 2 == 1

        def output(side: int, is_scaled: bool) -> Tensor | None:
            others = features
            if side:
                position = packed.node_position
                others = with_others(features, is_changed, position, side, is_scaled=is_scaled)
            data = with_features(self.graph, packed.data, names, others)
            return _output(model_call, data, task, rows, len(self.instances))

        # The surroundings side by side may be the whole graph by chance. So again, with other
        # features in every second of them, to either side: on one of them a ReLU may be flat.
        for side in (0, 1, -1):
            found = output(side, True)
            if found is None and side:  # far features are ours, those of other nodes are not
                found = output(side, False)
            if found is None:
                return False
            kept = slice(None, None, 2 if side else 1)
            if not bool(rows_agree(found[kept], self.reference[kept], model_call).all()):
                return False
        return True


def _output(
    model_call: ModelCall, data: Any, task: Task, rows: Tensor | OutputRows | None, count: int
) -> Tensor | None:
    """What the model predicts on a part of the graph, None where it cannot.

    Raises:
        ModelCallError: if it fails once and not when it is called again.
    """
    try:
        result = model_call(data)
    except Exception as error:  # noqa: BLE001 - the cut graph is ours
        let_through(error)
        refuse_chance(lambda: model_call(data), error)
        return None
    try:
        return select_rows(task, result, rows, count)
    except GlassgraphError:  # other rows than on the whole graph
        return None


@torch.no_grad()
def _scenes(
    model_call: ModelCall, graph: TypedGraph, task: Task, instances: Instances
) -> list[_Scene]:
    """The user's graph and disturbed versions of it, as far as the model runs on them."""
    found = []
    for number, data in enumerate([graph.data, *_disturbed(graph.data)]):
        try:
            scene = graph if number == 0 else TypedGraph.read(data)
            instances = instances if number == 0 else _again(scene, task, instances)
            predict = _prediction(model_call, scene, task, instances)
        except GlassgraphError:
            if number == 0:
                raise
            continue
        try:
            output = predict()
        except GlassgraphError as error:
            if number == 0:  # it fails on the user's own graph
                raise
            refuse_chance(predict, error)
            continue
        if not bool(torch.isnan(output).any()):
            found.append(_Scene(scene, instances, output))
    return found


def _probes(graph: TypedGraph, task: Task) -> Instances:
    """Some of all predictions, from the first to the last."""
    everyone = resolve_instances(graph, task, None)
    # Without edges, fields side by side would be the whole graph: one of them is looked at.
    if not graph.num_edges:
        return everyone.take(torch.arange(min(1, len(everyone)), device=graph.device))
    count = min(_PROBES, len(everyone))
    chosen = torch.linspace(0, max(0, len(everyone) - 1), count, device=graph.device).long()
    return everyone.take(chosen if count > 1 else chosen.repeat(2))  # one lies beside a copy


def _again(scene: TypedGraph, task: Task, instances: Instances) -> Instances:
    """The same predictions on a graph with other edges."""
    if not task.is_about_edges:
        return instances
    return _probes(scene, task)


def _prediction(
    model_call: ModelCall, scene: TypedGraph, task: Task, instances: Instances
) -> Callable[[], Tensor]:
    """What predicts some of a graph from all of it, when it is called."""
    given = data_about(scene, task, model_call, instances)
    fields = everything(scene, instances.seeds)
    edge_row = instances.index if task.is_about_edges else None
    rows = output_rows(scene, fields, pack_whole(scene, given, fields, edge_row), task, None)
    num_rows = num_explained_edges(scene, task) if task.is_about_edges else None
    count = len(instances)
    return lambda: select_rows(task, run_on(model_call, given), rows, count, num_rows)


def _disturbed(data: Any) -> list[Any]:
    """The graph with other features, and that with half of the edges."""
    generator = torch.Generator().manual_seed(0)
    shuffled = copy.copy(data)
    for store in shuffled.node_stores:
        x = store.get("x", None)
        if isinstance(x, Tensor) and x.dim() > 0:
            order = torch.randperm(x.size(0), generator=generator).to(x.device)
            store["x"] = x[order]
            if x.is_floating_point():
                factor = 0.5 + torch.rand(x.shape, generator=generator, dtype=torch.float64)
                store["x"] = x[order] * factor.to(x)
    thinned = copy.copy(shuffled)
    for store in thinned.edge_stores:
        kept = torch.rand(store.num_edges, generator=generator) < 0.5
        rows = kept.nonzero().view(-1)
        values = {
            key: store[key] for key in ("edge_index", *edge_attributes(store)) if key in store
        }
        thin_edges(store, rows)
        for key, value in values.items():
            dim = 1 if key == "edge_index" else 0
            store[key] = value.index_select(dim, rows.to(value.device))
    return [shuffled, thinned]
