"""Divergences against torch.distributions and by hand."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, kl_divergence

import glassgraph as gg
from glassgraph.errors import HyperParameterError, ModelOutputError
from glassgraph.explainers.divergence import divergence, resolve_divergence
from glassgraph.inputs.task import Targets

OUTPUT = torch.tensor([[1.0, -2.0, 0.5], [0.1, 0.2, 0.3]], dtype=torch.double)
REFERENCE = torch.tensor([[0.3, 0.9, -1.0], [2.0, -1.0, 0.0]], dtype=torch.double)
TARGETS = Targets(torch.tensor([1, 0]))


def returned(task: gg.Task, raw: torch.Tensor) -> torch.Tensor:
    if task.return_type == "raw":
        return raw
    several = task.mode == "multiclass_classification"
    p = raw.softmax(dim=1) if several else raw.sigmoid()
    return p if task.return_type == "probs" else p.log()


@pytest.mark.parametrize("return_type", ["raw", "probs", "log_probs"])
@pytest.mark.parametrize("mode", ["multiclass_classification", "binary_classification"])
def test_kl_is_that_of_torch(mode: str, return_type: str) -> None:
    task = gg.Task("node", mode, return_type)  # type: ignore[arg-type]
    if mode == "multiclass_classification":
        expected = kl_divergence(Categorical(logits=REFERENCE), Categorical(logits=OUTPUT))
    else:
        expected = kl_divergence(Bernoulli(logits=REFERENCE), Bernoulli(logits=OUTPUT)).sum(dim=1)
    found = divergence(task, "kl", returned(task, OUTPUT), returned(task, REFERENCE), TARGETS)
    torch.testing.assert_close(found, expected)
    same = divergence(task, "kl", returned(task, OUTPUT), returned(task, OUTPUT), TARGETS)
    torch.testing.assert_close(same, torch.zeros(2).double(), atol=1e-12, rtol=0)


def test_cross_entropy_and_squared_error_by_hand() -> None:
    task = gg.Task("node")
    found = divergence(task, "cross_entropy", OUTPUT, REFERENCE, TARGETS)
    torch.testing.assert_close(found, -OUTPUT.log_softmax(dim=1)[[0, 1], [1, 0]])
    squared = divergence(task, "squared_error", OUTPUT, REFERENCE, TARGETS)
    torch.testing.assert_close(
        squared, torch.tensor([0.49 + 8.41 + 2.25, 3.61 + 1.44 + 0.09]).double()
    )


def test_a_function_gives_one_number_for_each_prediction() -> None:
    task = gg.Task("node")
    largest = divergence(
        task, lambda out, ref: (out - ref).abs().amax(dim=1), OUTPUT, REFERENCE, TARGETS
    )
    torch.testing.assert_close(largest, torch.tensor([2.9, 1.9]).double())
    with pytest.raises(ModelOutputError, match=r"one number for each of the 2 predictions"):
        divergence(task, lambda out, ref: (out - ref).abs().sum(), OUTPUT, REFERENCE, TARGETS)


def test_the_default_fits_the_task() -> None:
    assert resolve_divergence(gg.Task("node"), None) == "kl"
    assert resolve_divergence(gg.Task("node", "regression"), None) == "squared_error"
    for wrong, task in (("js", gg.Task("node")), ("kl", gg.Task("node", "regression"))):
        with pytest.raises(HyperParameterError, match="divergence"):
            resolve_divergence(task, wrong)  # type: ignore[arg-type]
