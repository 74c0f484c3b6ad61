"""Nodes without edges, beside others that need the full graph."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import HANConv

import glassgraph as gg
from glassgraph.core.told import FallbackWarning

KIND = ("paper", "to", "paper")


class Net(nn.Module):
    """HAN weighs edge types by a mean over all nodes, so that a field is not enough."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(28)
            kinds = [KIND, ("author", "to", "paper")]
            self.conv = HANConv({"paper": 3, "author": 2}, 2, (["paper", "author"], kinds), heads=2)
        self.double()

    def forward(self, x_dict: dict[str, Tensor], edge_index_dict: object) -> Tensor:
        out: Tensor = self.conv(x_dict, edge_index_dict)["paper"]
        return out


@pytest.mark.parametrize("method", ["saliency", "occlusion", "gnn_explainer"])
def test_what_has_no_edges_scores_nothing(method: str) -> None:
    """All that was left of the batch were nodes without edges: torch could not join nothing."""
    data = HeteroData()
    data["paper"].x = torch.randn(5, 3, generator=torch.Generator().manual_seed(1)).double()
    data["author"].x = torch.randn(2, 2, generator=torch.Generator().manual_seed(2)).double()
    data[KIND].edge_index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    data["author", "to", "paper"].edge_index = torch.tensor([[0, 1], [1, 0]])
    with pytest.warns(FallbackWarning):
        found = gg.explain(
            Net(), data, method, gg.Task("node", node_type="paper"), progress=False, **SHORT[method]
        )
    assert [bool(each[KIND].edge_mask.any()) for each in found] == [True, True, True, False, False]


SHORT: dict[str, dict[str, int]] = {
    "saliency": {},
    "occlusion": {},
    "gnn_explainer": {"epochs": 2},
}
