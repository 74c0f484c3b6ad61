"""What was found, as scores, tables and remarks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.perturbation.counterfactuals.best import Best
from glassgraph.explainers.perturbation.search.twin_edges import mean_of_twins
from glassgraph.inputs import task
from glassgraph.results.counterfactual import DELETED, FEATURES, FOUND, INSERTED
from glassgraph.results.records import Attribution, Reason, Table

#: What scores are where nothing was found.
NEAREST = "the edges that score come nearest to it"
_NO_EDGE = "the counterfactual deletes no edge: what it inserts or sets is in its tables"


def answer(
    batch: InstanceBatch,
    best: Best,
    *,
    tried_up_to: Tensor | None = None,
    reasons: tuple[Reason, ...] = (),
) -> Attribution:
    """Scores 1 for the edges that go; all that changes, and what that does, as tables.

    Args:
        batch: the instances.
        best: what was found.
        tried_up_to: ``[B]`` the size up to which every set of changes was tried.
        reasons: what else there is to say.
    """
    goes = _deleted(best)
    score = mean_of_twins(batch, goes.to(batch.dtype))
    is_none = best.size == 0
    has_deleted = torch.zeros_like(is_none)
    has_deleted[batch.edge_instance[goes]] = True
    keeping = "that keeps the rules " if best.changes.has_rules else ""
    more = {} if tried_up_to is None else {"tried_up_to": tried_up_to}
    return Attribution(
        edge=score,
        tables=tables(batch, best, **more),
        reasons=(
            *reasons,
            Reason(f"no change {keeping}moves the prediction towards another decision", is_none),
            Reason(
                f"no change that was tried {changing(best)}; {NEAREST}",
                ~best.is_valid & ~is_none,
                is_told=True,
            ),
            Reason(_NO_EDGE, ~has_deleted, is_told=True),
        ),
    )


def changing(best: Best) -> str:
    """What a counterfactual does, in words."""
    also = " and keeps the rules" if best.changes.has_rules else ""
    return f"changes the decision{also}"


def tables(batch: InstanceBatch, best: Best, **more: Tensor) -> dict[str, Table]:
    """What changes, and what that does.

    Args:
        batch: the instances.
        best: what was found.
        **more: further columns ``[B]`` of the table with a row for each instance.
    """
    found = {DELETED: _deleted_edges(batch, best), FOUND: _found(batch, best, more)}
    if bool(best.changes.insertions.is_new.any()):
        found[INSERTED] = _inserted_edges(best)
    if best.changes.resets.instance.numel():
        found[FEATURES] = _changed_features(best)
    return found


def _deleted(best: Best) -> Tensor:
    """``[e]`` which of the instances' own edges go."""
    return best.changes.edges(best.changed)[best.changes.insertions.own]


def _deleted_edges(batch: InstanceBatch, best: Best) -> Table:
    """A row for each edge that goes; ``edge`` counts the instance's own."""
    edge = _deleted(best).nonzero().view(-1)
    fields, count = batch.fields, batch.edges_per_instance
    instance = batch.edge_instance[edge]
    ends = {"source": fields.source[edge], "destination": fields.destination[edge]}
    return Table(instance, ends, {"edge": edge - (count.cumsum(0) - count)[instance]})


def _inserted_edges(best: Best) -> Table:
    """A row for each edge that comes, with its attributes."""
    insertions = best.changes.insertions
    fields = insertions.batch.fields
    edge = (best.changes.edges(best.changed) & insertions.is_new).nonzero().view(-1)
    ends = {"source": fields.source[edge], "destination": fields.destination[edge]}
    attributes = {
        name: row.expand(edge.numel(), *row.shape[1:])
        for name, row in insertions.attributes.items()
    }
    return Table(fields.edge_instance[edge], ends, attributes)


def _changed_features(best: Best) -> Table:
    """A row for each feature that is set to its baseline."""
    resets = best.changes.resets
    row = best.changes.features(best.changed).nonzero().view(-1)
    values = {name: getattr(resets, name)[row] for name in ("column", "before", "after")}
    return Table(resets.instance[row], {"node": resets.node[row]}, values)


def _found(batch: InstanceBatch, best: Best, more: Mapping[str, Tensor]) -> Table:
    """A row for each instance."""
    changes = best.changes
    everyone = torch.arange(batch.num_instances, device=batch.device)
    after = changes.outputs(everyone, best.changed)
    values = {
        "size": best.size,
        "num_items": changes.num_edges,
        "in_pairs": torch.full_like(best.is_valid, changes.in_pairs),
        "valid": best.is_valid,
        "before": task.explained_probability(batch.task, batch.reference, batch.targets),
        "after": task.explained_probability(batch.task, after, batch.targets),
        "distance": best.distance,
    }
    if batch.task.is_classification and batch.targets.rows is None:
        values["new_class"] = task.predicted_class(batch.task, after)
    return Table(everyone, {}, {**values, **more})
