"""Motif graphs: a random base with planted motifs, whose edges are the truth about a prediction.

Recipe (Ying et al., "GNNExplainer: Generating Explanations for Graph Neural Networks", 2019,
https://arxiv.org/abs/1903.03894, generator in https://github.com/RexYing/gnn-model-explainer): M
motifs hang on every floor(N_base / M)-th base node by their node 0, then `int(perturbation * E)`
random edges that did not exist are added. A node's label is its role in the motif, 0 in the base.

| name | base | motifs | classes | x |
| --- | --- | --- | --- | --- |
| ba-shapes | BA(300, 5) | 80 houses | base, middle, bottom, top | ones, 10 wide |
| ba-community | two ba-shapes joined by 350 random edges | 160 houses | 2 x 4 | Gaussian, 10 wide |
| tree-cycles | binary tree, 511 nodes | 60 six-cycles | base, motif | ones, 10 wide |
| tree-grid | the same tree | 80 grids of 3 x 3 | base, motif | ones, 10 wide |
| ba-2motifs | 1000 times BA(20, 1) | one five-cycle (0) or house (1) each | 2 | 0.1, 10 wide |

Half of the cycles of tree-cycles get a second edge to the tree, as in the original generator. The
default perturbation of 0.01 reproduces the published files (the generator's present code has 0.1
for tree-grid); ba-2motifs (Luo et al., "Parameterized Explainer for Graph Neural Network", 2020,
https://arxiv.org/abs/2011.04573) has none.

One difference from the published ba-2motifs: there the motif of 40 graphs is cut off from its base,
with a self-loop in place of the joining edge. Here every graph is connected and has no self-loops.

The networks depend on the seed and on networkx' generators, so a release of networkx may change
them.
"""

from dataclasses import dataclass
from itertools import pairwise

import networkx as nx
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.datasets.base import (
    ExplanationDataset,
    evenly_spread,
    generator,
    stratified_split,
)
from glassgraph.errors import DatasetError

LICENSE = "generated; the recipe's code is Apache-2.0"
SOURCE = "generated after Ying et al. 2019, https://github.com/RexYing/gnn-model-explainer"
SOURCE_2MOTIFS = "generated after Luo et al. 2020, https://github.com/flyingdoog/PGExplainer"

