"""What methods share that look for counterfactuals: what may change, and what that does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.prepare import Preparation
from glassgraph.core.sites import OpaqueWiring, WidenedWiring, Wiring
from glassgraph.core.undirected import takes_pairs
from glassgraph.errors import HyperParameterError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.perturbation.counterfactuals.changes import Changes
from glassgraph.explainers.perturbation.counterfactuals.kept_rules import check_rules
from glassgraph.explainers.perturbation.counterfactuals.kinds import (
    Allowed,
    Baseline,
    WhichFeatures,
    WhichInsertions,
)
from glassgraph.explainers.perturbation.search.removal import DROPS_NODES, check_is_of_graphs
from glassgraph.explainers.settings import setting


class CounterfactualExplainer(Explainer):
    """Which edges go for the decision to be another?"""

    pairs: bool | None = setting(
        "take the two directions of an undirected edge together, as one; None where every edge "
        "of the graph has its reverse (never of a large graph on disk)",
        default=None,
    )
    max_size: int | None = setting(
        "changes that a counterfactual may have; None for any", default=None, at_least=1
    )

    def _preparation_of(self, data: Any) -> Preparation:
        return super()._preparation_of(data).rewired(self._widened)

    def _widened(self, wiring: Wiring) -> Wiring:
        """Fields that hold all that a prediction sees, degrees included."""
        return wiring if isinstance(wiring, OpaqueWiring) else WidenedWiring.of(wiring)

    def _changes(self, batch: InstanceBatch) -> Changes:
        """Evaluates what may change."""
        return Changes(batch, self.memory_budget, pairs=self._in_pairs(batch))

    def _in_pairs(self, batch: InstanceBatch) -> bool:
        return takes_pairs(batch.graph, self.pairs)


class CounterfactualSearch(CounterfactualExplainer):
    """Which fewest changes make the decision another?"""

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
    insertions: WhichInsertions = setting(
        "which nodes may be joined, of those that a prediction sees: each with an explained one "
        "('target'), all ('field'), or pairs [(0, 5), ...]",
        default="none",
    )
    features: WhichFeatures = setting(
        "whose features may be set to their baseline, one by one: those of explained nodes "
        "('target'), or of all that a prediction sees ('field')",
        default="none",
    )
    feature_baseline: Baseline = setting(
        "what features are set to: zero, or the mean over the graph's nodes", default="zero"
    )
    max_candidates: int = setting(
        "insertions of a prediction that may be tried, and features, at most; more are refused",
        default=2000,
        at_least=1,
    )
    rules: Sequence[Any] = setting(
        "what a changed graph has to keep: gg.graph_rules.Connected(), ..., or functions "
        "(node_type, edge_index) -> bool (graph tasks)",
        default=(),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rules = list(self.rules)  # results keep settings as JSON
        check_is_of_graphs(self.name, self.removal, "delete", self.task)
        check_rules(self.name, self.rules, self.task)
        self._check_insertions()
        for name in ("insertions", "features"):
            if getattr(self, name) == "target" and self.task.level == "graph":
                raise HyperParameterError(
                    f"{self.name}: {name}='target' means the explained node or link, of which a "
                    f"task about graphs has none; take {name}='field'"
                )
        if self.rules and self.features != "none":
            raise HyperParameterError(
                f"{self.name}: rules speak of what nodes are, which features={self.features!r} "
                "would change; leave one of them out"
            )

    def _check_insertions(self) -> None:
        """Hold pairs against what they have to be.

        Raises:
            HyperParameterError: naming what is wrong.
        """
        if isinstance(self.insertions, str):
            if self.insertions == "none":
                return
        elif not self.insertions or any(len(pair) != 2 for pair in self.insertions):
            raise HyperParameterError(
                f"{self.name}: insertions holds pairs of nodes, [(0, 5), ...], at least one; got "
                f"{list(self.insertions)[:3]!r}"
            )
        else:
            self.insertions = [[int(end) for end in pair] for pair in self.insertions]
        if self.removal == DROPS_NODES:
            raise HyperParameterError(
                f"{self.name}: insertions join nodes, which removal={self.removal!r} takes away "
                "with the last of their edges; leave one of them out"
            )

    @property
    def _allowed(self) -> Allowed:
        return Allowed(
            self.insertions,
            self.features,
            self.feature_baseline,
            self.max_candidates,
            self.rules,
        )

    def _widened(self, wiring: Wiring) -> Wiring:
        wiring = super()._widened(wiring)
        if self.insertions != "none" and isinstance(wiring, (OpaqueWiring, WidenedWiring)):
            # From the end of an inserted edge a prediction sees one hop less than by itself.
            return replace(wiring, beyond=wiring.reach - 1)
        return wiring

    def _changes(self, batch: InstanceBatch) -> Changes:
        return Changes(
            batch,
            self.memory_budget,
            pairs=self._in_pairs(batch),
            removal=self.removal,
            effect=self.effect,
            allowed=self._allowed,
        )
