"""Negative evidence: counts, labels and what is asked, node by node."""

from itertools import permutations

import pytest
import torch

from glassgraph.datasets import ExplanationDataset
from glassgraph.datasets.negative_evidence import negative_evidence
from glassgraph.errors import DatasetError

SMALL = {"num_graphs": 3, "num_nodes": 233, "edge_probability": 0.05}


def neighbors(dataset: ExplanationDataset, node: int) -> list[int]:
    source, target = dataset.graphs[0].edge_index
    return source[target == node].tolist()


@pytest.mark.parametrize("num_colors", [2, 3])
def test_every_white_node_has_the_neighbors_that_its_turn_asks_for(num_colors: int) -> None:
    dataset = negative_evidence(4, num_colors=num_colors, **SMALL)
    graph = dataset.graphs[0]
    cycle = list(permutations(range(1, 11), num_colors))
    for node in range(699):
        own = node % 233
        if own < 10 * num_colors:
            assert graph.x[node].argmax() == own // 10 + 1
            assert not graph.is_asked[node]
            continue
        assert graph.x[node].tolist() == [1.0] + [0.0] * num_colors
        wanted = cycle[(own - 10 * num_colors) % len(cycle)]
        around = neighbors(dataset, node)
        assert len(set(around)) == len(around)
        assert {each // 233 for each in around} <= {node // 233}
        colors = graph.x[around].sum(dim=0).long().tolist()[1:]
        assert tuple(colors) == wanted == tuple(graph.count[node].tolist())
        if num_colors == 2:
            assert graph.y[node] == int(wanted[0] > wanted[1])
            is_asked = abs(wanted[0] - wanted[1]) > 1 and min(wanted) > 1
        else:
            assert graph.y[node] == wanted.index(max(wanted))
            is_asked = min(wanted) > 1
        assert graph.is_asked[node] == is_asked


def test_edges_are_simple_run_both_ways_and_miss_pairs_of_one_color() -> None:
    graph = negative_evidence(0, **SMALL).graphs[0]
    source, target = graph.edge_index
    key, back = source * 699 + target, target * 699 + source
    assert torch.equal(key, back.sort().values)
    assert torch.equal(key, key.unique())
    is_white = graph.x[:, 0] == 1
    assert (is_white[source] | is_white[target]).all()
    white = int((is_white[source] & is_white[target]).sum()) / 2
    pairs = 3 * 213 * 212 / 2
    assert abs(white - 0.05 * pairs) < 5 * (0.05 * pairs) ** 0.5


def test_the_split_holds_what_is_asked() -> None:
    dataset = negative_evidence(1, **SMALL)
    asked = dataset.graphs[0].is_asked.nonzero().view(-1)
    parts = [dataset.split[part] for part in ("train", "val", "test")]
    assert torch.equal(torch.cat(parts).sort().values, asked)
    assert (dataset.split["test"] >= 466).all()
    assert (torch.cat(parts[:2]) < 466).all()
    assert torch.equal(dataset.explained, dataset.split["test"])
    assert len(parts[1]) == int(0.1 * (asked < 466).sum())


def test_the_published_sizes() -> None:
    dataset = negative_evidence()
    graph = dataset.graphs[0]
    assert graph.num_nodes == 10_000
    # 56 of 90 pairs are asked; 1,980 white nodes are 22 rounds.
    assert len(dataset.explained) == 22 * 56
    assert graph.y[dataset.explained].double().mean() == 0.5


def test_the_seed_decides() -> None:
    one, same, other = (negative_evidence(seed, **SMALL).graphs[0] for seed in (2, 2, 3))
    assert torch.equal(one.edge_index, same.edge_index)
    assert not torch.equal(one.edge_index, other.edge_index)
    assert torch.equal(one.y, other.y)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_graphs": 1}, "num_graphs must be 2 or more"),
        ({"num_colors": 1}, "num_colors must be 2 or more"),
        ({"nodes_per_color": 3}, "nodes_per_color more than one larger; got 2 and 3"),
        ({"num_nodes": 20}, "num_nodes must be above 20, got 20"),
        ({"edge_probability": 1.5}, "edge_probability must lie in"),
    ],
)
def test_bad_numbers(change: dict[str, int], words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        negative_evidence(**change)
