"""Which messages share a scorer and a baseline.

A group is the sites of one layer whose messages have the same widths: all relations of an R-GCN are
one group (with a term of its own for each relation), the edge types of a heterogeneous layer may be
several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glassgraph.core.messages import SiteMessages


@dataclass(frozen=True)
class MessageGroup:
    """Messages that share a scorer and a baseline.

    Attributes:
        layer: message-passing step.
        sites: their sites, in execution order; each is a relation of its own.
        widths: of sender state, receiver state and message.
        is_matrix: whether they are entries of dense adjacency matrices.
        names: the sites' names: another graph may lead through other sites.
        learned: for each site the relations of messages that were learned from, see
            `glassgraph.explainers.perturbation.message_gates.relations`; None for any.
    """

    layer: int
    sites: tuple[int, ...]
    widths: tuple[int, int, int]
    is_matrix: bool = False
    names: tuple[str, ...] = ()
    learned: tuple[tuple[int, ...], ...] | None = None

    @property
    def name(self) -> str:
        """A key for its parameters."""
        return f"layer{self.layer}_site{self.sites[0]}"

    @staticmethod
    def restore(about: Mapping[str, Any]) -> MessageGroup:
        """The inverse of `dataclasses.asdict`, also after a detour through JSON."""
        learned = about.get("learned")
        tuples = {
            "sites": tuple(about["sites"]),
            "widths": tuple(about["widths"]),
            "names": tuple(about.get("names", ())),
            "learned": None if learned is None else tuple(map(tuple, learned)),
        }
        return MessageGroup(**{**about, **tuples})

    def numbers(self, names: Sequence[str]) -> dict[int, int]:
        """The group's sites, by position, among sites with these names."""
        if not self.names:  # of an older file
            return {site: number for number, site in enumerate(self.sites) if site < len(names)}
        positions = {name: position for position, name in enumerate(names)}
        return {
            positions[name]: number for number, name in enumerate(self.names) if name in positions
        }


def find_groups(messages: Sequence[SiteMessages], names: Sequence[str]) -> list[MessageGroup]:
    """Group sites by layer and widths, the last layer first; ``names`` are those of all sites."""
    found: dict[tuple[int, tuple[int, int, int], bool], list[int]] = {}
    for each in messages:
        key = (each.layer, each.widths, each.matrix is not None)
        found.setdefault(key, []).append(each.site)
    groups = [
        MessageGroup(layer, tuple(sites), widths, is_matrix, tuple(names[site] for site in sites))
        for (layer, widths, is_matrix), sites in found.items()
    ]
    return sorted(groups, key=lambda group: (-group.layer, group.sites))
