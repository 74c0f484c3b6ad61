"""RelEx written out: one subgraph at a time, one surrogate at a time.

What `glassgraph bench speed` measures `relex` beside, and what it is compared with: the same random
numbers, a loop for each subgraph, a call of the model for each on the user's graph, and a surrogate
with dense adjacency matrices that is trained for one prediction before the next is looked at. For
undirected graphs whose features are floating-point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import k_hop_subgraph

from glassgraph.core import random
from glassgraph.explainers.surrogate.relex import RelEx
from glassgraph.models.gnn import GNN
from glassgraph_studies.reference.passes import Scores

#: ``ask(edge_index)``: the explained score on the user's graph with these edges alone.
Ask = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Imitated:
    """What RelEx says of one prediction.

    Attributes:
        edge: ``[E]`` scores, zero outside of the field.
        r2: of the surrogate.
    """

    edge: Tensor
    r2: float


def relex(
    settings: RelEx, graph: Data, node: int | None, key: int, hops: int, ask: Ask
) -> Imitated:
    """Explain a node, or the graph where that is None.

    Args:
        settings: an explainer, whose hyper-parameters and seed are taken.
        graph: the user's graph.
        node: the node.
        key: the user's number of the prediction.
        hops: how far the model looks.
        ask: the model.
    """
    nodes, edges = _field(graph, node, hops)
    own = random.hash64(settings.seed, torch.tensor([key]))
    source, destination = graph.edge_index[:, edges]
    address = random.hash64(0, source, destination, torch.zeros_like(source), 0)
    subgraphs = _subgraphs(settings, node, nodes, source, destination, own, address)
    every = (edges, source, destination)
    dtype = graph.x.dtype
    scores = torch.stack([ask(graph.edge_index[:, _only(every, kept)]) for kept in subgraphs])
    mean, spread = scores.mean(), scores.std()
    result = torch.zeros(graph.num_edges, dtype=dtype)
    if float(spread) <= 100 * torch.finfo(dtype).eps * (1 + abs(float(mean))):
        return Imitated(result, 0.0)
    goal = (scores - mean) / spread
    surrogate = _Surrogate(settings, graph, node, nodes, source, destination, own)
    held_back = max(1, len(subgraphs) // 6)
    r2 = surrogate.fit(subgraphs, goal, len(subgraphs) - held_back)
    mask = surrogate.mask(random.hash64(settings.seed, torch.tensor([key]), address))
    result[edges] = mask
    return Imitated(result, r2)


class LiteralRelEx:
    """RelEx with its defaults on the networks of `glassgraph.models`.

    Args:
        model: the network.
        seed: of all random numbers.
    """

    def __init__(self, model: GNN, seed: int) -> None:
        self.model, self.settings = model, RelEx(model, seed=seed, progress=False)

    @torch.no_grad()
    def _logits(self, graph: Data, node: int | None, edges: Tensor) -> Tensor:
        if node is not None:
            logits: Tensor = self.model(graph.x, edges)[node]
            return logits
        batch = torch.zeros(graph.num_nodes, dtype=torch.long)
        pooled: Tensor = self.model(graph.x, edges, batch=batch)[0]
        return pooled

    def __call__(self, graph: Data, node: int | None, key: int) -> Scores:
        """Explain the logit of the predicted class; ``key`` is the prediction's number."""
        chosen = int(self._logits(graph, node, graph.edge_index).argmax())

        def ask(edges: Tensor) -> Tensor:
            return self._logits(graph, node, edges)[chosen]

        hops = len(self.model.convs)
        return Scores(edge=relex(self.settings, graph, node, key, hops, ask).edge)


def _field(graph: Data, node: int | None, hops: int) -> tuple[Tensor, Tensor]:
    """Nodes and edges that can reach the prediction."""
    if node is None:
        return torch.arange(graph.num_nodes), torch.arange(graph.num_edges)
    nodes = k_hop_subgraph(node, hops, graph.edge_index, num_nodes=graph.num_nodes)[0]
    near = k_hop_subgraph(node, hops - 1, graph.edge_index, num_nodes=graph.num_nodes)[0]
    return nodes, torch.isin(graph.edge_index[1], near).nonzero().view(-1)


def _subgraphs(
    settings: RelEx,
    node: int | None,
    nodes: Tensor,
    source: Tensor,
    destination: Tensor,
    own: Tensor,
    address: Tensor,
) -> list[list[int]]:
    """Positions of the edges of each subgraph, found by a breadth-first search."""
    ends = list(zip(source.tolist(), destination.tolist(), strict=True))
    found = [list(range(len(ends)))]
    for sample in range(1, settings.num_samples):
        rate = settings.keep + (1 - settings.keep) * random.uniform(1, own, sample)
        coin = (random.uniform(2, own, address, sample) < rate).tolist()
        start = node
        if start is None:
            at = random.uniform(3, own, random.hash64(1, nodes), sample)
            start = int(nodes[at.argmin()])
        reached, frontier, kept = {start}, [start], set()
        while frontier:
            here = frontier.pop()
            for position, (sender, receiver) in enumerate(ends):
                is_next = receiver == here or (node is None and sender == here)
                if coin[position] and is_next:
                    kept.add(position)
                    for other in (sender, receiver):
                        if other not in reached:
                            reached.add(other)
                            frontier.append(other)
        found.append(sorted(kept))
    return found


