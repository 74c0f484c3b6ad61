"""The bilinear scorer is the paper's equation, pair by pair."""

from __future__ import annotations

import pytest
import torch

from glassgraph.learn.bilinear_scorer import BilinearScorer

NODES, STATES, HIDDEN, RELATIONS = 5, 3, 7, 2


@pytest.mark.parametrize("differ", [False, True])
def test_scores_against_a_loop_over_pairs(differ: bool) -> None:
    torch.manual_seed(0)
    scorer = BilinearScorer(STATES, HIDDEN, RELATIONS).double()
    with torch.no_grad():
        scorer.norm.weight.uniform_(0.5, 1.5)
        scorer.norm.bias.uniform_(-1, 1)
    states = torch.randn(RELATIONS, NODES, STATES).double()
    if not differ:
        states[1] = states[0]
    found = scorer(states if differ else states[0])
    assert found.shape == (RELATIONS, NODES, NODES)
    for r in range(RELATIONS):
        for i in range(NODES):
            inner = scorer.inner.weight @ states[r, i] + scorer.inner.bias
            centered = inner - inner.mean()
            normed = centered / (centered.square().mean() + scorer.norm.eps).sqrt()
            hidden = (normed * scorer.norm.weight + scorer.norm.bias).clamp_min(0)
            for j in range(NODES):
                expected = (scorer.outer[r] @ hidden) @ states[r, j]
                torch.testing.assert_close(found[r, i, j], expected)
