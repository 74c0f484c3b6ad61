"""Training batches beyond the memory budget come back with all of their predictions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import SimpleConv, global_add_pool

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.errors import FitError
from glassgraph.explainers.training_batches import hold_back, random_order

METHODS = {
    "graphmask": gg.GraphMask,
    "information_bottleneck": gg.InformationBottleneck,
    "pg_explainer": gg.PGExplainer,
}


class Pooled(nn.Module):
    """Two classes, from sums over neighbors."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = SimpleConv(aggr="sum"), nn.Linear(3, 2)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        return global_add_pool(self.head(self.conv(x, edge_index)).tanh(), batch)


class PooledMatrix(Pooled):
    """The same sums through a dense matrix, of which a batch should hold few nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = gg.AdjacencyTap()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        adjacency = x.new_zeros(x.size(0), x.size(0))
        adjacency[edge_index[1], edge_index[0]] = 1.0
        return global_add_pool(self.head(self.conv(adjacency, x)).tanh(), batch)


def star(size: int) -> Data:
    source = torch.arange(1, size)
    x = torch.randn(size, 3, generator=torch.Generator().manual_seed(size))
    return Data(x=x, edge_index=torch.stack([source, torch.zeros_like(source)]))


#: The large graph is not in the index, but counts where batches are first guessed: too small.
DATA = [star(3 + number % 5) for number in range(40)] + [star(2000)]
INDEX = list(range(40))


def batches_of(method: str, model: nn.Module, budget: int) -> Any:
    size = {"batch_size": None} if method == "pg_explainer" else {}
    explainer = METHODS[method](model, "graph", memory_budget=budget, progress=False, **size)
    return explainer._training_batches(DATA, INDEX, [3, 4, 5])[0]


@pytest.mark.parametrize("model", [Pooled, PooledMatrix])
@pytest.mark.parametrize("method", METHODS)
def test_all_predictions_come_back(method: str, model: type[nn.Module]) -> None:
    net = model()
    with protected(net):
        kept = batches_of(method, net, 1 << 30)
        tight = batches_of(method, net, 250_000)
        for batches in (kept, tight):
            before = [len(instances) for _, instances in batches._source]
            assert sum(before) == len(INDEX)
            numbers = []
            batches._kept = [None] * len(batches)
            for each, size in zip(batches, before, strict=True):
                assert each.batch.num_predictions == size
                numbers += each.batch.key.tolist()
            assert sorted(numbers) == INDEX


def test_a_batch_that_comes_back_smaller_is_an_error() -> None:
    net = Pooled()
    with protected(net):
        batches = batches_of("graphmask", net, 1 << 30)
        preparation, instances = batches._source[0]
        half = instances.take(torch.arange(len(instances) // 2))
        cut = batches.cut
        batches.cut = lambda _, __, *rest: cut(preparation, half, *rest)
        batches._kept[0] = None
        with pytest.raises(FitError, match=f"a batch of {len(instances)} predictions came back"):
            batches[0]


@pytest.mark.parametrize(
    ("number", "num_held"),
    [(2, 0), (3, 1), (5, 2), (97, 38), (131, 50), (199, 50), (211, 52), (997, 249)],
)
def test_a_quarter_is_held_back_and_more_of_few(number: int, num_held: int) -> None:
    order = torch.randperm(number, generator=torch.Generator().manual_seed(0))
    train, held = hold_back(order)
    if num_held:
        assert held.numel() == num_held
        assert torch.equal(torch.cat([held, train]), order)
    else:  # too few to part with any
        assert torch.equal(train, order)
        assert torch.equal(held, order)


def test_each_round_visits_all_in_another_order() -> None:
    order = list(random_order(7, 17, seed=3))
    rounds = [order[:7], order[7:14], order[14:]]
    assert len(order) == 17
    assert [sorted(each) for each in rounds[:2]] == [list(range(7))] * 2
    assert len(set(rounds[2])) == 3
    assert rounds[0] != rounds[1]
    assert order == list(random_order(7, 17, seed=3))
    assert order != list(random_order(7, 17, seed=5))
