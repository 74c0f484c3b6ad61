"""Columns of explanations, all parts together."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.results.explanation import Explanations


def in_order(explanations: Explanations, name: str) -> Tensor:
    """One of the columns that have a row for each instance, in the order of the explanations."""
    parts = explanations.own_parts()
    nothing = torch.empty(0, dtype=torch.long)
    order = torch.argsort(torch.cat([nothing, *(part.position for part in parts)]))
    values = [getattr(part, name) for part in parts]
    return torch.cat(values)[order] if values else nothing
