"""Occlusion: how far does the score fall when one edge is shut?

    input-level   S[e]    = y(z = 1) - y(z = 1, but z[:, e] = 0)
    layerwise     S[l, e] = y(z = 1) - y(z = 1, but z[l, e] = 0)

Shutting an edge replaces its messages by zero at every layer (or one layer); the graph itself, its
degrees and the messages of other edges stay as they are. Many copies of the receptive fields, each
with another edge shut, go through the model in one pass.

Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (ECCV 2014,
https://arxiv.org/abs/1311.2901), on edges as in Faber, Moghaddam and Wattenhofer, "When Comparing
to Ground Truth is Wrong" (KDD 2021).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.explanation import Attribution
from glassgraph.core.task import Task
from glassgraph.explainers.base import Explainer, Traits


class Occlusion(Explainer):
    """Differences of the explained score.

    Args:
        model: the model.
        task: the task.
        layerwise: also score every edge at every layer.
        **shared: see `Explainer`.
    """

    name = "occlusion"
    traits = Traits(
        family="perturbation",
        scores=("edge", "layer edge"),
        is_learned=False,
        is_amortized=False,
        is_black_box=True,
        is_signed=True,
        is_random=False,
        source="Zeiler and Fergus 2014, arXiv:1311.2901; Faber et al. 2021",
    )

    def __init__(
        self, model: nn.Module, task: str | Task = "node", *, layerwise: bool = False, **shared: Any
    ) -> None:
        super().__init__(model, task, **shared)
        self.layerwise = layerwise

    @torch.no_grad()
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Shut the k-th edge of all instances together, for every k."""
        full = batch.score(batch.ones())
        edge = torch.zeros(batch.num_edges, dtype=full.dtype, device=full.device)
        layer_edge = None
        if self.layerwise:
            layer_edge = edge.new_zeros((batch.num_layers, batch.num_edges))
        for part in batch.by_size():
            rounds = part.batch.copies_within(self.memory_budget)
            copies = part.batch.replicate(rounds)
            edge[part.edge] = _shut_each(copies, rounds, full[part.instance], None)
            if layer_edge is not None:
                for layer in range(batch.num_layers):
                    layer_edge[layer, part.edge] = _shut_each(
                        copies, rounds, full[part.instance], layer
                    )
        return Attribution(edge=edge, layer_edge=layer_edge)


def _shut_each(copies: InstanceBatch, rounds: int, full: Tensor, layer: int | None) -> Tensor:
    """Scores ``[e]`` of the edges of a batch, evaluated on ``rounds`` copies of each instance.

    In round ``r`` copy ``c`` of an instance has its edge number ``r * rounds + c`` shut.
    """
    per_copy = copies.edges_per_instance
    start = per_copy.cumsum(0) - per_copy
    number = torch.arange(copies.num_instances, device=full.device) % rounds
    instance = torch.arange(copies.num_instances, device=full.device) // rounds
    per_instance = per_copy[::rounds]
    first = per_instance.cumsum(0) - per_instance
    result = full.new_zeros(int(per_instance.sum()))
    most = int(per_copy.max()) if per_copy.numel() else 0
    for offset in range(0, most, rounds):
        turn = offset + number
        active = (turn < per_copy).nonzero().view(-1)
        gates = copies.ones(layerwise=layer is not None)
        shut = start[active] + turn[active]
        if layer is None:
            gates[shut] = 0
        else:
            gates[layer, shut] = 0
        difference = full[instance] - copies.score(gates)
        result[first[instance[active]] + turn[active]] = difference[active]
    return result
