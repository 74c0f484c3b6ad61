"""Models that are compiled, wrapped, scripted, traced, or no modules at all.

The right value is that of the same module, bare.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, MessagePassing, SAGEConv, global_mean_pool

import glassgraph as gg
from glassgraph.calling.compiled import CompiledModelWarning, compiled_parts, uncompiled, unwrapped
from glassgraph.calling.protect import fingerprint
from glassgraph.errors import (
    HyperParameterError,
    ModelCallError,
    NoMessagePassingError,
    UnsupportedModelError,
)
from glassgraph.metrics import evaluate, fidelity, rdt_fidelity

WIDTH, NODES, EDGES, CLASSES = 5, 13, 31, 3
INSIDE = {
    "saliency": {},
    "integrated_gradients": {"steps": 3},
    "occlusion": {},
    "gnn_explainer": {"epochs": 3},
    "grad_cam": {},
    "lrp": {},
    "gnn_lrp": {},
}
OUTSIDE = {"causal_screening": {}, "zorro": {}, "pgm_explainer": {"num_samples": 20}}

pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit:DeprecationWarning"  # of torch's, about scripting and tracing
)


def graph() -> Data:
    generator = torch.Generator().manual_seed(2)
    ends = torch.randint(NODES, (2, EDGES), generator=generator)
    x = torch.randn(NODES, WIDTH, generator=generator).double()
    return Data(x=x, edge_index=ends, y=torch.zeros(NODES).long())


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.one, self.two = GCNConv(WIDTH, 7), SAGEConv(7, CLASSES)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.one(x, edge_index).relu(), edge_index)


class CompiledForward(Net):
    @torch.compile(backend="eager", dynamic=True)
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.one(x, edge_index).relu(), edge_index)


class CompiledHelper(Net):
    """Nothing on the module tells that a function inside of ``forward`` is compiled."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return torch.compile(self._layers, backend="eager", dynamic=True)(x, edge_index)

    def _layers(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.one(x, edge_index).relu(), edge_index)


def in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="eager", dynamic=True)
    return model


def by_submodule(model: Any) -> nn.Module:
    model.one = torch.compile(model.one, backend="eager", dynamic=True)
    model.two.compile(backend="eager", dynamic=True)
    return model


COMPILED: dict[str, Callable[[], nn.Module]] = {
    "module": lambda: torch.compile(Net(), backend="eager", dynamic=True),
    "aot": lambda: torch.compile(Net(), backend="aot_eager"),
    "in place": lambda: in_place(Net()),
    "submodules": lambda: by_submodule(Net()),
    "forward": CompiledForward,
}
WRAPPED: dict[str, Callable[[], Any]] = {
    "parallel": lambda: nn.DataParallel(Net()),
    "method": lambda: Net().forward,
    "partial": lambda: functools.partial(Net()),
}


def masks(model: Any, method: str, settings: dict[str, Any], data: Data | None = None) -> list[Any]:
    found = gg.explain(model, data or graph(), method, index=[2, 7], progress=False, **settings)
    names = ("edge_mask", "layer_edge_mask", "node_mask", "node_score")
    return [each[name] for each in found for name in names if name in each]


def is_same(found: list[Tensor], expected: list[Tensor]) -> bool:
    assert expected
    assert any(bool(each.any()) for each in expected)
    torch.testing.assert_close(found, expected)
    return True


# Compiled models


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        *[(method, "submodules") for method in INSIDE],
        *[("occlusion", kind) for kind in COMPILED if kind != "submodules"],
    ],
)
def test_a_compiled_model_is_looked_into(method: str, kind: str) -> None:
    """A compiled layer used to stay open: occlusion said -.067 instead of -.038."""
    with pytest.warns(CompiledModelWarning, match="returns the same on these data"):
        found = masks(COMPILED[kind](), method, INSIDE[method])
    assert is_same(found, masks(Net(), method, INSIDE[method]))


