"""An intervention is a plan; what belongs to a run is gone with its ``with`` block.

The model adds to each node's state those of its neighbors, twice. On the path 0 -> 1 -> 2 with
features 2, 3 and 5, and with gates ``z[layer][edge]``, node 2 gets

    (5 + 3 z[0][1]) + z[1][1] (3 + 2 z[0][0])
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing

import glassgraph as gg
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.intercept import PlanMismatch
from glassgraph.core.observe import observed, traced

OPEN = 5 + 3 + 3 + 2


class AddNeighbors(MessagePassing):
    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return x + self.propagate(edge_index, x=x)


class AddThroughTap(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tap = gg.MessageTap()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return x.index_add(0, edge_index[1], self.tap(x[edge_index[0]], edge_index))


class AddThroughMatrix(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tap = gg.AdjacencyTap()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        adjacency = x.new_zeros(x.size(0), x.size(0))
        adjacency[edge_index[1], edge_index[0]] = 1
        return x + self.tap(adjacency, x)


class Twice(nn.Module):
    def __init__(self, layer: type[nn.Module]) -> None:
        super().__init__()
        self.first, self.between, self.second = layer(), nn.Identity(), layer()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        hidden = self.between(self.first(x, edge_index))
        output: Tensor = self.second(hidden, edge_index)
        return output


LAYERS = [AddNeighbors, AddThroughTap, AddThroughMatrix]


def prepare(layer: type[nn.Module]) -> tuple[Twice, InstanceBatch]:
    model = Twice(layer)
    data = Data(
        x=torch.tensor([[2.0], [3.0], [5.0]]).double(),
        edge_index=torch.tensor([[0, 1], [1, 2]]),
    )
    task = gg.Task("node", mode="regression")
    preparation = gg.EdgeGradients(model, task, progress=False).prepare(data)
    ((_, batch),) = preparation.batches(preparation.instances([2]), None, None)
    return model, batch


def call(batch: InstanceBatch) -> float:
    """The model's output for node 2."""
    result: Tensor = batch.model_call(batch.packed.data)
    return float(result[2])


def by_hand(gates: Tensor) -> float:
    (a, b), (_, c) = gates.tolist()
    return (5 + 3 * b) + c * (3 + 2 * a)


def hooks_on(model: nn.Module) -> int:
    return sum(
        len(value)
        for module in model.modules()
        for name, value in vars(module).items()
        if "hooks" in name and value is not None
    )


ONE = torch.tensor([[0.5, 0.25], [1.0, 0.75]]).double()
OTHER = torch.tensor([[2.0, 0.0], [1.0, 4.0]]).double()


@pytest.mark.parametrize("layer", LAYERS)
def test_gates_hold_for_the_block(layer: type[nn.Module]) -> None:
    model, batch = prepare(layer)
    with batch.intervention.gates(ONE):
        assert hooks_on(model) > 0
        assert call(batch) == by_hand(ONE)
    assert hooks_on(model) == 0
    assert call(batch) == OPEN


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("block", ["gates", "recording", "observed", "traced"])
def test_hooks_are_gone_after_an_error(layer: type[nn.Module], block: str) -> None:
    """In the block, and in the midst of the model."""
    model, batch = prepare(layer)
    channels = batch.wiring.channels

    @contextmanager
    def opened() -> Iterator[None]:
        one = {
            "gates": lambda: batch.intervention.gates(ONE),
            "recording": batch.intervention.recording,
            "observed": lambda: observed(channels),
            "traced": lambda: traced(channels),
        }[block]
        with one():
            yield

    with pytest.raises(KeyboardInterrupt), opened():
        raise KeyboardInterrupt
    assert hooks_on(model) == 0

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    breaking = model.between.register_forward_hook(fail)
    with pytest.raises(ZeroDivisionError), opened():
        call(batch)
    breaking.remove()
    assert hooks_on(model) == 0
    with batch.intervention.gates(ONE):  # and what was half done is forgotten
        assert call(batch) == by_hand(ONE)


