"""What a counterfactual changes, as pages and figures show it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from glassgraph.report.protocols import LocalLike
from glassgraph.results.counterfactual import DELETED, FEATURES, FOUND, INSERTED

__all__ = ["ShownChanges"]


@dataclass(frozen=True)
class ShownChanges:
    """The changes of one instance; edges and nodes by their positions in it.

    Attributes:
        is_valid: whether the decision is another.
        size: how many changes there are.
        before: probability of the explained class, or the value.
        after: the same with the changes.
        new_class: what is predicted then; None where nothing says so.
        is_undirected: whether both directions of an edge are one change.
        deleted: edges that go.
        inserted: ends of edges that come.
        features: node, number, value before and value after of features that are set.
    """

    is_valid: bool
    size: int
    before: float
    after: float
    new_class: int | None
    is_undirected: bool
    deleted: list[int]
    inserted: list[tuple[int, int]]
    features: list[tuple[int, int, float, float]]

    @classmethod
    def of(cls, local: LocalLike) -> ShownChanges | None:
        """Those of an instance; None of a method that looks for none."""
        if FOUND not in local.tables:
            return None
        found = {name: value[0] for name, value in local.tables[FOUND].items()}
        inserted, features = (local.tables.get(name) for name in (INSERTED, FEATURES))
        after = float(found["after"])
        has_class = "new_class" in found and not math.isnan(after)
        ends: list[tuple[int, int]] = []
        if inserted is not None:
            pairs = zip(inserted["source"].tolist(), inserted["destination"].tolist(), strict=True)
            ends = list(pairs)
        columns = ("node", "column", "before", "after")
        return cls(
            is_valid=bool(found["valid"]),
            size=int(found["size"]),
            before=float(found["before"]),
            after=after,
            new_class=int(found["new_class"]) if has_class else None,
            is_undirected=bool(found["in_pairs"]),
            deleted=local.tables[DELETED]["edge"].tolist(),
            inserted=ends,
            features=[]
            if features is None
            else list(zip(*(features[name].tolist() for name in columns), strict=True)),
        )

    @property
    def lines(self) -> list[tuple[int, int]]:
        """Ends of inserted edges, both directions once where they are one change."""
        if not self.is_undirected:
            return self.inserted
        return list(dict.fromkeys((min(ends), max(ends)) for ends in self.inserted))

    @property
    def nodes(self) -> list[int]:
        """Nodes at inserted edges, and those whose features are set."""
        return sorted({n for ends in self.inserted for n in ends} | {f[0] for f in self.features})
