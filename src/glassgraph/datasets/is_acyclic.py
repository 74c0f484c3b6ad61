"""Is_Acyclic: does a connected graph have a cycle?

The data set of Yuan, Tang, Hu and Ji, "XGNN: Towards Model-Level Explanations of Graph Neural
Networks" (KDD 2020, https://arxiv.org/abs/2006.02587). The authors' files are not read; this is a
recipe after the families that the paper names, and some more of either kind:

- class 1, acyclic: paths, stars, balanced trees, full r-ary trees, caterpillars, random trees;
- class 0, cyclic: cycles, wheels, ladders, circular ladders, grids, cycles with a tail, random
  trees with one to three more edges.

A graph has 3 to 54 nodes, each number as often as the family allows. The families of a class take
turns until it has its half of the graphs; one that has no more members drops out, so that random
graphs fill up. Published are 28.46 nodes and 30.04 edges on average; here it is 29.3 and 31.9
(seed 0; 29.3 to 30.6 and 31.8 to 33.1 for seeds 0 to 2).

No two graphs look alike: not only is none isomorphic to another, all differ in what a message
passing network of four layers can see, whatever its weights. So no test graph was seen in training.
Small graphs are few for the same reason (there are three paths of 3 to 5 nodes, and no more).

The only feature of a node is its degree, a number. A graph with N nodes and E edges is acyclic
exactly if E = N - 1, and the degrees sum to 2 E, so a network that adds up 1 - degree / 2 over all
nodes has the answer.

The truth about a cyclic graph is its edges on cycles, those that are no bridges; an acyclic graph
has none. A network that counts edges need not look there.
"""

from collections.abc import Callable, Iterator
from itertools import repeat

import networkx as nx
import numpy as np
import torch
from torch_geometric.data import Data
from torch_geometric.utils import degree, to_undirected

from glassgraph.datasets.base import (
    ExplanationDataset,
    generator,
    motif_components,
    stratified_split,
)
from glassgraph.errors import DatasetError

LICENSE = "generated"
SOURCE = "generated after Yuan et al. 2020, https://arxiv.org/abs/2006.02587"

CYCLIC, ACYCLIC = 0, 1
NUM_GRAPHS = 1000
#: The fewest and the most nodes.
NODES = (3, 54)
#: Rounds of color refinement after which two graphs must differ.
ROUNDS = 4
#: A random family whose members were all seen before, so many times in a row, has no more.
PATIENCE = 2000

Members = Iterator["nx.Graph[int]"]


