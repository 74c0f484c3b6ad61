"""Entropy and agreement of concrete gates against their definitions."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from glassgraph.learn.concrete import connectivity, entropy


def test_entropy_is_the_definition_and_never_overflows() -> None:
    gate = torch.tensor([0.5, 0.9, 0.001]).double()
    expected = [-p * math.log(p) - (1 - p) * math.log(1 - p) for p in gate.tolist()]
    assert entropy(gate.logit()).tolist() == pytest.approx(expected, rel=1e-9)
    assert entropy(torch.tensor([-1e4, 1e4])).tolist() == [0.0, 0.0]


def test_connectivity_is_the_mean_over_pairs_that_meet() -> None:
    # A self-loop, parallel edges, edges that meet in both nodes, and one that meets none.
    source = torch.tensor([0, 1, 2, 0, 2, 0, 5, 6, 8])
    destination = torch.tensor([1, 0, 1, 1, 2, 2, 6, 7, 9])
    instance = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1])
    logit = torch.linspace(-3, 2, 9).double()
    gate = logit.sigmoid().tolist()
    expected = []
    for number in (0, 1, 2):
        own = [edge for edge in range(9) if instance[edge] == number]
        terms = []
        for a, b in itertools.permutations(own, 2):
            ends = [{int(source[edge]), int(destination[edge])} for edge in (a, b)]
            p, q = gate[a], gate[b]
            term = -p * math.log(q) - (1 - p) * math.log(1 - q)
            terms += [term] * len(ends[0] & ends[1])
        expected.append(sum(terms) / len(terms) if terms else 0.0)
    found = connectivity(logit, source, destination, instance, 3)
    assert found.tolist() == pytest.approx(expected, rel=1e-9)
    assert connectivity(logit[:0], source[:0], source[:0], source[:0], 2).tolist() == [0.0, 0.0]
