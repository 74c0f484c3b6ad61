"""What GNNShap measures: computation graphs of nodes, and predictions with edges taken out of them.

The computation graph of a node has the edges whose messages reach it, and no others, so the degrees
of its boundary are not those of the whole graph. An edge that is dropped is deleted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.data import Data


@dataclass(frozen=True)
class Computation:
    """The computation graph of one node.

    Attributes:
        node: the node's number in the whole graph.
        x: ``[n, F]`` features.
        edge_index: ``[2, e]`` edges.
        root: the node's number here.
    """

    node: int
    x: Tensor
    edge_index: Tensor
    root: int


def computation(graph: Data, node: int, hops: int) -> Computation:
    """The edges from which a node can be reached in so many steps."""
    source, destination = graph.edge_index
    is_kept = torch.zeros(graph.num_edges, dtype=torch.bool)
    frontier = torch.tensor([node])
    for _ in range(hops):
        into = torch.isin(destination, frontier)
        is_kept |= into
        frontier = source[into].unique()
    edge_index = graph.edge_index[:, is_kept]
    nodes, place = torch.cat([torch.tensor([node]), edge_index.flatten()]).unique(
        return_inverse=True
    )
    return Computation(node, graph.x[nodes], place[1:].view(2, -1), int(place[0]))


def side_by_side(computations: Sequence[Computation]) -> tuple[Data, list[int]]:
    """All of them as one graph, and their nodes in it."""
    sizes = torch.tensor([each.x.size(0) for each in computations])
    start = (sizes.cumsum(0) - sizes).tolist()
    edges = [each.edge_index + first for each, first in zip(computations, start, strict=True)]
    x = torch.cat([each.x for each in computations])
    roots = [each.root + first for each, first in zip(computations, start, strict=True)]
    return Data(x=x, edge_index=torch.cat(edges, dim=1)), roots


@torch.no_grad()
def fidelities(
    model: nn.Module, each: Computation, score: Tensor, top: int, share: float
) -> tuple[float, float]:
    """How far the probability of the predicted class moves, ``fid+`` and ``fid-``.

    Args:
        model: the network.
        each: a computation graph.
        score: ``[e]`` scores of its edges, which count by their absolute value.
        top: how many of the best edges are dropped for ``fid+``.
        share: the share of the edges, the worst, that is dropped for ``fid-``.
    """
    full = model(each.x, each.edge_index)[each.root].softmax(dim=0)
    target = full.argmax()
    order = score.abs().argsort()
    count = order.numel()
    kept = order[: max(0, count - top)], order[count - math.ceil(count * (1 - share)) :]

    def moved(edges: Tensor) -> float:
        left = model(each.x, each.edge_index[:, edges.sort().values])[each.root].softmax(dim=0)
        return float((left[target] - full[target]).abs())

    return moved(kept[0]), moved(kept[1])


@torch.no_grad()
def one_at_a_time(model: nn.Module, each: Computation, coalitions: int, seed: int) -> Tensor:
    """Values of random coalitions ``[K]``, each a call of the model of its own."""
    generator = torch.Generator().manual_seed(seed)
    target = model(each.x, each.edge_index)[each.root].argmax()
    found = []
    for _ in range(coalitions):
        is_left = torch.rand(each.edge_index.size(1), generator=generator) < 0.5
        output = model(each.x, each.edge_index[:, is_left])[each.root]
        found.append(output.softmax(dim=0)[target])
    return torch.stack(found)
