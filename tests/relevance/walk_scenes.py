"""Models whose walks are known, and a literal version: a masked copy of the graph for each walk."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import (
    GCNConv,
    GINConv,
    RGCNConv,
    SAGEConv,
    TransformerConv,
    global_add_pool,
)

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.relevance.walk_reader import read_walks
from glassgraph.relevance.walks import WalkGraph

WIDTHS = [3, 5, 4, 4]
#: What the model knows about each node between two layers.
State = list[Tensor]


class Stepwise(nn.Module):
    """A model in three parts, so that a literal version can come between its layers."""

    num_layers = 3

    def __init__(self, kind: str, *, bias: bool = True, level: str = "node") -> None:
        super().__init__()
        self.kind, self.level = kind, level
        make: dict[str, Callable[[int, int], nn.Module]] = {
            "gcn": lambda a, b: GCNConv(a, b, bias=bias),
            "gin": lambda a, b: GINConv(
                nn.Sequential(nn.Linear(a, 6, bias), nn.ReLU(), nn.Linear(6, b, bias)), eps=0.3
            ),
            "sage": lambda a, b: SAGEConv(a, b, bias=bias),
            "max": lambda a, b: SAGEConv(a, b, aggr="max", bias=bias),
            "rgcn": lambda a, b: RGCNConv(a, b, num_relations=2, bias=bias),
            "attention": lambda a, b: TransformerConv(a, b, bias=bias),
            "residual": lambda a, b: GCNConv(a, b, bias=bias),
            "jumping": lambda a, b: GCNConv(a, b, bias=bias),
            "teleport": lambda a, b: GCNConv(b, b, bias=bias),
        }
        self.convs = nn.ModuleList(map(make[kind], WIDTHS, WIDTHS[1:]))
        if kind in ("residual", "teleport"):
            make_same = GCNConv(4, 4, bias=bias), GCNConv(4, 4, bias=bias), GCNConv(4, 4, bias=bias)
            self.convs = nn.ModuleList(make_same)
        self.first = nn.Linear(3, 4, bias=bias)
        width = sum(WIDTHS[1:]) if kind == "jumping" else 4
        self.head = nn.Linear(width, 2, bias=bias)

    def start(self, x: Tensor) -> State:
        if self.kind == "residual":
            return [self.first(x).relu()]
        if self.kind == "teleport":
            first = self.first(x).relu()
            return [first, first]
        return [x]

    def step(self, layer: int, state: State, edge_index: Tensor, edge_type: Tensor | None) -> State:
        conv, h = self.convs[layer], state[0]
        new = conv(h, edge_index, edge_type) if self.kind == "rgcn" else conv(h, edge_index)
        if self.kind == "teleport":
            return [0.8 * new + 0.2 * state[1], state[1]]
        if layer < self.num_layers - 1:
            new = new.relu()
        if self.kind == "residual":
            return [h + new]
        return [new, *state[1:], new] if self.kind == "jumping" else [new]

    def finish(self, state: State, batch: Tensor | None) -> Tensor:
        h = torch.cat(state[1:], dim=1) if self.kind == "jumping" else state[0]
        if self.level == "graph":
            h = global_add_pool(h, batch)
        return self.head(h)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_type: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> Tensor:
        state = self.start(x)
        for layer in range(self.num_layers):
            state = self.step(layer, state, edge_index, edge_type)
        return self.finish(state, batch)


#: Models of which the gradient times the input is the output, if they have no biases.
HOMOGENEOUS = ["gcn", "gin", "sage", "max", "rgcn", "residual", "jumping", "teleport"]
KINDS = [*HOMOGENEOUS, "attention"]


def model_of(kind: str, *, bias: bool = True, level: str = "node") -> Stepwise:
    model = Stepwise(kind, bias=bias, level=level).double().eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):  # some layers begin with zeros
            nn.init.normal_(parameter, std=0.2)
    return model


def graph(seed: int = 0) -> Data:
    """Five nodes with a self-loop, a pair of opposite edges, and a chain into node 0."""
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.tensor([[1, 2, 2, 3, 0, 4, 3, 3], [0, 0, 1, 2, 1, 4, 4, 1]])
    return Data(
        x=torch.randn(5, 3, generator=generator).double(),
        edge_index=edge_index,
        edge_type=torch.tensor([0, 1, 0, 0, 1, 1, 0, 1]),
    )


def read(
    model: nn.Module, data: object, index: object = None, *, level: str = "node", target: object = 0
) -> tuple[WalkGraph, InstanceBatch]:
    """The walk graph of some predictions, and the batch it was read from."""
    explainer = gg.EdgeGradients(model, task=level, progress=False)
    preparation = explainer.prepare(data)
    batches = preparation.batches(preparation.instances(index), target, 1 << 30)
    (_, batch), *more = list(batches)
    assert not more
    with protected(model):
        return read_walks(batch), batch


def literal_walks(
    model: Stepwise, data: Data, node: int, target: int = 0
) -> dict[tuple[int, ...], float]:
    """Relevance of every sequence of nodes, also of those that are no walks.

    Each sequence has a copy of the graph, in which only ``n_p`` passes on gradients at position p.
    """
    n, steps = int(data.num_nodes), model.num_layers
    sequences = torch.tensor(list(product(range(n), repeat=steps + 1)))
    count = sequences.size(0)
    offset = (torch.arange(count) * n).repeat_interleave(data.num_edges)
    edge_index = data.edge_index.repeat(1, count) + offset
    edge_type = data.edge_type.repeat(count)
    x = data.x.repeat(count, 1).requires_grad_()

    def only(position: int, state: State) -> State:
        chosen = torch.zeros(count, n).scatter(1, sequences[:, position : position + 1], 1.0)
        mask = chosen.view(-1, 1).double()
        return [h * mask + h.detach() * (1 - mask) for h in state]

    state = only(0, model.start(x))
    for layer in range(steps):
        state = only(layer + 1, model.step(layer, state, edge_index, edge_type))
    owner = torch.arange(count).repeat_interleave(n)
    output = model.finish(state, owner)
    if model.level == "node":
        output = output[torch.arange(count) * n + node]
    (gradient,) = torch.autograd.grad(output[:, target].sum(), x)
    relevance = (x.detach() * gradient).view(count, n, -1).sum((1, 2))
    return dict(zip(map(tuple, sequences.tolist()), relevance.tolist(), strict=True))
