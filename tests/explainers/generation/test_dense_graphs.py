"""Growing graphs as dense tensors, on graphs small enough to write down."""

from __future__ import annotations

import torch

from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs

ROOM, TYPES = 5, 3


def graph(types: list[int], edges: list[tuple[int, int]], room: int = ROOM) -> DenseGraphs:
    pairs = torch.tensor(edges).long().view(-1, 2).t()
    return DenseGraphs.from_edges(torch.tensor(types), pairs, room, TYPES)


def test_a_path_of_two_can_close_nothing_and_grow_everywhere() -> None:
    moves = graph([0, 2], [(0, 1)]).moves()[0]
    found = {(int(i), int(j)) for i, j in moves.nonzero()}
    assert found == {(start, ROOM + kind) for start in (0, 1) for kind in range(TYPES)}


def test_moves_keep_graphs_simple_and_within_their_room() -> None:
    full = graph([0, 1, 2, 0, 1], [(0, 1), (1, 2), (2, 3), (3, 4)])
    found = {(int(i), int(j)) for i, j in full.moves()[0].nonzero()}
    missing = {(0, 2), (0, 3), (0, 4), (1, 3), (1, 4), (2, 4)}
    assert found == missing | {(j, i) for i, j in missing}
    everything = full.candidates()[0]
    assert int(everything.sum()) == ROOM * (ROOM - 1) + ROOM * TYPES


def test_a_move_adds_an_edge_and_a_node_where_it_says_so() -> None:
    both = DenseGraphs.cat([graph([0, 1], [(0, 1)]), graph([2, 2, 1], [(0, 1), (1, 2)])])
    after = both.after(torch.tensor([1, 2]), torch.tensor([ROOM + 2, 0]))
    assert after.single(0)[0].tolist() == [0, 1, 2]
    assert after.single(0)[1].tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    assert after.single(1)[0].tolist() == [2, 2, 1]
    assert after.num_edges.tolist() == [2, 3]
    assert both.num_edges.tolist() == [1, 2], "the graphs before are as they were"


def test_packing_gives_each_node_its_number_and_owner() -> None:
    both = DenseGraphs.cat([graph([0], []), graph([2, 1, 0], [(0, 2)])])
    node_type, edge_index, owner = both.pack()
    assert node_type.tolist() == [0, 2, 1, 0]
    assert edge_index.tolist() == [[1, 3], [3, 1]]
    assert owner.tolist() == [0, 1, 1, 1]
    assert both.num_nodes.tolist() == [1, 3]


def test_rolling_back_takes_the_graph_before() -> None:
    before = DenseGraphs.cat([graph([0], []), graph([1], [])])
    after = before.after(torch.tensor([0, 0]), torch.tensor([ROOM, ROOM + 1]))
    mixed = after.where(torch.tensor([True, False]), before)
    assert mixed.num_nodes.tolist() == [2, 1]
    assert mixed.single(1)[0].tolist() == [1]


def test_put_and_take_and_repeat() -> None:
    both = DenseGraphs.cat([graph([0], []), graph([1, 2], [(0, 1)])])
    assert both.repeat(3).num_nodes.tolist() == [1, 1, 1, 2, 2, 2]
    swapped = both.put(torch.tensor([0]), both.take(torch.tensor([1])))
    assert swapped.keys()[0] == swapped.keys()[1] == both.keys()[1]
    assert both.keys()[0] != both.keys()[1]


def test_keys_tell_types_and_edges_apart() -> None:
    one, other = graph([0, 1, 1], [(0, 1)]), graph([0, 1, 1], [(0, 2)])
    another = graph([1, 0, 1], [(0, 1)])
    assert len({one.keys()[0], other.keys()[0], another.keys()[0]}) == 3
