"""Two-layer models and the small graphs they run on, all in float64 with fixed seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import global_add_pool

import glassgraph as gg

FEATURES, WIDTH, CLASSES = 5, 6, 3
NODES, EDGES, LOOPS = 23, 41, 2
RELATIONS, NODE_TYPES, EDGE_FEATURES, SPACE, HYPEREDGES = 3, 2, 4, 3, 7

#: ``style(conv, h, start, edge_index, given)`` runs one layer on node states ``h``.
Style = Callable[[nn.Module, Tensor, Tensor, Tensor, Mapping[str, Any]], Tensor]


def plain(
    conv: nn.Module, h: Tensor, start: Tensor, edge_index: Tensor, given: Mapping[str, Any]
) -> Tensor:
    """Everything after ``edge_index`` by name, as most layers take it."""
    out: Tensor = conv(h, edge_index, **given)
    return out


class Two(nn.Module):
    """Encoder, two layers of one kind, decoder.

    Args:
        first, second: the layers, from ``WIDTH`` to ``WIDTH`` unless ``widths`` says otherwise.
        takes: which attributes of the data a layer is given, by name.
        style: how a layer is called.
        middle: width of the first layer's output.
        norm: a module for the states between the layers, given ``batch`` as well.
        pools: whether the output is one row for each graph.
    """

    def __init__(
        self,
        first: nn.Module,
        second: nn.Module,
        takes: tuple[str, ...] = (),
        style: Style = plain,
        middle: int = WIDTH,
        norm: nn.Module | None = None,
        pools: bool = False,
    ) -> None:
        super().__init__()
        self.encode = nn.Linear(FEATURES, WIDTH)
        self.first, self.second = first, second
        self.norm = norm
        self.dropout = nn.Dropout(0.3)
        self.decode = nn.Linear(middle, CLASSES)
        self.takes, self.style, self.pools = takes, style, pools

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        edge_attr: Tensor | None = None,
        edge_type: Tensor | None = None,
        node_type: Tensor | None = None,
        sign: Tensor | None = None,
        pos: Tensor | None = None,
        normal: Tensor | None = None,
        hyperedge_attr: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> Tensor:
        everything = {
            "edge_weight": edge_weight,
            "edge_attr": edge_attr,
            "edge_type": edge_type,
            "node_type": node_type,
            "sign": sign,
            "pos": pos,
            "normal": normal,
            "hyperedge_attr": hyperedge_attr,
            "batch": batch,
        }
        given = {name: everything[name] for name in self.takes}
        start = self.encode(x).tanh()
        h = self.style(self.first, start, start, edge_index, given).tanh()
        if self.norm is not None:
            h = self.norm(h, batch)
        h = self.style(self.second, self.dropout(h), start, edge_index, given)
        if self.pools:
            h = global_add_pool(h.tanh(), batch)
        return self.decode(h)


# How layers with unusual arguments are called


def with_start(conv: Any, h: Tensor, start: Tensor, edge_index: Tensor, given: Any) -> Tensor:
    """``conv(x, x_0, edge_index)``."""
    return conv(h, start, edge_index, **given)


def with_position(conv: Any, h: Tensor, start: Tensor, edge_index: Tensor, given: Any) -> Tensor:
    """``conv(x, pos, edge_index)``."""
    return conv(h, given["pos"], edge_index)


def with_normal(conv: Any, h: Tensor, start: Tensor, edge_index: Tensor, given: Any) -> Tensor:
    """``conv(x, pos, normal, edge_index)``."""
    return conv(h, given["pos"], given["normal"], edge_index)


def with_signs(conv: Any, h: Tensor, start: Tensor, edge_index: Tensor, given: Any) -> Tensor:
    """``conv(x, positive edges, negative edges)``."""
    is_positive = given["sign"] > 0
    return conv(h, edge_index[:, is_positive], edge_index[:, ~is_positive])


def with_batch(conv: Any, h: Tensor, start: Tensor, edge_index: Tensor, given: Any) -> Tensor:
    """``conv(x, edge_index, batch, **rest)``."""
    rest = {name: value for name, value in given.items() if name != "batch"}
    return conv(h, edge_index, given["batch"], **rest)


def with_history(conv: Any, h: Tensor, start: Tensor, edge_index: Tensor, given: Any) -> Tensor:
    """DNA attends over the states of all earlier layers, ``[N, layers, width]``."""
    states = [start] if h is start else [start, h]
    return conv(torch.stack(states, dim=1), edge_index, **given)


def without_edges(conv: Any, h: Tensor, start: Tensor, edge_index: Tensor, given: Any) -> Tensor:
    """A layer that ignores the graph: what the checks must reject."""
    return conv(h, edge_index[:, :0])


# Layers of a user's own


class TappedSum(nn.Module):
    """Adds up transformed neighbors with ``index_add``; the messages go through a tap."""

    def __init__(self, weighted: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.tap = gg.MessageTap()
        self.weighted = weighted

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        messages = self.linear(x)[edge_index[0]]
        if edge_weight is not None:
            messages = messages * edge_weight.view(-1, 1)
        messages = self.tap(messages, edge_index)
        return x + torch.zeros_like(x).index_add(0, edge_index[1], messages)


class TappedBackwards(nn.Module):
    """Two heads, and every message runs from the receiver of an edge to its sender."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.tap = gg.MessageTap()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        heads = self.linear(x).view(-1, 2, WIDTH // 2)
        messages = self.tap(heads[edge_index[1]], edge_index=edge_index.flip(0))
        out = torch.zeros_like(heads).index_add(0, edge_index[0], messages)
        return (heads + out).reshape(-1, WIDTH)