def _only(every: tuple[Tensor, Tensor, Tensor], kept: Sequence[int]) -> Tensor:
    return every[0][torch.tensor(kept, dtype=torch.long)]


class _Surrogate:
    """Residual blocks on dense matrices."""

    def __init__(
        self,
        settings: RelEx,
        graph: Data,
        node: int | None,
        nodes: Tensor,
        source: Tensor,
        destination: Tensor,
        own: Tensor,
    ) -> None:
        self.settings, self.size = settings, nodes.numel()
        self.source = torch.searchsorted(nodes, source)
        self.destination = torch.searchsorted(nodes, destination)
        self.seed = None if node is None else int((nodes == node).nonzero())
        dtype = graph.x.dtype
        x = graph.x[nodes]
        deviation = x.std(dim=0, correction=0)
        varies = deviation > 1e3 * torch.finfo(dtype).eps * (1 + x.mean(dim=0).abs())
        x = torch.where(varies, (x - x.mean(dim=0)) / deviation, 0)
        is_seed = torch.zeros(self.size, 1, dtype=dtype)
        if self.seed is not None:
            is_seed[self.seed] = 1
        self.x = torch.cat([x, is_seed], dim=1)
        into = 1 + torch.bincount(self.destination, minlength=self.size).to(dtype)
        out = 1 + torch.bincount(self.source, minlength=self.size).to(dtype)
        self.weight = (into[self.destination] * out[self.source]).rsqrt()
        self.loop = (into * out).rsqrt().diag()
        hidden = settings.hidden
        sizes = [(self.x.size(1), hidden), *[(hidden, hidden)] * settings.layers, (hidden, 1)]
        self.weights = [
            (
                random.normal(5, own, number, torch.arange(rows * columns)) * math.sqrt(2 / rows)
            ).to(dtype).view(rows, columns).requires_grad_()
            for number, (rows, columns) in enumerate(sizes)
        ]  # fmt: skip
        self.biases = [
            torch.zeros(w.size(1), dtype=dtype, requires_grad=True) for w in self.weights
        ]

    def __call__(self, gates: Tensor) -> Tensor:
        """Predictions for subgraphs ``[M, e]``."""
        index = self.destination * self.size + self.source
        adjacency = gates.new_zeros(gates.size(0), self.size**2)
        adjacency = adjacency.index_add(1, index, gates * self.weight)
        adjacency = adjacency.view(-1, self.size, self.size) + self.loop
        h = (self.x @ self.weights[0] + self.biases[0]).expand(gates.size(0), -1, -1)
        for weight, bias in zip(self.weights[1:-1], self.biases[1:-1], strict=True):
            h = h + (adjacency @ h @ weight + bias).relu()
        read = h.mean(dim=1) if self.seed is None else h[:, self.seed]
        return (read @ self.weights[-1] + self.biases[-1]).squeeze(1)

    def fit(self, subgraphs: Sequence[Sequence[int]], goal: Tensor, num_seen: int) -> float:
        """Train on the first subgraphs; the share of variance explained of the others."""
        settings = self.settings
        gates = torch.zeros(len(subgraphs), self.weight.numel(), dtype=self.x.dtype)
        for number, kept in enumerate(subgraphs):
            gates[number, list(kept)] = 1
        parameters = [*self.weights, *self.biases]
        optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate)
        starts = range(0, num_seen, settings.batch_size)
        for epoch in range(settings.epochs):
            start = starts[epoch % len(starts)]
            part = slice(start, min(start + settings.batch_size, num_seen))
            optimizer.zero_grad()
            (self(gates[part]) - goal[part]).square().mean().backward()
            optimizer.step()
        with torch.no_grad():
            unseen = goal[num_seen:]
            off = (self(gates[num_seen:]) - unseen).square().sum()
            return float(1 - off / (unseen - unseen.mean()).square().sum())

    def mask(self, address: Tensor) -> Tensor:
        """Scores of the edges."""
        settings = self.settings
        logits = (0.1 * random.normal(7, address)).to(self.x.dtype).requires_grad_()
        with torch.no_grad():
            whole = self(torch.ones_like(logits).view(1, -1))
        optimizer = torch.optim.Adam([logits], lr=settings.mask_learning_rate)
        for epoch in range(settings.mask_epochs):
            optimizer.zero_grad()
            noise = torch.zeros_like(logits)
            temperature = 1.0
            if settings.mask == "gumbel":
                noise = random.uniform(8, address, epoch).logit().to(logits.dtype)
                temperature = settings.temperature
            gates = ((logits + noise) / temperature).sigmoid()
            distance = (self(gates.view(1, -1)) - whole).square().sum()
            (distance + settings.size * gates.mean()).backward()
            optimizer.step()
        return logits.detach().sigmoid()
