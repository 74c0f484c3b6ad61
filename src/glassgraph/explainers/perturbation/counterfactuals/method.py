"""What methods share that look for counterfactuals: what may go, and what that does."""

from __future__ import annotations

from typing import Any, Literal

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.prepare import Preparation
from glassgraph.core.sites import OpaqueWiring, WidenedWiring, Wiring
from glassgraph.core.undirected import is_undirected
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.perturbation.counterfactuals.deletion import Deletions
from glassgraph.explainers.perturbation.search.removal import check_is_of_graphs
from glassgraph.explainers.settings import setting


class CounterfactualExplainer(Explainer):
    """Which edges go for the decision to be another?"""

    pairs: bool | None = setting(
        "take the two directions of an undirected edge together, as one; None where every edge "
        "of the graph has its reverse (never of a large graph on disk)",
        default=None,
    )
    max_size: int | None = setting(
        "items that a counterfactual may have; None for any", default=None, at_least=1
    )

    def _preparation_of(self, data: Any) -> Preparation:
        return super()._preparation_of(data).rewired(_widened)

    def _deletions(self, batch: InstanceBatch) -> Deletions:
        """Evaluates what may go."""
        return Deletions(batch, self.memory_budget, pairs=self._in_pairs(batch))

    def _in_pairs(self, batch: InstanceBatch) -> bool:
        return is_undirected(batch.graph) if self.pairs is None else self.pairs


class CounterfactualSearch(CounterfactualExplainer):
    """What is the smallest deletion that makes the decision another?"""

    effect: float = setting(
        "of a regression, the share of all edges' effect that is to be undone",
        default=0.5,
        above=0,
        at_most=1,
    )
    removal: Literal["delete", "delete_isolated"] = setting(
        "what happens to edges: they are deleted, or nodes go with the last of their edges, too "
        "(graph tasks)",
        default="delete",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_is_of_graphs(self.name, self.removal, "delete", self.task)

    def _deletions(self, batch: InstanceBatch) -> Deletions:
        return Deletions(
            batch,
            self.memory_budget,
            pairs=self._in_pairs(batch),
            removal=self.removal,
            effect=self.effect,
        )


def _widened(wiring: Wiring) -> Wiring:
    """Fields that hold all that a prediction sees, degrees included."""
    return wiring if isinstance(wiring, OpaqueWiring) else WidenedWiring.of(wiring)
