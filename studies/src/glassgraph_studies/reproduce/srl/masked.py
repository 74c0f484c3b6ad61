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

    def outputs(self, is_open: Tensor, *, baselines: bool = True) -> Tensor:
        """Role scores ``[N, roles]`` of all tokens.

        Args:
            is_open: ``[L, E]`` which messages are open.
            baselines: whether a shut message becomes the explainer's baseline; otherwise zero.
        """
        preparation = self.explainer.open(self.graphs)
        instances = preparation.instances(None)
        found: list[Tensor] = [torch.empty(0)] * len(self.graphs)
        with protected(self.explainer.model), torch.no_grad():
            for position, batch in preparation.batches(
                instances, None, self.explainer.memory_budget
            ):
                gates = is_open[:, batch.fields.edge].to(batch.dtype)
                own = self.explainer.baselines(batch) if baselines else None
                rows = batch.output(gates, baselines=own)
                sizes = [len(self.graphs[number].y) for number in position.tolist()]
                for number, part in zip(position.tolist(), rows.split(sizes), strict=True):
                    found[number] = part
        return torch.cat(found)

    def f1(self, is_open: Tensor, *, baselines: bool = True) -> float:
        """F1 in percent."""
        predicted = self.outputs(is_open, baselines=baselines).argmax(dim=1)
        return Counts.of(predicted, torch.cat([graph.y for graph in self.graphs])).f1
