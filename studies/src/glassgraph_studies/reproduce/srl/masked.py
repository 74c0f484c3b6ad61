"""What a labeler says with some of its messages shut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.explainers.base import Explainer
from glassgraph.results.explanation import Explanations
from glassgraph_studies.reproduce.srl.training import Counts


@dataclass(frozen=True)
class MaskedRuns:
    """Runs of an explainer's model on some graphs, with any messages shut.

    Attributes:
        explainer: whose baselines are put in the place of what is shut.
        graphs: what the model is run on.
        explanations: of these graphs, by the explainer.
    """

    explainer: Explainer
    graphs: Sequence[Data]
    explanations: Explanations

    def f1(self, masks: Sequence[Tensor], *, baselines: bool = True) -> list[float]:
        """F1 in percent, for each mask.

        Args:
            masks: ``[L, E]`` each, which messages are open.
            baselines: whether a shut message becomes the explainer's baseline; otherwise zero.
        """
        role = torch.cat([graph.y for graph in self.graphs])
        found = []
        for mask in masks:
            predictions = self.explainer.predict(
                self.graphs, self.explanations, keep=mask, baselines=baselines
            )
            found.append(Counts.of(predictions.outputs.argmax(dim=1), role).f1)
        return found
