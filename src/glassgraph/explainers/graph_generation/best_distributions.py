"""Which distributions are kept while they are learned: those whose graph was the best so far."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.explainers.graph_generation.distributions import GraphDistributions


@dataclass(frozen=True)
class Reached:
    """What the graphs of R distributions are like.

    Attributes:
        probability: ``[R]`` of the class.
        nodes: ``[R]`` how many there are.
    """

    probability: Tensor
    nodes: Tensor

    def order(self, slack: float) -> Tensor:
        """``[R]`` the best first: the largest of those nearly as probable as any, then others."""
        is_near = self.probability >= self.probability.max() - slack
        nodes = torch.where(is_near, self.nodes, -1)
        by_probability = self.probability.argsort(descending=True, stable=True)
        return by_probability[nodes[by_probability].argsort(descending=True, stable=True)]


@dataclass(frozen=True)
class Best:
    """The best of each distribution so far.

    Attributes:
        distributions: R of them.
        reached: what their graphs are like; of those within ``slack`` of the highest probability
            the largest.
        highest: ``[R]`` the highest probability so far.
    """

    distributions: GraphDistributions
    reached: Reached
    highest: Tensor

    @staticmethod
    def of(learned: GraphDistributions, reached: Reached) -> Best:
        """Where nothing was seen before."""
        return Best(learned.copy(), reached, reached.probability)

    def updated(self, learned: GraphDistributions, new: Reached, slack: float) -> Best:
        """With distributions in the place of those that are no better."""
        old, highest = self.reached, torch.maximum(self.highest, new.probability)
        is_near = new.probability >= highest - slack
        is_outdone = old.probability < highest - slack
        is_as_good = (new.nodes == old.nodes) & (new.probability >= old.probability)
        is_better = is_near & (is_outdone | is_as_good | (new.nodes > old.nodes))
        reached = Reached(
            torch.where(is_better, new.probability, old.probability),
            torch.where(is_better, new.nodes, old.nodes),
        )
        return Best(self.distributions.where(~is_better, learned), reached, highest)
