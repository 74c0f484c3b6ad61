"""From the scores of a batch to columns of a result, in the user's numbers, on the CPU.

Files and tables know no half precision: scores and predictions are float32 or more.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.calling.precision import at_least_single
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.feature_scores import flat_features
from glassgraph.core.prepare import Preparation
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.labels import find_labels
from glassgraph.inputs.rows import Rows
from glassgraph.inputs.task import probabilities
from glassgraph.results.records import ROWS, Attribution, Part, Table


def unpack(
    preparation: Preparation,
    instances: Instances,
    position: Tensor,
    batch: InstanceBatch,
    attribution: Attribution,
    remark: tuple[str, ...] = (),
) -> Part:
    """The columns of a batch's instances.

    Args:
        preparation: the model and the graph.
        instances: everything that is explained.
        position: ``[B]`` which of them are in the batch.
        batch: the batch.
        attribution: its scores.
        remark: of each instance why its scores tell nothing apart; none if all do.
    """
    own = instances.take(position)
    labels = find_labels(preparation.graph, preparation.task, own)
    answers = _answers(batch, labels)
    tables = {name: _table(batch, table) for name, table in sorted(attribution.tables.items())}
    if own.rows is not None:
        tables[ROWS] = _rows(own.rows, answers)
        answers = _common(own.rows, answers)
    nodes, edges = _own_rows(batch, own.graph)
    feature = flat_features(batch, attribution.feature)
    return Part(
        position=position.cpu(),
        index=own.index.cpu(),
        graph=own.graph.cpu(),
        seed=own.seeds.cpu(),
        **{name: value.cpu() for name, value in answers.items()},
        **_members(batch, nodes, edges),
        edge_score=_column(attribution.edge, edges),
        layer_edge_score=_column(attribution.layer_edge, edges),
        node_score=_column(attribution.node, nodes),
        feature_score=None if feature is None else at_least_single(feature.detach())[nodes].cpu(),
        total=_column(attribution.total),
        **_walks(batch, attribution),
        tables=tables,
        remark=remark,
    )


def _own_rows(batch: InstanceBatch, graph: Tensor) -> tuple[Tensor | slice, Tensor | slice]:
    """The nodes and edges to keep: the fall-back runs on all graphs, of which one is explained."""
    owner = batch.graph.node_graph
    if not batch.is_whole or owner is None or batch.graph.joined is not None:
        return slice(None), slice(None)
    nodes = owner[batch.fields.node] == graph
    return nodes, nodes[batch.fields.source]


def _answers(batch: InstanceBatch, labels: Tensor | None) -> dict[str, Tensor]:
    """What is explained, for each row of the output."""
    chosen, contrast = batch.targets.chosen, batch.targets.contrast
    minus = torch.full_like(chosen, -1)
    return {
        "target": chosen,
        "contrast": minus if contrast is None else contrast,
        "label": minus if labels is None else labels.long(),
        "prediction": probabilities(batch.task, batch.reference).detach(),
    }


def _rows(rows: Rows, answers: dict[str, Tensor]) -> Table:
    """The rows of instances that have several, as a table."""
    values = {"row": rows.number, **answers}
    return Table(
        rows.instance.cpu(),
        {"node": rows.node.cpu()},
        {name: value.cpu() for name, value in values.items()},
    )


def _common(rows: Rows, answers: dict[str, Tensor]) -> dict[str, Tensor]:
    """For each instance what its rows have in common, -1 where they differ; no prediction."""
    first = rows.pointer[:-1]
    found = {}
    for name in ("target", "contrast", "label"):
        value = answers[name]
        found[name] = value[first].where(rows.all(value == value[first][rows.instance]), -1)
    found["contrast"] = found["contrast"].where(found["target"] >= 0, -1)
    return found | {"prediction": answers["prediction"].new_empty((first.numel(), 0))}


def _members(
    batch: InstanceBatch, nodes: Tensor | slice, edges: Tensor | slice
) -> dict[str, Tensor]:
    """Which nodes and edges are whose."""
    fields = batch.fields
    found = {
        "node_instance": fields.node_instance[nodes],
        "node": fields.node[nodes],
        "edge_instance": fields.edge_instance[edges],
        "edge": fields.edge[edges],
        "source": fields.node[fields.source][edges],
        "destination": fields.node[fields.destination][edges],
    }
    return {name: value.cpu() for name, value in found.items()}


def _column(value: Tensor | None, rows: Tensor | slice = slice(None)) -> Tensor | None:
    return None if value is None else at_least_single(value.detach())[..., rows].cpu()


def _table(batch: InstanceBatch, table: Table) -> Table:
    """A table with flat nodes, on the CPU."""
    flat = batch.fields.node
    nodes = {
        name: torch.where(row < 0, -1, flat[row.clamp_min(0)]).cpu()
        for name, row in table.nodes.items()
    }
    values = {name: value.detach().cpu() for name, value in table.values.items()}
    return Table(table.instance.cpu(), nodes, values)


def _walks(batch: InstanceBatch, attribution: Attribution) -> dict[str, Tensor]:
    """Columns of walks, for methods that have any."""
    if attribution.walk is None or attribution.walk_score is None:
        return {}
    return {
        "walk_instance": batch.node_instance[attribution.walk[:, 0]].cpu(),
        "walk": batch.fields.node[attribution.walk].cpu(),
        "walk_score": attribution.walk_score.detach().cpu(),
    }
