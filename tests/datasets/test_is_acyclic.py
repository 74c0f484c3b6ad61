"""Is_Acyclic: labels against counts and against spanning trees, truth edge by edge, no twins."""

from collections.abc import Iterator
from itertools import combinations

import networkx as nx
import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.utils import to_networkx

from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.datasets.is_acyclic import ACYCLIC, CYCLIC, appearance, is_acyclic
from glassgraph.errors import DatasetError


@pytest.fixture(scope="module")
def dataset() -> ExplanationDataset:
    return is_acyclic(seed=3, num_graphs=122, nodes=(3, 19))


def undirected(graph: Data) -> "nx.Graph[int]":
    return to_networkx(graph, to_undirected=True)


def pieces(num_nodes: int, edges: list[tuple[int, int]]) -> int:
    """The number of connected parts, by joining names."""
    name = list(range(num_nodes))
    for a, b in edges:
        name = [name[a] if other == name[b] else other for other in name]
    return len(set(name))


def test_a_graph_is_acyclic_iff_every_edge_joins_two_parts(dataset: ExplanationDataset) -> None:
    for graph in dataset.graphs:
        edges = [(a, b) for a, b in graph.edge_index.t().tolist() if a < b]
        assert len(set(edges)) == len(edges) == graph.num_edges / 2
        assert graph.is_undirected()
        parts = pieces(graph.num_nodes, edges)
        assert parts == 1
        is_acyclic = len(edges) == graph.num_nodes - parts
        assert graph.y.tolist() == [ACYCLIC if is_acyclic else CYCLIC]
    assert torch.cat([graph.y for graph in dataset.graphs]).bincount().tolist() == [61, 61]


def test_features_are_degrees(dataset: ExplanationDataset) -> None:
    for graph in dataset.graphs:
        neighbors = [0.0] * graph.num_nodes
        for _, target in graph.edge_index.t().tolist():
            neighbors[target] += 1
        assert graph.x.tolist() == [[count] for count in neighbors]


def test_true_edges_are_those_whose_loss_leaves_the_graph_whole(
    dataset: ExplanationDataset,
) -> None:
    for number in range(0, 122, 5):
        graph = dataset.graphs[number]
        edges = graph.edge_index.t().tolist()
        truth = dataset.truth(number).tolist()
        for (a, b), true in zip(edges, truth, strict=True):
            rest = [edge for edge in edges if set(edge) != {a, b}]
            assert true == (pieces(graph.num_nodes, rest) == 1)
        touched = {node for edge, true in zip(edges, truth, strict=True) if true for node in edge}
        assert {i for i, motif in enumerate(graph.node_motif) if motif >= 0} == touched


def test_no_two_graphs_are_isomorphic_or_look_alike(dataset: ExplanationDataset) -> None:
    looks = {appearance(undirected(graph)) for graph in dataset.graphs}
    assert len(looks) == 122
    small = [undirected(graph) for graph in dataset.graphs if graph.num_nodes <= 7]
    assert len(small) > 20
    assert not any(nx.is_isomorphic(one, other) for one, other in combinations(small, 2))


def test_appearance_of_graphs_that_no_network_tells_apart() -> None:
    two_triangles = nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3))
    assert appearance(two_triangles) == appearance(nx.cycle_graph(6))
    assert appearance(nx.path_graph(5)) == appearance(nx.relabel_nodes(nx.path_graph(5), {0: 9}))
    assert appearance(nx.path_graph(6)) != appearance(nx.cycle_graph(6))
    # How long a long ring and a long tail are shows only after as many rounds.
    rings = nx.tadpole_graph(12, 13), nx.tadpole_graph(13, 12)
    assert appearance(rings[0], 4) == appearance(rings[1], 4)
    assert appearance(rings[0], 9) != appearance(rings[1], 9)


def families() -> Iterator[tuple[str, "nx.Graph[int]"]]:
    yield "path", nx.path_graph(5)
    yield "star", nx.star_graph(4)
    yield "cycle", nx.cycle_graph(5)
    yield "wheel", nx.wheel_graph(6)
    yield "ladder", nx.ladder_graph(4)
    yield "circular ladder", nx.circular_ladder_graph(4)
    yield "grid", nx.grid_2d_graph(3, 4)
    yield "balanced tree", nx.balanced_tree(2, 2)


def test_every_family_is_there(dataset: ExplanationDataset) -> None:
    looks = {appearance(undirected(graph)) for graph in dataset.graphs}
    known = [name for name, graph in families() if appearance(graph) in looks]
    assert len(known) >= 6, known  # families of more members than their share are sampled
    sizes = {graph.num_nodes for graph in dataset.graphs}
    assert sizes == set(range(3, 20))


@pytest.mark.slow("smaller sizes stand beside it")
def test_statistics_of_the_full_size_beside_the_published() -> None:
    full = load_dataset("Is_Acyclic", seed=0)
    assert (full.name, full.level, full.num_classes, full.num_features) == (
        "is-acyclic", "graph", 2, 1,
    )  # fmt: skip
    nodes = torch.tensor([float(graph.num_nodes) for graph in full.graphs])
    edges = torch.tensor([graph.num_edges / 2 for graph in full.graphs])
    assert (int(nodes.min()), int(nodes.max()), len(nodes)) == (3, 54, 1000)
    assert abs(float(nodes.mean()) - 28.46) < 2
    assert abs(float(edges.mean()) - 30.04) < 3
    labels = torch.cat([graph.y for graph in full.graphs])
    assert {part: len(ids) for part, ids in full.split.items()} == {
        "train": 800, "val": 100, "test": 100,
    }  # fmt: skip
    for ids in full.split.values():
        assert labels[ids].float().mean() == pytest.approx(0.5, abs=0.02)
    assert (labels[full.explained] == CYCLIC).all()
    assert set(full.explained.tolist()) <= set(full.split["test"].tolist())


def test_seeds() -> None:
    one, same, other = (is_acyclic(seed, 42, (3, 13)) for seed in (1, 1, 2))

    def flat(dataset: ExplanationDataset) -> list[list[list[int]]]:
        return [graph.edge_index.tolist() for graph in dataset.graphs]

    assert flat(one) == flat(same) != flat(other)
    assert all(torch.equal(one.split[part], same.split[part]) for part in one.split)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodes": (2, 9)}, "nodes must be a range .* from 3 up, got \\(2, 9\\)"),
        ({"nodes": (9, 5)}, "got \\(9, 5\\)"),
        ({"num_graphs": 7}, "num_graphs must be even and positive, got 7"),
        # A triangle and, of four nodes: a ring, one chord, two chords, a triangle with a tail.
        ({"num_graphs": 200, "nodes": (3, 4)}, "there are only 5 graphs of a class that differ"),
        ({"seed": -1}, "seed must be an integer >= 0"),
    ],
)
def test_what_cannot_be_made_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        is_acyclic(**change)  # type: ignore[arg-type]


def test_it_takes_no_perturbation() -> None:
    with pytest.raises(DatasetError, match="another edge would close a cycle"):
        load_dataset("is-acyclic", perturbation=0.1)
