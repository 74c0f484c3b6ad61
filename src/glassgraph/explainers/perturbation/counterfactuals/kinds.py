"""What may be changed, besides edges that are deleted, and what has to hold then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

#: Which pairs of nodes may be joined: those of explained nodes, of the whole field, or given ones.
WhichInsertions: TypeAlias = Literal["none", "target", "field"] | Sequence[Sequence[int]]
#: Whose features may be set to their baseline.
WhichFeatures: TypeAlias = Literal["none", "target", "field"]
#: What a feature is set to.
Baseline: TypeAlias = Literal["zero", "mean"]


@dataclass(frozen=True)
class Allowed:
    """What a search may change.

    Attributes:
        insertions: which pairs of nodes may be joined.
        features: whose features may be set to their baseline.
        baseline: what they are set to.
        most: insertions, and features, of one instance.
        rules: what a changed graph has to keep, see `glassgraph.graph_rules`.
    """

    insertions: WhichInsertions = "none"
    features: WhichFeatures = "none"
    baseline: Baseline = "zero"
    most: int = 2000
    rules: Sequence[Callable[..., Any]] = ()

    @property
    def inserts(self) -> bool:
        """Whether edges may be inserted."""
        return self.insertions != "none"


DELETIONS = Allowed()
