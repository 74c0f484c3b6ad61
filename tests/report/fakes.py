"""Small stand-ins with exactly the fields that a report reads, and the graphs of the tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import networkx as nx
import torch
from torch import Tensor


@dataclass(frozen=True)
class Local:
    """One instance: the fields of the contract, nothing else."""

    index: int
    edge_index: Tensor
    node_id: Tensor
    edge_id: Tensor
    seeds: Tensor
    graph: int = 0
    target: int | tuple[int, int] = 0
    prediction: Tensor = field(default_factory=lambda: torch.tensor([0.75, 0.25]))
    label: int | None = None
    seed_type: list[str] | None = None
    node_type: list[str] | None = None
    edge_type: list[str] | None = None
    edge_score: Tensor | None = None
    layer_edge_score: Tensor | None = None
    node_score: Tensor | None = None
    feature_score: Tensor | None = None
    edge_truth: Tensor | None = None
    total: float | None = None
    absorbed: float | None = None
    walks: Tensor | None = None
    walk_scores: Tensor | None = None
    tables: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    node_names: list[str] | None = None
    edge_names: list[str] | None = None
    class_names: list[str] | None = None
    feature_names: list[str] | dict[str, list[str]] | None = None
    title: str = ""
    target_name: str | None = None


@dataclass(frozen=True)
class Run:
    """One method over some instances."""

    method: str
    locals: Sequence[Local]
    provenance: Mapping[str, object] = field(default_factory=dict)
    level: str = "node"
    num_layers: int = 3

    def __len__(self) -> int:
        return len(self.locals)

    def local(self, i: int) -> Local:
        return self.locals[i]


def local_of(
    shape: nx.Graph, index: int, seeds: Sequence[int], first_edge: int = 100, **more: object
) -> Local:
    """A receptive field from an undirected graph: its n-th node is the user's node 10 + n."""
    names = {node: n for n, node in enumerate(shape)}
    forward = [(names[u], names[v]) for u, v in shape.edges]
    ends = forward + [(v, u) for u, v in forward]
    edge_index = torch.tensor(ends, dtype=torch.long).reshape(-1, 2).t().contiguous()
    return Local(
        index=index,
        edge_index=edge_index,
        node_id=torch.arange(len(names)) + 10,
        edge_id=torch.arange(len(ends)) + first_edge,
        seeds=torch.tensor(list(seeds), dtype=torch.long),
        **more,  # type: ignore[arg-type]
    )


def star(index: int = 10, **more: object) -> Local:
    """Five edges with scores that a test can name; edges come to the explained node 10."""
    defaults: dict[str, object] = {
        "edge_index": torch.tensor([[1, 2, 3, 0, 2], [0, 0, 0, 1, 3]]),
        "node_id": torch.tensor([10, 11, 12, 13]),
        "edge_id": torch.tensor([7, 2, 19, 5, 11]),
        "seeds": torch.tensor([10]),
        "edge_score": torch.tensor([0.5, 0.123456789, 0.0, 0.25, 1.0]),
    }
    return Local(index=index, **{**defaults, **more})  # type: ignore[arg-type]


def walked(**more: object) -> Local:
    """The star with three walks of two steps: one that stays, a negative one, there and back."""
    walks: dict[str, object] = {
        "walks": torch.tensor([[2, 3, 3], [2, 0, 1], [1, 0, 1]]),
        "walk_scores": torch.tensor([2.0, -1.0, 0.5]),
        "node_score": torch.tensor([0.0, 0.5, 1.0, 0.0]),
        "total": 2.0,
        "absorbed": 0.25,
    }
    return star(**{**walks, **more})  # type: ignore[arg-type]


def two_methods() -> list[Run]:
    """A plain and a layered, signed method over three instances, the last without edges."""
    layers = torch.tensor([[0.0, -3.0, 2.0, 0.0, 1.0], [0.5, 0.0, 0.0, -0.5, 4.0]])
    alone = Local(
        index=99,
        edge_index=torch.empty(2, 0, dtype=torch.long),
        node_id=torch.tensor([99]),
        edge_id=torch.empty(0, dtype=torch.long),
        seeds=torch.tensor([99]),
        edge_score=torch.empty(0),
        label=1,
    )
    truth = torch.tensor([True, False, True, False, True])
    node_score = torch.tensor([0.9, 0.1, 0.2, 0.3])
    first = star(label=0, edge_truth=truth, node_score=node_score)
    second = star(index=20, label=1, edge_score=torch.zeros(5), seeds=torch.tensor([12]))
    signed = torch.tensor([-0.75, 0.5, 0.0, 0.25, 0.125])
    return [
        Run("plain", [first, second, alone], {"seed": 3, "task": {"level": "node"}}),
        Run(
            "layered",
            [
                replace(first, edge_score=signed, layer_edge_score=layers, node_score=None),
                replace(second, layer_edge_score=torch.zeros(2, 5)),
                replace(alone, layer_edge_score=torch.empty(2, 0)),
            ],
            num_layers=2,
        ),
    ]


def house_on_scale_free(seed: int = 4, size: int = 20) -> tuple[nx.Graph, set[frozenset[int]]]:
    """A house (5 nodes, 6 edges) hung on a Barabasi-Albert graph, and its edges."""
    graph = nx.barabasi_albert_graph(size, 1, seed=seed)
    extra = nx.gnm_random_graph(size, size // 3, seed=seed)
    graph.add_edges_from(extra.edges)
    a, b, c, d, top = range(size, size + 5)
    house = [(a, b), (b, c), (c, d), (d, a), (a, top), (b, top)]
    graph.add_edges_from([*house, (a, 0)])
    return graph, {frozenset(edge) for edge in house}


def truth_of(local: Local, motif: set[frozenset[int]]) -> Tensor:
    ends = local.edge_index.t().tolist()
    return torch.tensor([frozenset(pair) in motif for pair in ends], dtype=torch.bool)


def scores_around(truth: Tensor, noise: float, seed: int) -> Tensor:
    """Higher on the truth than off it, by a generator of its own."""
    generator = torch.Generator().manual_seed(seed)
    base = torch.where(truth, 0.72, 0.1)
    return (base + noise * torch.rand(len(truth), generator=generator)).clamp(0, 1)


def molecule() -> nx.Graph:
    """Two fused rings with a nitro group and a tail, as in mutagenic compounds."""
    graph = nx.cycle_graph(6)
    graph.add_edges_from([(1, 6), (6, 7), (7, 8), (8, 9), (9, 2)])
    graph.add_edges_from([(7, 10), (10, 11), (11, 12), (12, 13), (13, 8)])
    graph.add_edges_from([(4, 14), (14, 15), (14, 16), (5, 17), (11, 18), (18, 19), (18, 20)])
    return graph


def is_finite_everywhere(value: object) -> bool:
    """No NaN and no infinity anywhere in a JSON-able value."""
    if isinstance(value, dict):
        return all(is_finite_everywhere(item) for item in value.values())
    if isinstance(value, list):
        return all(is_finite_everywhere(item) for item in value)
    return not isinstance(value, float) or math.isfinite(value)
