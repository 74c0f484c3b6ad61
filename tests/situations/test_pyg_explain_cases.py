"""PyG's own tests of explainers hold: see `tests.situations.pyg_cases`.

`make test` asks every small kind and each 31st of the rest, ``make pyg-cases`` all of them.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

import glassgraph as gg
from glassgraph.errors import GraphError
from tests.situations import pyg_models as models
from tests.situations.pyg_cases import LEVELS, Case, call_on_graphs, refused, share
from tests.situations.pyg_further_cases import every_case

CASES = every_case()


@pytest.mark.filterwarnings(
    "ignore::glassgraph.core.told.FallbackWarning",
    "ignore::glassgraph.core.told.PooledMessagesWarning",  # of what AttentiveFP reads out
    "ignore::glassgraph.explainers.amortized.HindsightWarning",  # PyG's fit on what they explain
)
@pytest.mark.parametrize("case", [each for each in share(CASES) if not each.lacks], ids=str)
def test_holds(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("case", [each for each in share(CASES) if each.lacks], ids=str)
def test_what_cannot_be_is_named(case: Case) -> None:
    assert re.search(r"[a-z]", str(refused(case)))


def test_the_share_that_holds() -> None:
    lacking = sum(bool(case.lacks) for case in CASES)
    assert len(CASES) > 1900
    assert len({str(case) for case in CASES}) == len(CASES)
    assert 1 - lacking / len(CASES) >= 0.99


# PyG's graphs have edges between them


@pytest.mark.parametrize("level", LEVELS)
def test_edges_between_graphs_are_like_others(level: str) -> None:
    """The model runs on the whole, for one prediction as well."""
    task = gg.Task(level, mode="binary_classification")  # type: ignore[arg-type]
    torch.manual_seed(3)
    found = gg.explain(models.GCN(task), models.chain(), "saliency", task, index=[2])
    assert bool(found[0].edge_mask[4 if level != "graph" else 8])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_graphs_that_are_connected_are_one_graph(number: int) -> None:
    """What the library does for a ``batch`` vector, by hand: one graph, and the row of one."""
    task = gg.Task("graph", mode="regression")
    torch.manual_seed(3)
    model, data = models.GCN(task), models.chain()
    whole = Data(x=data.x, edge_index=data.edge_index, part=data.batch)

    def call(model: nn.Module, data: Any) -> Tensor:
        copy = 0 if data.batch is None else data.batch
        return model(data.x, data.edge_index, 3 * copy + data.part)[number::3]

    x = data.x.clone().requires_grad_()
    expected = model(x, data.edge_index, data.batch)[number]
    (gradient,) = torch.autograd.grad(expected.sum(), x)
    for method in ("saliency", "integrated_gradients", "occlusion"):
        (joined,) = gg.explain(model, data, method, task, index=[number], progress=False)
        (found,) = gg.explain(model, whole, method, task, call=call, progress=False)
        torch.testing.assert_close(joined.prediction, expected.detach())
        torch.testing.assert_close(joined.edge_mask, found.edge_mask)
        if method == "saliency":
            torch.testing.assert_close(joined.node_mask, gradient.square())


def test_heterogeneous_graphs_of_a_batch_are_graphs_of_their_own() -> None:
    task = gg.Task("graph", mode="binary_classification")
    data = models.two_of_papers()
    data[models.HETERO_EDGES[0]].edge_index[:, 0] = torch.tensor([0, 7])
    model = models.ready(models.TwoHetero("HGTConv", task), data.x_dict, data.edge_index_dict)
    with pytest.raises(GraphError, match="of graph 0 to node 7 of graph 1"):
        gg.explain(model, data, "saliency", task, call=call_on_graphs)
