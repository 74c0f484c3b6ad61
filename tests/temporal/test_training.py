"""A small TGN trained on a stream of one rule: the cause comes first, and nothing has changed."""

from __future__ import annotations

import pytest
import torch

import glassgraph as gg
from glassgraph.datasets import event_stream
from glassgraph.errors import HyperParameterError
from glassgraph.models import train_tgn


def test_training_leaves_the_random_state_and_a_blank_memory() -> None:
    stream = event_stream(num_tips=200)
    before = torch.get_rng_state()
    trained = train_tgn(
        stream.events, stream.num_nodes, stream.destinations, stream.split, epochs=1,
        channels=4, progress=False,
    )  # fmt: skip
    assert torch.equal(torch.get_rng_state(), before)
    assert not bool(trained.memory.memory.any())
    assert not trained.memory.training
    assert 0 <= trained.auc["test"] <= 1
    model = gg.temporal.TGN(trained.memory, trained.gnn, trained.link_predictor, trained.neighbors)
    found = gg.temporal.explain(
        model, stream.events, stream.split["test"][:1], "edge_gradients",
        batch_size=trained.batch_size, progress=False,
    )  # fmt: skip
    assert len(found[0]) > 0


@pytest.mark.parametrize("name", ["epochs", "batch_size", "learning_rate"])
def test_numbers_out_of_range_are_named(name: str) -> None:
    stream = event_stream(num_tips=200)
    with pytest.raises(HyperParameterError, match="must be positive"):
        train_tgn(stream.events, stream.num_nodes, stream.destinations, stream.split, **{name: 0})
