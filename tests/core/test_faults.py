"""Models that do what a model should not: each is explained rightly, or refused with the reason."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GCNConv, GraphConv, global_mean_pool

import glassgraph as gg
from glassgraph.core.told import FallbackWarning, UnstableModelWarning
from glassgraph.errors import GraphError, ModelCallError, NoGradientError, UnsupportedModelError

WIDTH, NODES, EDGES = 5, 13, 31

METHODS = {
    "saliency": {},
    "edge_gradients": {},
    "integrated_gradients": {"steps": 3},
    "occlusion": {},
    "gnn_explainer": {"epochs": 3},
    "grad_cam": {},
    "lrp": {},
    "causal_screening": {},
}


def graph(seed: int = 0) -> Data:
    generator = torch.Generator().manual_seed(seed)
    ends = torch.randint(NODES, (2, EDGES), generator=generator)
    x = torch.randn(NODES, WIDTH, generator=generator).double()
    return Data(x=x, edge_index=ends, y=torch.zeros(NODES).long())


class Net(nn.Module):
    """Two layers as wide as the features, so that each may take the features' place."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.one, self.two = GraphConv(WIDTH, WIDTH), GraphConv(WIDTH, WIDTH)
        self.double()


class Pure(Net):
    def forward(self, data: Data) -> Tensor:
        x = data.x - 0.5 * data.x.detach().mean()
        h = self.one(x, data.edge_index).tanh()
        return self.two(h, data.edge_index)


class Replaces(Net):
    """As GraphGym's models do."""

    def forward(self, data: Data) -> Tensor:
        data.x = data.x - 0.5 * data.x.detach().mean()
        data.x = self.one(data.x, data.edge_index).tanh()
        data.x = self.two(data.x, data.edge_index)
        return data.x


class WritesInto(Net):
    def forward(self, data: Data) -> Tensor:
        x = data.x
        x -= 0.5 * x.detach().mean()
        h = self.one(x, data.edge_index)
        return self.two(h.tanh_(), data.edge_index)


class WritesIntoArgument(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        x.sub_(0.5 * x.detach().mean())
        return self.two(self.one(x, edge_index).tanh(), edge_index)


def mean_free(data: Data) -> Data:
    """Features whose mean is 0 on every receptive field, so that centering changes nothing."""
    data.x = data.x.abs().mul(torch.tensor([1.0, -1.0, 0.0, 1.0, -1.0]).double())
    data.x[:, 1], data.x[:, 4] = -data.x[:, 0], -data.x[:, 3]
    return data


def masks(model: nn.Module, method: str, data: Data, **settings: Any) -> list[Tensor]:
    found = gg.explain(model, data, method, index=[2, 7], progress=False, **settings)
    names = ("edge_mask", "node_mask", "node_score")
    return [each[name] for each in found for name in names if name in each]


@pytest.mark.parametrize("kind", [Replaces, WritesInto, WritesIntoArgument])
@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_writes_into_its_data(method: str, kind: type[Net]) -> None:
    data = mean_free(graph())
    before = {key: value.clone() for key, value in data.to_dict().items()}
    expected = masks(Pure(), method, data, **METHODS[method])
    found = masks(kind(), method, data, **METHODS[method])
    assert any(bool(value.any()) for value in expected)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one, other)
    assert data.to_dict().keys() == before.keys()
    for key, value in before.items():
        assert torch.equal(data[key], value), key


def test_metrics_see_the_same_model() -> None:
    from glassgraph.metrics import fidelity

    data = mean_free(graph())
    explanations = gg.EdgeGradients(Pure(), progress=False).explain(data, [2, 7])
    expected = fidelity(explanations, Pure(), data).means()
    for kind in (Replaces, WritesInto):
        for one, other in zip(expected, fidelity(explanations, kind(), data).means(), strict=True):
            assert other == pytest.approx(one)


def test_a_function_that_writes_into_its_data() -> None:
    """Black boxes used to leave the user's features changed."""
    model, data = Pure(), mean_free(graph())
    x = data.x.clone()

    def call(_: nn.Module, data: Data) -> Tensor:
        data.x *= 2
        data.x /= 2
        data.edge_index = data.edge_index.clone()
        return model(data)

    found = masks(model, "causal_screening", data, call=call)
    for one, other in zip(masks(model, "causal_screening", data), found, strict=True):
        torch.testing.assert_close(one, other)
    assert torch.equal(data.x, x)