@pytest.mark.parametrize("kind", ["module", "submodules"])
def test_a_compiled_model_is_called_as_it_is(kind: str) -> None:
    found = masks(COMPILED[kind](), "zorro", {})
    assert is_same(found, masks(Net(), "zorro", {}))


def test_what_is_compiled_within_forward_is_looked_into() -> None:
    assert is_same(masks(CompiledHelper(), "occlusion", {}), masks(Net(), "occlusion", {}))


def test_what_is_compiled_is_named() -> None:
    assert compiled_parts(COMPILED["module"]()) == ["Net"]
    assert compiled_parts(COMPILED["submodules"]()) == ["one", "two"]
    assert compiled_parts(COMPILED["forward"]()) == ["CompiledForward"]
    assert compiled_parts(Net()) == []


def test_sites_have_the_names_of_the_bare_model() -> None:
    model = COMPILED["submodules"]()
    with pytest.warns(CompiledModelWarning):
        wiring = gg.Occlusion(model, progress=False).prepare(graph()).wiring
    assert [site.name for site in wiring.sites] == ["one", "two"]
    assert fingerprint(model) == fingerprint(Net())
    assert fingerprint(COMPILED["module"]()) == fingerprint(Net())


class OtherWhenCompiled(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        out = super().forward(x, edge_index)
        return 2 * out if torch.compiler.is_compiling() else out


def test_code_that_computes_something_else_when_compiled_is_refused() -> None:
    model = torch.compile(OtherWhenCompiled(), backend="eager", dynamic=True)
    with pytest.raises(UnsupportedModelError, match="returns something else than the module"):
        masks(model, "occlusion", {})


def test_a_compilation_that_fails_is_the_users_to_see() -> None:
    def backend(*_: Any) -> Any:
        raise RuntimeError("no compiler here")

    model = torch.compile(Net(), backend=backend)
    for method in ("occlusion", "causal_screening"):
        with pytest.raises(ModelCallError, match="no compiler here"):
            masks(model, method, {})


def test_the_compiler_is_left_as_it_was() -> None:
    """Its stance is one for the process, and blocks of two threads may overlap."""
    calls = []

    def backend(module: Any, _: Any) -> Any:
        calls.append(1)
        return module

    double = torch.compile(lambda x: 2 * x, backend=backend)
    first, second = threading.Event(), threading.Event()

    def overlapping() -> None:
        with uncompiled:
            first.set()
            second.wait(10)

    thread = threading.Thread(target=overlapping)
    with uncompiled:
        thread.start()
        first.wait(10)
    assert float(double(torch.ones(()))) == 2
    assert not calls  # the other thread still wants nothing compiled
    second.set()
    thread.join()
    double(torch.ones(()))
    assert calls


# Other wrappers


@pytest.mark.parametrize("kind", WRAPPED)
@pytest.mark.parametrize("method", ["occlusion", "integrated_gradients", "lrp", "pgm_explainer"])
def test_a_wrapped_model_is_the_model(method: str, kind: str) -> None:
    settings = {**INSIDE, **OUTSIDE}[method]
    assert is_same(masks(WRAPPED[kind](), method, settings), masks(Net(), method, settings))


def test_wrappers_within_wrappers() -> None:
    model = Net()
    assert unwrapped(nn.DataParallel(torch.compile(model, backend="eager", dynamic=True))) is model


class Splitting(nn.DataParallel):
    """As on several devices, where each argument is cut along its first dimension."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*(each[:1] for each in args), **{k: v[:1] for k, v in kwargs.items()})


@pytest.mark.parametrize("method", ["occlusion", "causal_screening"])
def test_a_model_for_several_devices_runs_on_one(method: str) -> None:
    assert is_same(masks(Splitting(Net()), method, {}), masks(Net(), method, {}))


class Leaves(torch.fx.Tracer):
    """Keeps layers that send messages whole."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, MessagePassing) or super().is_leaf_module(module, name)


@pytest.mark.parametrize("method", ["occlusion", "lrp"])
def test_a_graph_of_operations_that_keeps_its_layers(method: str) -> None:
    model = torch.fx.GraphModule(net := Net(), Leaves().trace(net))
    assert is_same(masks(model, method, {}), masks(Net(), method, {}))


def test_a_graph_of_operations_without_layers() -> None:
    plain = ThisInsteadOfSelf()
    model = torch.fx.symbolic_trace(plain)
    with pytest.raises(NoMessagePassingError, match="traced graph of operations"):
        masks(model, "occlusion", {})
    assert is_same(masks(model, "causal_screening", {}), masks(plain, "causal_screening", {}))


class Weighted(Net):
    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor, scale: float) -> Tensor:
        h = self.one(x, edge_index, edge_weight).relu()
        return scale * self.two(h, edge_index)


