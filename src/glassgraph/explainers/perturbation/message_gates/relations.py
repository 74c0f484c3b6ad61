"""Relations that gates have not learned from: their gates stay open, and the user is told.

A relation is a site (a relation of `RGCNConv`, an edge type of a heterogeneous layer) and, where an
edge has one, its ``edge_type``. What a scorer says of messages it has never seen the like of means
nothing, and shutting them might change any prediction.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from glassgraph.core.messages import SiteMessages
from glassgraph.explainers.perturbation.message_gates.groups import MessageGroup

#: The type of edges that have none.
NO_TYPE = -1


class UnseenRelationWarning(UserWarning):
    """A relation is explained that no message of the fit had; its gates stay open."""


def edge_types(messages: SiteMessages) -> Tensor:
    """``[m]`` the type of each message's edge."""
    if messages.edge_type is None:
        return torch.full_like(messages.edge, NO_TYPE)
    return messages.edge_type.long()


def with_learned(
    groups: Sequence[MessageGroup], batches: Iterable[set[tuple[str, int]]]
) -> list[MessageGroup]:
    """The groups, with the relations of all messages of some batches."""
    seen: set[tuple[str, int]] = set().union(*batches)
    return [
        replace(
            group,
            learned=tuple(
                tuple(sorted(kind for name, kind in seen if name == each)) for each in group.names
            ),
        )
        for group in groups
    ]


def is_unseen(messages: SiteMessages, learned: Sequence[int] | None) -> Tensor:
    """``[m]`` whether each message is of a relation that was not learned from."""
    kinds = edge_types(messages)
    if learned is None:
        return torch.zeros_like(kinds, dtype=torch.bool)
    return ~torch.isin(kinds, torch.tensor(learned, dtype=torch.long, device=kinds.device))


def warn_of_unseen(found: Iterable[tuple[str, int]], stacklevel: int) -> None:
    """Name relations that were not learned from."""
    names = [
        name if kind == NO_TYPE else f"edge_type {kind} ({name})"
        for name, kind in sorted(set(found))
    ]
    if names:
        warnings.warn(
            f"relations that no message had while fitting: {', '.join(names)}. Nothing was learned "
            "about them; their gates stay open (score 1). Fit on graphs that have them",
            UnseenRelationWarning,
            stacklevel=stacklevel,
        )
