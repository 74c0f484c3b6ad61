"""Paths through the layers of one explanation, by the sum of its layer edge scores."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.brief import brief_repr
from glassgraph.errors import HyperParameterError, WalkError
from glassgraph.results.edge_paths import NodeName, node_position
from glassgraph.results.paths import Moves, best_paths
from glassgraph.results.records import LocalExplanation, explained_nodes


@dataclass(frozen=True)
class LayerPaths:
    """Paths from the features to the prediction, the best first.

    Attributes:
        nodes: ``[k, L + 1]`` the user's nodes.
        edges: ``[k, L]`` the user's edges, -1 where a path stays at its node.
        scores: ``[k]``.
        node_types: names of the types of the nodes of each path, where nodes have types.
        edge_types: likewise of its edges, "" where a path stays.
    """

    nodes: Tensor
    edges: Tensor
    scores: Tensor
    node_types: list[list[str]] | None = None
    edge_types: list[list[str]] | None = None

    __repr__ = brief_repr

    def __len__(self) -> int:
        return int(self.scores.numel())


def layer_paths(
    local: LocalExplanation, source: NodeName | None, target: NodeName | None, k: int
) -> LayerPaths:
    """The k best paths of an explanation; see `Explanation.paths`."""
    scores = local.layer_edge_score
    if scores is None:
        raise WalkError(
            "paths need a score for each edge at each layer, and this method gives edges one for "
            "all layers; use a layerwise method, such as edge_gradients or lrp"
        )
    if k < 1:
        raise HyperParameterError(f"k must be positive; got {k}")
    num_nodes = local.node_id.numel()
    here = torch.arange(num_nodes)
    ends = torch.cat([local.edge_index, here.expand(2, -1)], dim=1)
    stay = scores.new_zeros(num_nodes)
    layers = [Moves(ends[0], ends[1], torch.cat([each, stay])) for each in scores]
    is_end = _is(local, target)
    if target is None and local.seeds.numel():
        is_end = torch.zeros_like(is_end)
        is_end[explained_nodes(local)] = True
    found = best_paths(layers, torch.zeros_like(here), _is(local, source), is_end, k)
    edge_id = torch.cat([local.edge_id, torch.full((num_nodes,), -1)])
    edges = edge_id[found.move]
    return LayerPaths(
        local.node_id[found.node],
        edges,
        found.score,
        node_types=_words(local.node_type, found.node),
        edge_types=_words(local.edge_type, found.move),
    )


def _words(types: list[str] | None, chosen: Tensor) -> list[list[str]] | None:
    """Types of nodes or edges; "" for moves that are no edge."""
    if types is None:
        return None
    return [[types[at] if at < len(types) else "" for at in row] for row in chosen.tolist()]


def _is(local: LocalExplanation, node: NodeName | None) -> Tensor:
    """Which nodes of the receptive field are meant: all if None."""
    if node is None:
        return torch.ones_like(local.node_id, dtype=torch.bool)
    found, position = torch.zeros_like(local.node_id, dtype=torch.bool), node_position(local, node)
    if position is not None:
        found[position] = True
    return found
