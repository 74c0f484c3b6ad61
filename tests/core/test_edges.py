"""User edge id <-> message row, with answers written by hand."""

from __future__ import annotations

import torch
from torch import Tensor

from glassgraph.core.edges import (
    Candidates,
    find_keys,
    match_rows,
    match_shifted,
    occurrence,
    parallel_rank,
    row_key,
)
from glassgraph.core.shared_rows import find_shared


def pairs(*ends: tuple[int, int]) -> Tensor:
    return torch.tensor(ends, dtype=torch.long).view(-1, 2).t()


def candidates(*ends: tuple[int, int]) -> Candidates:
    rows = pairs(*ends)
    return Candidates(rows[0], rows[1], torch.arange(rows.size(1)))


def test_the_users_own_rows_match_one_to_one() -> None:
    match = match_rows(pairs((0, 1), (2, 1), (1, 0)), candidates((0, 1), (2, 1), (1, 0)))
    assert match.edge.tolist() == [0, 1, 2]
    assert not match.is_flipped


def test_appended_self_loops_belong_to_no_edge() -> None:
    rows = pairs((0, 1), (2, 1), (0, 0), (1, 1), (2, 2))
    assert match_rows(rows, candidates((0, 1), (2, 1))).edge.tolist() == [0, 1, -1, -1, -1]


def test_a_users_self_loop_is_found_among_the_appended_ones() -> None:
    """GCN removes self-loops and appends one for each node."""
    rows = pairs((0, 1), (2, 1), (0, 0), (1, 1), (2, 2))
    match = match_rows(rows, candidates((0, 1), (1, 1), (2, 1)))
    assert match.edge.tolist() == [0, 2, -1, 1, -1]


def test_every_node_has_a_self_loop_that_comes_back_in_another_order() -> None:
    rows = pairs((0, 1), (2, 1), (0, 0), (1, 1), (2, 2))
    match = match_rows(rows, candidates((2, 2), (0, 1), (0, 0), (2, 1), (1, 1)))
    assert match.edge.tolist() == [1, 3, 2, 4, 0]
    assert not match.is_flipped


def test_loops_of_every_node_kept_in_place_and_added_again() -> None:
    """As many loops as nodes at the end: the user's own or added, order tells nothing."""
    rows = pairs((0, 0), (1, 1), (0, 0), (1, 1))
    match = match_rows(rows, candidates((0, 0), (1, 1)))
    assert sorted(match.edge.tolist()) == [-1, -1, 0, 1]


def test_flipped_rows() -> None:
    match = match_rows(pairs((1, 0), (1, 2), (3, 1)), candidates((0, 1), (2, 1), (1, 3)))
    assert match.edge.tolist() == [0, 1, 2]
    assert match.is_flipped


def test_flipped_rows_with_appended_loops() -> None:
    rows = pairs((1, 0), (1, 2), (0, 0), (1, 1), (2, 2))
    match = match_rows(rows, candidates((0, 1), (2, 1)))
    assert match.edge.tolist() == [0, 1, -1, -1, -1]
    assert match.is_flipped


def test_in_an_undirected_graph_the_users_order_decides_the_direction() -> None:
    ends = ((0, 1), (1, 0), (1, 2), (2, 1))
    match = match_rows(pairs(*ends), candidates(*ends))
    assert (match.edge.tolist(), match.is_flipped) == ([0, 1, 2, 3], False)
    turned = match_rows(pairs(*ends).flip(0), candidates(*ends))
    assert (turned.edge.tolist(), turned.is_flipped) == ([0, 1, 2, 3], True)


def test_parallel_edges_are_told_apart_by_their_order() -> None:
    rows = pairs((0, 1), (2, 1), (0, 1), (0, 1), (0, 0), (1, 1), (2, 2))
    match = match_rows(rows, candidates((0, 1), (2, 1), (0, 1), (0, 1)))
    assert match.edge.tolist() == [0, 1, 2, 3, -1, -1, -1]


def test_some_edges_only() -> None:
    """R-GCN sends one relation at a time; the candidates are the edges of that relation."""
    some = Candidates(torch.tensor([0, 2]), torch.tensor([1, 1]), torch.tensor([3, 5]))
    assert match_rows(pairs((0, 1), (2, 1)), some).edge.tolist() == [3, 5]


