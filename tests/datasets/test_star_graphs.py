"""Star graphs: labels and truth against literal counts, and how often everything happens."""

import pytest
import torch

from glassgraph.datasets import ExplanationDataset, load_dataset
from glassgraph.datasets.star_graphs import star_graphs
from glassgraph.errors import DatasetError


@pytest.fixture(scope="module")
def dataset() -> ExplanationDataset:
    return star_graphs(seed=3, sizes=(701, 101, 53))


def test_labels_truth_and_features_against_a_literal_count(dataset: ExplanationDataset) -> None:
    for number, graph in enumerate(dataset.graphs):
        x, y = graph.x[1].nonzero().flatten().tolist()
        y -= 6
        assert x != y
        assert 0 <= y < 6
        counts, truth = {x: 0, y: 0}, []
        for color in graph.edge_type.tolist():
            truth.append(color in counts)
            if color in counts:
                counts[color] += 1
        assert graph.y.tolist() == [1 if counts[x] > counts[y] else 0]
        assert dataset.truth(number).tolist() == truth
        question = [float(column in (x, y + 6)) for column in range(12)]
        assert graph.x.tolist() == [[-1.0] * 12] + [question] * (graph.num_nodes - 1)


def test_every_leaf_has_one_edge_to_the_centroid(dataset: ExplanationDataset) -> None:
    sizes = set()
    for graph in dataset.graphs:
        leaves = list(range(1, graph.num_nodes))
        assert graph.edge_index.tolist() == [leaves, [0] * len(leaves)]
        sizes.add(len(leaves))
    assert sizes == set(range(6, 13))


def test_motifs_say_what_the_truth_says(dataset: ExplanationDataset) -> None:
    for graph in dataset.graphs:
        true_leaves = {i + 1 for i, true in enumerate(graph.ground_truth_edge_mask) if true}
        touched = true_leaves | ({0} if true_leaves else set())
        assert graph.node_motif.tolist() == [
            0 if node in touched else -1 for node in range(graph.num_nodes)
        ]
        assert torch.equal(graph.edge_motif >= 0, graph.ground_truth_edge_mask)


def test_sizes_colors_and_questions_are_uniform_and_two_fifths_of_the_labels_are_1() -> None:
    graphs = star_graphs(seed=0, sizes=(3001, 0, 0)).graphs
    leaves = torch.tensor([graph.num_edges for graph in graphs])
    colors = torch.cat([graph.edge_type for graph in graphs])
    questions = torch.stack([graph.x[1] for graph in graphs])
    pairs = (6 * questions[:, :6].argmax(1) + questions[:, 6:].argmax(1)).bincount(minlength=36)
    # Five standard deviations of a binomial share; the label's is summed over all outcomes.
    for counts, share in (
        (leaves.bincount()[6:], 1 / 7),
        (colors.bincount(), 1 / 6),
        (pairs[pairs > 0], 1 / 30),
    ):
        total = int(counts.sum())
        assert len(counts) == round(1 / share)
        assert (counts - share * total).abs().max() < 5 * (total * share * (1 - share)) ** 0.5
    positive = sum(int(graph.y) for graph in graphs) / len(graphs)
    assert abs(positive - share_of_positives()) < 5 * (0.24 / len(graphs)) ** 0.5


def share_of_positives() -> float:
    """P(#x > #y) for two of six colors: half of what a tie leaves, averaged over 6..12 leaves."""
    from math import comb

    ties = [
        sum(comb(n, 2 * k) * comb(2 * k, k) * 4 ** (n - 2 * k) for k in range(n // 2 + 1)) / 6**n
        for n in range(6, 13)
    ]
    return sum((1 - tie) / 2 for tie in ties) / len(ties)


def test_the_seed_decides() -> None:
    one, same, other = (star_graphs(seed, (31, 7, 5)) for seed in (1, 1, 2))
    for a, b in zip(one.graphs, same.graphs, strict=True):
        assert a.to_dict().keys() == b.to_dict().keys()
        assert all(torch.equal(a[key], b[key]) for key in a.to_dict())
    assert any(a.num_edges != c.num_edges for a, c in zip(one.graphs, other.graphs, strict=True))


def test_parts_and_other_colors_and_leaves() -> None:
    small = star_graphs(0, sizes=(5, 3, 2), num_colors=4, leaves=(3, 3))
    assert {part: ids.tolist() for part, ids in small.split.items()} == {
        "train": [0, 1, 2, 3, 4],
        "val": [5, 6, 7],
        "test": [8, 9],
    }
    assert small.explained.tolist() == [8, 9]
    assert small.num_features == 8
    assert {graph.num_edges for graph in small.graphs} == {3}


def test_load_dataset_gives_the_sizes_of_the_authors_code() -> None:
    full = load_dataset("star_graphs", seed=5)
    assert [len(full.split[part]) for part in ("train", "val", "test")] == [10_000, 500, 500]
    assert (full.name, full.level, full.num_classes) == ("star-graphs", "graph", 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": (0, 0, 0)}, "sizes must not be negative or all zero"),
        ({"sizes": (5, -1, 2)}, "sizes must not be negative"),
        ({"num_colors": 1}, "num_colors must be at least 2, got 1"),
        ({"leaves": (0, 4)}, "leaves must be a range"),
        ({"leaves": (7, 6)}, "leaves must be a range"),
        ({"seed": -1}, "seed must be an integer >= 0"),
    ],
)
def test_mistakes_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        star_graphs(**{"sizes": (3, 1, 1), **change})  # type: ignore[arg-type]


def test_there_is_nothing_to_perturb() -> None:
    with pytest.raises(DatasetError, match="star-graphs takes no perturbation"):
        load_dataset("star-graphs", perturbation=0.1)