def test_arguments_that_a_partial_call_has_given_are_not_looked_up() -> None:
    data = graph()
    data.edge_weight, data.scale = torch.rand(EDGES).double(), 5.0
    model = Weighted()
    given = functools.partial(model, scale=2.0)
    expected = masks(model, "occlusion", {"call": lambda m, d: m(*_arguments(d), 2.0)}, data)
    assert is_same(masks(given, "occlusion", {}, data), expected)


def _arguments(data: Data) -> tuple[Tensor, Tensor, Tensor]:
    return data.x, data.edge_index, data.edge_weight


def test_a_method_of_a_model_in_training_is_called_in_evaluation() -> None:
    class Dropping(Net):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            h = nn.functional.dropout(self.one(x, edge_index), 0.9, self.training)
            return self.two(h.relu(), edge_index)

    model = Dropping().train()
    assert is_same(
        masks(model.forward, "causal_screening", {}), masks(Net(), "causal_screening", {})
    )
    assert model.training


def test_a_function_is_not_looked_into() -> None:
    with pytest.raises(HyperParameterError, match=r"got function.*causal_screening"):
        gg.Occlusion(lambda x, edge_index: x)


# Scripted and traced models


def traced() -> torch.jit.ScriptModule:
    data = graph()
    return torch.jit.trace(Net(), (data.x, data.edge_index))


SCRIPTED: dict[str, Callable[[], Any]] = {
    "scripted": lambda: torch.jit.script(Net()),
    "frozen": lambda: torch.jit.freeze(torch.jit.script(Net())),
    "traced": traced,
}


@pytest.mark.parametrize("kind", SCRIPTED)
@pytest.mark.parametrize("method", OUTSIDE)
def test_a_scripted_model_is_called(method: str, kind: str) -> None:
    """Traced ones used to end in "no signature found"."""
    found = masks(SCRIPTED[kind](), method, OUTSIDE[method])
    assert is_same(found, masks(Net(), method, OUTSIDE[method]))


@pytest.mark.parametrize("kind", SCRIPTED)
@pytest.mark.parametrize("method", ["occlusion", "saliency"])
def test_a_scripted_model_cannot_be_looked_into(method: str, kind: str) -> None:
    with pytest.raises(NoMessagePassingError, match=r"scripted or traced.*causal_screening"):
        masks(SCRIPTED[kind](), method, INSIDE[method])


class ThisInsteadOfSelf(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, CLASSES).double()

    def forward(this, x: Tensor, edge_index: Tensor, scale: float = 2.0) -> Tensor:  # noqa: N805
        sent = this.linear(x)[edge_index[0]]
        return scale * torch.zeros_like(this.linear(x)).index_add(0, edge_index[1], sent)


def test_the_module_is_no_argument_whatever_its_name() -> None:
    model = ThisInsteadOfSelf()
    expected = masks(model, "causal_screening", {})
    assert is_same(masks(torch.jit.script(model), "causal_screening", {}), expected)


