"""Models in unusual states: training, weights that are made at each call, layers used twice."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, GraphConv, JumpingKnowledge, SAGEConv

import glassgraph as gg
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import MissingRuleError, UnsupportedModelError
from glassgraph.explainers.registry import METHODS, find_method
from glassgraph.metrics import fidelity

WIDTH, NODES, EDGES, INDEX = 5, 11, 31, [0, 4]
METHODS_OF_ALL_FAMILIES = [
    "edge_gradients",
    "integrated_gradients",
    "grad_cam",
    "gnn_explainer",
    "graphmask",
    "information_bottleneck",
    "occlusion",
    "pg_explainer",
    "subgraphx",
    "shapley_nodes",
    "zorro",
    "lrp",
    "gnn_lrp",
]


def graph() -> Data:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(NODES, WIDTH, generator=generator).double()
    return Data(x=x, edge_index=torch.randint(NODES, (2, EDGES), generator=generator))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.one, self.two = GraphConv(WIDTH, 6), GraphConv(6, 3)
        self.norm = nn.BatchNorm1d(6)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.norm(self.one(x, edge_index)).relu(), edge_index)


def masks(model: nn.Module, method: str) -> list[Tensor]:
    kind, data = find_method(method), graph()
    explainer = kind(model, progress=False, **kind.test_settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FallbackWarning)
        if hasattr(explainer, "fit"):
            explainer.fit(data)
        found = explainer.explain(data, INDEX, 1)
    names = ("edge_mask", "layer_edge_mask", "node_mask")
    return [each[name] for each in found for name in names if name in each]


def assert_alike(one: list[Tensor], other: list[Tensor]) -> None:
    assert one
    for first, second in zip(one, other, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-11)


# Training


@pytest.mark.parametrize("method", METHODS_OF_ALL_FAMILIES)
def test_a_model_in_training_is_explained_in_evaluation(method: str) -> None:
    """Statistics of a batch of fields would be nobody's, and running ones must not move."""
    model = Net().train()
    model.two.eval()  # each module has its own flag
    before = copy.deepcopy(model.state_dict())
    assert_alike(masks(model, method), masks(Net(), method))
    assert [module.training for module in (model, model.one, model.two, model.norm)] == [
        True,
        True,
        False,
        True,
    ]
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


# Weights that are made at each call


def spectral(layer: nn.Module) -> None:
    parametrizations.spectral_norm(layer)


def of_two(layer: nn.Module) -> None:
    parametrizations.weight_norm(layer)


def orthogonal(layer: nn.Module) -> None:
    parametrizations.orthogonal(layer)


def own(layer: nn.Module) -> None:
    parametrize.register_parametrization(layer, "bias", Symmetrical())


class Symmetrical(nn.Module):
    def forward(self, bias: Tensor) -> Tensor:
        return (bias + bias.flip(0)) / 2


PARAMETRIZATIONS: dict[str, Callable[[nn.Module], None]] = {
    "spectral norm": spectral,
    "weight norm": of_two,
    "orthogonal": orthogonal,
    "own": own,
}


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
@pytest.mark.parametrize("method", METHODS_OF_ALL_FAMILIES)
def test_parametrized_weights_are_those_that_they_make(method: str, name: str) -> None:
    model = Net()
    PARAMETRIZATIONS[name](model.one.lin_rel)
    model.double().eval()
    plain = Net()
    with torch.no_grad():
        plain.one.lin_rel.weight.copy_(model.one.lin_rel.weight)
        plain.one.lin_rel.bias.copy_(model.one.lin_rel.bias)
    before = copy.deepcopy(model.state_dict())
    assert_alike(masks(model, method), masks(plain, method))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.filterwarnings("ignore:.*spectral_norm.*deprecated")
@pytest.mark.parametrize("method", METHODS_OF_ALL_FAMILIES)
def test_older_spectral_norm_and_pruning(method: str) -> None:
    """Hooks of the model itself put the weights in place; they stay where they are."""
    model = Net()
    nn.utils.spectral_norm(model.one.lin_rel)
    prune.l1_unstructured(model.two.lin_rel, "weight", 0.5)
    model.double().eval()
    model(graph().x, graph().edge_index)
    plain = Net()
    with torch.no_grad():
        plain.one.lin_rel.weight.copy_(model.one.lin_rel.weight)
        plain.two.lin_rel.weight.copy_(model.two.lin_rel.weight)
    assert_alike(masks(model, method), masks(plain, method))
    assert len(model.one.lin_rel._forward_pre_hooks) == 1


# A layer that is called twice


