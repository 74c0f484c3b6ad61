"""The random baseline: every score is the uniform number of its address."""

from __future__ import annotations

import torch

import glassgraph as gg
from glassgraph.core import random
from glassgraph.testing.cases import Case


def test_scores_are_the_numbers_of_their_addresses() -> None:
    case = Case("gin", "node")
    data = case.data()
    found = gg.Random(case.model(), seed=3, progress=False).explain(data, [4])[0]
    for edge in found.local.edge_id.tolist():
        source, destination = data.edge_index[:, edge].tolist()
        pairs = data.edge_index.t()[:edge].tolist()
        rank = pairs.count([source, destination])
        address = random.hash64(0, torch.tensor(source), destination, 0, rank)
        assert found.edge_mask[edge] == random.uniform(3, torch.tensor(4), address)
    for node in found.local.node_id.tolist():
        address = random.hash64(1, torch.tensor(node))
        assert found.node_score[node] == random.uniform(3, torch.tensor(4), address)


def test_scores_lie_strictly_between_zero_and_one() -> None:
    case = Case("gin", "node")
    for each in gg.Random(case.model(), progress=False).explain(case.data()):
        score = each.local.edge_score
        assert bool(((score > 0) & (score < 1)).all())


def test_instances_have_numbers_of_their_own() -> None:
    case = Case("gin", "graph")
    graphs = case.data()
    twins = gg.Random(case.model(), "graph", progress=False).explain([graphs[0], graphs[0]])
    assert (twins[0].edge_mask != twins[1].edge_mask).all()
    nodes = Case("gin", "node")
    found = gg.Random(nodes.model(), progress=False).explain(nodes.data(), [4, 17])
    shared = set(found[0].local.edge_id.tolist()) & set(found[1].local.edge_id.tolist())
    assert all(found[0].edge_mask[edge] != found[1].edge_mask[edge] for edge in shared)
