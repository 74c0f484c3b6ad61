"""Erasure search on undirected edges: against all subsets of pairs, and as a metric means it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCN, GCNConv, SimpleConv, global_max_pool

import glassgraph as gg
from glassgraph.core.undirected import edges_of_items
from glassgraph.metrics import sufficiency
from glassgraph.testing.cases import CASES, FEATURES, Case
from tests.explainers.test_erasure_search import Question, brute_force, search, star

#: Three pairs, two of them between the same nodes, an edge without a reverse, and a loop.
ENDS = torch.tensor([[1, 0, 2, 0, 1, 1, 0, 2], [0, 1, 0, 2, 1, 0, 1, 1]])
PAIRS = [[0, 1], [2, 3], [5, 6], [4], [7]]


def undirected(case: Case) -> Any:
    torch.manual_seed(3)
    data = Data(x=torch.randn(3, FEATURES).double(), edge_index=ENDS)
    if case.kind == "gcn":
        data.edge_weight = torch.rand(8).double() + 0.5
    elif case.kind == "gat":
        data.edge_attr = torch.randn(8, 3).double()
    elif case.kind == "rgcn":
        data.edge_type = torch.arange(8) % 3
    for key in ("edge_weight", "edge_attr", "edge_type"):
        if key in data:  # an undirected edge has one value
            data[key][[1, 3, 6]] = data[key][[0, 2, 5]]
    data.y = torch.zeros(1 if case.level == "graph" else 3).long()
    if case.level == "edge":
        data.edge_label_index, data.edge_label = torch.tensor([[0], [1]]), torch.tensor([0])
    return [data] if case.level == "graph" else data


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_optimum_is_that_of_all_subsets_of_pairs(case: Case) -> None:
    model, data = case.model(), undirected(case)
    one = data[0] if case.level == "graph" else data
    found = search(model, case, data, keep_effect=0.7, pairs=True)
    question = Question(case, model, one, 0 if case.rows is None else None, 0.7)
    expected = brute_force(question, [(slice(None), pair) for pair in PAIRS])
    torch.testing.assert_close(found.edge_mask, expected[0])


@pytest.mark.parametrize("exact_up_to", [0, 12])
@pytest.mark.parametrize("case", CASES[:4], ids=str)
def test_directions_score_alike(case: Case, exact_up_to: int) -> None:
    found = search(case.model(), case, undirected(case), pairs=True, exact_up_to=exact_up_to)
    for pair in PAIRS[:3]:
        assert found.edge_mask[pair].unique().numel() == 1


def test_pairs_are_counted_once() -> None:
    """Of two neighbors, heard from and talked to, the louder is enough; what is said is unheard."""
    data = star([[0, 2.0], [0, 3.0]])
    data.edge_index = torch.tensor([[1, 0, 2, 0], [0, 1, 0, 2]])
    explainer = gg.ErasureSearch(SimpleConv(), task="node", pairs=True, progress=False)
    assert explainer.explain(data, [0])[0].edge_mask.tolist() == [0, 0, 1, 0]


def test_parallel_pairs_go_by_their_attributes() -> None:
    """The two directions of an edge are told by its weight, wherever they stand."""
    data = star([[0, 0.5], [1.0, 0]])
    data.edge_index = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1]])
    data.edge_weight = torch.tensor([0.5, 2.0, 2.0, 0.5]).to(data.x.dtype)
    model = GCN(2, 2, num_layers=2).to(data.x.dtype)
    preparation = gg.Saliency(model, "node").prepare(data)
    ((_, batch),) = preparation.batches(preparation.instances([0]), None, 1 << 30)
    assert edges_of_items(batch, pairs=True).tolist() == [[0, 3], [1, 2]]


def test_edges_without_a_reverse_are_searched_as_they_are() -> None:
    data = star([[0, 2.0], [0, 5.0], [1, 0]])
    found = [
        gg.ErasureSearch(SimpleConv(), task="node", pairs=pairs, exact_up_to=0, progress=False)
        for pairs in (False, True)
    ]
    one, other = (each.explain(data, [0])[0].edge_mask for each in found)
    assert torch.equal(one, other)


class Molecules(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.convs = nn.ModuleList([GCNConv(4, 8), GCNConv(8, 2)])
        self.double()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        h = self.convs[0](x, edge_index).relu()
        return global_max_pool(self.convs[1](h, edge_index), batch)


@pytest.mark.parametrize("exact_up_to", [0, 12])
def test_what_is_kept_is_sufficient_as_the_metric_says(exact_up_to: int) -> None:
    """With the metric's removal, the best k pairs keep the class wherever k pairs were kept."""
    torch.manual_seed(5)
    graphs = []
    for size in (4, 5, 6, 7, 8, 9):
        chain = torch.stack([torch.arange(size - 1), torch.arange(1, size)])
        ends = torch.cat([chain, torch.tensor([[0], [size - 1]])], dim=1)
        x = torch.randn(size, 4).double()
        graphs.append(Data(x=x, edge_index=torch.cat([ends, ends.flip(0)], dim=1)))
    model = Molecules().eval()
    settings = {"removal": "delete_isolated", "exact_up_to": exact_up_to}
    explainer = gg.ErasureSearch(model, task="graph", pairs=True, progress=False, **settings)
    found = explainer.explain(graphs)
    for number, each in enumerate(found):
        size = int((each.edge_mask == 1).sum()) // 2
        assert size >= 1
        if 2 * size < each.edge_mask.numel():
            kept = sufficiency(found[number : number + 1], model, graphs, top_k=size)
            assert kept[0].estimate.value == 1
