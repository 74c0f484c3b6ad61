"""XGNN's policy: which node to start from, and which node, old or new, to join to it.

The K candidate types stand beside the graph as K nodes without neighbors. With one-hot types
``X [V + K, K]``, adjacency ``A`` and ``Â = D^-1/2 (A + I) D^-1/2``,

    H_0 = X W_0,   H_l = relu6(Â H_{l-1} W_l),  l = 1..3
    P(start = i)          = softmax over allowed i of MLP_s(H_i)
    P(end = j | start=i)  = softmax over allowed j of MLP_e([H_j ; H_i])

A candidate has no neighbor but itself, so its embedding depends on its type alone and is computed
once for all graphs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs

_EMBEDDING, _CONVOLUTIONS = 8, (16, 24, 32)
_START_HIDDEN, _END_HIDDEN = 16, 24


@dataclass(frozen=True)
class Choice:
    """A move for each graph.

    Attributes:
        start: ``[B]`` node.
        end: ``[B]`` node, or V + k for a new node of type k.
        log_probability: ``[B]`` of start and end together.
        entropy: ``[B]`` of both distributions, the second given the start.
    """

    start: Tensor
    end: Tensor
    log_probability: Tensor
    entropy: Tensor


class Policy(nn.Module):
    """A distribution over moves.

    Args:
        num_types: number K of node types.
        generator: of the initial weights; the global random state is left alone.
        dtype: floating type.
        device: where it lies.
    """

    def __init__(
        self,
        num_types: int,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self.num_types = num_types
        last = _CONVOLUTIONS[-1]
        widths = [num_types, _EMBEDDING, *_CONVOLUTIONS]
        self.embedding = _linear(widths[0], widths[1])
        self.convolutions = nn.ModuleList(map(_linear, widths[1:-1], widths[2:]))
        self.start_head = _head(last, _START_HIDDEN)
        self.end_head = _head(2 * last, _END_HIDDEN)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                bound = 1 / math.sqrt(layer.in_features)
                for parameter in layer.parameters():
                    nn.init.uniform_(parameter, -bound, bound, generator=generator)
        self.to(device=device, dtype=dtype)

    def forward(self, graphs: DenseGraphs) -> tuple[Tensor, Tensor]:
        """Logits of all starts ``[B, V]`` and of all ends for all starts ``[B, V, V + K]``."""
        hidden, candidates = self._embed(graphs)
        return self.start_head(hidden).squeeze(-1), self._ends(hidden, hidden, candidates)

    def choose(self, graphs: DenseGraphs, allowed: Tensor, numbers: Tensor) -> Choice:
        """Sample a move for each graph.

        Args:
            graphs: B graphs.
            allowed: ``[B, V, V + K]``, at least one move for each graph.
            numbers: ``[B, 2]`` uniform numbers that decide.
        """
        hidden, candidates = self._embed(graphs)
        row = torch.arange(len(graphs), device=numbers.device)
        starts = self.start_head(hidden).squeeze(-1)
        start, start_log, start_entropy = _sample(starts, allowed.any(dim=2), numbers[:, 0])
        ends = self._ends(hidden[row, start][:, None], hidden, candidates).squeeze(1)
        end, end_log, end_entropy = _sample(ends, allowed[row, start], numbers[:, 1])
        return Choice(start, end, start_log + end_log, start_entropy + end_entropy)

    def _embed(self, graphs: DenseGraphs) -> tuple[Tensor, Tensor]:
        """Of the nodes ``[B, V, D]`` and of the candidates ``[K, D]``."""
        weight = self.embedding.weight
        one_hot = torch.eye(self.num_types, dtype=weight.dtype, device=weight.device)
        candidates = self.embedding(one_hot)
        hidden = candidates[graphs.node_type.clamp_min(0)]
        adjacency = graphs.adjacency.to(weight.dtype)
        scale = (1 + adjacency.sum(dim=2)).rsqrt()
        adjacency = adjacency * scale[:, :, None] * scale[:, None, :]
        adjacency = adjacency + torch.diag_embed(scale.square())
        for layer in self.convolutions:
            candidates = F.relu6(layer(candidates))
            hidden = F.relu6(layer(adjacency @ hidden))
        return hidden, candidates

    def _ends(self, starts: Tensor, hidden: Tensor, candidates: Tensor) -> Tensor:
        """Logits ``[B, S, V + K]`` of all ends for starts ``[B, S, D]``."""
        batch, num_starts, width = starts.shape
        ends = torch.cat([hidden, candidates.expand(batch, -1, -1)], dim=1)
        pairs = (batch, num_starts, ends.size(1), width)
        both = torch.cat(
            [ends[:, None].expand(pairs), starts[:, :, None].expand(pairs)],
            dim=-1,
        )
        logits: Tensor = self.end_head(both).squeeze(-1)
        return logits


def _linear(before: int, after: int) -> nn.Linear:
    """Without drawing weights, which would move the global random state."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, before, after)
    return layer


def _head(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(_linear(width, hidden), nn.ReLU6(), _linear(hidden, 1))


def _sample(logits: Tensor, allowed: Tensor, number: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One entry per row by inverting the distribution function; its log probability; entropies."""
    log = logits.masked_fill(~allowed, -math.inf).log_softmax(dim=-1)
    probability = log.exp()
    chosen = invert(probability.detach(), number)
    entropy = -(probability * log.masked_fill(~allowed, 0.0)).sum(dim=-1)
    return chosen, log.gather(1, chosen[:, None]).squeeze(1), entropy


def invert(weight: Tensor, number: Tensor) -> Tensor:
    """The entry ``[B]`` of each row of weights ``[B, n]`` in which a share of their sum falls.

    Args:
        weight: not negative, not all zero.
        number: ``[B]`` shares in (0, 1).
    """
    total = weight.double().cumsum(dim=-1)
    return torch.searchsorted(total, (number * total[:, -1])[:, None], right=True).squeeze(1)
