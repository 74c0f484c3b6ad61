"""What a labeler says with some of its messages shut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.explainers.base import Explainer
from glassgraph.masking.keep import predict_each
from glassgraph.masking.message_sets import Scene
from glassgraph.masking.rerun import Rerun
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
        rerun = Rerun.of(self.explainer, self.graphs, explanations=self.explanations)
        found = predict_each(rerun, Scene.of(rerun), masks, baselines=baselines)
        return [Counts.of(each.outputs.argmax(dim=1), role).f1 for each in found]