@pytest.mark.parametrize("settings", [{}, {"check": "full"}, {"index": None}], ids=str)
@pytest.mark.parametrize("first", [2, 3, 4, 5])
def test_writing_only_at_times_is_refused(first: int, settings: dict[str, Any]) -> None:
    calls = [0]

    class AtTimes(Net):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            calls[0] += 1
            if calls[0] >= first:
                x *= 2.0
            return self.one(x, edge_index)

    data = graph()
    x = data.x.clone()
    settings = {"index": [2], "progress": False, **settings}
    with pytest.raises(ModelCallError, match=r"wrote into data.x in this call"):
        gg.explain(AtTimes(), data, "occlusion", **settings)
    assert torch.equal(data.x, x)


# What a model holds


class Remembers(Net):
    """Replaces a buffer and a tensor of its own, writes into another, and leaves a new one."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("memory", torch.zeros(3))
        self.register_buffer("empty", None)
        self.last, self.total = torch.zeros(2), torch.zeros(2)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        self.memory = self.memory + 0.5
        self.empty = torch.ones(1)
        self.last = torch.ones(2)
        self.total += 1
        self.hidden = self.one(x, edge_index)
        return self.two(self.hidden, edge_index)


@pytest.mark.parametrize("method", ["saliency", "causal_screening"])
def test_what_a_model_remembers_is_as_before(method: str) -> None:
    model = Remembers()
    before = {name: getattr(model, name) for name in ("memory", "last", "total")}
    gg.explain(model, graph(), method, index=[2], progress=False)
    for name, value in before.items():
        assert getattr(model, name) is value, name
        assert not bool(value.any()), name
    assert model.empty is None
    assert not hasattr(model, "hidden")
    assert set(model.state_dict()) == set(Remembers().state_dict())


class ReplacesWeights(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        self.one.lin_rel.weight = nn.Parameter(self.one.lin_rel.weight * 1.0)
        return self.two(self.one(x, edge_index), edge_index)


def test_parameters_that_a_model_replaces_are_put_back() -> None:
    model = ReplacesWeights()
    weight, value = model.one.lin_rel.weight, model.one.lin_rel.weight.detach().clone()
    gg.Occlusion(model, progress=False).explain(graph(), [2])
    assert model.one.lin_rel.weight is weight
    assert torch.equal(weight, value)


def test_parameters_of_inference_mode_are_refused_before_anything_changes() -> None:
    with torch.inference_mode():
        model = Net()
    model.forward = lambda x, edge_index: model.one(x, edge_index)  # type: ignore[method-assign]
    model.train()
    with pytest.raises(UnsupportedModelError, match=r"one.lin_rel.weight was made in inference"):
        gg.Saliency(model, progress=False).explain(graph(), [2])
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


# Threads


class Slow(Net):
    """Counts who is inside."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(WIDTH).double()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.norm(self.one(x, edge_index)), edge_index)


def together(works: list[Callable[[], Any]]) -> list[Any]:
    """Results of all, each in a thread; the first error is raised."""
    results: list[Any] = [None] * len(works)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            results[number] = works[number]()
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def test_threads_that_share_a_model() -> None:
    model, data = Slow().train(), graph()
    statistics = model.norm.running_mean.clone()
    jobs = [("saliency", [2]), ("gnn_explainer", [7]), ("occlusion", [4]), ("saliency", [9])]

    def job(method: str, index: list[int]) -> Tensor:
        settings = METHODS[method]
        found = gg.explain(model, data, method, index=index, progress=False, **settings)
        return found[0].edge_mask

    alone = [job(*each) for each in jobs]
    for _ in range(3):
        found = together([lambda each=each: job(*each) for each in jobs])
        for one, other in zip(alone, found, strict=True):
            assert torch.equal(one, other)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(model.norm.running_mean, statistics)


def test_threads_that_share_an_explainer() -> None:
    data = [graph(seed) for seed in range(4)]
    explainer = gg.Saliency(Slow().eval(), progress=False)
    alone = [explainer.explain(each, [2])[0].edge_mask for each in data]
    found = together([lambda each=each: explainer.explain(each, [2])[0].edge_mask for each in data])
    for one, other in zip(alone, found, strict=True):
        assert torch.equal(one, other)


# What is promised


