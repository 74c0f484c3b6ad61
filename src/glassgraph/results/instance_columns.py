"""Columns of explanations, all parts together."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.results.explanation import Explanations
from glassgraph.results.records import ROWS


def in_order(explanations: Explanations, name: str) -> Tensor:
    """One of the columns that have a row for each instance, in the order of the explanations."""
    parts = explanations.own_parts()
    nothing = torch.empty(0, dtype=torch.long)
    order = torch.argsort(torch.cat([nothing, *(part.position for part in parts)]))
    values = [getattr(part, name) for part in parts]
    return torch.cat(values)[order] if values else nothing


def rows_in_order(explanations: Explanations, name: str) -> Tensor:
    """A column with an entry for each row of the output, in the order of the explanations.

    Of instances with one row each it is that of `in_order`.
    """
    parts = explanations.own_parts()
    if not any(ROWS in part.tables for part in parts):
        return in_order(explanations, name)
    position = torch.cat([part.position[part.tables[ROWS].instance] for part in parts])
    values = torch.cat([part.tables[ROWS].values[name] for part in parts])
    return values[torch.argsort(position, stable=True)]
