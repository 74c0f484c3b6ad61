"""The generated graphs have the statistics of the published files, and whole motifs as truth."""

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
import torch

from glassgraph.datasets import load_dataset
from glassgraph.errors import DatasetError

REFERENCE = {
    "ba-shapes": "syn1_BA-Shapes.npz",
    "ba-community": "syn2_BA-Community.npz",
    "tree-cycles": "syn3_Tree-Cycles.npz",
    "tree-grid": "syn4_Tree-Grid.npz",
}
HOUSE = nx.Graph([(0, 1), (1, 2), (2, 3), (3, 0), (4, 0), (4, 1)])
MOTIF = {
    "ba-shapes": HOUSE,
    "ba-community": HOUSE,
    "tree-cycles": nx.cycle_graph(6),
    "tree-grid": nx.grid_2d_graph(3, 3),
}
NODE_SETS = tuple(REFERENCE)
NUM_BASE = {"ba-shapes": 300, "ba-community": 300, "tree-cycles": 511, "tree-grid": 511}


def undirected(data):
    """The edges of a graph, each once, as sorted pairs, and their motif numbers."""
    source, target = data.edge_index
    once = source < target
    return data.edge_index[:, once].T.tolist(), data.edge_motif[once].tolist()


def statistics(edges, truth, y, num_nodes):
    """What the generated and the published graph must agree on."""
    graph, motifs = nx.Graph(), nx.Graph(truth)
    graph.add_nodes_from(range(num_nodes))
    graph.add_edges_from(edges)
    parts = sorted((sorted(part) for part in nx.connected_components(motifs)), key=min)
    return {
        "nodes": num_nodes,
        "classes": np.bincount(y).tolist(),
        "motif edges": motifs.number_of_edges(),
        "motif nodes": parts,
        "roles": [[int(y[node]) for node in part] for part in parts],
        "self-loops": nx.number_of_selfloops(graph),
        "connected": nx.is_connected(graph),
        "split": (int(0.8 * num_nodes), int(0.1 * num_nodes)),
    }


def read_reference(shared, name):
    file = np.load(shared / "data" / "synthetic_reference" / REFERENCE[name])
    edges, truth = file["edges"].tolist(), file["ground_truth_edges"].tolist()
    ours = statistics(edges, truth, file["y"].astype(int), int(file["num_nodes"]))
    ours["split"] = (int(file["train_mask"].sum()), int(file["val_mask"].sum()))
    return file, edges, ours


@pytest.mark.parametrize("name", NODE_SETS)
def test_statistics_equal_the_published_file(shared, name):
    dataset = load_dataset(name, seed=3)
    data = dataset.graphs[0]
    edges, motif = undirected(data)
    truth = [edge for edge, number in zip(edges, motif, strict=True) if number >= 0]
    ours = statistics(edges, truth, data.y.numpy(), data.num_nodes)
    ours["split"] = (len(dataset.split["train"]), len(dataset.split["val"]))
    file, reference_edges, reference = read_reference(shared, name)
    assert ours == reference
    assert list(data.x.shape) == list(file["features"].shape)
    if name == "tree-cycles":  # half of the cycles draw a second joining edge: 930 + 30 +- 4, + 1 %
        assert abs(len(edges) - len(reference_edges)) <= 17
    else:
        assert len(edges) == len(reference_edges)


@pytest.mark.parametrize("name", ["ba-shapes", "tree-cycles", "tree-grid"])
def test_every_motif_hangs_on_its_evenly_spaced_node_as_in_the_published_file(shared, name):
    _, reference_edges, reference = read_reference(shared, name)
    spacing = NUM_BASE[name] // len(reference["motif nodes"])
    joins = {(i * spacing, part[0]) for i, part in enumerate(reference["motif nodes"])}
    assert joins <= {tuple(sorted(edge)) for edge in reference_edges}
    assert joins <= {tuple(edge) for edge in undirected(load_dataset(name).graphs[0])[0]}


def test_community_features_have_the_published_mean_and_variance(shared):
    published = np.load(shared / "data" / "synthetic_reference" / REFERENCE["ba-community"])
    ours = load_dataset("ba-community", seed=1).graphs[0].x.numpy()
    for half in (slice(0, 700), slice(700, 1400)):
        theirs = published["features"][half]
        np.testing.assert_allclose(ours[half].mean(0), theirs.mean(0), atol=0.2)
        np.testing.assert_allclose(ours[half].var(0), theirs.var(0), atol=0.25)


def test_communities_are_joined_by_350_edges():
    source, target = load_dataset("ba-community").graphs[0].edge_index
    assert int(((source < 700) & (target >= 700)).sum()) == 350


@pytest.mark.parametrize("name", NODE_SETS)
def test_every_motif_is_whole(name):
    data = load_dataset(name, seed=5).graphs[0]
    edges, motif = undirected(data)
    for number in range(int(data.node_motif.max()) + 1):
        nodes = (data.node_motif == number).nonzero().view(-1).tolist()
        planted = nx.Graph([e for e, m in zip(edges, motif, strict=True) if m == number])
        assert sorted(planted) == nodes
        assert nx.is_isomorphic(planted, MOTIF[name])
    assert torch.equal(data.ground_truth_edge_mask, data.edge_motif >= 0)


