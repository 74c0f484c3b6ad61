"""CF-GNNExplainer one node at a time, on dense matrices: the loop of the paper, for times.

Lucic et al. (AISTATS 2022), with the settings of their README. Every pair of nodes of the field has
a number; a soft adjacency matrix gives the loss, a thresholded one the prediction; degrees are
those of the matrix at hand, and are not differentiated.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.utils import k_hop_subgraph, to_dense_adj

#: Hops of a field, and the bound on the length of a gradient.
_HOPS, _CLIP = 4, 2.0


@dataclass(frozen=True)
class Settings:
    """Of the loop.

    Attributes:
        rate: learning rate of SGD.
        momentum: Nesterov's; 0 for none.
        epochs: steps.
        beta: weight of the number of deleted edges.
    """

    rate: float = 0.1
    momentum: float = 0.0
    epochs: int = 500
    beta: float = 0.5


@dataclass(frozen=True)
class DenseGCN:
    """The authors' network on an adjacency matrix.

    Attributes:
        layers: weight ``[in, out]`` and bias of each of the three graph convolutions.
        last: weight and bias of the classifier.
    """

    layers: tuple[tuple[Tensor, Tensor], ...]
    last: tuple[Tensor, Tensor]

    def __call__(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Log-probabilities ``[n, C]``."""
        loops = adjacency + torch.eye(x.size(0))
        scale = loops.sum(dim=1).detach() ** -0.5
        matrix = scale.view(-1, 1) * loops * scale
        hidden, found = x, []
        for number, (weight, bias) in enumerate(self.layers):
            hidden = matrix @ (hidden @ weight) + bias
            hidden = hidden.relu() if number < len(self.layers) - 1 else hidden
            found.append(hidden)
        weight, bias = self.last
        return (torch.cat(found, dim=1) @ weight.t() + bias).log_softmax(dim=1)


def literal_counterfactual(
    network: DenseGCN, x: Tensor, edge_index: Tensor, node: int, settings: Settings
) -> int | None:
    """Number of undirected edges that the loop deletes; None where the class never changes."""
    nodes, ends, place, _ = k_hop_subgraph(
        node, _HOPS, edge_index, relabel_nodes=True, num_nodes=x.size(0)
    )
    x, at = x[nodes], int(place)
    adjacency = to_dense_adj(ends, max_num_nodes=nodes.numel())[0]
    before = int(network(x, adjacency)[at].argmax())
    row, column = torch.tril_indices(nodes.numel(), nodes.numel())
    number = nn.Parameter(torch.ones(row.numel()))
    optimizer = torch.optim.SGD(
        [number], lr=settings.rate, momentum=settings.momentum, nesterov=settings.momentum > 0
    )
    best, least = None, float("inf")
    for _ in range(settings.epochs):
        optimizer.zero_grad()
        matrix = torch.zeros_like(adjacency).index_put((row, column), number)
        matrix = matrix + matrix.tril(-1).t()
        soft = matrix.sigmoid()
        log_probability = network(x, soft * adjacency)[at, before]
        hard = (soft >= 0.5).to(adjacency.dtype) * adjacency
        with torch.no_grad():
            changes = int(network(x, hard)[at].argmax()) != before
        size = float((adjacency - hard).abs().sum()) / 2
        loss = log_probability * float(not changes)
        total = float(loss.detach()) + settings.beta * size
        loss.backward()
        nn.utils.clip_grad_norm_([number], _CLIP)
        optimizer.step()
        if changes and total < least:
            best, least = int(size), total
    return best
