"""From one instance to dense masks on the user's whole graph, as PyG's tools expect them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from glassgraph.errors import ExplanationFileError
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.node_features import feature_name, may_read
from glassgraph.results.contents import Contents
from glassgraph.results.counterfactual import found_by_method
from glassgraph.results.dense import Explanation, HeteroExplanation
from glassgraph.results.records import LocalExplanation
from glassgraph.results.type_names import edge_type_words


def dense_explanation(contents: Contents, local: LocalExplanation) -> Any:
    """An `Explanation`, or a `HeteroExplanation`, in the user's order of nodes and edges.

    Raises:
        ExplanationFileError: if the graph was not stored beside the explanations.
    """
    if contents.graph is None:
        raise ExplanationFileError(
            "the saved folder holds no graph (it was too large to store, or on disk already); pass "
            "it to load: Explanations.load(folder, data=data)"
        )
    if contents.graph.is_heterogeneous:
        return _heterogeneous(contents.graph, local, _reads(contents))
    data, device = contents.graph.single(local.graph), contents.graph.device
    explanation: Any = Explanation.from_dict(data.to_dict())
    num_nodes, num_edges = int(data.num_nodes), int(data.num_edges)
    explanation.num_nodes = num_nodes
    _set_node_masks(explanation, local, num_nodes, slice(None), device, _reads(contents))
    _set_edge_masks(explanation, local, num_edges, slice(None), device)
    _describe(explanation, contents, local, num_nodes, device)
    return _with_counterfactual(explanation, local, data)


def _heterogeneous(graph: TypedGraph, local: LocalExplanation, reads: Callable[[str], bool]) -> Any:
    data, device = graph.single(local.graph), graph.device
    explanation: Any = HeteroExplanation.from_dict(data.to_dict())
    nodes, edges = local.node_type or [], local.edge_type or []
    for name in data.node_types:
        rows = torch.tensor([i for i, kind in enumerate(nodes) if kind == name]).long()
        store = explanation[name]
        _set_node_masks(store, local, int(data[name].num_nodes), rows, device, reads)
    for name, word in zip(graph.edge_types, edge_type_words(graph.edge_types), strict=True):
        rows = torch.tensor([i for i, kind in enumerate(edges) if kind == word]).long()
        store = explanation[name]
        _set_edge_masks(store, local, int(data[name].edge_index.size(1)), rows, device)
    explanation.local = local
    explanation.index = local.index
    return _with_counterfactual(explanation, local, data)


def _with_counterfactual(explanation: Any, local: LocalExplanation, data: Any) -> Any:
    found = found_by_method(local, data)
    if found is not None:
        explanation.counterfactual = found
    return explanation


def _describe(
    explanation: Any,
    contents: Contents,
    local: LocalExplanation,
    num_nodes: int,
    device: torch.device,
) -> None:
    """Add what PyG's metrics read: index, target, prediction, names of model arguments."""
    classes = local.target[0] if isinstance(local.target, tuple) else local.target
    explanation.local = local
    if contents.level == "node":
        # PyG keeps a target for every node; only the explained one is meaningful here.
        target = torch.full((num_nodes,), -1, dtype=torch.long, device=device)
        node = int(local.seeds[0])  # within its graph, where several were given
        assert classes is not None
        target[node] = classes
        explanation.index = node
    elif local.rows is not None:
        target = local.rows["target"].to(device)
    else:
        target = torch.tensor([classes], device=device)
    explanation.target = target
    names = contents.provenance.get("model_arguments", [])
    explanation._model_args = [
        name for name in names if name not in ("x", "edge_index") and name in explanation
    ]


def _set_edge_masks(
    store: Any, local: LocalExplanation, num_edges: int, rows: Any, device: torch.device
) -> None:
    """Scatter the edge scores of some rows into masks over ``num_edges`` edges."""
    at = local.edge_id[rows]
    if local.edge_score is not None:
        mask = local.edge_score.new_zeros(num_edges)
        mask[at] = local.edge_score[rows]
        store.edge_mask = mask.to(device)
    if local.layer_edge_score is not None:
        layers = local.layer_edge_score.new_zeros(local.layer_edge_score.size(0), num_edges)
        layers[:, at] = local.layer_edge_score[:, rows]
        store.layer_edge_mask = layers.to(device)


def _reads(contents: Contents) -> Callable[[str], bool]:
    """Whether the explained model may have read an attribute."""
    return may_read(contents.provenance.get("model_arguments"))


def _set_node_masks(
    store: Any,
    local: LocalExplanation,
    num_nodes: int,
    rows: Any,
    device: torch.device,
    reads: Callable[[str], bool],
) -> None:
    """Scatter the node and feature scores of some rows into masks over ``num_nodes`` nodes."""
    at = local.node_id[rows]
    if local.node_score is not None:
        score = local.node_score.new_zeros(num_nodes)
        score[at] = local.node_score[rows]
        store.node_score = score.to(device)
        store.node_mask = store.node_score.view(-1, 1)
    name = feature_name(store, reads)
    if local.feature_score is not None and name is not None:
        shape = store[name].shape[1:]
        width = math.prod(shape)
        mask = local.feature_score.new_zeros(num_nodes, width)
        mask[at] = local.feature_score[rows][:, :width]
        store.node_mask = mask.view(num_nodes, *(shape or (1,))).to(device)