def test_rows_of_another_graph_match_nothing() -> None:
    match = match_rows(pairs((5, 6), (7, 5)), candidates((0, 1), (2, 1)))
    assert match.edge.tolist() == [-1, -1]
    assert match.is_empty


def test_no_rows_and_no_edges() -> None:
    assert match_rows(pairs(), candidates((0, 1))).edge.tolist() == []
    assert match_rows(pairs((0, 0), (1, 1)), candidates()).edge.tolist() == [-1, -1]
    assert match_rows(pairs(), candidates()).is_empty


def test_shifted_rows() -> None:
    """HGT numbers senders after all earlier node types and edge types."""
    ends = pairs((0, 1), (2, 1), (1, 3))
    edge = torch.tensor([4, 7, 9])
    match = match_shifted(ends + torch.tensor([[11], [5]]), ends[0], ends[1], edge)
    assert (match.edge.tolist(), match.is_flipped) == ([4, 7, 9], False)
    turned = match_shifted(ends.flip(0) + torch.tensor([[5], [11]]), ends[0], ends[1], edge)
    assert (turned.edge.tolist(), turned.is_flipped) == ([4, 7, 9], True)


def test_ranks_among_equals() -> None:
    assert occurrence(torch.tensor([2, 2, 3, 5, 5, 5])).tolist() == [0, 1, 0, 0, 1, 2]
    ends = pairs((3, 1), (0, 1), (3, 1), (1, 3), (3, 1), (0, 1))
    assert parallel_rank(ends[0], ends[1]).tolist() == [0, 0, 1, 0, 2, 1]
    assert parallel_rank(*pairs()).tolist() == []


def test_row_keys_mean_the_same_in_every_batch() -> None:
    rows, edge = pairs((0, 1), (1, 1), (2, 0)), torch.tensor([4, -1, -1])
    assert row_key(rows, edge, num_edges=10).tolist() == [4, 11, -1]
    node = torch.tensor([30, 31, 32])
    assert row_key(rows, edge, num_edges=10, node=node).tolist() == [4, 41, -1]


def test_keys_are_found_only_where_each_is_unique() -> None:
    available = torch.tensor([7, 3, 11, 5])
    found = find_keys(torch.tensor([11, 3, 3]), available)
    assert found is not None
    assert found.tolist() == [2, 1, 1]
    assert find_keys(torch.tensor([4]), available) is None
    assert find_keys(torch.tensor([-1]), torch.tensor([-1, 3])) is None
    assert find_keys(torch.tensor([3]), torch.tensor([3, 3])) is None
    assert find_keys(torch.tensor([3]), torch.tensor([], dtype=torch.long)) is None
    empty = torch.tensor([], dtype=torch.long)
    nothing = find_keys(empty, empty)
    assert nothing is not None
    assert nothing.numel() == 0


def test_edges_without_a_row_of_their_own_share_one() -> None:
    """Three loops at node 0 and one at node 2, for each of which the layer has one row."""
    edges = candidates((0, 0), (0, 1), (0, 0), (2, 2), (0, 0))
    rows = pairs((0, 1), (0, 0), (1, 1), (2, 2))
    found = match_rows(rows, edges)
    assert found.edge.tolist() == [1, 0, -1, 3]
    shared = find_shared(rows, found.edge, edges)
    assert shared is not None
    assert (shared.row.tolist(), shared.edge.tolist()) == ([1, 1], [2, 4])
    assert shared.owners.tolist() == [1, 3, 1, 1]
    gate = torch.tensor([0.5, 0.3, 1.0, 0.7, 0.0])
    own = torch.cat([gate, torch.ones(1)])[[1, 0, 5, 3]]
    torch.testing.assert_close(shared.mean(own, gate), torch.tensor([0.3, 0.5, 1.0, 0.7]))
    kept = shared.kept(torch.tensor([1, 3]))
    assert (kept.row.tolist(), kept.edge.tolist(), kept.owners.tolist()) == ([0, 0], [2, 4], [3, 1])


def test_rows_of_which_each_has_its_edge_are_not_shared() -> None:
    edges = candidates((0, 0), (0, 1), (0, 0), (2, 2))
    rows = pairs((0, 0), (0, 0), (0, 1))  # another site sends along the loop of node 2
    assert find_shared(rows, match_rows(rows, edges).edge, edges) is None
