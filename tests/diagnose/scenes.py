"""Models that can be computed by hand, and explainers that say what a test wants them to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GINConv, MessagePassing, global_add_pool

import glassgraph as gg
from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.traits import Traits
from glassgraph.results.explanation import Attribution
from tests.metrics.scenes import Sum

FEATURES, HIDDEN, CLASSES = 5, 7, 3

#: ``score(batch)``: ``[e]`` or ``[L, e]``.
Score = Callable[[InstanceBatch], Tensor]


class Votes(nn.Module):
    """One layer of sums: a node is of class 1 if its senders' votes add up to more than zero.

    ``bias`` votes for class 0; logits are ``(bias, sum of the senders' x)``.
    """

    def __init__(self, bias: float = 0.5) -> None:
        super().__init__()
        self.conv = Sum()
        self.bias = bias

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        votes = self.conv(x, edge_index)
        return torch.cat([torch.full_like(votes, self.bias), votes], dim=1)


class Relay(nn.Module):
    """Two layers, each with a weight: ``h = w_0 sum(x) + (1 - w_0) x``, then the same with w_1."""

    def __init__(self, weights: Sequence[float], bias: float = 0.5) -> None:
        super().__init__()
        self.convs = nn.ModuleList([Sum() for _ in weights])
        self.weights, self.bias = list(weights), bias

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for weight, conv in zip(self.weights, self.convs, strict=True):
            x = weight * conv(x, edge_index) + (1 - weight) * x
        return torch.cat([torch.full_like(x, self.bias), x], dim=1)


class Net(nn.Module):
    """Two GIN layers with random weights, for nodes, graphs or links."""

    def __init__(self, level: str = "node", columns: int = CLASSES, mixes: bool = False) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.convs = nn.ModuleList(
            [GINConv(nn.Linear(FEATURES, HIDDEN)), GINConv(nn.Linear(HIDDEN, columns))]
        )
        self.level, self.mixes = level, mixes
        self.double().eval()

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        batch: Tensor | None = None,
        edge_label_index: Tensor | None = None,
    ) -> Tensor:
        h = self.convs[0](x, edge_index).tanh()
        if self.mixes:  # every node hears of every other one, without a message
            h = h + h.mean(dim=0)
        h = self.convs[1](h, edge_index)
        if self.level == "graph":
            return global_add_pool(h, batch)
        if self.level == "edge":
            assert edge_label_index is not None
            return h[edge_label_index[0]] + h[edge_label_index[1]].tanh()
        return h


class Chosen(gg.Explainer):
    """Scores of our choosing; per layer where they have two dimensions."""

    name = "chosen"
    traits = Traits(
        family="baseline",
        scores=("edge", "layer edge", "node", "feature"),
        is_black_box=True,
        is_signed=True,
    )

    def __init__(
        self,
        model: nn.Module,
        task: str | gg.Task = "node",
        *,
        score: Score,
        shut: float | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(model, task, progress=False, **shared)
        self.score, self.shut = score, shut

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        return {}

    def attribute(self, batch: InstanceBatch) -> Attribution:
        score = self.score(batch).to(batch.dtype)
        return Attribution(edge=score) if score.dim() == 1 else Attribution(layer_edge=score)

    def baselines(self, batch: InstanceBatch) -> Sequence[Tensor | None] | None:
        if self.shut is None:
            return None
        return [torch.full((1, 1), self.shut, dtype=batch.dtype)] * len(batch.wiring.sites)


def edges(*numbers: int) -> Score:
    """1 on some of the user's edges, 0 on the others."""
    wanted = torch.tensor(numbers)
    return lambda batch: torch.isin(batch.fields.edge, wanted)


def messages(*numbers: tuple[int, int]) -> Score:
    """1 on some (layer, user's edge), 0 on the others."""

    def score(batch: InstanceBatch) -> Tensor:
        found = torch.zeros(batch.num_layers, batch.num_edges)
        for layer, edge in numbers:
            found[layer, batch.fields.edge == edge] = 1
        return found

    return score


def votes_of(batch: InstanceBatch) -> Tensor:
    """What the sender of each edge votes, ``[e]``."""
    x = batch.features[0]
    assert x is not None
    return x[batch.fields.source, 0]


def star(*votes: float) -> Data:
    """Node 0 receives the votes of nodes 1, 2, ... along edges 0, 1, ..."""
    source = torch.arange(1, len(votes) + 1)
    x = torch.tensor([0.0, *votes], dtype=torch.float64).view(-1, 1)
    return Data(x=x, edge_index=torch.stack([source, torch.zeros_like(source)]))


def stars(number: int, *votes: float) -> Data:
    """Many stars in one graph; the centers are nodes 0, 1 + len(votes), ..."""
    one, size = star(*votes), len(votes) + 1
    shift = torch.arange(number).repeat_interleave(len(votes)) * size
    return Data(
        x=one.x.repeat(number, 1),
        edge_index=one.edge_index.repeat(1, number) + shift,
        centers=torch.arange(number) * size,
    )


def random_data(level: str = "node", nodes: int = 13, num_edges: int = 41, seed: int = 3) -> Any:
    """A random graph; three of them for a task of graphs."""
    if level == "graph":
        return [random_data("one", n, e, n) for n, e in ((5, 11), (7, 17), (11, 29))]
    generator = torch.Generator().manual_seed(seed)
    key = torch.randperm(nodes * nodes, generator=generator)
    key = key[key // nodes != key % nodes][:num_edges]
    data = Data(
        x=torch.randn(nodes, FEATURES, generator=generator).double(),
        edge_index=torch.stack([key // nodes, key % nodes]),
    )
    if level == "node":
        data.y = torch.randint(CLASSES, (nodes,), generator=generator)
    elif level == "one":
        data.y = torch.randint(CLASSES, (1,), generator=generator)
    else:
        data.edge_label_index = torch.tensor([[3, 4, 7], [8, 12, 1]])
    return data


def shut_on_whole_graph(model: nn.Module, data: Data, gates: Tensor) -> Tensor:
    """The model's output with each layer's messages times ``gates [L, E]``, by plain hooks."""
    handles, layers = [], [m for m in model.modules() if isinstance(m, MessagePassing)]
    for layer, gate in zip(layers, gates, strict=True):

        def scale(_: Any, __: Any, message: Tensor, gate: Tensor = gate) -> Tensor:
            return message * gate.view(-1, 1)

        handles.append(layer.register_message_forward_hook(scale))
    try:
        with torch.no_grad():
            return model(data.x, data.edge_index)
    finally:
        for handle in handles:
            handle.remove()
