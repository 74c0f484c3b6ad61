"""How GraphMask measures what it has learned: the same numbers in fewer runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.explainers.perturbation.graphmask_fit.fitting import MEASUREMENTS
from glassgraph.explainers.perturbation.graphmask_fit.mask_network import MaskNetwork
from glassgraph.explainers.perturbation.graphmask_fit.points import Constraint, Look, Point
from glassgraph.explainers.perturbation.message_gates.gates import MessageGates


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = GCNConv(3, 5), GCNConv(5, 2)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.one(x, edge_index).relu(), edge_index)


def look(monkeypatch: pytest.MonkeyPatch) -> tuple[Look, list[int]]:
    """Gates to be measured on two sets, and how often they have been scored."""
    torch.manual_seed(1)
    model = Net().double()
    data = Data(x=torch.randn(31, 3).double(), edge_index=torch.randint(31, (2, 97)))
    explainer = gg.GraphMask(model, "node", batch_size=7, progress=False)
    with protected(model):
        train, validation = explainer._training_batches(data, None, None)
        network = MaskNetwork(train[0].groups, None).double()
    runs: list[int] = []
    original = MessageGates.forward

    def forward(self: MessageGates, gated: Any) -> Tensor:
        runs.append(gated.num_messages)
        return original(self, gated)

    monkeypatch.setattr(MessageGates, "forward", forward)
    return Look(network, [validation, list(train)], "kl", 3), runs


def test_solutions_at_several_offsets_are_those_of_looks_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared, runs = look(monkeypatch)
    number = sum(len(each) for each in shared.sets)  # type: ignore[arg-type]
    points = []
    for offset in (-0.1, 0.0, 0.1):
        shared.network.offset.fill_(offset)
        points.append(shared.measure())
    assert len(runs) == number  # once on each batch
    assert len({point.kept for point in points}) > 1
    for offset, point in zip((-0.1, 0.0, 0.1), points, strict=True):
        shared.network.offset.fill_(offset)
        assert replace(shared).measure() == point


def test_what_is_far_off_is_measured_on_validation_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    here, _ = look(monkeypatch)
    here.network.offset.fill_(-9.0)
    validation, sample = (Look(here.network, [each], "kl", 3).measure() for each in here.sets)
    worst = replace(
        validation,
        divergence=max(validation.divergence, sample.divergence),
        changed=max(validation.changed, sample.changed),
    )
    assert here.measure() == worst
    missed = Constraint("kl", 1.0, validation.divergence / 2)
    assert here.measure(missed) == validation
    assert here.measure(missed.times(2.0)) == worst


@pytest.mark.parametrize("steps", [1, 7, 41, 100])
def test_no_more_is_measured_than_is_said(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    original = Look.measure

    def measure(self: Look, enough: Constraint | None = None) -> Point:
        asked.append(self.step)
        return original(self, enough)

    monkeypatch.setattr(Look, "measure", measure)
    torch.manual_seed(1)
    data = Data(x=torch.randn(13, 3).double(), edge_index=torch.randint(13, (2, 37)))
    explainer = gg.GraphMask(
        Net().double(), "node", steps=steps, tolerance=1e9, max_changed=1.0, progress=False
    )
    explainer.fit(data)
    assert {0, steps - 1} <= set(asked)
    assert len(asked) == len(set(asked)) <= MEASUREMENTS + 1
