"""Deliberately wrong explainers: each breaks one law, which must refuse it."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import torch
from torch import Tensor

import glassgraph as gg
from glassgraph.core.batch import InstanceBatch


class Fails(gg.EdgeGradients):
    """Raises an error of its own."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        raise RuntimeError("no such luck")


class SaysUnsigned(gg.EdgeGradients):
    """Gives scores below zero and does not say so."""

    traits = dataclasses.replace(gg.EdgeGradients.traits, is_signed=False)


class ForgetsSetting(gg.EdgeGradients):
    """Halves a hyper-parameter each time it is built."""

    scale: float = gg.setting("factor of all scores", default=2.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.scale /= 2

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        edge = super().attribute(batch).edge
        assert edge is not None
        return gg.Attribution(edge=edge * self.scale)


class LeavesHook(gg.EdgeGradients):
    """Registers a hook and forgets it."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        self.model.convs[0].register_message_forward_hook(lambda module, inputs, output: None)
        return super().attribute(batch)


class ChangesWeights(gg.EdgeGradients):
    """Scales a weight, as a multiplier that is trained into the model would."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        found = super().attribute(batch)
        with torch.no_grad():
            self.model.head.weight.mul_(1 + 1e-15).add_(1e-12)
        return found


class SetsGradients(gg.EdgeGradients):
    """Runs a plain backward pass, which fills ``.grad`` of the user's parameters."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        weight = self.model.head.weight.requires_grad_()
        with torch.enable_grad():
            (batch.score().sum() + weight.sum()).backward()
        return super().attribute(batch)


class ChangesData(gg.EdgeGradients):
    """Writes to the user's features."""

    def explain(self, data: Any, *args: Any, **kwargs: Any) -> gg.Explanations:
        for each in data if isinstance(data, list) else [data]:
            each.x.add_(1e-12)
        return super().explain(data, *args, **kwargs)


class DetachesOnlyOnSuccess(gg.EdgeGradients):
    """Removes its hook at the end, which an exception never reaches."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        handle = self.model.convs[0].register_forward_hook(lambda module, inputs, output: None)
        found = super().attribute(batch)
        handle.remove()
        return found


class StaysFrozen(gg.EdgeGradients):
    """Freezes the model around the run and thaws it on success only."""

    def explain(self, data: Any, *args: Any, **kwargs: Any) -> gg.Explanations:
        flags = [parameter.requires_grad for parameter in self.model.parameters()]
        self.model.requires_grad_(False)
        found = super().explain(data, *args, **kwargs)
        for parameter, flag in zip(self.model.parameters(), flags, strict=True):
            parameter.requires_grad_(flag)
        return found


class IgnoresModel(gg.EdgeGradients):
    """Scores edges by the degree of their receiver."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        degree = torch.bincount(batch.fields.destination, minlength=batch.num_nodes)
        return gg.Attribution(edge=degree[batch.fields.destination].to(batch.dtype))


class DividesByBatchMaximum(gg.EdgeGradients):
    """Normalizes over all instances of a batch."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        edge = super().attribute(batch).edge
        assert edge is not None
        return gg.Attribution(edge=edge / (edge.abs().max() + 1) if edge.numel() else edge)


class AveragesOverBatch(gg.EdgeGradients):
    """Takes the mean loss of a batch where the sum was meant."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        edge = super().attribute(batch).edge
        assert edge is not None
        return gg.Attribution(edge=edge / batch.num_instances)


class DividesByFieldSize(gg.EdgeGradients):
    """Divides by the number of nodes that were cut out."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        edge = super().attribute(batch).edge
        assert edge is not None
        return gg.Attribution(edge=edge / batch.nodes_per_instance[batch.edge_instance])


class DividesByGraphSize(gg.EdgeGradients):
    """Divides by the size of the user's graph."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        edge = super().attribute(batch).edge
        assert edge is not None
        return gg.Attribution(edge=edge / batch.graph.num_nodes)


class PrefersLaterEdges(gg.EdgeGradients):
    """Breaks ties by an edge's number."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        edge = super().attribute(batch).edge
        assert edge is not None
        return gg.Attribution(edge=edge + 1e-6 * batch.fields.edge)


class PrefersLaterNodes(gg.EdgeGradients):
    """Lets a node's number into its score."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        edge = super().attribute(batch).edge
        return gg.Attribution(edge=edge, node=batch.fields.node.to(batch.dtype))


class SwapsNodes(gg.Saliency):
    """Gives a node the score of its neighbor in the list."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        found = super().attribute(batch)
        assert found.node is not None
        return gg.Attribution(edge=found.edge, node=found.node.flip(0))


class ShiftsEdges(gg.EdgeGradients):
    """Writes each score one edge too far."""

    def explain(self, data: Any, *args: Any, **kwargs: Any) -> gg.Explanations:
        found = super().explain(data, *args, **kwargs)
        assert found.graph is not None
        parts = [
            dataclasses.replace(part, edge=(part.edge + 1) % found.graph.num_edges)
            for part in found.parts
        ]
        return dataclasses.replace(found, parts=parts, _where=[], _bounds={})


class WrongSign(gg.EdgeGradients):
    """Explains the loss where the score was meant."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        edge = super().attribute(batch).edge
        assert edge is not None
        return gg.Attribution(edge=-edge)


class IgnoresSeed(gg.Random):
    """Says that it is random and always draws the same."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        self.seed = 0
        return super().attribute(batch)


class SecretlyRandom(gg.EdgeGradients):
    """Says that it is deterministic and draws from its seed."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        edge = super().attribute(batch).edge
        assert edge is not None
        noise = torch.rand(
            edge.shape, generator=torch.Generator().manual_seed(self.seed), dtype=edge.dtype
        )
        return gg.Attribution(edge=edge * noise)


class ReadsGlobalGenerator(gg.Random):
    """Draws from torch's global generator."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        return gg.Attribution(edge=torch.rand(batch.num_edges, dtype=batch.dtype))


class SeedsGlobalGenerator(gg.Random):
    """Seeds torch's global generator, as much research code does."""

    def explain(self, data: Any, *args: Any, **kwargs: Any) -> gg.Explanations:
        torch.manual_seed(self.seed)
        return super().explain(data, *args, **kwargs)


class Rounded(gg.Explanations):
    """Explanations that are written in single precision."""

    def save(self, folder: Any, *, include_graph: bool = True) -> Any:
        narrow = copy.copy(self)
        narrow.parts = [
            dataclasses.replace(
                part, edge_score=None if part.edge_score is None else part.edge_score.float()
            )
            for part in self.parts
        ]
        return gg.Explanations.save(narrow, folder, include_graph=include_graph)


class SavesRounded(gg.EdgeGradients):
    """Gives explanations that lose digits on disk."""

    def explain(self, data: Any, *args: Any, **kwargs: Any) -> gg.Explanations:
        found = super().explain(data, *args, **kwargs)
        fields = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
        return Rounded(**fields)


class DividesByMaximum(gg.EdgeGradients):
    """Normalizes each instance by its largest score, which may be zero or absent."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        edge = super().attribute(batch).edge
        assert edge is not None
        largest = torch.full((batch.num_instances,), 0.0, dtype=edge.dtype)
        largest = largest.scatter_reduce(0, batch.edge_instance, edge.abs(), "amax")
        return gg.Attribution(
            edge=edge / largest[batch.edge_instance],
            node=(batch.nodes_per_instance / largest)[batch.node_instance],
        )


class AlwaysSingle(gg.EdgeGradients):
    """Computes in single precision whatever the model's."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        edge = super().attribute(batch).edge
        assert edge is not None
        return gg.Attribution(edge=edge.float())


def opens_too_far(batch: InstanceBatch, gates: Tensor | None) -> Tensor:
    """An interception that scales every gated message by almost one."""
    return batch.output(None if gates is None else gates * (1 + 2e-16) + 1e-15)


def shuts_not_quite(batch: InstanceBatch, gates: Tensor | None) -> Tensor:
    """An interception whose shut gate lets a little through, as a sigmoid does."""
    return batch.output(None if gates is None else gates.clamp_min(1e-3))


def shuts_neighbor(batch: InstanceBatch, gates: Tensor | None) -> Tensor:
    """An interception that is one row off."""
    return batch.output(None if gates is None else gates.roll(1, dims=-1))


class FirstOfTwins(gg.EdgeGradients):
    """Gives the first of several parallel edges what all of them have."""

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        edge = super().attribute(batch).edge
        assert edge is not None
        ends = batch.fields.source * batch.num_nodes + batch.fields.destination
        is_later = (ends.view(-1, 1) == ends).tril(-1).any(dim=1)
        return gg.Attribution(edge=edge.masked_fill(is_later, 0))