class Twice(nn.Module):
    """Two calls of one layer, or of two that have the same weights."""

    def __init__(self, is_shared: bool) -> None:
        super().__init__()
        torch.manual_seed(1)
        first, self.head = GraphConv(WIDTH, WIDTH), GraphConv(WIDTH, 3)
        # After the head: PyG 2.6 draws weights before it copies them.
        self.layers = nn.ModuleList([first, first if is_shared else copy.deepcopy(first)])
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, edge_index).relu()
        return self.head(x, edge_index)


@pytest.mark.parametrize("method", METHODS_OF_ALL_FAMILIES)
def test_a_shared_layer_is_two_layers(method: str) -> None:
    assert_alike(masks(Twice(True), method), masks(Twice(False), method))


# States of several layers


class Jumps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.one, self.two = GraphConv(WIDTH, 6), GraphConv(6, 6)
        self.jump, self.head = JumpingKnowledge("lstm", 6, 2), nn.Linear(6, 3)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        first = self.one(x, edge_index).relu()
        return self.head(self.jump([first, self.two(first, edge_index).relu()]))


NO_RULE = ("lrp", "gnn_lrp", "excitation_backprop")


@pytest.mark.parametrize("method", [*METHODS_OF_ALL_FAMILIES, "excitation_backprop"])
def test_an_lstm_over_layers(method: str) -> None:
    if method in NO_RULE:
        with pytest.raises(MissingRuleError, match=r"no rule for 'lstm'.* in jump.lstm"):
            masks(Jumps(), method)
        return
    found = masks(Jumps(), method)
    assert all(bool(torch.isfinite(each).all()) for each in found)


def test_gradients_through_an_lstm_over_layers() -> None:
    model, data = Jumps(), graph()
    found = gg.EdgeGradients(model, progress=False).explain(data, INDEX, 1)
    gates = torch.ones(2, EDGES).double().requires_grad_()
    handles = [
        layer.register_message_forward_hook(
            lambda module, inputs, sent, number=number: sent * gates[number].view(-1, 1)
        )
        for number, layer in enumerate((model.one, model.two))
    ]
    (expected,) = torch.autograd.grad(model(data.x, data.edge_index)[4, 1], gates)
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(found[1].layer_edge_mask, expected)


# Weights without a shape


class LazyNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = GCNConv(WIDTH, 3), nn.LazyBatchNorm1d(affine=False)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.norm(self.conv(x, edge_index))


class LazyConv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = SAGEConv((-1, -1), 6), nn.LazyLinear(3)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.head(self.conv(x, edge_index).relu())


@pytest.mark.parametrize("method", METHODS)
def test_weights_without_a_shape_are_named(method: str) -> None:
    """It used to be a raw ValueError about 'is_inference'."""
    data = graph()
    data.x = data.x.float()
    levels = METHODS[method].scope.levels
    task = "node" if "node" in levels else levels[0]
    if task == "edge":
        data.edge_label_index = torch.tensor([[0], [1]])
    for model, name in ((LazyConv(), r"conv\.lin_l\.weight"), (LazyNorm(), "norm.running_mean")):
        model.train()
        explainer = find_method(method)(model, task, progress=False)
        run: Any = explainer.fit if hasattr(explainer, "fit") else explainer.explain
        if method == "graph_lime" and task == "graph":
            continue
        with pytest.raises(UnsupportedModelError, match=f"{name} has no shape yet.*model once"):
            run(data)
        assert model.training
        assert all(parameter.requires_grad for parameter in model.parameters())


def test_after_the_first_call_they_have_one() -> None:
    model, data = LazyConv(), graph()
    data.x = data.x.float()
    with torch.no_grad():
        model(data.x, data.edge_index)
    assert bool(gg.Saliency(model, progress=False).explain(data, [0])[0].edge_mask.any())


def test_metrics_name_weights_without_a_shape() -> None:
    data = graph()
    data.x = data.x.float()
    ready = LazyConv()
    ready(data.x, data.edge_index)
    found = gg.Saliency(ready, progress=False).explain(data, [0])
    with pytest.raises(UnsupportedModelError, match="has no shape yet"):
        fidelity(found, LazyConv(), data)


# Layers in integer arithmetic


@pytest.mark.slow("weights without a shape: test_weights_without_a_shape_are_named")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_quantized_head() -> None:
    """It lets no gradient through; methods that need none explain it."""
    from glassgraph.errors import NoGradientError

    class Headed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.conv, self.head = GraphConv(WIDTH, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.head(self.conv(x, edge_index).relu())

    data = graph()
    data.x = data.x.float()
    model = torch.ao.quantization.quantize_dynamic(Headed().eval(), {nn.Linear})
    with pytest.raises(NoGradientError, match="does not depend differentiably"):
        gg.EdgeGradients(model, progress=False).explain(data, INDEX)
    found = gg.CausalScreening(model, progress=False).explain(data, INDEX)
    assert bool(found[0].edge_mask.any())
