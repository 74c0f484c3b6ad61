"""How well scores of edges find planted motifs: areas under the ROC curve, and model evidence."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from glassgraph.calling.protect import protected
from glassgraph.datasets import ExplanationDataset
from glassgraph.errors import DatasetError
from glassgraph.explainers.perturbation.random import Random
from glassgraph.metrics.scores import Ranking, edge_scores
from glassgraph.results.explanation import Explanations, LocalExplanation


def motif_areas(
    explanations: Explanations,
    dataset: ExplanationDataset,
    target: int | None = None,
    *,
    ranking: Ranking = "signed",
) -> tuple[float, float]:
    """The area with all planted edges as truth, and with those of the own motif; see the module.

    Args:
        explanations: what is measured.
        dataset: what was explained.
        target: look at predictions of this class alone.
        ranking: by signed or by absolute scores.

    Raises:
        DatasetError: if all edges are true, or none is.
    """
    scores: list[Tensor] = []
    planted: list[Tensor] = []
    own: list[Tensor] = []
    for local in map(explanations.local, range(len(explanations))):
        if target is not None and local.target != target:
            continue
        graph = dataset.graphs[0 if dataset.level == "node" else local.graph]
        assert local.edge_truth is not None
        pair = undirected(local)
        count = torch.bincount(pair)
        scores.append(
            count.double().zero_().index_add_(0, pair, edge_scores(local, ranking)) / count
        )
        for found, truth in (
            (planted, graph.ground_truth_edge_mask[local.edge_id]),
            (own, local.edge_truth),
        ):
            found.append(torch.zeros_like(count, dtype=torch.bool).index_fill_(0, pair[truth], 1))
    areas = []
    for each in (planted, own):
        truth = torch.cat(each) if each else torch.zeros(0, dtype=torch.bool)
        if bool(truth.all()) or not bool(truth.any()):
            raise DatasetError(f"{dataset.name}: edges of one kind alone have no ranking")
        areas.append(float(roc_auc_score(truth.numpy(), torch.cat(scores).numpy())))
    return areas[0], areas[1]


def areas_by_class(
    explanations: Explanations, dataset: ExplanationDataset
) -> list[float | None] | None:
    """The area of each predicted class of graphs."""
    if dataset.level == "node":
        return None
    found: list[float | None] = []
    for target in range(dataset.num_classes):
        try:
            found.append(motif_areas(explanations, dataset, target)[0])
        except DatasetError:
            found.append(None)
    return found


def undirected(local: LocalExplanation) -> Tensor:
    """``[e]`` the number of each edge's pair of nodes."""
    ends = local.edge_index.sort(dim=0).values
    found: Tensor = torch.unique(ends, dim=1, return_inverse=True)[1]
    return found


def motif_evidence(
    model: torch.nn.Module, dataset: ExplanationDataset, index: Tensor
) -> list[dict[str, Any]]:
    """Does the model need the motif?

    Returns:
        ``{target, count, p_whole, p_motif, p_rest}`` for each predicted class of graphs, for all
        nodes together: the mean probabilities of the predicted class with all messages, with those
        of planted edges alone, and with all others.
    """
    data = dataset.graphs[0] if dataset.level == "node" else dataset.graphs
    explainer = Random(model, dataset.level, progress=False)
    preparation = explainer.prepare(data)
    instances = preparation.instances(index)
    found: dict[int, list[Tensor]] = {}
    with protected(model), torch.no_grad():
        for _, batch in preparation.batches(instances, None, explainer.memory_budget):
            planted = batch.graph.data["ground_truth_edge_mask"][batch.fields.edge]
            planted = planted.to(batch.dtype)
            gates = (batch.ones(), planted, 1 - planted)
            p = torch.stack([batch.loss(each).neg().exp() for each in gates], dim=1)
            group = (
                batch.targets.chosen if dataset.level == "graph" else batch.key.new_zeros(len(p))
            )
            for target in group.unique().tolist():
                found.setdefault(target, []).append(p[group == target])
    rows = []
    for target, parts in sorted(found.items()):
        p = torch.cat(parts)
        whole, motif, rest = p.double().mean(dim=0).tolist()
        row = {"target": target if dataset.level == "graph" else None, "count": len(p)}
        rows.append({**row, "p_whole": whole, "p_motif": motif, "p_rest": rest})
    return rows