def test_a_scripted_function_has_a_signature() -> None:
    def sent(x: Tensor, edge_index: Tensor) -> Tensor:
        return torch.zeros_like(x).index_add(0, edge_index[1], x[edge_index[0]])

    expected = masks(sent, "causal_screening", {})
    data = graph()
    for function in (torch.jit.script(sent), torch.jit.trace(sent, (data.x, data.edge_index))):
        assert is_same(masks(function, "causal_screening", {}), expected)


# Metrics


def function(model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, edge_index: model(x, edge_index)


ONLY_CALLED: dict[str, Callable[[], Any]] = {"function": lambda: function(Net()), **SCRIPTED}


def explained() -> gg.Explanations:
    return gg.EdgeGradients(Net(), progress=False).explain(graph(), [2, 4, 7])


@pytest.mark.parametrize("kind", ONLY_CALLED)
def test_metrics_of_a_model_that_is_only_called(kind: str) -> None:
    model, explanations = ONLY_CALLED[kind](), explained()
    expected = fidelity(explanations, Net(), graph(), removal="delete")
    found = fidelity(explanations, model, graph(), removal="delete")
    for name in ("plus_prob", "minus_prob", "plus_acc", "minus_acc", "sparsity"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name))
    assert bool(expected.plus_prob.any())
    (row,) = evaluate([explanations], model, graph(), removal="delete")
    (same,) = evaluate([explanations], Net(), graph(), removal="delete")
    assert row.keys() == same.keys()
    for name, value in same.items():
        assert row[name] == (pytest.approx(value) if isinstance(value, float) else value)
    noise = [rdt_fidelity(explanations, each, graph()).fidelity for each in (Net(), model)]
    assert torch.equal(*noise)


@pytest.mark.parametrize("kind", ONLY_CALLED)
@pytest.mark.parametrize("metric", [fidelity, lambda runs, *rest: evaluate([runs], *rest)])
def test_messages_of_a_model_that_is_only_called_cannot_be_shut(metric: Any, kind: str) -> None:
    with pytest.raises(UnsupportedModelError, match=r"removal='shut'.*use removal='delete'"):
        metric(explained(), ONLY_CALLED[kind](), graph())


@pytest.mark.parametrize("removal", ["shut", "delete"])
@pytest.mark.parametrize("kind", ["module", "submodules"])
def test_metrics_of_a_compiled_model(kind: str, removal: Any) -> None:
    expected = fidelity(explained(), Net(), graph(), removal=removal).means()
    with pytest.warns(CompiledModelWarning):
        found = fidelity(explained(), COMPILED[kind](), graph(), removal=removal).means()
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other)


def test_diagnoses_of_a_compiled_model() -> None:
    explainer = gg.Occlusion(COMPILED["module"](), progress=False)
    with pytest.warns(CompiledModelWarning):
        found = gg.diagnose.layer_knockout(explainer, graph(), [2, 7])
    expected = gg.diagnose.layer_knockout(gg.Occlusion(Net(), progress=False), graph(), [2, 7])
    assert found.equals(expected)


def test_diagnoses_of_a_function_say_what_is_missing() -> None:
    explainer = gg.CausalScreening(function(Net()), progress=False)
    with pytest.raises(NoMessagePassingError, match=r"a function shows no layers"):
        gg.diagnose.layer_knockout(explainer, graph(), [2, 7])


# Graph tasks


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(4)
            self.conv, self.head = GCNConv(WIDTH, 7), nn.Linear(7, CLASSES)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        return self.head(global_mean_pool(self.conv(x, edge_index).relu(), batch))


@pytest.mark.slow("compiled models of nodes: test_a_compiled_model_is_looked_into")
def test_a_compiled_graph_classifier() -> None:
    data = [graph(), graph()]
    data[1].x = data[1].x.flip(0)
    expected = gg.Occlusion(Pooled(), "graph", progress=False).explain(data)
    model = torch.compile(Pooled(), backend="eager", dynamic=True)
    with pytest.warns(CompiledModelWarning):
        found = gg.Occlusion(model, "graph", progress=False).explain(data)
    assert is_same([each.edge_mask for each in found], [each.edge_mask for each in expected])
