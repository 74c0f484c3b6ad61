"""Occlusion: one forward pass for each edge, written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.testing.cases import CASES, Case, graph
from tests.laws import literal
from tests.laws.cases import explained

each_case = pytest.mark.parametrize("case", CASES, ids=str)


def drop(model: nn.Module, case: Case, data: Data, row: int, gates: Tensor) -> float:
    """How far the score falls under gates."""
    with torch.no_grad():
        plain = literal.predict_one(model, case, data)
        chosen = literal.target(case, plain, data, row)
        changed = literal.gated(model, case, data, gates)
        return float(
            literal.score(case, plain, row, chosen) - literal.score(case, changed, row, chosen)
        )


@each_case
def test_scores_are_differences_of_two_forward_passes(case: Case) -> None:
    model, data = case.model(), case.data()
    explainer = gg.Occlusion(model, case.task(), layerwise=True, progress=False)
    for position, explanation in enumerate(explained(explainer, case, data)):
        one, row = literal.one_graph(case, data, position)
        expected = torch.zeros(one.num_edges).double()
        by_layer = torch.zeros(2, one.num_edges).double()
        for edge in range(one.num_edges):
            gates = torch.ones(2, one.num_edges).double()
            gates[:, edge] = 0
            expected[edge] = drop(model, case, one, row, gates)
            for layer in (0, 1):
                gates = torch.ones(2, one.num_edges).double()
                gates[layer, edge] = 0
                by_layer[layer, edge] = drop(model, case, one, row, gates)
        torch.testing.assert_close(explanation.edge_mask, expected, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(explanation.layer_edge_mask, by_layer, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", [case for case in CASES if case.kind == "gin"], ids=str)
def test_where_messages_are_summed_an_edge_is_simply_deleted(case: Case) -> None:
    """No hook at all: the edge is taken out of ``edge_index``."""
    model, data = case.model(), case.data()
    explainer = gg.Occlusion(model, case.task(), progress=False)
    for position, explanation in enumerate(explained(explainer, case, data)):
        one, row = literal.one_graph(case, data, position)
        with torch.no_grad():
            plain = literal.predict_one(model, case, one)
            chosen = literal.target(case, plain, one, row)
            for edge in range(one.num_edges):
                fewer = one.clone()
                rest = torch.arange(one.num_edges) != edge
                fewer.edge_index = one.edge_index[:, rest]
                changed = literal.predict_one(model, case, fewer)
                expected = literal.score(case, plain, row, chosen) - literal.score(
                    case, changed, row, chosen
                )
                torch.testing.assert_close(
                    explanation.edge_mask[edge], expected, rtol=1e-9, atol=1e-12
                )


@pytest.mark.parametrize("budget", [1, 30_000, 1 << 30])
def test_instances_of_very_different_size_share_a_batch(budget: int) -> None:
    """One field has no edge, others have one and many; rounds and copies must not mix them up."""
    case = Case("gin", "node")
    torch.manual_seed(6)
    data = graph(31, 97)
    data.edge_index = torch.cat([data.edge_index, torch.tensor([[31], [32]])], dim=1)
    data.x = torch.randn(33, 5).double()
    model = case.model()
    explainer = gg.Occlusion(model, case.task(), memory_budget=budget, progress=False)
    found = explainer.explain(data, [30, 32, 3, 31, 7])
    sizes = [each.local.edge_id.numel() for each in found]
    assert sizes[0] == 0
    assert sizes[1] == 1
    assert min(sizes[2], sizes[4]) > 5
    for explanation, row in zip(found, [30, 32, 3, 31, 7], strict=True):
        for edge in explanation.local.edge_id.tolist()[:7]:
            gates = torch.ones(2, data.num_edges).double()
            gates[:, edge] = 0
            expected = drop(model, case, data, row, gates)
            assert explanation.edge_mask[edge].item() == pytest.approx(expected, abs=1e-12)


def test_layers_are_scored_only_on_demand() -> None:
    case = Case("gin", "node")
    found = gg.Occlusion(case.model(), case.task(), progress=False).explain(case.data(), [4])
    assert "layer_edge_mask" not in found[0]
