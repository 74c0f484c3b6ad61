"""Infection: labels, sources and paths against networkx."""

from itertools import pairwise

import networkx as nx
import pytest
import torch
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.datasets.infection import infection, trace
from glassgraph.errors import DatasetError

SMALL = {"num_graphs": 3, "num_nodes": 97, "edge_probability": 0.03, "num_infected": 5}


@pytest.fixture(scope="module")
def dataset() -> ExplanationDataset:
    return infection(seed=3, **SMALL)


def test_labels_sources_and_paths_against_networkx(dataset: ExplanationDataset) -> None:
    data = dataset.graphs[0]
    graph = nx.DiGraph(data.edge_index.t().tolist())
    graph.add_nodes_from(range(data.num_nodes))
    infected = data.x[:, 1].nonzero().view(-1).tolist()
    seen = set()
    for node in range(data.num_nodes):
        length = {
            source: nx.shortest_path_length(graph, source, node)
            for source in infected
            if nx.has_path(graph, source, node)
        }
        label = min([5, *length.values()])
        assert int(data.y[node]) == label
        sources = [source for source, steps in length.items() if steps == label < 5]
        found = [path for source in sources for path in nx.all_shortest_paths(graph, source, node)]
        assert bool(data.has_unique_source[node]) == (len(sources) == 1)
        assert bool(data.has_unique_path[node]) == (len(found) == 1)
        path = found[0] if len(found) == 1 else []
        assert data.true_path[node].tolist() == path + [-1] * (5 - len(path))
        edges = [edge for edge in data.true_edges[node].tolist() if edge >= 0]
        assert data.edge_index[:, edges].t().tolist() == [list(step) for step in pairwise(path)]
        seen.add((label, len(sources) == 1, len(found) == 1))
    assert {(0, True, True), (3, True, True), (3, False, False), (5, False, False)} <= seen
    assert any(one_source and not one_path for _, one_source, one_path in seen)


def test_features_say_who_is_infected(dataset: ExplanationDataset) -> None:
    data = dataset.graphs[0]
    assert data.x.sum(dim=1).eq(1).all()
    assert torch.equal(data.x[:, 1] == 1, data.y == 0)
    assert data.x[:, 1].view(3, 97).sum(dim=1).tolist() == [5, 5, 5]


def test_graphs_are_simple_directed_and_not_joined(dataset: ExplanationDataset) -> None:
    source, target = dataset.graphs[0].edge_index
    owner = dataset.graphs[0].node_graph
    assert torch.equal(owner, torch.arange(3).repeat_interleave(97))
    assert torch.equal(owner[source], owner[target])
    assert not (source == target).any()
    key = source * 291 + target
    assert torch.equal(key, key.unique())  # sorted, and no edge twice
    back = torch.isin(target * 291 + source, key)
    assert 0 < int(back.sum()) < len(key) / 2
    # Five standard deviations of a binomial.
    assert abs(len(key) - 3 * 97 * 96 * 0.03) < 5 * (3 * 97 * 96 * 0.03) ** 0.5


def test_the_last_graph_is_for_test(dataset: ExplanationDataset) -> None:
    assert dataset.split["test"].tolist() == list(range(194, 291))
    others = torch.cat([dataset.split["train"], dataset.split["val"]]).sort().values
    assert others.tolist() == list(range(194))
    assert len(dataset.split["val"]) == 19
    data = dataset.graphs[0]
    asked = [v for v in range(194, 291) if data.has_unique_path[v] and data.y[v] > 0]
    assert dataset.explained.tolist() == asked


def test_the_truth_about_a_node_are_the_edges_of_its_path(dataset: ExplanationDataset) -> None:
    data = dataset.graphs[0]
    union = torch.zeros(data.num_edges, dtype=torch.bool)
    for node in range(data.num_nodes):
        truth = dataset.truth(node)
        union |= truth
        own = data.true_edges[node]
        assert truth.nonzero().view(-1).tolist() == sorted(own[own >= 0].tolist())
    assert torch.equal(union, data.ground_truth_edge_mask)