class Noisy(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = nn.functional.dropout(self.one(x, edge_index), 0.5)  # in evaluation mode, too
        return self.two(h, edge_index)


class Counts(Net):
    calls = 0

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        self.calls += 1
        return self.two(self.one(x, edge_index), edge_index) * self.calls


class Global(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = self.one(x, edge_index)
        return self.two(h - h.mean(0), edge_index)


@pytest.mark.parametrize("kind", [Noisy, Counts])
def test_a_model_that_does_not_repeat_itself_is_told(kind: type[Net]) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        gg.Saliency(kind(), progress=False).explain(graph(), [2, 7])
    found = [each for each in told if each.category is UnstableModelWarning]
    assert len(found) == 1
    assert kind.__name__ in str(found[0].message)
    assert not any("the result is right" in str(each.message) for each in told)


class FailsOnParts(Noisy):
    """Neither runs on a receptive field nor repeats itself."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        if x.size(0) < NODES:
            raise RuntimeError("too few nodes")
        return super().forward(x, edge_index)


def test_nothing_is_promised_where_the_cut_graph_fails_either() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        gg.Saliency(FailsOnParts(), progress=False).explain(graph(), [2])
    words = [str(each.message) for each in told]
    assert any("could not run on receptive fields" in each for each in words)
    assert any(each.category is UnstableModelWarning for each in told)
    assert not any("the result is right" in each for each in words)


def test_one_that_does_keeps_the_promise() -> None:
    with pytest.warns(FallbackWarning, match="the result is right, but slower"):
        gg.Saliency(Global(), progress=False).explain(graph(), [2, 7])


# Gradients


class Detached(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.one(x, edge_index), edge_index).detach()


class Frozen(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        with torch.no_grad():
            return self.two(self.one(x, edge_index), edge_index)


class HalfDetached(Net):
    """Features have a gradient, messages have none."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return x + self.two(self.one(x, edge_index), edge_index).detach()


@pytest.mark.parametrize("kind", [Detached, Frozen, HalfDetached])
@pytest.mark.parametrize(
    "method",
    ["saliency", "edge_gradients", "positive_gradients", "integrated_gradients", "gnn_explainer"],
)
def test_no_gradient_is_said(method: str, kind: type[Net]) -> None:
    settings = METHODS.get(method, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackWarning)  # wiring is traced by gradients, too
        with pytest.raises(NoGradientError, match="does not depend differentiably on messages"):
            gg.explain(kind(), graph(), method, index=[2, 7], progress=False, **settings)


def test_other_methods_explain_such_a_model() -> None:
    expected = gg.Occlusion(Pure(), progress=False).explain(mean_free(graph()), [2])[0].edge_mask
    found = gg.Occlusion(Detached(), progress=False).explain(mean_free(graph()), [2])[0].edge_mask
    assert expected.shape == found.shape
    assert bool(found.any())


def test_a_node_without_edges_has_no_gradient_either() -> None:
    data = Data(x=torch.randn(3, WIDTH).double(), edge_index=torch.tensor([[0], [1]]))
    found = gg.EdgeGradients(Net2(), progress=False).explain(data, [2])
    assert not bool(found[0].edge_mask.any())


class Net2(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.one(x, edge_index), edge_index)


# Graphs


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = GCNConv(WIDTH, 3).double()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        return global_mean_pool(self.conv(x, edge_index), batch)


def test_edges_between_graphs_of_a_batch_are_named() -> None:
    data = Batch.from_data_list([graph(0), graph(1)])
    data.edge_index = torch.tensor([[0, 1, 15, 3], [1, 2, 16, 14]])
    with pytest.raises(GraphError, match="edge 3 runs from node 3 of graph 0 to node 14 of graph"):
        gg.Saliency(Pooled(), task="graph", progress=False).explain(data, [1])


def test_a_batch_without_such_edges_is_explained() -> None:
    batch = Batch.from_data_list([graph(0), graph(1)])
    found = gg.Saliency(Pooled(), task="graph", progress=False).explain(batch, [1])
    assert bool(found[0].edge_mask.any())


# Black boxes


def test_a_failure_that_comes_and_goes_is_the_users_to_see() -> None:
    model, calls = Net2(), [0]

    def sometimes(x: Tensor, edge_index: Tensor) -> Tensor:
        calls[0] += 1
        if calls[0] == 5:
            raise ConnectionError("the server is busy")
        return model(x, edge_index)

    with pytest.raises(ModelCallError, match=r"failed once .*ConnectionError: the server is busy"):
        gg.CausalScreening(sometimes, progress=False).explain(graph(), [2])
