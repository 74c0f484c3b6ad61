"""Graphs that end within reach: a model sends messages more often than they are wide.

How far a model looks that is only called shows in a graph that goes on beyond it. Where the graph
ends there, any number of layers looks as far, and messages go back and forth or take a longer way.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GraphConv, SimpleConv

import glassgraph as gg
from glassgraph.black_box.altered_rows import Alterations, AlteredRows
from glassgraph.black_box.boundary import readable_nodes
from glassgraph.black_box.variants import Variants
from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.reachability import visible_edges
from glassgraph.core.sites import OpaqueWiring
from glassgraph.explainers.constant import ConstantScoresWarning
from tests.fuzz.cases import DrawnCase, Shape
from tests.fuzz.networks import Architecture

#: From 3 to 0 by a chain, and from everywhere to 0 at once.
CHAIN, SHORTCUTS = [(3, 2), (2, 1), (1, 0)], [(3, 0), (2, 0)]


class Deep(nn.Module):
    """Several layers; what is returned is rounded, so that a small change does not show."""

    def __init__(self, layers: int, *, saturates: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(GraphConv(3, 3).double() for _ in range(layers))
        self.saturates = saturates

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x, edge_index)
        return (20 * x).softmax(dim=-1) if self.saturates else x


def opened(model: nn.Module, data: Data, index: list[int]) -> InstanceBatch:
    explainer = gg.CausalScreening(model, task="node", progress=False)
    with protected(explainer.model):
        preparation = explainer._preparation_of(data)
        instances = preparation.instances(index)
        ((_, batch),) = preparation.batches(instances, 0, 1 << 30)
    return batch


@pytest.mark.parametrize("saturates", [False, True])
@pytest.mark.parametrize("edges", [[(1, 0), (2, 0), (1, 2), (2, 1)], [(1, 0), (0, 1), (2, 1)]])
def test_changed_rows_go_around_a_small_graph(
    edges: list[tuple[int, int]], saturates: bool
) -> None:
    model = Deep(4, saturates=saturates).eval()
    x = torch.randn(3, 3).double()
    data = Data(x=x, edge_index=torch.tensor(edges).t().contiguous())
    batch = opened(model, data, [0])
    assert isinstance(batch.wiring, OpaqueWiring)
    assert not batch.wiring.is_exact
    count = batch.num_nodes
    changed = torch.randn(count, 3).double()

    def fill(low: int, high: int, rows: Tensor) -> None:
        rows.copy_(x[batch.fields.node].repeat(high - low, 1))

    def alter(rows: Tensor, at: Tensor, low: int, high: int) -> None:
        rows[at] = changed[low:high]

    each = torch.arange(count)
    asked = Alterations(each[:1] * 0, fill, each * 0, each, each, alter)
    found = AlteredRows(batch, readable_nodes(batch), 1 << 30).output(asked)
    for number in range(count):
        other = x.clone()
        other[batch.fields.node[number]] = changed[number]
        torch.testing.assert_close(found[number], model(other, data.edge_index)[0])


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_without_shortcuts_the_long_way_counts(layers: int) -> None:
    def model(x: Tensor, edge_index: Tensor) -> Tensor:
        for _ in range(layers):
            x = SimpleConv("sum")(x, edge_index)
        return x

    edges = torch.tensor(CHAIN + SHORTCUTS).t().contiguous()
    data = Data(x=torch.randn(4, 2).double(), edge_index=edges)
    batch = opened(gg.CausalScreening(model, task="node").model, data, [0])
    order = torch.argsort(batch.fields.edge)
    left = order[: len(CHAIN)] if layers > 1 else order[2:]
    found = Variants(batch, 1 << 30).on_edges(torch.tensor([0]), torch.zeros_like(left), left)
    kept = edges[:, batch.fields.edge[left]]
    torch.testing.assert_close(found, model(data.x, kept)[:1])
    if layers == 3:
        is_there = torch.zeros(batch.num_edges, dtype=torch.bool)
        is_there[left] = True
        assert visible_edges(batch, is_there)[left].all()


@pytest.mark.parametrize(("length", "is_exact"), [(2, False), (3, True), (6, True)])
def test_a_graph_that_goes_on_shows_how_far_a_model_looks(length: int, is_exact: bool) -> None:
    path = torch.stack([torch.arange(1, length + 1), torch.arange(length)])
    data = Data(x=torch.randn(length + 1, 3).double(), edge_index=path)
    wiring = opened(Deep(2, saturates=False).eval(), data, [0]).wiring
    assert isinstance(wiring, OpaqueWiring)
    assert (wiring.reach, wiring.is_exact) == (2, is_exact)


def test_everything_is_enough_for_zorro() -> None:
    """Two ends of a link that hear each other, and a prediction too sure to be moved in a trial."""
    both_ways = ((0, 1), (1, 0)) * 5 + ((1, 1), (1, 1))
    case = DrawnCase(
        Architecture(("graphconv",), None, "relu", 0.0, None, reads_edges=False, pooling="mean"),
        graphs=(Shape(num_nodes=2, edges=both_ways),),
        level="edge",
        mode="multiclass_classification",
        return_type="probs",
        target=None,
        columns=3,
        explained=(0,),
        links=((1, 0),),
        seed=0,
    )
    zorro = gg.Zorro(case.model(), case.task(), tau=1.0, progress=False)
    with pytest.warns(ConstantScoresWarning, match="every node and feature was needed"):
        found = zorro.explain(case.data(), [0])
    assert found.table("explanations").fidelity.tolist() == [1.0]