def test_explanations_carry_that_truth(dataset: ExplanationDataset) -> None:
    from torch_geometric.nn import GraphConv

    data = dataset.graphs[0]
    node = int(dataset.explained[7])
    without = int((data.true_edges[:, 0] < 0).nonzero()[0])
    made = gg.Random(GraphConv(2, 2), progress=False).explain(data, [node, without])
    truth = made.local(0).edge_truth
    assert truth is not None
    edges = made.local(0).edge_id[truth]
    assert edges.tolist() == data.true_edges[node][data.true_edges[node] >= 0][-1:].tolist()
    assert made.local(1).edge_truth is None


def test_two_ways_from_one_source_are_one_source() -> None:
    # 0 -> 1 -> 3 and 0 -> 2 -> 3; 4 -> 5 and 0 -> 5; node 6 is out of reach.
    ends = torch.tensor([[0, 1, 0, 2, 4, 0], [1, 3, 2, 3, 5, 5]])
    is_infected = torch.tensor([True, False, False, False, True, False, False])
    spread = trace(ends, is_infected, max_path=2)
    assert spread.distance.tolist() == [0, 1, 1, 2, 0, 1, 3]
    assert spread.has_unique_source.tolist() == [True, True, True, True, True, False, False]
    assert spread.has_unique_path.tolist() == [True, True, True, False, True, False, False]
    assert spread.path[2].tolist() == [0, 2, -1]
    assert spread.edges[2].tolist() == [2, -1]


def test_the_seed_decides() -> None:
    one, same, other = (infection(seed, **SMALL) for seed in (1, 1, 2))
    for key, value in one.graphs[0].to_dict().items():
        assert torch.equal(value, same.graphs[0][key])
    assert torch.equal(one.split["val"], same.split["val"])
    assert not torch.equal(one.graphs[0].x, other.graphs[0].x)


def test_load_dataset_gives_the_published_sizes() -> None:
    full = load_dataset("Infection", seed=0)
    data = full.graphs[0]
    assert (full.name, full.level, full.num_classes, full.num_features) == (
        "infection",
        "node",
        6,
        2,
    )
    assert (data.num_nodes, int((data.y == 0).sum())) == (5000, 250)
    assert [len(full.split[part]) for part in ("train", "val", "test")] == [3600, 400, 1000]
    assert abs(data.num_edges - 5 * 999 * 4) < 5 * (5 * 999 * 4) ** 0.5
    with pytest.raises(DatasetError, match="infection takes no perturbation"):
        load_dataset("infection", perturbation=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_graphs": 1}, "num_graphs must be 2 or more"),
        ({"num_infected": 0}, r"num_infected must lie in \[1, 97\], got 0"),
        ({"num_infected": 98}, "num_infected must lie in"),
        ({"edge_probability": 1.1}, r"edge_probability must lie in \[0, 1\]"),
        ({"max_path": 0}, "max_path must be positive"),
        ({"seed": -1}, "seed must be an integer >= 0"),
    ],
)
def test_mistakes_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        infection(**{**SMALL, **change})  # type: ignore[arg-type]


def test_true_edges_have_one_row_per_node() -> None:
    graph = Data(
        x=torch.zeros(3, 1),
        edge_index=torch.tensor([[0], [1]]),
        true_edges=torch.zeros(2, 1, dtype=torch.long),
    )
    with pytest.raises(DatasetError, match="true_edges must have 3 rows"):
        gg.datasets.from_pyg([graph], "node", name="mine")


def test_undirected_graphs_have_every_edge_in_both_directions() -> None:
    data = infection(seed=3, **SMALL, directed=False).graphs[0]
    key, back = (a * 291 + b for a, b in (data.edge_index, data.edge_index.flip(0)))
    assert torch.equal(key, back.sort().values)
    assert not (data.edge_index[0] == data.edge_index[1]).any()
    assert abs(len(key) - 3 * 97 * 96 * 0.03) < 8 * (3 * 97 * 96 * 0.03) ** 0.5
    graph = nx.Graph(data.edge_index.t().tolist())
    graph.add_nodes_from(range(291))
    infected = set(data.x[:, 1].nonzero().view(-1).tolist())
    length = nx.multi_source_dijkstra_path_length(graph, infected)
    assert data.y.tolist() == [min(5, length.get(node, 5)) for node in range(291)]
