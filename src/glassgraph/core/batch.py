"""Instances <-> one disjoint graph: what a method sees.

`InstanceBatch` holds many receptive fields packed side by side, with segment vectors that say which
node and edge belongs to whom, and calls that evaluate the model on all of them under gates.
Everything is flat: ``e`` edges and ``n`` nodes over all instances and types.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from glassgraph.core import random, task
from glassgraph.core.call import ModelCall
from glassgraph.core.edges import parallel_rank
from glassgraph.core.graph import TypedGraph
from glassgraph.core.intercept import Cutter, Intervention
from glassgraph.core.messages import SiteMessages, read_messages
from glassgraph.core.modified_backward import ModifiedBackward
from glassgraph.core.pack import Packed, pack
from glassgraph.core.plan import Constants, plan_sites
from glassgraph.core.receptive import Fields
from glassgraph.core.sites import Wiring
from glassgraph.core.task import Targets, Task


@dataclass
class InstanceBatch:
    """Many instances as one disjoint graph: what a method computes on.

    Attributes:
        task: the task.
        fields: where its nodes and edges come from.
        wiring: the model's sites.
        targets: the explained class of each instance.
        reference: ``[B, C]`` the model's output on the unchanged input.
        key: ``[B]`` the user's number of each instance, for its random numbers.
        is_whole: whether this is a single instance on the user's full graph (the fall-back).
    """

    task: Task
    fields: Fields
    wiring: Wiring
    targets: Targets
    reference: Tensor
    key: Tensor
    is_whole: bool
    graph: TypedGraph = field(repr=False)
    packed: Packed = field(repr=False)
    model_call: ModelCall = field(repr=False)
    intervention: Intervention = field(repr=False)
    output_rows: Tensor | None = field(repr=False)

    @property
    def num_instances(self) -> int:
        """Number B of instances."""
        return self.fields.num_instances

    @property
    def num_predictions(self) -> int:
        """Number of output rows: B, also where all instances share one field (`shared_batches`)."""
        return self.fields.seed.size(0)

    @property
    def num_edges(self) -> int:
        """Number e of edges over all instances."""
        return int(self.fields.edge.numel())

    @property
    def num_nodes(self) -> int:
        """Number n of nodes over all instances."""
        return int(self.fields.node.numel())

    @property
    def num_layers(self) -> int:
        """Number L of message-passing steps."""
        return self.wiring.num_layers

    @property
    def edge_instance(self) -> Tensor:
        """``[e]`` which instance an edge belongs to."""
        return self.fields.edge_instance

    @property
    def node_instance(self) -> Tensor:
        """``[n]`` which instance a node belongs to."""
        return self.fields.node_instance

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of gates and scores: that of the model's output."""
        return self.reference.dtype

    @property
    def device(self) -> torch.device:
        """Where the batch lies."""
        return self.fields.node.device

    @property
    def edges_per_instance(self) -> Tensor:
        """``[B]`` number of edges."""
        return torch.bincount(self.edge_instance, minlength=self.num_instances)

    @property
    def nodes_per_instance(self) -> Tensor:
        """``[B]`` number of nodes."""
        return torch.bincount(self.node_instance, minlength=self.num_instances)

    @property
    def features(self) -> list[Tensor | None]:
        """For each node type its floating features ``[n_t, F_t]``, None where there are none."""
        return self._features_of(self.packed.data)

    @property
    def graph_features(self) -> list[Tensor | None]:
        """The same of all nodes of the user's graph."""
        return self._features_of(self.graph.data)

    def _features_of(self, data: Any) -> list[Tensor | None]:
        found: list[Tensor | None] = []
        for store in self._node_stores(data):
            x = store.get("x", None)
            is_float = isinstance(x, Tensor) and x.is_floating_point() and x.dim() == 2
            found.append(x if is_float else None)
        return found

    def feature_leaves(self) -> list[Tensor | None]:
        """Copies of `features` whose gradients can be asked for."""
        return [None if x is None else x.detach().clone().requires_grad_() for x in self.features]

    def _node_stores(self, data: Any) -> list[Any]:
        if not self.graph.is_heterogeneous:
            return [data]
        return [data[name] for name in self.graph.node_types]

    def ones(self, *, layerwise: bool = False) -> Tensor:
        """Open gates ``[e]``, or ``[L, e]`` if ``layerwise``."""
        shape = (self.num_layers, self.num_edges) if layerwise else (self.num_edges,)
        return torch.ones(shape, dtype=self.dtype, device=self.device)

    def output(
        self,
        gates: Tensor | None = None,
        features: Sequence[Tensor | None] | None = None,
        baselines: Sequence[Tensor | None] | None = None,
        cutter: Cutter | None = None,
    ) -> Tensor:
        """The model's output ``[B, C]`` under gates, features or both.

        Args:
            gates: ``[e]`` or ``[L, e]``, None for all open.
            features: replaces `features`, None to leave a type alone.
            baselines: for each site what a shut message becomes (zero if None), broadcastable to
                its messages; see `SiteMessages.baseline`.
            cutter: replaces the states of senders at each site, see `Intervention.gates`.
        """
        data = self._data_with(features)
        with self.intervention.gates(gates, baselines, cutter):
            result = self.model_call(data)
        return select_rows(self.task, result, self.output_rows, self.num_predictions)

    def node_output(self, features: Sequence[Tensor | None] | None = None) -> Tensor:
        """What the model returns for every node of the explained type, ``[n_t, C]``; node tasks.

        Nodes at the boundary of a field lack some of their surroundings.

        Args:
            features: replaces `features`, None to leave a type alone.
        """
        result = self.model_call(self._data_with(features))
        if isinstance(result, dict) and self.task.node_type in result:
            result = result[self.task.node_type]
        return task.as_matrix(result, None, self.task.level)

    def _data_with(self, features: Sequence[Tensor | None] | None) -> Any:
        data = self.packed.data
        if features is not None:
            data = copy.copy(data)
            for store, x in zip(self._node_stores(data), features, strict=True):
                if x is not None:
                    store["x"] = x
        return data

    def messages(self) -> list[SiteMessages]:
        """What each site sends in an unchanged run, one entry per site that can be gated."""
        with torch.no_grad(), self.intervention.recording() as recorded:
            self.model_call(self.packed.data)
        num_nodes = None if self.graph.is_heterogeneous else self.num_nodes
        plans = self.intervention.plans
        return read_messages(self.wiring, plans, recorded, self.num_edges, num_nodes)

    def has_message(self) -> Tensor:
        """``[L, e]`` whether an edge has a message at a layer that can reach the prediction."""
        fields, wiring, num_edges = self.fields, self.wiring, self.num_edges
        found = torch.zeros((self.num_layers, num_edges), dtype=torch.bool, device=self.device)
        for site, plan in zip(wiring.sites, self.intervention.plans, strict=True):
            if plan.row_edge is None:
                continue
            is_sent = torch.zeros(num_edges + 1, dtype=torch.bool, device=self.device)
            is_sent[plan.row_edge] = True  # the last one stands for rows that are no user edge
            is_reversed = site.is_flipped != (wiring.channels[site.channel].receiver == 0)
            receiver = fields.source if is_reversed else fields.destination
            found[site.layer] |= is_sent[:-1] & (fields.distance[receiver] <= site.height)
        return found

    def score(
        self,
        gates: Tensor | None = None,
        features: Sequence[Tensor | None] | None = None,
        baselines: Sequence[Tensor | None] | None = None,
        cutter: Cutter | None = None,
        backward: ModifiedBackward | None = None,
    ) -> Tensor:
        """The explained score ``[B]``; see `output` for the other arguments.

        Args:
            gates: see `output`.
            features: see `output`.
            baselines: see `output`.
            cutter: see `output`.
            backward: another backward pass than autograd's own.
        """
        if backward is None:
            output = self.output(gates, features, baselines, cutter)
            return task.score(self.task, output, self.targets)
        with backward:
            output = self.output(gates, features, baselines, cutter)
            return backward.score(self.task, output, self.targets)

    def loss(
        self,
        gates: Tensor | None = None,
        features: Sequence[Tensor | None] | None = None,
        baselines: Sequence[Tensor | None] | None = None,
    ) -> Tensor:
        """The loss ``[B]`` of the explained prediction; see `output` for the arguments."""
        output = self.output(gates, features, baselines)
        return task.loss(self.task, output, self.targets, self.reference)

    def gradients(self, value: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Gradients of the sum of ``value`` with respect to each input; zero where unconnected."""
        if not value.requires_grad:
            return [torch.zeros_like(each) for each in inputs]
        return list(
            torch.autograd.grad(
                value.sum(), list(inputs), allow_unused=True, materialize_grads=True
            )
        )

    def gate_gradients(self, gates: Tensor) -> Tensor:
        """Derivative of each instance's explained score with respect to its own gates.

        Args:
            gates: ``[e]`` or ``[L, e]``, where the derivative is taken; it has the same shape.
        """
        leaf = gates.detach().requires_grad_()
        with torch.enable_grad():
            (gradient,) = self.gradients(self.score(leaf), [leaf])
        return gradient

    def node_owners(self) -> list[Tensor]:
        """For each node type, which instance each of its nodes belongs to."""
        return [self.node_instance[position] for position in self.packed.node_position]

    def flat_features(self, feature: Sequence[Tensor | None] | None) -> Tensor | None:
        """Feature scores of all node types as ``[n, F]``, padded with NaN."""
        if feature is None or all(each is None for each in feature):
            return None
        if len(feature) == 1:
            return feature[0]
        width = max(each.size(1) for each in feature if each is not None)
        flat = torch.full((self.num_nodes, width), float("nan"), device=self.device)
        flat = flat.to(self.dtype)
        for position, each in zip(self.packed.node_position, feature, strict=True):
            if each is not None:
                flat[position, : each.size(1)] = each.to(self.dtype)
        return flat

    def sum_features(self, feature: Sequence[Tensor | None]) -> Tensor:
        """Sum of each node's feature scores, ``[n]``; zero for node types without features."""
        return self._reduce_features(feature, lambda each: each.sum(dim=1))

    def mean_features(self, feature: Sequence[Tensor | None]) -> Tensor:
        """Mean of each node's feature scores, ``[n]``; zero for node types without features."""
        return self._reduce_features(feature, lambda each: each.mean(dim=1))

    def _reduce_features(
        self, feature: Sequence[Tensor | None], reduce: Callable[[Tensor], Tensor]
    ) -> Tensor:
        if len(feature) == 1 and feature[0] is not None:
            return reduce(feature[0])
        total = torch.zeros(self.num_nodes, dtype=self.dtype, device=self.device)
        for position, each in zip(self.packed.node_position, feature, strict=True):
            if each is not None:
                total[position] = reduce(each).to(self.dtype)
        return total

    def take(self, instances: Tensor) -> InstanceBatch:
        """Some of the instances, packed anew; an instance may come several times."""
        return self.with_fields(self.fields.take(instances), instances)

    def with_fields(self, fields: Fields, instances: Tensor) -> InstanceBatch:
        """Other fields of the same graph, each with the target of one of the instances."""
        return assemble(
            graph=self.graph,
            fields=fields,
            wiring=self.wiring,
            task=self.task,
            targets=self.targets.take(instances),
            reference=self.reference[instances],
            key=self.key[instances],
            model_call=self.model_call,
            constants=self._constants,
        )

    _constants: Mapping[int, Constants] = field(default_factory=dict, repr=False)

    def edge_address(self) -> Tensor:
        """``[e]`` a number for each edge that depends on its endpoints alone.

        Together with the instance's key it addresses random numbers, so that they depend neither
        on the batch nor on the order in which edges are listed.
        """
        source, destination = (
            self.fields.node[self.fields.source],
            self.fields.node[self.fields.destination],
        )
        if self.graph.node_graph is not None and not self.graph.is_heterogeneous:
            start = self.graph.by_graph[0].pointer
            source = source - start[self.graph.node_graph[source]]
            destination = destination - start[self.graph.node_graph[destination]]
        bounds = torch.tensor(self.graph.edge_offset[1:], device=self.device)
        kind = torch.searchsorted(bounds, self.fields.edge, right=True)
        rank = parallel_rank(self.fields.source, self.fields.destination)
        return random.hash64(0, source, destination, kind, rank)

    def node_address(self) -> Tensor:
        """``[n]`` a number for each node, as `edge_address` for edges."""
        node = self.fields.node
        if self.graph.node_graph is not None and not self.graph.is_heterogeneous:
            node = node - self.graph.by_graph[0].pointer[self.graph.node_graph[node]]
        return random.hash64(1, node)


def select_rows(
    task_: Task,
    result: Any,
    rows: Tensor | None,
    num_instances: int,
    num_nodes: int | None = None,
) -> Tensor:
    """Pick the explained rows ``[B, C]`` out of what a model returned.

    Raises:
        ModelOutputError: if it does not have one row per instance, or (where ``rows`` and
            ``num_nodes`` are given) one row per node.
    """
    if isinstance(result, dict) and task_.node_type in result:
        result = result[task_.node_type]
    if rows is None:
        return task.as_matrix(result, num_instances, task_.level)
    return task.as_matrix(result, num_nodes, task_.level).index_select(0, rows)


def output_rows(graph: TypedGraph, fields: Fields, packed: Packed, task_: Task) -> Tensor | None:
    """Rows of the model's output that belong to the instances; None for one row each."""
    if task_.level != "node":
        return None
    seed = fields.seed[:, 0]
    if not graph.is_heterogeneous:
        return seed
    position = packed.node_position[graph.type_position(task_.node_type)]
    return torch.searchsorted(position, seed)


def assemble(
    *,
    graph: TypedGraph,
    fields: Fields,
    wiring: Wiring,
    task: Task,
    targets: Targets,
    reference: Tensor,
    key: Tensor,
    model_call: ModelCall,
    constants: Mapping[int, Constants],
) -> InstanceBatch:
    """Pack fields and plan what happens at each site.

    Raises:
        CannotPack: if an attribute cannot be cut.
        PlanMismatch: if the packed graph runs through other sites than the traced one.
    """
    packed = pack(graph, fields, model_call, task.level)
    plans = plan_sites(graph, fields, packed, wiring, model_call, constants)
    return InstanceBatch(
        task=task,
        fields=fields,
        wiring=wiring,
        targets=targets,
        reference=reference,
        key=key,
        is_whole=False,
        graph=graph,
        packed=packed,
        model_call=model_call,
        intervention=Intervention(wiring, plans),
        output_rows=output_rows(graph, fields, packed, task),
        _constants=constants,
    )
