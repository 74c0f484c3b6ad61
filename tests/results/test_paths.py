"""Best paths against all paths."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch

from glassgraph.results.paths import Moves, best_of_each, best_paths


def test_best_of_each_group() -> None:
    group = torch.tensor([2, 0, 2, 2, 0])
    value = torch.tensor([1.0, 5.0, 3.0, 2.0, 5.0])
    assert best_of_each(group, value, 2).tolist() == [1, 4, 2, 3]
    assert best_of_each(group[:0], value[:0], 2).tolist() == []


@pytest.mark.parametrize("k", [1, 3, 100])
def test_best_paths_are_the_best_of_all(k: int) -> None:
    """Two groups of three nodes; parallel moves are two paths."""
    generator = torch.Generator().manual_seed(k)
    layers = []
    for _ in range(3):
        source = torch.randint(0, 3, (7,), generator=generator)
        destination = torch.randint(0, 3, (7,), generator=generator)
        ends = torch.cat([source, source + 3]), torch.cat([destination, destination + 3])
        layers.append(Moves(*ends, torch.randn(14, generator=generator)))
    owner = torch.tensor([0, 0, 0, 1, 1, 1])
    starts = torch.tensor([True, True, False, True, True, True])
    ends_at = torch.tensor([True, False, True, True, False, False])
    found = best_paths(layers, owner, starts, ends_at, k)
    expected: dict[int, list[tuple[float, tuple[int, ...]]]] = {0: [], 1: []}
    for moves in product(range(14), repeat=3):
        chosen = [
            (layer.source[i], layer.destination[i]) for layer, i in zip(layers, moves, strict=True)
        ]
        if any(a[1] != b[0] for a, b in pairwise(chosen)):
            continue
        first, last = int(chosen[0][0]), int(chosen[-1][1])
        if starts[first] and ends_at[last]:
            score = sum(float(layer.score[i]) for layer, i in zip(layers, moves, strict=True))
            expected[int(owner[first])].append((score, moves))
    for group, paths in expected.items():
        rows = (owner[found.node[:, 0]] == group).nonzero().view(-1)
        best = sorted(paths, reverse=True)[:k]
        assert len(rows) == len(best)
        assert found.score[rows].tolist() == pytest.approx([score for score, _ in best], abs=1e-5)
        assert [tuple(each) for each in found.move[rows].tolist()] == [move for _, move in best]
    for i, layer in enumerate(layers):
        move = found.move[:, i]
        assert torch.equal(layer.source[move], found.node[:, i])
        assert torch.equal(layer.destination[move], found.node[:, i + 1])


def test_where_no_path_leads_there_is_none() -> None:
    nothing = torch.zeros(0).long()
    layer = Moves(nothing, nothing, torch.zeros(0))
    everywhere = torch.ones(2, dtype=torch.bool)
    found = best_paths([layer, layer], torch.tensor([0, 1]), everywhere, everywhere, 3)
    assert found.node.shape == (0, 3)
    assert found.move.shape == (0, 2)