def is_acyclic(
    seed: int = 0, num_graphs: int = NUM_GRAPHS, nodes: tuple[int, int] = NODES
) -> ExplanationDataset:
    """Connected graphs with and without cycles, half of each.

    Explained by default: the cyclic test graphs.

    Args:
        seed: Seed of the graphs and of their split.
        num_graphs: How many, both classes together.
        nodes: The fewest (at least 3) and the most nodes of a graph.

    Raises:
        DatasetError: if the sizes are no range from 3 up, or too few graphs differ.
    """
    least, most = nodes
    if not 3 <= least <= most:
        raise DatasetError(f"nodes must be a range (fewest, most) from 3 up, got {nodes}")
    if num_graphs < 2 or num_graphs % 2:
        raise DatasetError(f"num_graphs must be even and positive, got {num_graphs}")
    rng = generator(seed, "is-acyclic")
    graphs = []
    for label, families in (
        (CYCLIC, _cyclic_families(rng, least, most)),
        (ACYCLIC, _acyclic_families(rng, least, most)),
    ):
        found = _take_turns(families, num_graphs // 2)
        graphs += [_to_data(graph, label) for graph in found]
    labels = torch.tensor([CYCLIC, ACYCLIC]).repeat_interleave(num_graphs // 2)
    split = stratified_split(labels, seed)
    return ExplanationDataset(
        name="is-acyclic",
        level="graph",
        graphs=graphs,
        num_classes=2,
        num_features=1,
        explained=split["test"][labels[split["test"]] == CYCLIC],
        split=split,
        license=LICENSE,
        source=SOURCE,
    )


def appearance(graph: "nx.Graph[int]", rounds: int = ROUNDS) -> tuple[int, ...]:
    """What a message passing network of so many layers can know of a graph without features.

    Colors are refined by those of the neighbors, beginning with one color for all nodes
    (Weisfeiler and Leman). Isomorphic graphs agree, and graphs that agree have the same logits.

    Args:
        graph: The graph.
        rounds: How many times colors are refined.

    Returns:
        The colors of all nodes, sorted.
    """
    color = dict.fromkeys(graph, 0)
    for _ in range(rounds):
        color = {
            node: hash((color[node], *sorted(color[other] for other in graph[node])))
            for node in graph
        }
    return tuple(sorted(color.values()))


def _take_turns(families: list[Members], count: int) -> list["nx.Graph[int]"]:
    """The next new member of each family in turn, until there are so many."""
    found: list[nx.Graph[int]] = []
    seen: set[tuple[int, ...]] = set()
    while len(found) < count:
        if not families:
            raise DatasetError(
                f"there are only {len(found)} graphs of a class that differ, {count} are asked "
                "for: ask for fewer graphs or more nodes"
            )
        for family in list(families):
            graph = _next_new(family, seen)
            if graph is None:
                families.remove(family)
            elif len(found) < count:
                found.append(graph)
    return found


def _next_new(family: Members, seen: set[tuple[int, ...]]) -> "nx.Graph[int] | None":
    for _, graph in zip(range(PATIENCE), family, strict=False):
        look = appearance(graph)
        if look not in seen:
            seen.add(look)
            return graph
    return None


def _acyclic_families(rng: np.random.Generator, least: int, most: int) -> list[Members]:
    sizes = range(least, most + 1)
    all_balanced = [
        balanced
        for branches in range(2, most)
        for height in range(1, 6)
        if branches**height < most
        and least <= len(balanced := nx.balanced_tree(branches, height)) <= most
    ]
    full = [nx.full_rary_tree(branches, size) for branches in range(2, 6) for size in sizes]

    def caterpillar(size: int) -> "nx.Graph[int]":
        spine = int(rng.integers(1, size))
        graph = nx.path_graph(spine)
        graph.add_edges_from((int(rng.integers(spine)), leaf) for leaf in range(spine, size))
        return graph

    def tree(size: int) -> "nx.Graph[int]":
        return nx.random_labeled_tree(size, seed=rng)

    return [
        _shuffled(rng, [nx.path_graph(size) for size in sizes]),
        _shuffled(rng, [nx.star_graph(size - 1) for size in sizes]),
        _shuffled(rng, all_balanced),
        _shuffled(rng, full),
        _endless(rng, sizes, caterpillar),
        _endless(rng, sizes, tree),
    ]


def _cyclic_families(rng: np.random.Generator, least: int, most: int) -> list[Members]:
    sizes, halves = range(least, most + 1), range((least + 1) // 2, most // 2 + 1)
    grids = [
        nx.convert_node_labels_to_integers(nx.grid_2d_graph(rows, columns))
        for rows in range(3, most // 3 + 1)
        for columns in range(rows, most // rows + 1)
        if rows * columns >= least
    ]

    def with_tail(size: int) -> "nx.Graph[int]":
        ring = int(rng.integers(3, max(4, size)))
        return nx.tadpole_graph(ring, size - ring)

    def with_more_edges(size: int) -> "nx.Graph[int]":
        graph = nx.random_labeled_tree(size, seed=rng)
        absent = list(nx.non_edges(graph))
        more = min(int(rng.integers(1, 4)), len(absent))
        graph.add_edges_from(absent[i] for i in rng.permutation(len(absent))[:more])
        return graph

    return [
        _shuffled(rng, [nx.cycle_graph(size) for size in sizes]),
        _shuffled(rng, [nx.wheel_graph(size) for size in sizes if size > 3]),
        _shuffled(rng, [nx.ladder_graph(half) for half in halves if half >= 2]),
        _shuffled(rng, [nx.circular_ladder_graph(half) for half in halves if half >= 3]),
        _shuffled(rng, grids),
        _endless(rng, sizes, with_tail),
        _endless(rng, sizes, with_more_edges),
    ]


def _shuffled(rng: np.random.Generator, members: list["nx.Graph[int]"]) -> Members:
    return iter([members[i] for i in rng.permutation(len(members))])


def _endless(
    rng: np.random.Generator, sizes: range, make: Callable[[int], "nx.Graph[int]"]
) -> Members:
    """Random members, each number of nodes as likely as the next."""
    return (make(int(rng.integers(sizes.start, sizes.stop))) for _ in repeat(None))


def _to_data(graph: "nx.Graph[int]", label: int) -> Data:
    """Both directions of every edge, sorted by source and then target."""
    edges = list(graph.edges)
    bridges = {frozenset(edge) for edge in (edges if label == ACYCLIC else nx.bridges(graph))}
    edge_index, on_cycle = to_undirected(
        torch.tensor(edges).t(),
        torch.tensor([frozenset(edge) not in bridges for edge in edges]),
        num_nodes=len(graph),
        reduce="max",
    )
    edge_motif, node_motif = motif_components(edge_index, on_cycle, len(graph))
    return Data(
        x=degree(edge_index[0], len(graph)).view(-1, 1),
        edge_index=edge_index,
        y=torch.tensor([label]),
        edge_motif=edge_motif,
        node_motif=node_motif,
        ground_truth_edge_mask=on_cycle,
    )
