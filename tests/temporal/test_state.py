"""What a model remembers is the same to the last bit afterwards, or an error says what is not."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import TemporalData
from torch_geometric.nn.models.tgn import LastNeighborLoader

import glassgraph as gg
from glassgraph.errors import StateNotRestoredError
from glassgraph.temporal import TGN
from glassgraph.temporal.methods import METHODS
from glassgraph.temporal.state import fingerprint
from tests.temporal.streams import BATCH, NODES, Literal, parts, stream


def bits(model: TGN) -> list[Any]:
    """All that PyG's memory and loader keep, read here by hand."""
    memory, loader = model.memory, model.loader
    assert memory is not None
    assert loader is not None
    stores = [
        part
        for store in (memory.msg_s_store, memory.msg_d_store)
        for row in store.values()
        for part in row
    ]
    tensors = [memory.memory, memory.last_update, loader.neighbors, loader.e_id, *stores]
    flags = [each.training for each in (*memory.modules(), *model.gnn.modules())]
    return [
        *[each.numpy(force=True).tobytes() for each in tensors],
        *[each.requires_grad for each in memory.parameters()],
        loader.cur_e_id,
        flags,
        torch.get_rng_state().numpy().tobytes(),
        np.random.get_state()[1].tobytes(),  # noqa: NPY002
        random.getstate(),
    ]


def model_in_training(events: TemporalData) -> TGN:
    """A model in the middle of its training: with a memory, messages that wait, and neighbors."""
    model = parts()
    loader = LastNeighborLoader(NODES, 3)
    model = TGN(model.memory, model.gnn, model.link_predictor, loader)
    model.gnn.train()
    assert model.memory is not None
    model.memory.train()
    for first in (0, 10):
        part = events[first : first + 10]
        model.memory.update_state(part.src, part.dst, part.t, part.msg)
        loader.insert(part.src, part.dst)
        model.memory.detach()
    return model


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_the_same_to_the_last_bit(method: str) -> None:
    events = stream()
    model = model_in_training(events)
    before, held = bits(model), fingerprint(model)
    few = {"rollouts": 3} if method == "t_gnn_explainer" else {}
    gg.temporal.explain(model, events, 40, method, batch_size=BATCH, progress=False, **few)
    assert bits(model) == before
    assert fingerprint(model) == held


def test_what_it_remembers_does_not_count() -> None:
    events = stream()
    one, other = (
        gg.temporal.explain(model, events, 40, batch_size=BATCH, progress=False)[0]
        for model in (parts(), model_in_training(events))
    )
    assert torch.equal(one.score, other.score)


class Kept(Literal):
    """A model whose reset forgets to empty its memory."""

    def reset(self) -> None:
        self.loader.reset_state()
        self.seen = []


class Shared(Literal):
    """A model whose copies share its memory."""

    def __deepcopy__(self, _: Any) -> Shared:
        twin = object.__new__(Shared)
        twin.__dict__.update(vars(self))
        return twin


def test_a_memory_that_is_not_restored_is_named() -> None:
    events = stream()
    with pytest.raises(StateNotRestoredError, match=r"reset\(\) leaves something"):
        gg.temporal.explain(Kept(parts()), events, 40, batch_size=BATCH, progress=False)


def test_a_memory_that_copies_share_is_named() -> None:
    events = stream()
    with pytest.raises(StateNotRestoredError, match="what the model remembers"):
        gg.temporal.explain(Shared(parts()), events, 40, batch_size=BATCH, progress=False)


def test_a_memory_that_cannot_be_copied_is_named() -> None:
    events, model = stream(), Literal(parts())
    assert model.memory is not None
    model.memory.update_state(events.src, events.dst, events.t, events.msg)  # and not detached
    with pytest.raises(StateNotRestoredError, match=r"memory\.detach\(\)"):
        gg.temporal.explain(model, events, 40, batch_size=BATCH, progress=False)


def test_a_fingerprint_sees_one_bit() -> None:
    model = model_in_training(stream())
    assert model.memory is not None
    before = fingerprint(model)
    model.memory.msg_s_store[3][3][0, 0] += 1e-15
    changed = [place for place, value in fingerprint(model).items() if before[place] != value]
    assert changed == ["model.memory.msg_s_store.3.3"]