NUM_FEATURES = 10
NUM_EXPLAINED = 60

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Motif:
    """A small graph to plant: undirected edges between its own nodes, and a role per node."""

    edges: tuple[tuple[int, int], ...]
    roles: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of nodes."""
        return len(self.roles)


def cycle(size: int) -> Motif:
    """A ring of `size` nodes that all play role 1."""
    return Motif(tuple((i, (i + 1) % size) for i in range(size)), (1,) * size)


def grid(side: int) -> Motif:
    """A square lattice of `side * side` nodes that all play role 1."""
    rows = np.arange(side * side).reshape(side, side)
    edges = [edge for line in (*rows, *rows.T) for edge in pairwise(line.tolist())]
    return Motif(tuple(edges), (1,) * side**2)


HOUSE = Motif(((0, 1), (1, 2), (2, 3), (3, 0), (4, 0), (4, 1)), (1, 1, 2, 2, 3))


def ba_shapes(seed: int = 0, perturbation: float = 0.01) -> ExplanationDataset:
    """700 nodes: a Barabasi-Albert graph with 80 houses.

    Explained by default: nodes 400, 405, ..., 695, the first node of 60 houses, as in the paper's
    code.

    Args:
        seed: Seed of the graph and of its split.
        perturbation: Random extra edges as a share of all edges.

    Raises:
        DatasetError: if the perturbation lies outside [0, 1].
    """
    graph = _ba_shapes(generator(seed, "ba-shapes"), perturbation)
    return _node_dataset("ba-shapes", graph, _ones(graph), torch.arange(400, 700, 5), seed)


def ba_community(seed: int = 0, perturbation: float = 0.01) -> ExplanationDataset:
    """1400 nodes: two ba-shapes graphs, joined by 350 random edges, told apart by their features.

    Features 0 and 1 are Gaussian with mean -1 in the first community and +1 in the second, and
    variance 0.5; the other eight are standard Gaussian noise. Labels 0..3 are the roles in the
    first community, 4..7 those in the second. Explained by default: 60 motif nodes, evenly spread.

    Args:
        seed: Seed of the graph and of its split.
        perturbation: Random extra edges as a share of all edges, in each community.

    Raises:
        DatasetError: if the perturbation lies outside [0, 1].
    """
    rng = generator(seed, "ba-community")
    first, second = _ba_shapes(rng, perturbation), _ba_shapes(rng, perturbation)
    graph = _add_random_edges(_side_by_side(first, second), 350, rng, across=first.num_nodes)
    mean = np.where(np.arange(graph.num_nodes) < first.num_nodes, -1.0, 1.0)
    x = rng.normal(size=(graph.num_nodes, NUM_FEATURES))
    x[:, :2] = mean[:, None] + np.sqrt(0.5) * x[:, :2]
    explained = evenly_spread(graph.node_motif, NUM_EXPLAINED)
    return _node_dataset("ba-community", graph, torch.from_numpy(x).float(), explained, seed)


def tree_cycles(seed: int = 0, perturbation: float = 0.01) -> ExplanationDataset:
    """871 nodes: a balanced binary tree with 60 rings of six, half of them joined twice.

    Explained by default: 60 motif nodes, one of each ring, its positions in turn.

    Args:
        seed: Seed of the graph and of its split.
        perturbation: Random extra edges as a share of all edges.

    Raises:
        DatasetError: if the perturbation lies outside [0, 1].
    """
    rng = generator(seed, "tree-cycles")
    graph = _perturb(_plant(_tree(), cycle(6), 60, rng, second_join=0.5), perturbation, rng)
    explained = evenly_spread(graph.node_motif, NUM_EXPLAINED)
    return _node_dataset("tree-cycles", graph, _ones(graph), explained, seed)


def tree_grid(seed: int = 0, perturbation: float = 0.01) -> ExplanationDataset:
    """1231 nodes: a balanced binary tree with 80 grids of 3 x 3.

    Explained by default: 60 motif nodes, evenly spread over the grids and the positions in a grid.

    Args:
        seed: Seed of the graph and of its split.
        perturbation: Random extra edges as a share of all edges.

    Raises:
        DatasetError: if the perturbation lies outside [0, 1].
    """
    rng = generator(seed, "tree-grid")
    graph = _perturb(_plant(_tree(), grid(3), 80, rng), perturbation, rng)
    explained = evenly_spread(graph.node_motif, NUM_EXPLAINED)
    return _node_dataset("tree-grid", graph, _ones(graph), explained, seed)


def ba_2motifs(seed: int = 0, perturbation: float = 0.0) -> ExplanationDataset:
    """1000 connected graphs of 25 nodes: 500 with a five-cycle, 500 with a house.

    Class 0 is the cycle, class 1 the house. Base nodes are 0..19; the motif is 20..24 and hangs on
    base node 0 by its node 20. Explained by default: the test graphs of both classes.

    Args:
        seed: Seed of the graphs and of their split.
        perturbation: Random extra edges as a share of all edges.

    Raises:
        DatasetError: if the perturbation lies outside [0, 1].
    """
    rng = generator(seed, "ba-2motifs")
    graphs = []
    for label, motif in ((0, cycle(5)), (1, HOUSE)):
        for _ in range(500):
            base = nx.barabasi_albert_graph(20, 1, seed=rng)
            graph = _perturb(_plant(base, motif, 1, rng), perturbation, rng)
            x = torch.full((graph.num_nodes, NUM_FEATURES), 0.1)
            graphs.append(_to_data(graph, x, torch.tensor([label])))
    split = stratified_split(torch.tensor([0] * 500 + [1] * 500), seed)
    return ExplanationDataset(
        name="ba-2motifs",
        level="graph",
        graphs=graphs,
        num_classes=2,
        num_features=NUM_FEATURES,
        explained=split["test"],
        split=split,
        license=LICENSE,
        source=SOURCE_2MOTIFS,
    )


@dataclass(frozen=True)
class _Planted:
    """An undirected graph under construction: `edges [M, 2]`, motif numbers, a label per node."""

    edges: Ints
    edge_motif: Ints
    node_motif: Ints
    label: Ints

    @property
    def num_nodes(self) -> int:
        return len(self.label)


def _ba_shapes(rng: np.random.Generator, perturbation: float) -> _Planted:
    base = nx.barabasi_albert_graph(300, 5, seed=rng)
    return _perturb(_plant(base, HOUSE, 80, rng), perturbation, rng)


def _tree() -> "nx.Graph[int]":
    return nx.balanced_tree(2, 8)


def _plant(
    base: "nx.Graph[int]",
    motif: Motif,
    num_motifs: int,
    rng: np.random.Generator,
    second_join: float = 0.0,
) -> _Planted:
    """Hang motifs on evenly spaced base nodes by their node 0.

    With probability `second_join` a motif gets another edge, from its node 1..3 to one of the three
    base nodes after the one it hangs on.
    """
    num_base = base.number_of_nodes()
    spacing = num_base // num_motifs
    edges = [sorted(edge) for edge in base.edges()]
    edge_motif = [-1] * len(edges)
    for number in range(num_motifs):
        start, anchor = num_base + number * motif.size, number * spacing
        edges += [[start + a, start + b] for a, b in motif.edges]
        edge_motif += [number] * len(motif.edges)
        edges.append([anchor, start])
        edge_motif.append(-1)
        if rng.random() < second_join:
            inside, beyond = rng.integers(1, 4, size=2).tolist()
            edges.append([anchor + beyond, start + inside])
            edge_motif.append(-1)
    return _Planted(
        edges=np.array(edges, dtype=np.int64),
        edge_motif=np.array(edge_motif, dtype=np.int64),
        node_motif=np.r_[np.full(num_base, -1), np.repeat(np.arange(num_motifs), motif.size)],
        label=np.r_[np.zeros(num_base, dtype=np.int64), np.tile(motif.roles, num_motifs)],
    )


def _perturb(graph: _Planted, perturbation: float, rng: np.random.Generator) -> _Planted:
    if not 0 <= perturbation <= 1:
        raise DatasetError(f"perturbation must lie in [0, 1], got {perturbation}")
    return _add_random_edges(graph, int(perturbation * len(graph.edges)), rng)


def _add_random_edges(
    graph: _Planted, count: int, rng: np.random.Generator, across: int | None = None
) -> _Planted:
    """Add `count` edges that do not exist yet; with `across`, from below that node to above."""
    present = {tuple(sorted(edge)) for edge in graph.edges.tolist()}
    num_nodes = graph.num_nodes
    possible = num_nodes * (num_nodes - 1) // 2 - len(present)
    if count > possible:
        raise DatasetError(f"cannot add {count} edges: only {possible} pairs are not joined yet")
    middle = across or 0
    added: list[tuple[int, int]] = []
    while len(added) < count:
        a = int(rng.integers(0, across or num_nodes))
        b = int(rng.integers(middle, num_nodes))
        edge = (min(a, b), max(a, b))
        if a != b and edge not in present:
            present.add(edge)
            added.append(edge)
    return _Planted(
        edges=np.concatenate([graph.edges, np.array(added, dtype=np.int64).reshape(-1, 2)]),
        edge_motif=np.r_[graph.edge_motif, np.full(count, -1)],
        node_motif=graph.node_motif,
        label=graph.label,
    )


def _side_by_side(first: _Planted, second: _Planted) -> _Planted:
    """The disjoint union: ids, motif numbers and labels of the second follow those of the first."""

    def after(of_first: Ints, of_second: Ints) -> Ints:
        shifted = np.where(of_second < 0, -1, of_second + of_first.max() + 1)
        return np.concatenate([of_first, shifted])

    return _Planted(
        edges=np.concatenate([first.edges, second.edges + first.num_nodes]),
        edge_motif=after(first.edge_motif, second.edge_motif),
        node_motif=after(first.node_motif, second.node_motif),
        label=after(first.label, second.label),
    )


def _ones(graph: _Planted) -> Tensor:
    return torch.ones(graph.num_nodes, NUM_FEATURES)


def _to_data(graph: _Planted, x: Tensor, y: Tensor) -> Data:
    """Both directions of every edge, sorted by source and then target."""
    both = np.concatenate([graph.edges, graph.edges[:, ::-1]])
    order = np.lexsort((both[:, 1], both[:, 0]))
    edge_motif = torch.from_numpy(np.tile(graph.edge_motif, 2)[order])
    return Data(
        x=x,
        edge_index=torch.from_numpy(both[order].T.copy()),
        y=y,
        edge_motif=edge_motif,
        node_motif=torch.from_numpy(graph.node_motif),
        ground_truth_edge_mask=edge_motif >= 0,
    )


def _node_dataset(
    name: str, graph: _Planted, x: Tensor, explained: Tensor, seed: int
) -> ExplanationDataset:
    y = torch.from_numpy(graph.label)
    return ExplanationDataset(
        name=name,
        level="node",
        graphs=[_to_data(graph, x, y)],
        num_classes=int(y.max()) + 1,
        num_features=NUM_FEATURES,
        explained=explained,
        split=stratified_split(y, seed),
        license=LICENSE,
        source=SOURCE,
    )