def test_hooks_are_gone_where_attaching_fails() -> None:
    model, batch = prepare(AddNeighbors)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    model.second.register_message_forward_hook = fail  # type: ignore[method-assign,assignment]
    with pytest.raises(ZeroDivisionError), batch.intervention.gates(ONE):
        raise AssertionError("the block should not be reached")
    assert hooks_on(model) == 0
    assert call(batch) == OPEN


@pytest.mark.parametrize("layer", LAYERS)
def test_runs_one_after_the_other(layer: type[nn.Module]) -> None:
    _, batch = prepare(layer)
    for gates in (ONE, OTHER, ONE):
        with batch.intervention.gates(gates):
            assert call(batch) == by_hand(gates)
    with batch.intervention.gates(None):
        assert call(batch) == OPEN


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("when", ["before", "in the midst", "after"])
def test_a_run_inside_another(layer: type[nn.Module], when: str) -> None:
    """Each has its own gates, wherever the outer one stands."""
    model, batch = prepare(layer)
    inner: list[float] = []

    def run_inner(*_: object) -> None:
        midst.remove()
        with batch.intervention.gates(OTHER):
            inner.append(call(batch))

    with batch.intervention.gates(ONE):
        midst = model.between.register_forward_hook(lambda *_: None)
        if when == "in the midst":
            midst = model.between.register_forward_hook(run_inner)
        if when == "before":
            run_inner()
        outer = call(batch)
        if when == "after":
            run_inner()
    assert outer == by_hand(ONE)
    assert inner == [by_hand(OTHER)]


def test_a_run_of_another_model_inside() -> None:
    """The inner block gates its own model alone: the outer model keeps the outer gates."""
    (_, batch), (_, other) = prepare(AddNeighbors), prepare(AddNeighbors)
    with batch.intervention.gates(ONE), other.intervention.gates(OTHER):
        assert call(batch) == by_hand(ONE)
        assert call(other) == by_hand(OTHER)


@pytest.mark.parametrize("layer", LAYERS)
def test_recording_inside_a_run(layer: type[nn.Module]) -> None:
    """What is recorded are messages with open gates; the outer run goes on as planned."""
    _, batch = prepare(layer)
    with batch.intervention.gates(ONE):
        with batch.intervention.recording() as recorded:
            assert call(batch) == OPEN
        assert call(batch) == by_hand(ONE)
    assert [each.site for each in recorded] == [0, 1]
    if layer is not AddThroughMatrix:  # whose messages are the entries, not products
        sent = [each.messages.flatten().tolist() for each in recorded if each.messages is not None]
        # At the second layer a tap sends all there is, a layer only what can reach node 2.
        assert sent == [[2.0, 3.0], [2.0, 5.0] if layer is AddThroughTap else [5.0]]


def test_one_block_is_one_call() -> None:
    _, batch = prepare(AddNeighbors)
    with batch.intervention.gates(ONE):
        call(batch)
        with pytest.raises(PlanMismatch, match="called once more"):
            call(batch)


def test_a_plan_does_not_change() -> None:
    _, batch = prepare(AddNeighbors)
    with pytest.raises(FrozenInstanceError):
        batch.intervention.plans = ()  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        batch.intervention.plans[0].num_rows = 7  # type: ignore[misc]
    before = vars(batch.intervention).copy()
    with batch.intervention.gates(ONE):
        call(batch)
    assert vars(batch.intervention) == before


@pytest.mark.parametrize("layer", LAYERS)
def test_traced_sites_know_what_feeds_them(layer: type[nn.Module]) -> None:
    model, batch = prepare(layer)
    x = batch.packed.data.x.clone().requires_grad_()
    with traced(batch.wiring.channels) as records:
        model(x, batch.packed.data.edge_index)
    assert [sorted(each.feeds_from) for each in records] == [[], [0]]
    with observed(batch.wiring.channels) as records:
        model(x, batch.packed.data.edge_index)
    assert [each.edge_index.tolist() for each in records] == [[[0, 1], [1, 2]]] * 2
    assert [each.call for each in records] == [0, 0]
