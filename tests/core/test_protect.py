"""The user's model, layer caches and random generators are exactly as they were."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, SGConv

import glassgraph as gg
from glassgraph.calling.protect import fingerprint, protected

FEATURES = 3


class Cached(nn.Module):
    """A transductive model: layers keep the normalized graph of their first call."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        if kind == "gcn":
            self.conv: nn.Module = GCNConv(FEATURES, 2, cached=True)
        else:
            self.conv = SGConv(FEATURES, 2, K=2, cached=True)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.conv(x, edge_index)


def make_data(seed: int = 1) -> Data:
    torch.manual_seed(seed)
    return Data(x=torch.randn(11, FEATURES).double(), edge_index=torch.randint(11, (2, 23)))


def cache(model: Cached) -> object:
    name = {"GCNConv": "_cached_edge_index", "SGConv": "_cached_x"}[type(model.conv).__name__]
    return getattr(model.conv, name)


@pytest.mark.parametrize("kind", ["gcn", "sgc"])
def test_a_filled_cache_is_kept_and_not_used(kind: str) -> None:
    model, data = Cached(kind).double().eval(), make_data()
    plain = Cached(kind).double().eval()
    plain.load_state_dict(model.state_dict())
    plain.conv.cached = False
    model(data.x, data.edge_index)
    before, output = cache(model), model(data.x, data.edge_index)
    found = gg.EdgeGradients(model, progress=False).explain(data, [2, 5])
    assert cache(model) is before
    assert model.conv.cached is True
    assert torch.equal(model(data.x, data.edge_index), output)
    expected = gg.EdgeGradients(plain, progress=False).explain(data, [2, 5])
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.edge_mask, other.edge_mask)


@pytest.mark.parametrize("kind", ["gcn", "sgc"])
def test_an_empty_cache_stays_empty(kind: str) -> None:
    """A cache filled with a receptive field would spoil the user's next call."""
    model, data = Cached(kind).double().eval(), make_data()
    gg.Saliency(model, progress=False).explain(data, [2])
    assert cache(model) is None
    other = make_data(2)
    fresh = Cached(kind).double().eval()
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(model(other.x, other.edge_index), fresh(other.x, other.edge_index))


@pytest.mark.parametrize("kind", ["gcn", "sgc"])
def test_a_cache_survives_an_exception(kind: str) -> None:
    model, data = Cached(kind).double().eval(), make_data()
    model(data.x, data.edge_index)
    before = cache(model)
    with leaving(ZeroDivisionError), protected(model):
        assert cache(model) is None
        raise ZeroDivisionError
    assert cache(model) is before
    assert model.conv.cached is True


def make_model() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Dropout(), nn.Linear(5, 2))


@contextmanager
def leaving(error: type[BaseException] | None) -> Iterator[None]:
    if error is None:
        yield
    else:
        with pytest.raises(error):
            yield


@pytest.mark.parametrize("error", [None, ZeroDivisionError, KeyboardInterrupt])
def test_modes_gradients_and_buffers_come_back(error: type[BaseException] | None) -> None:
    model = make_model().train()
    model[2].eval()
    model[0].weight.requires_grad_(False)
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    with leaving(error), protected(model):
        assert not any(module.training for module in model.modules())
        assert not any(parameter.requires_grad for parameter in model.parameters())
        model.train()
        model(torch.randn(7, 3))  # moves the running statistics
        model.requires_grad_()
        if error is not None:
            raise error
    assert [module.training for module in model.modules()] == [True, True, True, False, True]
    flags = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    assert flags.pop("0.weight") is False
    assert all(flags.values())
    for name, value in model.named_buffers():
        assert torch.equal(value, buffers[name])


@pytest.mark.parametrize("error", [None, ZeroDivisionError, KeyboardInterrupt])
def test_random_generators_come_back(error: type[BaseException] | None) -> None:
    def draw() -> tuple[float, float, float]:
        return float(torch.rand(())), float(np.random.rand()), random.random()  # noqa: NPY002

    model = make_model()
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    expected = draw()
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    random.setstate(states[2])
    with leaving(error), protected(model):
        draw()
        torch.manual_seed(99)
        np.random.seed(99)  # noqa: NPY002
        random.seed(99)
        if error is not None:
            raise error
    assert draw() == expected


def test_the_fingerprint_is_of_the_weights() -> None:
    torch.manual_seed(1)
    model = make_model()
    before = fingerprint(model)
    assert fingerprint(model) == before
    assert fingerprint(model.eval()) == before
    with torch.no_grad():
        model[0].bias[1] = torch.nextafter(model[0].bias[1], torch.tensor(9.0))
    assert fingerprint(model) != before
    assert fingerprint(model.double()) != fingerprint(model.float())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_are_had_inside_any_mode_of_the_users(mode: type) -> None:
    """Inside inference mode every gradient was silently zero."""
    model, data = Cached("gcn").double().eval(), make_data()
    expected = gg.EdgeGradients(model, progress=False).explain(data, [2, 5])
    with mode():
        found = gg.EdgeGradients(model, progress=False).explain(data, [2, 5])
    assert expected[0].edge_mask.any()
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.edge_mask, other.edge_mask)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_threads_that_are_not_there() -> None:
    model = Cached("gcn")
    is_held, may_go = Event(), Event()

    def hold() -> None:
        with protected(model):
            is_held.set()
            may_go.wait()

    thread = Thread(target=hold)
    thread.start()
    try:
        assert is_held.wait(60)
        child = os.fork()
        if not child:  # pragma: no cover - in the other process
            try:
                signal.alarm(30)
                with protected(model):
                    os._exit(7)
            finally:
                os._exit(1)  # whatever went wrong, no second process goes on with the tests
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    finally:
        may_go.set()
        thread.join()
