"""What was found, as scores, tables and remarks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.perturbation.counterfactuals.best import Best
from glassgraph.explainers.perturbation.search.twin_edges import mean_of_twins
from glassgraph.inputs import task
from glassgraph.results.counterfactual import DELETED, FOUND
from glassgraph.results.records import Attribution, Reason, Table

NOTHING = "no deletion of edges moves the prediction towards another decision"
NOT_CHANGED = (
    "no deletion that was tried changes the decision; the edges that score come nearest to it"
)


def answer(
    batch: InstanceBatch,
    best: Best,
    *,
    tried_up_to: Tensor | None = None,
    reasons: tuple[Reason, ...] = (),
) -> Attribution:
    """Scores 1 for the edges that go; what that changes as tables.

    Args:
        batch: the instances.
        best: what was found.
        tried_up_to: ``[B]`` the size up to which every deletion was tried.
        reasons: what else there is to say.
    """
    goes = best.deletions.spread(best.deleted.to(batch.dtype))
    is_none = best.size == 0
    more = {} if tried_up_to is None else {"tried_up_to": tried_up_to}
    return Attribution(
        edge=mean_of_twins(batch, goes),
        tables=tables(batch, best, **more),
        reasons=(
            *reasons,
            Reason(NOTHING, is_none),
            Reason(NOT_CHANGED, ~best.changes & ~is_none, is_told=True),
        ),
    )


def tables(batch: InstanceBatch, best: Best, **more: Tensor) -> dict[str, Table]:
    """Which edges go, and what that changes.

    Args:
        batch: the instances.
        best: what was found.
        **more: further columns ``[B]`` of the table with a row for each instance.
    """
    goes = best.deletions.spread(best.deleted.to(batch.dtype)) > 0
    return {DELETED: _deleted(batch, goes), FOUND: _found(batch, best, more)}


def _deleted(batch: InstanceBatch, goes: Tensor) -> Table:
    """A row for each edge that goes; ``edge`` counts the instance's own."""
    edge = goes.nonzero().view(-1)
    fields, count = batch.fields, batch.edges_per_instance
    instance = batch.edge_instance[edge]
    ends = {"source": fields.source[edge], "destination": fields.destination[edge]}
    return Table(instance, ends, {"edge": edge - (count.cumsum(0) - count)[instance]})


def _found(batch: InstanceBatch, best: Best, more: Mapping[str, Tensor]) -> Table:
    """A row for each instance."""
    everyone = torch.arange(batch.num_instances, device=batch.device)
    after = best.deletions.outputs(everyone, best.deleted)
    values = {
        "size": best.size,
        "num_items": best.deletions.num_items,
        "in_pairs": torch.full_like(best.changes, best.deletions.in_pairs),
        "valid": best.changes,
        "before": task.explained_probability(batch.task, batch.reference, batch.targets),
        "after": task.explained_probability(batch.task, after, batch.targets),
        "distance": best.distance,
    }
    if batch.task.is_classification and batch.targets.rows is None:
        values["new_class"] = task.predicted_class(batch.task, after)
    return Table(everyone, {}, {**values, **more})
