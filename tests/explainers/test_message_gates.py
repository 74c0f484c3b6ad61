"""Gates that read messages: what messages that are alike share, and what they must not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, RGCNConv

from glassgraph.calling.protect import protected
from glassgraph.core.prepare import Preparation
from glassgraph.explainers.perturbation.graphmask import GraphMask
from glassgraph.explainers.perturbation.message_gates import inputs as module
from glassgraph.explainers.perturbation.message_gates.gated_batch import GatedBatch
from glassgraph.explainers.perturbation.message_gates.gates import MessageGates
from glassgraph.explainers.shared_batches import shared_batches
from glassgraph.learn import repeated_rows

#: The same batch with shared rows and without.
Pair = tuple[GatedBatch, GatedBatch]


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = GCNConv(3, 5, normalize=False), GCNConv(5, 7, normalize=False)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.one(x, edge_index).relu(), edge_index)


class Relational(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = RGCNConv(3, 5, 2)

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        return self.conv(x, edge_index, edge_type)


def gated_batch(model: nn.Module) -> GatedBatch:
    """Two colors of 17 nodes, and 67 edges: few messages differ."""
    generator = torch.Generator().manual_seed(3)
    color = torch.randint(2, (17,), generator=generator)
    x = torch.stack([color, 1 - color, torch.ones_like(color)], dim=1).double()
    edge_index = torch.randint(17, (2, 67), generator=generator)
    kind = torch.randint(2, (67,), generator=generator)
    data = Data(x=x, edge_index=edge_index.unique(dim=1))
    data.edge_type = kind[: data.num_edges]
    explainer = GraphMask(model.double(), "node", progress=False)
    with protected(model):
        preparation: Preparation = explainer.prepare(data)
        instances = preparation.instances(None)
        _, batch = next(shared_batches(preparation, instances, None, 1 << 30))
        return GatedBatch.read(batch)


def network(gated: GatedBatch) -> MessageGates:
    torch.manual_seed(0)
    gates = MessageGates(gated.groups).double()
    with torch.no_grad():
        for parameter in gates.parameters():  # relations have different terms
            parameter.normal_()
    return gates


@pytest.fixture(params=[Plain, Relational])
def both(request: Any, monkeypatch: pytest.MonkeyPatch) -> Pair:
    torch.manual_seed(1)
    model = request.param()
    shared = gated_batch(model)
    monkeypatch.setattr(module, "_FEW", 10**9)
    return shared, gated_batch(model)


def test_rows_are_shared_where_messages_are_alike(both: Pair) -> None:
    shared, apart = both
    assert any(each.row is not None for each in shared.inputs)
    assert all(each.row is None for each in apart.inputs)
    assert shared.num_bytes < apart.num_bytes
    assert shared.num_messages == apart.num_messages


def test_locations_and_gradients_do_not_depend_on_sharing(
    both: Pair,
) -> None:
    found = []
    for each in both:
        gates = network(each)
        location = gates(each)
        weight = torch.linspace(-1, 2, location.numel(), dtype=location.dtype)
        (location * weight).sum().backward()
        found.append((location.detach(), [p.grad for p in gates.scorers.parameters()]))
    torch.testing.assert_close(found[0][0], found[1][0])
    assert found[0][0].unique().numel() > 2
    torch.testing.assert_close(found[0][1], found[1][1])


def test_messages_and_means_do_not_depend_on_sharing(both: Pair) -> None:
    shared, apart = both
    for (group, message, slot), (other, literal, place) in zip(
        shared.messages(), apart.messages(), strict=True
    ):
        assert group == other
        assert torch.equal(message, literal)
        assert torch.equal(slot, place)
    means = zip(shared.mean_messages().values(), apart.mean_messages().values(), strict=True)
    for mean, literal in means:
        torch.testing.assert_close(mean, literal)
    one, other_gates = network(shared), network(apart)
    one.start_baselines([shared])
    other_gates.start_baselines([apart])
    for name, value in one.baselines.items():
        torch.testing.assert_close(value, other_gates.baselines[name])


def test_numbers_that_meet_by_chance_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are found by one number for each; if that says nothing, nothing is shared."""
    torch.manual_seed(1)
    zeros = torch.zeros(15, dtype=torch.float64)
    monkeypatch.setattr(repeated_rows.torch, "rand", lambda *_, **__: zeros)
    rows = torch.arange(45, dtype=torch.float64).view(3, 15)
    found = repeated_rows.find_repeated(rows)
    assert found.table is rows
    assert found.index is None
    assert repeated_rows.share_alike(repeated_rows.SideBySide((found,))) is None
