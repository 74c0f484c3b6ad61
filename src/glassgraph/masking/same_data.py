"""Whether explanations are those of this method, these data and this model."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from glassgraph.calling.protect import fingerprint
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.prepare import Preparation
from glassgraph.errors import ExplanationFileError
from glassgraph.inputs.task import probabilities
from glassgraph.results.explanation import Explanations

#: How far a prediction may be from the explained one, and the same as a share of the largest: room
#: for another device or precision, far less than what other features make of it.
_ABSOLUTE, _RELATIVE = 1e-5, 0.02


class Named(Protocol):
    """What is read of an explainer here."""

    name: ClassVar[str]
    model: Any


def check_same(explanations: Explanations, explainer: Named, preparation: Preparation) -> None:
    """Refuse explanations of another method, level, data or model.

    Raises:
        ExplanationFileError: naming what differs.
    """
    if explanations.method != explainer.name or explanations.level != preparation.task.level:
        raise ExplanationFileError(
            f"the explanations are {explanations.method}'s of {explanations.level} predictions, "
            f"the explainer is {explainer.name} with task {preparation.task.level!r}; give the "
            "explainer that made them"
        )
    rows = explanations.provenance.get("task", {}).get("rows")
    if rows != preparation.task.rows:
        raise ExplanationFileError(
            f"the explanations are of a task with rows={rows!r}, the explainer's has "
            f"rows={preparation.task.rows!r}; give the explainer that made them"
        )
    graph = explanations.provenance.get("graph", {})
    sizes = {
        "num_nodes": preparation.graph.num_nodes,
        "num_edges": preparation.graph.num_edges,
    }
    for name, got in sizes.items():
        if graph.get(name, got) != got:
            raise ExplanationFileError(
                f"the explanations are of data with {graph[name]} {name[4:]}, these have {got}; "
                "give the data that were explained"
            )
    _check_same_edges(explanations, preparation)
    made = explanations.provenance.get("model_fingerprint")
    if made is not None and made != fingerprint(explainer.model):
        raise ExplanationFileError(
            "the explanations are of a model with other weights; explain this one first"
        )


def _check_same_edges(explanations: Explanations, preparation: Preparation) -> None:
    """Refuse explanations of a graph whose edges join other nodes."""
    graph = preparation.graph
    for part in explanations.own_parts():
        if part.edge.numel() == 0:
            continue
        is_known = part.edge < graph.num_edges
        edge = torch.where(is_known, part.edge, 0).to(graph.device)
        ends = ((part.source, graph.source), (part.destination, graph.destination))
        for told, found in ends:
            is_known &= told == found[edge].cpu()
        if not bool(is_known.all()):
            number = int(part.edge[~is_known][0])
            raise ExplanationFileError(
                f"the explanations are of other data: edge {number} does not join the same nodes; "
                "give the data that were explained"
            )


def check_same_predictions(batch: InstanceBatch, explained: Tensor, largest: float) -> None:
    """Refuse explanations of predictions that the model does not make on these data.

    Of a model that does not repeat itself nothing is known.

    Args:
        batch: some of the instances.
        explained: ``[R, C]`` their predictions when they were explained.
        largest: the largest absolute value among those of all instances.

    Raises:
        ExplanationFileError: naming the first prediction that differs.
    """
    found = probabilities(batch.task, batch.reference).cpu()
    if found.shape != explained.shape or not found.numel():
        return
    relative = max(_RELATIVE, 8 * batch.model_call.half_rounding)
    is_off = (found - explained).abs().amax(dim=1) > _ABSOLUTE + relative * largest
    if not bool(is_off.any()) or not torch.allclose(batch.output(), batch.output()):
        return
    rows = batch.targets.rows
    first = int(is_off.nonzero()[0])
    first = first if rows is None else int(rows.instance[first])
    raise ExplanationFileError(
        f"the explanations are of other data: the model predicts other values for "
        f"{int(is_off.sum())} of {is_off.numel()} rows than when they were explained (the "
        f"first is that of index {int(batch.key[first])}); give the data that were explained"
    )
