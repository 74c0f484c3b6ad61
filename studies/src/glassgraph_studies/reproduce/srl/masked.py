"""What a labeler says with some of its messages shut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.calling.protect import protected
from glassgraph.explainers.base import Explainer
from glassgraph_studies.reproduce.srl.training import Counts


@dataclass(frozen=True)
class MaskedRuns:
    """Runs of an explainer's model on some graphs, with any messages shut.

    Attributes:
        explainer: whose baselines are put in the place of what is shut.
        graphs: what the model is run on.
    """

    explainer: Explainer
    graphs: Sequence[Data]

    def outputs(self, masks: Sequence[Tensor], *, baselines: bool = True) -> list[Tensor]:
        """Role scores ``[N, roles]`` of all tokens, for each mask.

        Args:
            masks: ``[L, E]`` each, which messages are open.
            baselines: whether a shut message becomes the explainer's baseline; otherwise zero.
        """
        preparation = self.explainer.open(self.graphs)
        found: list[list[Tensor]] = [[torch.empty(0)] * len(self.graphs) for _ in masks]
        with protected(self.explainer.model), torch.no_grad():
            for position, batch in preparation.batches(
                preparation.instances(None), None, self.explainer.memory_budget
            ):
                own = self.explainer.baselines(batch) if baselines else None
                numbers = position.tolist()
                sizes = [len(self.graphs[number].y) for number in numbers]
                for mask, outputs in zip(masks, found, strict=True):
                    gates = mask[:, batch.fields.edge].to(batch.dtype)
                    rows = batch.output(gates, baselines=own).split(sizes)
                    for number, part in zip(numbers, rows, strict=True):
                        outputs[number] = part
        return [torch.cat(outputs) for outputs in found]

    def f1(self, masks: Sequence[Tensor], *, baselines: bool = True) -> list[float]:
        """F1 in percent, for each mask."""
        role = torch.cat([graph.y for graph in self.graphs])
        outputs = self.outputs(masks, baselines=baselines)
        return [Counts.of(each.argmax(dim=1), role).f1 for each in outputs]
