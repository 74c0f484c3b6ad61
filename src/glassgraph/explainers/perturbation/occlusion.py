"""Occlusion: how far does the score fall when one edge is shut?

    input-level   S[e]    = y(z = 1) - y(z = 1, but z[:, e] = 0)
    layerwise     S[l, e] = y(z = 1) - y(z = 1, but z[l, e] = 0)

Shutting an edge replaces its messages by zero at every layer (or one layer); the graph itself, its
degrees and the messages of other edges stay as they are. Many copies, each with another edge shut,
go through the model in one pass (see `glassgraph.core.copies`).

Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (ECCV 2014,
https://arxiv.org/abs/1311.2901), on edges as in Faber, Moghaddam and Wattenhofer, "When Comparing
to Ground Truth is Wrong" (KDD 2021).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.copies import edge_copies
from glassgraph.core.task import Task
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.traits import Traits
from glassgraph.results.explanation import Attribution


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
        """Shut one edge in every copy, until each has had its turn."""
        full = batch.score(batch.ones())
        edge = full.new_zeros(batch.num_edges)
        layer_edge = full.new_zeros((batch.num_layers, batch.num_edges))
        for turn in edge_copies(batch, self.memory_budget):
            before = full[turn.instance]
            gates = turn.batch.ones()
            gates[turn.shut] = 0
            edge[turn.edge] = before - turn.batch.score(gates)[turn.copy]
            for layer in range(batch.num_layers if self.layerwise else 0):
                gates = turn.batch.ones(layerwise=True)
                gates[layer, turn.shut] = 0
                layer_edge[layer, turn.edge] = before - turn.batch.score(gates)[turn.copy]
        return Attribution(edge=edge, layer_edge=layer_edge if self.layerwise else None)
