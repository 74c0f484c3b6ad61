"""A small TGN trained on a stream of one rule: the cause comes first, and nothing has changed."""

from __future__ import annotations

import pytest
import torch

import glassgraph as gg
from glassgraph.datasets import EventStream, event_stream
from glassgraph.errors import HyperParameterError
from glassgraph.models import TrainedTGN, train_tgn


@pytest.fixture(scope="module")
def scene() -> tuple[EventStream, TrainedTGN]:
    """A small stream that is quickly learned: visits follow tips that count."""
    stream = event_stream(
        num_tips=400, num_people=6, num_guides=2, num_shops=3, share=0.3, delay=(4, 6)
    )
    before = torch.get_rng_state()
    trained = train_tgn(
        stream.events, stream.num_nodes, stream.destinations, stream.split, epochs=6, batch_size=5,
        channels=16, neighbors=4, learning_rate=0.01, progress=False,
    )  # fmt: skip
    assert torch.equal(torch.get_rng_state(), before)
    return stream, trained


@pytest.mark.slow("memories left as they were: test_state.py")
def test_training_leaves_a_blank_memory(scene: tuple[EventStream, TrainedTGN]) -> None:
    _, trained = scene
    assert not bool(trained.memory.memory.any())
    assert not trained.memory.training
    assert 0.75 < trained.auc["test"] <= 1


def test_what_made_a_link_happen_is_found(scene: tuple[EventStream, TrainedTGN]) -> None:
    """The planted cause is among the first three of 30 past events, and the link needs it."""
    stream, trained = scene
    model = gg.temporal.TGN(trained.memory, trained.gnn, trained.link_predictor, trained.neighbors)
    index = stream.split["test"][:6].tolist()
    asked = {"candidates": 30, "batch_size": trained.batch_size, "progress": False}
    shares = {}
    for method in ("edge_gradients", "random"):
        found = gg.temporal.explain(model, stream.events, index, method, **asked)
        first = [set(each.top(3)["event_id"]) for each in found]
        causes = stream.cause[index].tolist()
        shares[method] = sum(cause in some for cause, some in zip(causes, first, strict=True)) / 6
        if method == "edge_gradients":
            measured = gg.temporal.fidelity(
                model, stream.events, found, [1], batch_size=trained.batch_size, progress=False
            )
    assert shares["edge_gradients"] >= 0.8
    assert shares["random"] <= 0.3
    assert measured["without"].mean() > 2 * measured["without_chance"].mean()


@pytest.mark.parametrize("name", ["epochs", "batch_size", "learning_rate"])
def test_numbers_out_of_range_are_named(name: str) -> None:
    stream = event_stream(num_tips=200)
    with pytest.raises(HyperParameterError, match="must be positive"):
        train_tgn(stream.events, stream.num_nodes, stream.destinations, stream.split, **{name: 0})