# Graphs


def graph(options: frozenset[str]) -> Any:
    """A sparse graph of one-way and two-way edges, two parallel pairs and, last, a lonely node.

    Args:
        options: names of further attributes, and "loops" (self-loops), "sorted" (by receiver),
            "simple" (no parallel edges), "hyper" (edges lead to hyperedges), "mesh" (four ordered
            neighbors each), "batch" (three graphs in one), "graphs" (a list of three), "edge_index"
            (as PyG's ``EdgeIndex``).
    """
    if "graphs" in options or "batch" in options:
        rest = options - {"graphs", "batch"}
        graphs = [_single(rest, size, seed) for size, seed in ((7, 2), (11, 3), (5, 5))]
        return graphs if "graphs" in options else Batch.from_data_list(graphs)
    return _single(options, NODES, 1)


def _single(options: frozenset[str], num_nodes: int, seed: int) -> Data:
    generator = torch.Generator().manual_seed(seed)
    edge_index = _edges(options, num_nodes, generator)
    num_edges = edge_index.size(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.double)

    def integer(high: int, size: int) -> Tensor:
        return torch.randint(high, (size,), generator=generator)

    data = Data(x=normal(num_nodes, FEATURES), edge_index=edge_index)
    kind = integer(RELATIONS, num_edges)
    if "loops" not in options and "hyper" not in options and num_edges == EDGES:
        kind[-2:] = (kind[:2] + 1) % RELATIONS  # parallel edges differ in type
    attributes: dict[str, Callable[[], Tensor]] = {
        "edge_weight": lambda: normal(num_edges).abs() + 0.5,
        "edge_attr": lambda: normal(num_edges, EDGE_FEATURES),
        "edge_type": lambda: kind,
        "sign": lambda: 2 * integer(2, num_edges) - 1,
        "node_type": lambda: integer(NODE_TYPES, num_nodes),
        "pos": lambda: normal(num_nodes, SPACE),
        "normal": lambda: nn.functional.normalize(normal(num_nodes, SPACE), dim=1),
        "hyperedge_attr": lambda: normal(HYPEREDGES, WIDTH),
    }
    for name, make in attributes.items():
        if name in options:
            data[name] = make()
    if "sorted" in options:
        order = data.edge_index[1].argsort(stable=True)
        data.edge_index = data.edge_index[:, order]
    if "edge_index" in options:
        from torch_geometric import EdgeIndex

        size = (num_nodes, num_nodes)
        data.edge_index = EdgeIndex(data.edge_index, sparse_size=size).sort_by("col").values
    return data


def _edges(options: frozenset[str], num_nodes: int, generator: torch.Generator) -> Tensor:
    linked = num_nodes - 1
    if "hyper" in options:  # which node lies on which hyperedge: one or two for each
        node = torch.cat([torch.arange(linked), torch.arange(EDGES - 4 - linked)])
        return torch.stack([node, (3 * node + (torch.arange(node.numel()) >= linked)) % HYPEREDGES])
    if "mesh" in options:
        row = torch.arange(num_nodes).repeat_interleave(4)
        other = torch.randint(num_nodes - 1, (4 * num_nodes,), generator=generator)
        return torch.stack([row, other + (other >= row).long()])
    scale = num_nodes / NODES
    one_way, two_way = int(29 * scale), int(10 * scale)
    pairs = torch.randperm(linked * linked, generator=generator)
    source, destination = pairs // linked, pairs % linked
    is_new = source != destination
    forward = torch.stack([source[is_new], destination[is_new]])
    key = forward[0] * linked + forward[1]
    back = forward[1] * linked + forward[0]
    found = forward[:, :one_way]
    reverse = found[:, ~torch.isin(back[:one_way], key[:one_way])][:, :two_way].flip(0)
    edge_index = torch.cat([found, reverse], dim=1)
    if "simple" not in options:
        edge_index = torch.cat([edge_index, edge_index[:, :2]], dim=1)
    if "loops" in options:
        loops = torch.tensor([[1, 4], [1, 4]])[:, :LOOPS]
        edge_index = torch.cat([edge_index[:, :3], loops, edge_index[:, 3:]], dim=1)
    return edge_index
