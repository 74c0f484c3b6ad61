"""Phrases of a sentence as a tree: which nodes are words, and where all of them are drawn.

Nobody has to say that a graph is one: its nodes are named, its edges join a phrase to its parts,
and the words of a phrase are those of its parts, in the order of their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from glassgraph.report.protocols import LocalLike

__all__ = ["PhraseTree"]


@dataclass(frozen=True)
class PhraseTree:
    """A sentence, its phrases and their words.

    Attributes:
        parent: ``[n]`` position of the phrase that a node is part of; None for the sentence.
        words: positions of the nodes without parts, as they are read.
    """

    parent: Sequence[int | None]
    words: Sequence[int]

    @staticmethod
    def of(local: LocalLike) -> PhraseTree | None:
        """The tree of an instance; None where its names and edges tell of none."""
        names, count = local.node_names, len(local.node_id)
        if names is None or local.node_type is not None or count < 3:
            return None
        pairs = {tuple(sorted(pair)) for pair in local.edge_index.t().tolist()}
        if len(pairs) != count - 1 or any(a == b for a, b in pairs):
            return None
        neighbors: dict[int, list[int]] = {node: [] for node in range(count)}
        for a, b in pairs:
            neighbors[a].append(b)
            neighbors[b].append(a)
        top = max(range(count), key=lambda node: len(names[node].split()))
        reading = torch.argsort(local.node_id).tolist()
        return _rooted(top, names, neighbors, {node: at for at, node in enumerate(reading)})

    def places(self, widths: Sequence[float]) -> dict[int, tuple[float, float]]:
        """Where nodes stand: words in a row at height 0, phrases above the middle of their parts.

        Args:
            widths: room that each node takes in the row.
        """
        place: dict[int, tuple[float, float]] = {}
        at = 0.0
        for word in self.words:
            place[word] = (at + widths[word] / 2, 0.0)
            at += widths[word]
        parts: dict[int, list[int]] = {}
        for node, parent in enumerate(self.parent):
            if parent is not None:
                parts.setdefault(parent, []).append(node)
        while len(place) < len(self.parent):
            ready = [
                node
                for node, own in parts.items()
                if node not in place and all(part in place for part in own)
            ]
            for node in ready:
                own = [place[part] for part in parts[node]]
                across = [x for x, _ in own]
                middle = (min(across) + max(across)) / 2
                place[node] = (middle, 1.0 + max(height for _, height in own))
        return place


def _rooted(
    top: int,
    names: Sequence[str],
    neighbors: Mapping[int, Sequence[int]],
    reading: Mapping[int, int],
) -> PhraseTree | None:
    """The tree below a node, if it reaches all nodes and every phrase is its parts."""
    parent: dict[int, int | None] = {top: None}
    words: list[int] = []
    waiting = [top]
    while waiting:
        node = waiting.pop()
        parts = [other for other in neighbors[node] if other != parent[node]]
        parts.sort(key=lambda part: reading[part])
        if not parts:
            words.append(node)
        elif len(parts) < 2 or " ".join(names[part] for part in parts) != names[node]:
            return None
        parent.update(dict.fromkeys(parts, node))
        waiting += reversed(parts)
    if len(parent) < len(names):
        return None
    return PhraseTree([parent[node] for node in range(len(names))], words)
