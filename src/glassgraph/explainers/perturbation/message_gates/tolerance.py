"""How far predictions under gates may be from the model's own."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from glassgraph.explainers.divergence import Divergence
from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch

#: Bound on the divergence where the user gives none.
DEFAULT_TOLERANCE = 0.03


class UnmetConstraintWarning(UserWarning):
    """No solution within the tolerance was found; the nearest one is used."""


def resolve_tolerance(
    batches: Iterable[GatedBatch], divergence: Divergence, wanted: float | None
) -> float:
    """The bound on the mean divergence: the user's, 0.03, or 0.03 of the outputs' variance."""
    if wanted is not None:
        return wanted
    if divergence != "squared_error":
        return DEFAULT_TOLERANCE
    reference = torch.cat([gated.batch.reference for gated in batches])
    return DEFAULT_TOLERANCE * float(reference.var(dim=0, unbiased=False).sum())
