"""What is kept from one call to the next, and that nothing stale is ever used."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import SimpleConv, global_add_pool

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.core.told import FallbackWarning
from glassgraph.hidden import states
from glassgraph.hidden.states import StateReader, layer_states

WIDTH = 3


class Pooled(nn.Module):
    """Two layers and a pooling, in several styles."""

    def __init__(self, style: str = "plain") -> None:
        super().__init__()
        self.one, self.two = SimpleConv(aggr="sum"), SimpleConv(aggr="mean")
        if style == "tapped":
            self.tap = gg.AdjacencyTap()
        torch.manual_seed(0)
        self.table = nn.Parameter(torch.randn(2, WIDTH))
        self.style, self.num_calls, self.shift = style, 0, 0.0

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        self.num_calls += 1
        is_odd = bool(x.size(0) % 2)
        h = self.one(x, edge_index).tanh()
        if self.style == "tapped":
            adjacency = x.new_zeros(x.size(0), x.size(0))
            adjacency[edge_index[1], edge_index[0]] = 1.0
            h = self.tap(adjacency, h)
        else:
            h = self.two(h, edge_index)
        if self.style == "longer" and is_odd:
            h = h * 1.0
        if self.style == "swapped" and is_odd:  # widths alone do not tell the two apart
            table, h = self.table.tanh(), h.tanh()
        else:
            h, table = h.tanh(), self.table.tanh()
        if self.style == "mixing":
            h = h + self.shift * h.mean(dim=0)
        return global_add_pool(h, batch) * table.sum(dim=0)


def graph(size: int) -> Data:
    generator = torch.Generator().manual_seed(size)
    key = torch.randperm(size**2, generator=generator)[: 2 * size]
    x = torch.randn(size, WIDTH, generator=generator)
    return Data(x=x, edge_index=torch.stack([key // size, key % size]))


def batches(model: nn.Module, data: list[Data], groups: list[list[int]]) -> list[Any]:
    preparation = gg.Saliency(model, "graph", progress=False).prepare(data)
    return [
        batch
        for group in groups
        for _, batch in preparation.batches(preparation.instances(group), None, 1 << 30)
    ]


@pytest.mark.parametrize(
    ("style", "num_searches"),
    [("plain", 1), ("longer", 3), ("swapped", 3), ("mixing", 1), ("tapped", 4)],
)
def test_states_are_read_where_they_were_found(
    style: str, num_searches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of 8, 14, 5 + 8 and 8 nodes."""
    model, data = Pooled(style), [graph(size) for size in (8, 5, 6)]
    reader, searches = StateReader(), []
    search = states.last_states
    with protected(model):
        found = batches(model, data, [[0], [0, 2], [0, 1], [0]])
        expected = [layer_states(batch).layers for batch in found]
        monkeypatch.setattr(
            states, "last_states", lambda *given: searches.append(1) or search(*given)
        )
        for batch, layers in zip(found, expected, strict=True):
            with torch.no_grad():
                got = reader.read(batch)
            assert len(got) == len(layers) == 2
            for one, other in zip(got, layers, strict=True):
                assert torch.equal(one, other)
                assert not one.requires_grad
    assert len(searches) == num_searches


def test_graphs_are_run_alone_once() -> None:
    model, data = Pooled(), [graph(size) for size in (8, 5, 6)]
    explainer = gg.Random(model, "graph", progress=False)
    calls = []
    for _ in range(3):
        before = model.num_calls
        explainer.explain(data)
        calls.append(model.num_calls - before)
    assert calls[1] == calls[2] <= calls[0] - len(data)


def test_a_model_that_begins_to_mix_graphs_is_noticed() -> None:
    model, data = Pooled("mixing"), [graph(size) for size in (8, 5, 6)]
    explainer = gg.Saliency(model, "graph", progress=False)
    explainer.explain(data)
    model.shift = 1.0
    with pytest.warns(FallbackWarning, match="differ from those on the full graph"):
        found = explainer.explain(data, target=1)
    for number, each in enumerate(data):
        alone = gg.Saliency(model, "graph", progress=False).explain([each], target=1)[0]
        torch.testing.assert_close(found[number].edge_mask, alone.edge_mask)


def test_a_model_that_changes_does_not_fall_back() -> None:
    model, data = Pooled(), [graph(size) for size in (8, 5, 6)]
    explainer = gg.Saliency(model, "graph", progress=False)
    explainer.explain(data)
    model.table.data.add_(1.0)  # raises no version
    found = explainer.explain(data, target=1)
    fresh = gg.Saliency(model, "graph", progress=False).explain(data, target=1)
    for one, other in zip(found, fresh, strict=True):
        assert torch.equal(one.edge_mask, other.edge_mask)


def test_a_graph_of_a_list_that_changes_is_noticed_when_it_is_explained() -> None:
    model, data = Pooled(), [graph(size) for size in (8, 5, 6)]
    explainer = gg.Saliency(model, "graph", progress=False)
    explainer.explain(data)
    kept = explainer.prepare(data)

    def check(index: list[int]) -> None:
        found = explainer.explain(data, index, target=1)
        fresh = gg.Saliency(model, "graph", progress=False).explain(data, index, target=1)
        for one, other in zip(found, fresh, strict=True):
            assert torch.equal(one.edge_mask, other.edge_mask)

    data[1].x.mul_(2)
    explainer.explain(data, [0, 2])
    assert explainer._prepared is not None
    assert explainer._prepared[2] is kept
    check([1])
    assert explainer.prepare(data) is not kept
    data[0].x = data[0].x + 1
    check([0, 1])
    data[2] = graph(7)
    check([2])
    data.append(graph(9))
    assert len(explainer.explain(data)) == 4
    check([3])
