"""Rows that are looked up in tables, against the same rows written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glassgraph.learn.message_scorer import MessageScorer
from glassgraph.learn.repeated_rows import (
    RepeatedRows,
    SideBySide,
    find_multiples,
    find_repeated,
    looked_up,
    share_alike,
)

#: Nodes, messages, widths of states, hidden width, relations.
N, M, W, H, R = 11, 47, 5, 7, 3


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def messages(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """States, ends of edges, a number of each edge, and its relation."""
    generator = seeded()
    states = torch.randn(N, W, generator=generator, dtype=dtype)
    ends = torch.randint(N, (2, M), generator=generator)
    number = torch.rand(M, 1, generator=generator, dtype=dtype)
    return states, ends[0], ends[1], number, torch.randint(R, (M,), generator=generator)


def rows(kind: str) -> SideBySide:
    """Rows of messages that are their sender's state, a multiple, of each relation, or all new."""
    states, u, v, number, relation = messages()
    sender, receiver = looked_up(states, u), looked_up(states, v)
    by_relation = torch.randn(R, 2, W, generator=seeded(), dtype=states.dtype)
    message = {
        "state": states[u],
        "multiple": number * states[u],
        "relation": torch.einsum("mw,mdw->md", states[u], by_relation[relation]),
        "new": torch.randn(M, 2, generator=seeded(), dtype=states.dtype),
    }[kind]
    found = find_multiples(message, sender) or find_repeated(message)
    torch.testing.assert_close(found.written_out(), message, rtol=1e-14, atol=1e-14)
    return SideBySide((sender, receiver, found), relation, R)


@pytest.mark.parametrize("kind", ["state", "multiple", "relation", "new"])
@pytest.mark.parametrize("is_taken", [False, True])
def test_scores_and_gradients_are_those_of_rows_written_out(kind: str, is_taken: bool) -> None:
    side_by_side = rows(kind)
    if is_taken:
        side_by_side = side_by_side.take(torch.tensor([3, 3, 40, 7, 0]))
    written_out = torch.cat([part.written_out() for part in side_by_side.parts], dim=1)
    found = []
    for given in (side_by_side, written_out):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(2)
            scorer = MessageScorer(written_out.size(1), H, R).double()
            with torch.no_grad():
                for parameter in scorer.parameters():
                    parameter.normal_()
        if isinstance(given, Tensor):  # equation 7, message by message
            hidden = given @ scorer.inner.weight.T + scorer.inner.bias
            assert scorer.relation is not None
            score = scorer.outer(scorer.norm(hidden + scorer.relation[side_by_side.kind]).relu())
            score = score.squeeze(1)
        else:
            score = scorer(given)
        (score * torch.linspace(-1, 2, score.numel(), dtype=score.dtype)).sum().backward()
        found.append((score.detach(), [each.grad for each in scorer.parameters()]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-11, atol=1e-11)


def test_tables_are_as_small_as_they_can_be() -> None:
    state, multiple, new = rows("state").parts, rows("multiple").parts, rows("new").parts
    assert state[2] is state[0]
    assert multiple[2].table is multiple[0].table
    assert multiple[2].scale is not None
    assert new[2].index is None
    assert rows("relation").parts[2].number == M


def test_what_is_alike_or_unused_is_left_out_of_a_table() -> None:
    table = torch.tensor([[1.0], [2.0], [1.0], [5.0]])
    found = looked_up(table, torch.tensor([0, 2, 0, 1, 2, 1, 0]))
    assert found.table.flatten().sort().values.tolist() == [1.0, 2.0]
    assert found.written_out().flatten().tolist() == [1.0, 1.0, 1.0, 2.0, 1.0, 2.0, 1.0]


@pytest.mark.parametrize("spoiled", [1e-9, float("nan"), float("inf")])
def test_what_is_no_multiple_is_not_taken_for_one(spoiled: float) -> None:
    states, u, _, number, _ = messages()
    sender, message = looked_up(states, u), number * states[u]
    assert find_multiples(message, sender) is not None
    message[13, 2] += spoiled
    assert find_multiples(message, sender) is None


def test_a_state_of_zeros_has_a_multiple_of_zeros_alone() -> None:
    base = RepeatedRows(torch.tensor([[0.0, 0.0], [1.0, 2.0]]), torch.tensor([0, 1, 0, 1]))
    rows = torch.tensor([[0.0, 0.0], [2.0, 4.0], [0.0, 0.0], [3.0, 6.0]])
    found = find_multiples(rows, base)
    assert found is not None
    assert torch.equal(found.written_out(), rows)
    rows[0, 1] = 1.0
    assert find_multiples(rows, base) is None


def test_rows_that_differ_in_a_multiple_or_a_kind_are_not_alike() -> None:
    part = RepeatedRows(torch.ones(1, 2), torch.zeros(8, dtype=torch.long))
    kind = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1])
    scale = torch.tensor([1.0, 2.0]).repeat(4).view(-1, 1)
    scaled = RepeatedRows(part.table, part.index, scale)
    found = share_alike(SideBySide((part, scaled), kind, 2))
    assert found is not None
    shared, place = found
    assert shared.number == 4
    assert torch.equal(shared.parts[1].written_out()[place], scaled.written_out())
    assert shared.kind is not None
    assert torch.equal(shared.kind[place], kind)


def test_no_rows_have_no_scores() -> None:
    scorer = MessageScorer(W, H, R)
    nothing = torch.empty(0, dtype=torch.long)
    score = scorer(SideBySide((RepeatedRows(torch.empty(0, W)),), nothing, R))
    assert score.shape == (0,)
    score.sum().backward()
