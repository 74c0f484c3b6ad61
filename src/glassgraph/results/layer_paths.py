"""Paths through the layers of one explanation, by the sum of its layer edge scores."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glassgraph.brief import brief_repr
from glassgraph.errors import HyperParameterError, InstanceError, WalkError
from glassgraph.results.paths import Moves, best_paths
from glassgraph.results.records import LocalExplanation


@dataclass(frozen=True)
class LayerPaths:
    """Paths from the features to the prediction, the best first.

    Attributes:
        nodes: ``[k, L + 1]`` the user's nodes.
        edges: ``[k, L]`` the user's edges, -1 where a path stays at its node.
        scores: ``[k]``.
    """

    nodes: Tensor
    edges: Tensor
    scores: Tensor

    __repr__ = brief_repr

    def __len__(self) -> int:
        return int(self.scores.numel())


def layer_paths(
    local: LocalExplanation, source: int | None, target: int | None, k: int
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
    if local.node_type is not None:
        raise WalkError("paths are found on homogeneous graphs; this one has node types")
    num_nodes = local.node_id.numel()
    here = torch.arange(num_nodes)
    ends = torch.cat([local.edge_index, here.expand(2, -1)], dim=1)
    stay = scores.new_zeros(num_nodes)
    layers = [Moves(ends[0], ends[1], torch.cat([each, stay])) for each in scores]
    is_end = _is(local, target)
    if target is None and local.seeds.numel():
        is_end = torch.isin(local.node_id, local.seeds)
    found = best_paths(layers, torch.zeros_like(here), _is(local, source), is_end, k)
    edge_id = torch.cat([local.edge_id, torch.full((num_nodes,), -1)])
    edges = edge_id[found.move]
    return LayerPaths(local.node_id[found.node], edges, found.score)


def _is(local: LocalExplanation, node: int | None) -> Tensor:
    """Which nodes of the receptive field are meant: all if None."""
    if node is None:
        return torch.ones_like(local.node_id, dtype=torch.bool)
    if isinstance(node, bool) or not isinstance(node, int) or node < 0:
        raise InstanceError(f"a path runs between nodes, given by their numbers; got {node!r}")
    return local.node_id == node
