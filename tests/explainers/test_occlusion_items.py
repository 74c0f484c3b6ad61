"""Occlusion of pairs of edges, and of edges that are really taken out of the graph."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, global_add_pool

import glassgraph as gg
from glassgraph.explainers.constant import ConstantScoresWarning
from glassgraph.testing.cases import CASES, Case
from tests.explainers.test_erasure_search_pairs import PAIRS, undirected
from tests.explainers.test_occlusion import drop


class Molecules(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.convs = nn.ModuleList([GCNConv(4, 8), GCNConv(8, 2)])
        self.double()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        h = self.convs[0](x, edge_index).relu()
        return global_add_pool(self.convs[1](h, edge_index), batch)


#: A triangle with a tail of two, a lone atom, and a single bond.
BONDS = [[[0, 1, 2, 2, 3], [1, 2, 0, 3, 4]], [[0], [1]]]
SIZES = [6, 2]


def molecules() -> list[Data]:
    torch.manual_seed(7)
    graphs = []
    for (source, destination), size in zip(BONDS, SIZES, strict=True):
        ends = torch.tensor([source + destination, destination + source])
        graphs.append(Data(x=torch.randn(size, 4).double(), edge_index=ends))
    return graphs


def without(model: nn.Module, data: Data, gone: list[int], *, drops_nodes: bool) -> Tensor:
    """The output without some edges, by calling the model on another graph."""
    rest = [edge for edge in range(data.num_edges) if edge not in gone]
    ends = data.edge_index[:, rest]
    keep = torch.ones(data.num_nodes, dtype=torch.bool)
    if drops_nodes:  # those that had an edge, and have none any more
        keep[data.edge_index.unique()] = False
        keep[ends.unique()] = True
    number = keep.cumsum(0) - 1
    return model(data.x[keep], number[ends])[0]


@pytest.mark.parametrize("case", [case for case in CASES if case.rows is None], ids=str)
def test_both_directions_are_shut_together(case: Case) -> None:
    model, data = case.model(), undirected(case)
    one = data[0] if case.level == "graph" else data
    explainer = gg.Occlusion(model, case.task(), pairs=True, progress=False)
    found = explainer.explain(data, [0], case.target)[0]
    own = found.local.edge_id.tolist()
    for pair in PAIRS:
        gates = torch.ones(2, one.num_edges).double()
        gates[:, pair] = 0
        expected = drop(model, case, one, 0, gates)
        for edge in set(pair) & set(own):
            assert found.edge_mask[edge].item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.parametrize("removal", ["delete", "delete_isolated"])
def test_what_is_deleted_is_gone(
    removal: Literal["delete", "delete_isolated"], pairs: bool
) -> None:
    model, data = Molecules().eval(), molecules()[0]
    explainer = gg.Occlusion(model, "graph", removal=removal, pairs=pairs, progress=False)
    found = explainer.explain([data], target=1)[0]
    half = data.num_edges // 2
    full = model(data.x, data.edge_index)[0, 1]
    for edge in range(data.num_edges):
        gone = [edge % half, edge % half + half] if pairs else [edge]
        left = without(model, data, gone, drops_nodes=removal == "delete_isolated")[1]
        torch.testing.assert_close(found.edge_mask[edge], full - left)


def test_the_only_edge_of_a_graph_has_no_score() -> None:
    explainer = gg.Occlusion(
        Molecules().eval(), "graph", removal="delete_isolated", pairs=True, progress=False
    )
    with pytest.warns(ConstantScoresWarning, match="nothing is left of the graph"):
        found = explainer.explain(molecules())
    assert found[1].edge_mask.tolist() == [0, 0]
    assert found[0].edge_mask.abs().min() > 0


def test_what_does_not_go_together_is_refused() -> None:
    model = Molecules().eval()
    with pytest.raises(gg.errors.HyperParameterError, match="predictions about graphs"):
        gg.Occlusion(model, "node", removal="delete")
    with pytest.raises(gg.errors.HyperParameterError, match="one edge at one layer"):
        gg.Occlusion(model, "graph", removal="delete", layerwise=True)