def test_a_motif_with_a_missing_edge_is_not_whole():
    broken = HOUSE.copy()
    broken.remove_edge(4, 1)
    assert not nx.is_isomorphic(broken, HOUSE)


@pytest.mark.parametrize("name", [*NODE_SETS, "ba-2motifs"])
def test_both_directions_are_present_sorted_and_equal_in_truth(name):
    for data in load_dataset(name).graphs[::97]:
        pairs = [tuple(pair) for pair in data.edge_index.T.tolist()]
        assert all(before < after for before, after in pairwise(pairs))
        of = dict(zip(pairs, data.edge_motif.tolist(), strict=True))
        assert all(of[(b, a)] == number for (a, b), number in of.items())


def test_two_motifs_match_the_published_file(shared):
    file = np.load(shared / "data" / "synthetic_reference" / "BA-2Motifs.npz")
    dataset = load_dataset("ba-2motifs")
    assert [int(g.y) for g in dataset.graphs] == file["y"].tolist()
    assert [g.num_nodes for g in dataset.graphs] == file["num_nodes"].tolist()
    assert all(bool((g.x == float(file["x_fill"])).all()) for g in dataset.graphs[::31])
    pointer, disconnected = file["edge_ptr"], 0
    for number, data in enumerate(dataset.graphs):
        theirs = {tuple(e) for e in file["edges"][pointer[number] : pointer[number + 1]].tolist()}
        edges, motif = undirected(data)
        ours = {tuple(edge) for edge in edges}
        # A self-loop stands for the joining edge in the 40 published graphs that are cut apart.
        disconnected += (0, 20) not in theirs
        assert (0, 20) in ours
        assert len(ours) == len(theirs)
        truth = {tuple(e) for e, m in zip(edges, motif, strict=True) if m == 0}
        assert truth == {(a, b) for a, b in theirs if a >= 20 and a != b}
    assert disconnected == 40


def test_two_motifs_graphs_are_connected():
    for data in load_dataset("ba-2motifs", seed=2).graphs:
        assert nx.is_connected(nx.Graph(undirected(data)[0]))
        assert data.num_nodes == 25
        assert bool((data.edge_index[0] != data.edge_index[1]).all())


@pytest.mark.parametrize("name", [*NODE_SETS, "ba-2motifs"])
def test_same_seed_same_data_and_other_seed_other_data(name):
    first, again, other = (load_dataset(name, seed=seed) for seed in (7, 7, 8))
    for a, b in zip(first.graphs, again.graphs, strict=True):
        assert a.to_dict().keys() == b.to_dict().keys()
        assert all(torch.equal(a[key], b[key]) for key in a.to_dict())
    assert all(torch.equal(first.split[part], again.split[part]) for part in first.split)
    assert any(
        not torch.equal(a.edge_index, b.edge_index)
        for a, b in zip(first.graphs, other.graphs, strict=True)
    )
    assert not torch.equal(first.split["test"], other.split["test"])


@pytest.mark.parametrize("name", [*NODE_SETS, "ba-2motifs"])
def test_global_random_state_is_untouched(name):
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    load_dataset(name, seed=11)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


@pytest.mark.parametrize("name", NODE_SETS)
def test_explained_nodes_lie_in_different_motifs(name):
    dataset = load_dataset(name)
    motifs = dataset.graphs[0].node_motif[dataset.explained]
    assert len(dataset.explained) == 60
    assert len(motifs.unique()) == 60
    assert int(motifs.min()) >= 0


def test_explained_nodes_of_ba_shapes_follow_the_paper():
    assert load_dataset("ba-shapes").explained.tolist() == list(range(400, 700, 5))


def test_explained_nodes_of_tree_cycles_visit_every_position():
    explained = load_dataset("tree-cycles").explained - 511
    assert torch.bincount(explained % 6).tolist() == [10] * 6


def test_explained_graphs_of_two_motifs_are_the_test_graphs_of_both_classes():
    dataset = load_dataset("ba-2motifs")
    assert torch.equal(dataset.explained, dataset.split["test"])
    assert [int(dataset.graphs[i].y) for i in dataset.explained.tolist()].count(1) == 50


def test_truth_of_a_node_is_its_own_motif():
    dataset = load_dataset("ba-shapes", seed=1)
    mask = dataset.truth(403)  # house 20: nodes 400..404
    own = {tuple(pair) for pair in dataset.graphs[0].edge_index[:, mask].T.tolist()}
    half = {(400 + a, 400 + b) for a, b in HOUSE.edges}
    assert own == half | {(b, a) for a, b in half}
    assert not bool(dataset.truth(13).any())


def test_perturbation_adds_its_share_of_edges():
    # 1475 edges of the base and 80 * (6 + 1) of the houses, before any is added
    for share, expected in ((0.0, 2035), (0.1, 2035 + 203)):
        data = load_dataset("ba-shapes", perturbation=share).graphs[0]
        assert data.num_edges == 2 * expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "ba-squares"}, "known are ba-shapes, ba-community"),
        ({"name": "ba-shapes", "perturbation": 1.5}, "perturbation must lie in"),
        ({"name": "ba-shapes", "root": "somewhere"}, "is generated"),
        ({"name": "ba-shapes", "seed": -1}, "seed must be an integer"),
        ({"name": "mutag", "perturbation": 0.1}, "read from files"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(DatasetError, match=message):
        load_dataset(**arguments)
