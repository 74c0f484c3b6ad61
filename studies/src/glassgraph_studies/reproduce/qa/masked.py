"""Networks run on some of their messages, and which messages these are.

A choice of messages is one mask ``[L, E]`` over the layers and the edges of all graphs, graph after
graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.explainers.base import Explainer
from glassgraph.results.explanation import Explanations
from glassgraph_studies.reproduce.qa.graphs import RELATIONS


@dataclass(frozen=True)
class Masked:
    """Explained questions that can be answered again with some messages shut.

    Attributes:
        explainer: whose baselines shut messages become.
        graphs: the questions.
        explanations: of them.
        kept: ``[L, E]`` which messages score above one half.
    """

    explainer: Explainer
    graphs: list[Data]
    explanations: Explanations
    kept: Tensor

    @staticmethod
    def of(explainer: Explainer, graphs: Sequence[Data]) -> Masked:
        """Explain the questions."""
        explanations = explainer.explain(list(graphs))
        number = sum(graph.num_edges for graph in graphs)
        kept = torch.zeros(explanations.num_layers, number, dtype=torch.bool)
        for part in explanations.own_parts():
            assert part.layer_edge_score is not None
            kept[:, part.edge] = part.layer_edge_score > 0.5
        return Masked(explainer, list(graphs), explanations, kept)

    def accuracy(self, is_open: Tensor | None = None) -> float:
        """Percent of right answers; with ``[L, E]`` messages open, or all unless told otherwise."""
        keep = "all" if is_open is None else is_open
        outputs = self.explainer.predict(self.graphs, self.explanations, keep=keep).outputs
        label = torch.cat([graph.y for graph in self.graphs])
        return 100.0 * float((outputs.argmax(dim=1) == label).double().mean())

    @property
    def relation(self) -> Tensor:
        """``[E]`` relation of each edge."""
        return torch.cat([graph.edge_type for graph in self.graphs])

    def of_graph(self, mask: Tensor) -> Sequence[Tensor]:
        """A mask ``[L, e]`` for each graph."""
        return torch.split(mask, [graph.num_edges for graph in self.graphs], dim=1)

    def counts(self, mask: Tensor) -> Tensor:
        """How many messages of a mask there are by layer and relation, ``[L, R]``."""
        return torch.stack(
            [torch.bincount(self.relation[row], minlength=len(RELATIONS)) for row in mask]
        )

    @property
    def sent(self) -> Tensor:
        """How many messages there are by layer and relation, ``[L, R]``."""
        return self.counts(torch.ones_like(self.kept))

    def random_share(self, share: float, generator: torch.Generator) -> Tensor:
        """A random share of the kept messages, ``[L, E]``."""
        place = self.kept.reshape(-1).nonzero().view(-1)
        number = round(share * place.numel())
        chosen = place[torch.randperm(place.numel(), generator=generator)[:number]]
        found = torch.zeros(self.kept.numel(), dtype=torch.bool)
        found[chosen] = True
        return found.view_as(self.kept)
