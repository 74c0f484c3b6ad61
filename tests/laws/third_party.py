"""Methods as others write them, with what `glassgraph` offers in public: two right, many wrong."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

import glassgraph as gg


class Gradients(gg.Explainer):
    """How fast the score grows with an edge's messages."""

    name = "gradients"
    traits = gg.Traits(family="gradient", scores=("edge",), is_signed=True)
    factor: float = gg.setting("factor of all scores", default=1.0, above=0)

    def edges(self, batch) -> Tensor:
        return batch.gate_gradients(batch.ones()) * self.factor

    def attribute(self, batch) -> gg.Attribution:
        return gg.Attribution(edge=self.edges(batch))


class Erased(gg.Explainer):
    """What is lost without an edge, one edge at a time."""

    name = "erased"
    traits = gg.Traits(family="perturbation", scores=("edge",), is_signed=True)

    def attribute(self, batch) -> gg.Attribution:
        full, found = batch.score(batch.ones()), batch.ones()
        for edge, instance in enumerate(batch.edge_instance):
            gates = batch.ones()
            gates[edge] = 0
            found[edge] = (full - batch.score(gates))[instance]
        return gg.Attribution(edge=found)


# Wrong ones


class IsNotANumber(Gradients):
    def attribute(self, batch) -> gg.Attribution:
        edge = self.edges(batch)
        return gg.Attribution(edge=edge.log())


class ScoresTheWholeGraph(Gradients):
    def attribute(self, batch) -> gg.Attribution:
        return gg.Attribution(edge=torch.zeros(batch.graph.num_edges, dtype=batch.dtype))


class ScoresNodesUnasked(Gradients):
    def attribute(self, batch) -> gg.Attribution:
        return gg.Attribution(node=torch.zeros(batch.num_nodes, dtype=batch.dtype))


class SaysUnsigned(Gradients):
    traits = dataclasses.replace(Gradients.traits, is_signed=False)


class IgnoresModel(Gradients):
    def attribute(self, batch) -> gg.Attribution:
        return gg.Attribution(edge=batch.ones())


class ChangesWeight(Gradients):
    def attribute(self, batch) -> gg.Attribution:
        found = super().attribute(batch)
        with torch.no_grad():
            next(self.model.parameters()).add_(1e-9)
        return found


class LeavesHook(Gradients):
    def attribute(self, batch) -> gg.Attribution:
        self.model.register_forward_hook(lambda *_: None)
        return super().attribute(batch)


class RemovesHookLater(Gradients):
    def attribute(self, batch) -> gg.Attribution:
        handle = self.model.register_forward_hook(lambda *_: None)
        found = super().attribute(batch)
        handle.remove()
        return found


class DrawsGlobally(Gradients):
    traits = dataclasses.replace(Gradients.traits, is_random=True)

    def attribute(self, batch) -> gg.Attribution:
        edge = self.edges(batch)
        return gg.Attribution(edge=edge * torch.rand_like(edge))


class IgnoresSeed(Gradients):
    traits = dataclasses.replace(Gradients.traits, is_random=True)

    def attribute(self, batch) -> gg.Attribution:
        return gg.Attribution(edge=self.edges(batch) * 0.5)


class HalvesSetting(Gradients):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.factor /= 2


class ComparesWithNeighbors(Gradients):
    def attribute(self, batch) -> gg.Attribution:
        edge = self.edges(batch)
        return gg.Attribution(edge=edge / edge.abs().max().clamp_min(1e-9))


class AveragesOverBatch(Gradients):
    def attribute(self, batch) -> gg.Attribution:
        return gg.Attribution(edge=self.edges(batch) / batch.num_instances)


class PrefersLaterEdges(Gradients):
    def attribute(self, batch) -> gg.Attribution:
        return gg.Attribution(edge=self.edges(batch) + 1e-6 * batch.fields.edge)


class PrefersLaterNodes(Gradients):
    traits = dataclasses.replace(Gradients.traits, scores=("edge", "node"))

    def attribute(self, batch) -> gg.Attribution:
        node = batch.fields.node.to(batch.dtype)
        return gg.Attribution(edge=self.edges(batch), node=node)


class ScoresLateMessages(Gradients):
    traits = dataclasses.replace(Gradients.traits, scores=("layer edge",))

    def attribute(self, batch) -> gg.Attribution:
        return gg.Attribution(layer_edge=self.edges(batch).repeat(batch.num_layers, 1))


class DividesByField(Gradients):
    def attribute(self, batch) -> gg.Attribution:
        size = batch.nodes_per_instance[batch.edge_instance]
        return gg.Attribution(edge=self.edges(batch) / size)


class DividesByGraph(Gradients):
    def attribute(self, batch) -> gg.Attribution:
        return gg.Attribution(edge=self.edges(batch) / batch.graph.num_nodes)


class ExplainsLoss(Gradients):
    def attribute(self, batch) -> gg.Attribution:
        return gg.Attribution(edge=-self.edges(batch))


class AlwaysDouble(Gradients):
    def attribute(self, batch) -> gg.Attribution:
        return gg.Attribution(edge=self.edges(batch).double())


class NeedsEdges(Gradients):
    def attribute(self, batch) -> gg.Attribution:
        edge = self.edges(batch)
        assert edge.numel() > 0, "no edges"
        return gg.Attribution(edge=edge)


#: Each wrong method with the law that refuses it.
WRONG = {
    IsNotANumber: "explains",
    ScoresTheWholeGraph: "explains",
    ScoresNodesUnasked: "explains",
    SaysUnsigned: "signs_are_told",
    IgnoresModel: "model_matters",
    ChangesWeight: "model_unchanged",
    LeavesHook: "model_unchanged",
    RemovesHookLater: "unchanged_after_error",
    DrawsGlobally: "global_random_state",
    IgnoresSeed: "seed_decides",
    HalvesSetting: "settings_make_it_again",
    ComparesWithNeighbors: "together_is_alone",
    AveragesOverBatch: "together_is_alone",
    PrefersLaterEdges: "edge_order_is_irrelevant",
    PrefersLaterNodes: "node_order_is_irrelevant",
    ScoresLateMessages: "outside_is_zero",
    DividesByField: "field_is_full_graph",
    DividesByGraph: "far_graph_is_irrelevant",
    ExplainsLoss: "planted_edge_is_first",
    AlwaysDouble: "precision_is_kept",
    NeedsEdges: "limits_are_explained",
}
