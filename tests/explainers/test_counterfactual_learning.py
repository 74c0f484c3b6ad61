"""What an instance remembers of its way changes nothing but the number of runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

import glassgraph as gg
from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.perturbation.counterfactuals import learning
from glassgraph.explainers.perturbation.counterfactuals.best import Best
from glassgraph.explainers.perturbation.counterfactuals.learning import (
    Learning,
    Objective,
    Paths,
    Search,
    learned,
)
from glassgraph.explainers.perturbation.counterfactuals.relaxation import Relaxed
from tests.explainers.test_counterfactuals import NODES, Net, WithoutWeights, graph

EPOCHS, SOME = 40, [0, 3, 5, 8]


@contextmanager
def batch_and_search(model: torch.nn.Module) -> Iterator[tuple[InstanceBatch, Search]]:
    explainer = gg.CFGNNExplainer(model, task="node", progress=False)
    preparation = explainer.prepare(graph())
    with protected(model), torch.no_grad():
        instances = preparation.instances(SOME)
        ((_, batch),) = preparation.batches(instances, None, None)
        yield batch, Search(Objective(0.1), EPOCHS, 0.2, "auto", None, explainer._changes)


def step_by_step(batch: InstanceBatch, search: Search) -> tuple[Tensor, int]:
    """The method as it is defined, of a single instance: what it keeps, and the sets it meets."""
    best = Best(search.changes(batch))
    items, paths = best.changes.items, Paths.begin(best.changes.items, batch.dtype)
    relaxed = Relaxed(batch, best.changes, search.relaxation)
    learner = Learning(batch, best, search, relaxed, paths)
    number, met = paths.number, set()
    for _ in range(search.epochs):
        changed = items & (number <= 0)
        outcome, gradient = learner._look(changed)
        best.update(torch.zeros(1, dtype=torch.long), changed, outcome)
        met.add(tuple(changed.view(-1).tolist()))
        if bool(best.is_done):
            break
        step = learner._scaled(gradient) * (~outcome.flips).view(-1, 1)
        number = (number - search.rate * (step - search.objective.beta)).clamp_max(1) * items
    return best.changed[0], len(met)


@pytest.mark.parametrize("remembered", [1, 16])
@pytest.mark.parametrize("takes_weights", [True, False])
def test_it_is_the_method_step_by_step(
    monkeypatch: pytest.MonkeyPatch, remembered: int, takes_weights: bool
) -> None:
    monkeypatch.setattr(learning, "_REMEMBERED", remembered)
    model = Net() if takes_weights else WithoutWeights(Net())
    with batch_and_search(model) as (batch, search):
        found = learned(batch, search)
        for number in range(len(SOME)):
            alone, _ = step_by_step(batch.take(torch.tensor([number])), search)
            own = found.changed[number]
            assert torch.equal(own[: alone.numel()], alone)
            assert not bool(own[alone.numel() :].any())


def test_no_set_is_looked_at_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, plain = [], Learning._look

    def counted(self: Learning, changed: Tensor) -> object:
        looks.append(changed)
        return plain(self, changed)

    with batch_and_search(Net()) as (batch, search):
        most = max(
            step_by_step(batch.take(torch.tensor([number])), search)[1]
            for number in range(len(SOME))
        )
        monkeypatch.setattr(Learning, "_look", counted)
        learned(batch, search)
    assert 1 < len(looks) <= most < EPOCHS / 2


def test_an_instance_that_is_done_does_not_go_on_for_its_neighbors() -> None:
    explainer = gg.CFGNNExplainer(Net(), task="node", epochs=EPOCHS, progress=False)
    together = explainer.explain(graph(), range(NODES))
    for node in SOME:
        alone = explainer.explain(graph(), [node])
        assert torch.equal(alone[0].edge_mask, together[node].edge_mask)
