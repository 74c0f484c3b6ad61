"""Scores from gradients with respect to messages and features."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.feature_scores import sum_features
from glassgraph.core.modified_backward import ModifiedBackward
from glassgraph.results.explanation import Attribution


def of_input_gradients(
    batch: InstanceBatch,
    change: Callable[[Tensor], Tensor],
    backward: ModifiedBackward | None = None,
) -> Attribution:
    """Score edges and features by their gradients, and nodes by the sum over their features.

    Args:
        batch: the instances.
        change: what becomes of a gradient, element by element.
        backward: another backward pass than autograd's own.
    """
    gates, features = batch.ones().requires_grad_(), batch.feature_leaves()
    inputs = [gates, *(x for x in features if x is not None)]
    with torch.enable_grad():
        score = batch.score(gates, features, backward=backward)
        gradients = batch.gradients(score, inputs)
    edge, *rest = (change(gradient) for gradient in gradients)
    found = iter(rest)
    changed = [None if x is None else next(found) for x in features]
    if not rest:
        return Attribution(edge=edge)
    return Attribution(edge=edge, node=sum_features(batch, changed), feature=changed)
