"""Receptive fields on a small directed graph, written by hand.

0 -> 1 -> 2 -> 3        4 -> 3        3 -> 0        5 (alone)        2 -> 2
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.inputs.graph import CompressedIndex, TypedGraph
from glassgraph.inputs.receptive import Fields, receptive_fields, whole_graphs

ENDS = [(0, 1), (1, 2), (2, 3), (4, 3), (3, 0), (2, 2)]


@pytest.fixture
def graph() -> TypedGraph:
    return TypedGraph.read(Data(x=torch.zeros(6, 2), edge_index=torch.tensor(ENDS).t()))


def cut(graph: TypedGraph, seeds: list[list[int]], hops: int, both: bool = False) -> Fields:
    return receptive_fields(graph, torch.tensor(seeds), hops, both_directions=both)


def of(fields: Fields, instance: int) -> tuple[list[int], list[int], list[int]]:
    """Nodes, their distances, and edges of one instance."""
    nodes = fields.node_instance == instance
    edges = fields.edge_instance == instance
    return fields.node[nodes].tolist(), fields.distance[nodes].tolist(), fields.edge[edges].tolist()


@pytest.mark.parametrize(
    ("hops", "nodes", "distances", "edges"),
    [
        (1, [2, 3, 4], [1, 0, 1], [2, 3]),
        (2, [1, 2, 3, 4], [2, 1, 0, 1], [1, 2, 3, 5]),
        (3, [0, 1, 2, 3, 4], [3, 2, 1, 0, 1], [0, 1, 2, 3, 5]),
        (4, [0, 1, 2, 3, 4], [3, 2, 1, 0, 1], [0, 1, 2, 3, 4, 5]),
        (9, [0, 1, 2, 3, 4], [3, 2, 1, 0, 1], [0, 1, 2, 3, 4, 5]),
    ],
)
def test_field_of_node_3(graph, hops, nodes, distances, edges) -> None:
    assert of(cut(graph, [[3]], hops), 0) == (nodes, distances, edges)


def test_an_isolated_node_is_its_own_field(graph) -> None:
    assert of(cut(graph, [[5]], 3), 0) == ([5], [0], [])


def test_a_self_loop_counts_once(graph) -> None:
    assert of(cut(graph, [[2]], 1), 0) == ([1, 2], [1, 0], [1, 5])


def test_both_directions(graph) -> None:
    assert of(cut(graph, [[0]], 1, both=True), 0) == ([0, 1, 3], [0, 1, 1], [0, 4])


def test_two_seeds_share_a_field(graph) -> None:
    """A link's field: node 1 is its own distance 0, and 0 is one hop from it."""
    fields = cut(graph, [[1, 3]], 1)
    assert of(fields, 0) == ([0, 1, 2, 3, 4], [1, 0, 1, 0, 1], [0, 2, 3])
    assert fields.node[fields.seed[0]].tolist() == [1, 3]


def test_a_link_from_a_node_to_itself(graph) -> None:
    fields = cut(graph, [[1, 1]], 1)
    assert of(fields, 0) == ([0, 1], [1, 0], [0])
    assert fields.node[fields.seed[0]].tolist() == [1, 1]


def test_many_instances_lie_side_by_side(graph) -> None:
    fields = cut(graph, [[3], [5], [1], [3]], 1)
    assert [of(fields, i) for i in range(4)] == [
        ([2, 3, 4], [1, 0, 1], [2, 3]),
        ([5], [0], []),
        ([0, 1], [1, 0], [0]),
        ([2, 3, 4], [1, 0, 1], [2, 3]),
    ]
    assert fields.node[fields.seed].tolist() == [[3], [5], [1], [3]]
    check_ends(graph, fields)


def check_ends(graph: TypedGraph, fields: Fields) -> None:
    """Positions of senders and receivers name the user's nodes, in the same instance."""
    assert torch.equal(fields.node[fields.source], graph.source[fields.edge])
    assert torch.equal(fields.node[fields.destination], graph.destination[fields.edge])
    for end in (fields.source, fields.destination):
        assert torch.equal(fields.node_instance[end], fields.edge_instance)


def test_take_gives_instances_in_any_order_and_again(graph) -> None:
    fields = cut(graph, [[3], [5], [1]], 2)
    taken = fields.take(torch.tensor([2, 0, 2, 1]))
    assert taken.num_instances == 4
    assert [of(taken, i) for i in range(4)] == [of(fields, i) for i in (2, 0, 2, 1)]
    assert taken.node[taken.seed].tolist() == [[1], [3], [1], [5]]
    check_ends(graph, taken)


def test_take_nothing(graph) -> None:
    taken = cut(graph, [[3]], 2).take(torch.tensor([], dtype=torch.long))
    assert (taken.num_instances, taken.node.numel(), taken.edge.numel()) == (0, 0, 0)


def test_compressed_index_keeps_the_users_order() -> None:
    index = CompressedIndex.build(torch.tensor([2, 0, 2, 1, 2]), 4)
    assert index.pointer.tolist() == [0, 1, 2, 5, 5]
    assert index.edge.tolist() == [1, 3, 0, 2, 4]


def test_whole_graphs_of_a_list() -> None:
    def one(num_nodes: int, ends: list[tuple[int, int]]) -> Data:
        return Data(x=torch.zeros(num_nodes, 2), edge_index=torch.tensor(ends).t())

    graph = TypedGraph.read([one(2, [(0, 1)]), one(3, [(2, 0), (1, 2)]), one(2, [(1, 0)])])
    fields = whole_graphs(graph, torch.tensor([2, 1]))
    assert of(fields, 0) == ([5, 6], [0, 0], [3])
    assert of(fields, 1) == ([2, 3, 4], [0, 0, 0], [1, 2])
    assert fields.seed.shape == (2, 0)
    check_ends(graph, fields)


def reachable(ends: Tensor, seed: int, hops: int) -> tuple[set[int], set[int]]:
    """The same by plain loops."""
    near, edges = {seed}, set()
    for _ in range(hops):
        found = {e for e in range(ends.size(1)) if int(ends[1, e]) in near}
        edges |= found
        near |= {int(ends[0, e]) for e in found}
    return near, edges


def test_random_graphs_agree_with_plain_loops() -> None:
    for seed in range(7):
        torch.manual_seed(seed)
        ends = torch.randint(13, (2, 29))
        graph = TypedGraph.read(Data(x=torch.zeros(13, 1), edge_index=ends))
        fields = cut(graph, [[node] for node in range(13)], 3)
        check_ends(graph, fields)
        for node in range(13):
            nodes, _, edges = of(fields, node)
            assert (set(nodes), set(edges)) == reachable(ends, node, 3)
            assert edges == sorted(set(edges))
            assert nodes == sorted(set(nodes))
