"""Instances <-> one disjoint graph: what a method sees.

`InstanceBatch` holds many receptive fields packed side by side, with segment vectors that say which
node and edge belongs to whom, and calls that evaluate the model on all of them under gates.
Everything is flat: ``e`` edges and ``n`` nodes over all instances and types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from glassgraph.calling.call import ModelCall
from glassgraph.calling.precision import full_precision
from glassgraph.calling.recompute import naming_backward_errors
from glassgraph.core.intercept import Cutter, Intervention, naming_other_messages
from glassgraph.core.modified_backward import ModifiedBackward
from glassgraph.core.output_rows import OutputRows, output_rows, select_rows
from glassgraph.core.plan import SiteConstants, plan_sites
from glassgraph.core.sites import Wiring
from glassgraph.errors import METHODS_WITHOUT_GRADIENTS, NoGradientError
from glassgraph.inputs import task
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.node_features import (
    all_features,
    feature_names,
    float_features,
    with_features,
)
from glassgraph.inputs.pack import Packed, pack
from glassgraph.inputs.receptive import Fields
from glassgraph.inputs.task import Targets, Task


def no_gradient(of: str) -> NoGradientError:
    """The error that says that a prediction has no gradient of something."""
    return NoGradientError(
        f"the prediction does not depend differentiably on {of}: forward runs under "
        "torch.no_grad(), detaches what layers return, or never uses it. Methods that need no "
        f"gradient: {METHODS_WITHOUT_GRADIENTS}"
    )


@dataclass
class InstanceBatch:
    """Many instances as one disjoint graph: what a method computes on.

    What a method needs as a rule:

    ===================================  ===========================================================
    ``num_instances``, ``num_layers``    the sizes B and L
    ``num_edges``, ``num_nodes``         the sizes e and n, over all instances
    ``edge_instance``, ``node_instance`` ``[e]``, ``[n]`` whose an edge or a node is
    ``fields.source``, ``.destination``  ``[e]`` the ends of an edge, among the n nodes
    ``ones()``                           ``[e]`` or ``[L, e]`` gates, all of them open
    ``features``, ``feature_leaves()``   ``[n_t, F_t]`` for each node type; the same with gradients
    ``score(gates, features)``           ``[B]`` the explained score under gates, features or both
    ``loss(gates, features)``            ``[B]`` what a mask minimizes to keep the prediction
    ``output(gates, features)``          ``[R, C]`` all that the model returns
    ``gradients(value, inputs)``         of a sum of scores or losses; ``gate_gradients(gates)``
    ``key``                              ``[B]`` addresses an instance's random numbers, see
                                         `glassgraph.core.addresses`
    ===================================  ===========================================================

    What stands in other files takes a batch as well: messages (`glassgraph.core.messages`), what
    can reach the prediction (`glassgraph.core.reachability`), copies that differ in one edge
    (`glassgraph.core.copies`), sums of feature scores (`glassgraph.core.feature_scores`).

    Attributes:
        task: the task.
        fields: where its nodes and edges come from.
        wiring: the model's sites.
        targets: the explained class of each instance.
        reference: ``[R, C]`` the model's output on the unchanged input: R is B, unless instances
            have several rows, see `glassgraph.inputs.rows`.
        key: ``[B]`` the user's number of each instance: for its random numbers, and for the
            attributes of the link or edge that it is.
        is_whole: whether this is a single instance on the user's full graph (the fall-back).
        graph: the user's graph.
        packed: the graph that the model is called on.
        model_call: how the model is called.
        intervention: what gates do at each site.
        keeps_graphs: whether each instance has its whole graph, because the model looks farther
            than its messages go.
        output_rows: which rows of the model's output are explained; None for all.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x, edge_index = torch.tensor([[2.0], [3.0], [5.0]]), torch.tensor([[0, 1], [1, 2]])
        >>> model = SimpleConv(combine_root="sum")  # adds the neighbors' features to one's own
        >>> explainer = gg.Random(model, gg.Task("node", mode="regression"))
        >>> preparation = explainer.prepare(Data(x=x, edge_index=edge_index))
        >>> ((_, batch),) = preparation.batches(preparation.instances([1, 2]), None, None)
        >>> batch.score(), batch.edge_instance
        (tensor([5., 8.]), tensor([0, 1]))
        >>> batch.score(0 * batch.ones())  # with all messages shut
        tensor([3., 5.])
        >>> batch.gate_gradients(batch.ones())
        tensor([2., 3.])
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
    output_rows: Tensor | OutputRows | None = field(repr=False)
    keeps_graphs: bool = False
    _constants: Mapping[int, SiteConstants] = field(default_factory=dict, repr=False)
    _seen: Any = field(default=None, repr=False)

    @property
    def num_instances(self) -> int:
        """Number B of instances."""
        return self.fields.num_instances

    @property
    def num_predictions(self) -> int:
        """Number of predictions: B, also where all instances share one field (`shared_batches`)."""
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

    @cached_property
    def edges_per_instance(self) -> Tensor:
        """``[B]`` number of edges."""
        return torch.bincount(self.edge_instance, minlength=self.num_instances)

    @cached_property
    def nodes_per_instance(self) -> Tensor:
        """``[B]`` number of nodes."""
        return torch.bincount(self.node_instance, minlength=self.num_instances)

    @property
    def features(self) -> list[Tensor | None]:
        """For each node type its floating features ``[n_t, F_t]``, None where there are none."""
        return float_features(self.graph, self.packed.data, self.feature_names)

    @property
    def all_features(self) -> list[Tensor | None]:
        """The same with features that are integers (kinds of atoms, words), too."""
        return all_features(self.graph, self.packed.data, self.feature_names)

    @cached_property
    def feature_names(self) -> list[str | None]:
        """For each node type, under which name it has its features."""
        return feature_names(self.graph, self.model_call.needs)

    def feature_leaves(self) -> list[Tensor | None]:
        """Copies of `features` whose gradients can be asked for."""
        return [None if x is None else x.detach().clone().requires_grad_() for x in self.features]

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
        """The model's output ``[R, C]`` under gates, features or both.

        Args:
            gates: ``[e]`` or ``[L, e]``, None for all open.
            features: replaces `features`, None to leave a type alone.
            baselines: for each site what a shut message becomes (zero if None), broadcastable to
                its messages; see `SiteMessages.baseline`.
            cutter: replaces the states of senders at each site, see `Intervention.gates`.
        """
        data = with_features(self.graph, self.packed.data, self.feature_names, features)
        with naming_other_messages(), self.intervention.gates(gates, baselines, cutter):
            result = self.model_call(data)
        return self._explained_rows(result)

    def plain_output(self) -> Tensor:
        """`output` with nothing done to the model; the first time, what planning has seen of it."""
        seen, self._seen = self._seen, None
        return self.output() if seen is None else self._explained_rows(seen)

    def _explained_rows(self, result: Any) -> Tensor:
        return select_rows(self.task, result, self.output_rows, self.num_predictions)

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
        with full_precision(), backward:
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

    def gradients(
        self, value: Tensor, inputs: Sequence[Tensor], *, gates_first: bool = True
    ) -> list[Tensor]:
        """Gradients of the sum of ``value`` with respect to each input; zero where unconnected.

        Args:
            value: what the model returned, or what was made of it.
            inputs: tensors that it was computed from.
            gates_first: whether the first input is gates, on which ``value`` has to depend.

        Raises:
            NoGradientError: if there are messages, and no gradient comes through the model (to the
                gates, or to any input).
        """
        found: Sequence[Tensor | None] = [None] * len(inputs)
        if value.requires_grad:
            with naming_backward_errors():
                found = torch.autograd.grad(value.sum(), list(inputs), allow_unused=True)
        needed = found[:1] if gates_first else found
        if all(each is None for each in needed) and self.has_gated_messages:
            raise no_gradient("messages" if gates_first else "features")
        pairs = zip(inputs, found, strict=True)
        return [torch.zeros_like(each) if one is None else one for each, one in pairs]

    @property
    def has_gated_messages(self) -> bool:
        """Whether any message is that of an edge."""
        return any(
            plan.row_edge is not None and bool((plan.row_edge < self.num_edges).any())
            for plan in self.intervention.plans
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

    def reference_of(self, instances: Tensor) -> Tensor:
        """The rows of `reference` that belong to some instances, in the order given."""
        return self.reference[self.targets.rows_of(instances)]

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
            reference=self.reference_of(instances),
            key=self.key[instances],
            model_call=self.model_call,
            constants=self._constants,
            keeps_graphs=self.keeps_graphs,
        )


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
    constants: Mapping[int, SiteConstants],
    keeps_graphs: bool = False,
) -> InstanceBatch:
    """Pack fields and plan what happens at each site.

    Raises:
        CannotPack: if an attribute cannot be cut.
        PlanMismatch: if the packed graph runs through other sites than the traced one.
    """
    packed = pack(graph, fields, model_call, task, key)
    plans, seen = plan_sites(graph, fields, packed, wiring, model_call, constants)
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
        output_rows=output_rows(graph, fields, packed, task, targets.rows),
        keeps_graphs=keeps_graphs,
        _constants=constants,
        _seen=seen,
    )
