"""Models that compute blocks again in the backward pass are explained like those that do not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import save_on_cpu
from torch.utils.checkpoint import checkpoint, checkpoint_sequential
from torch_geometric.data import Data
from torch_geometric.nn import DeepGCNLayer, GATConv, GraphConv, GroupAddRev

import glassgraph as gg
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import GlassgraphError, NoGradientError
from glassgraph.explainers.registry import find_method

WIDTH, NODES, EDGES = 6, 11, 31
METHODS = [
    "edge_gradients",
    "saliency",
    "integrated_gradients",
    "guided_backprop",
    "grad_cam",
    "gnn_explainer",
    "graphmask",
    "information_bottleneck",
    "pg_explainer",
    "occlusion",
    "lrp",
    "gnn_lrp",
    "excitation_backprop",
]


def graph() -> Data:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(NODES, WIDTH, generator=generator).double()
    return Data(x=x, edge_index=torch.randint(NODES, (2, EDGES), generator=generator))


class Net(nn.Module):
    """A block of two layers, and a third; all of it shared with the checkpointed ones."""

    def __init__(self, run: Callable[..., Tensor] | None = None) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.one, self.two = GraphConv(WIDTH, WIDTH), GraphConv(WIDTH, WIDTH)
        self.three = GraphConv(WIDTH, 3)
        self.run = run
        self.double().eval()

    def block(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.one(x, edge_index).tanh(), edge_index).tanh()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        run = self.run or (lambda block, *args: block(*args))
        return self.three(run(self.block, x, edge_index), edge_index)


class Twice(Net):
    """The same layer in two checkpoints: its calls are told apart."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        run = self.run or (lambda block, *args: block(*args))
        for _ in range(2):
            x = run(lambda h: self.two(h, edge_index).tanh(), x)
        return self.three(x, edge_index)


class InSequence(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        steps = [
            lambda h, layer=layer: layer(h, edge_index).tanh() for layer in (self.one, self.two)
        ]
        return self.three(checkpoint_sequential(steps, 2, x, use_reentrant=False), edge_index)


class Reversible(nn.Module):
    def __init__(self, disable: bool = False, first: bool = True) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.lin = nn.Linear(WIDTH, WIDTH) if first else nn.Identity()
        self.block = GroupAddRev(GraphConv(WIDTH // 2, WIDTH // 2), num_groups=2, disable=disable)
        self.head = GraphConv(WIDTH, 3)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.head(self.block(self.lin(x), edge_index).tanh(), edge_index)


class Deep(nn.Module):
    """PyG's layer with a checkpoint of its own, which is reentrant."""

    def __init__(self, is_checkpointed: bool = True) -> None:
        super().__init__()
        torch.manual_seed(1)
        conv = GraphConv(WIDTH, WIDTH)
        self.lin = nn.Linear(WIDTH, WIDTH)
        self.deep = DeepGCNLayer(conv, act=nn.Tanh(), block="plain", ckpt_grad=is_checkpointed)
        self.head = GraphConv(WIDTH, 3)
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.head(self.deep(self.lin(x), edge_index), edge_index)


def on_cpu(block: Callable[..., Tensor], *args: Tensor) -> Tensor:
    with save_on_cpu():
        return block(*args)


plain_checkpoint = partial(checkpoint, use_reentrant=False)
reentrant = partial(checkpoint, use_reentrant=True)

PAIRS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "checkpoint": (lambda: Net(plain_checkpoint), Net),
    "one layer twice": (lambda: Twice(plain_checkpoint), Twice),
    "in sequence": (InSequence, Net),
    "reversible": (Reversible, lambda: Reversible(disable=True)),
    "reversible, of the features": (
        lambda: Reversible(first=False),
        lambda: Reversible(disable=True, first=False),
    ),
    "DeepGCNLayer": (Deep, lambda: Deep(is_checkpointed=False)),
    "saved elsewhere": (lambda: Net(on_cpu), Net),
}


def masks(model: nn.Module, method: str, data: Data, **settings: Any) -> list[Tensor]:
    kind = find_method(method)
    explainer = kind(model, progress=False, **{**kind.test_settings, **settings})
    if hasattr(explainer, "fit"):
        explainer.fit(data)
    found = explainer.explain(data, [2, 7])
    names = ("edge_mask", "layer_edge_mask", "node_mask")
    return [each[name] for each in found for name in names if name in each]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("method", METHODS)
def test_scores_are_those_of_the_model_that_keeps_everything(method: str, name: str) -> None:
    """Gates were gone when the block ran again: a raw error, or gradients of zero."""
    own, plain = (make() for make in PAIRS[name])
    data = graph()
    expected, found = masks(plain, method, graph()), masks(own, method, data)
    assert any(bool(each.any()) for each in expected)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-11)
    assert torch.equal(data.x, graph().x)  # reversible blocks free what they are given


def test_switches_are_put_back() -> None:
    deep = Deep()
    gg.Saliency(deep, progress=False).explain(graph(), [2])
    assert deep.deep.ckpt_grad is True
    model = Reversible()
    gg.Saliency(model, progress=False).explain(graph(), [2])
    assert model.block.disable is False
    with pytest.raises(GlassgraphError):
        gg.Saliency(model, progress=False).explain(graph(), [NODES + 1])
    assert model.block.disable is False


GRADIENT_METHODS = [name for name in METHODS if name not in ("occlusion", "pg_explainer")]


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_a_reentrant_checkpoint_is_named_with_what_to_do(method: str) -> None:
    with pytest.raises(NoGradientError, match="use_reentrant=False"):
        masks(Net(reentrant), method, graph())


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
def test_features_alone_meet_a_reentrant_checkpoint() -> None:
    with pytest.raises(NoGradientError, match="use_reentrant=False"):
        masks(Net(reentrant), "integrated_gradients", graph(), on="features")


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("method", ["occlusion", "causal_screening", "pgm_explainer"])
def test_methods_without_gradients_explain_it(method: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackWarning)
        found, expected = (masks(Net(run), method, graph()) for run in (reentrant, None))
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one)


class FrozenEncoder(Net):
    """A part of the layers runs without gradients: theirs would silently be zero."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        with torch.no_grad():
            h = self.block(x, edge_index)
        return self.three(h, edge_index)


class OwnReversible(torch.autograd.Function):
    """A block that somebody wrote to be computed again."""

    @staticmethod
    def forward(ctx: Any, block: Any, edge_index: Tensor, x: Tensor) -> Tensor:
        ctx.block, ctx.edge_index = block, edge_index
        ctx.save_for_backward(x)
        return block(x, edge_index)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (found,) = torch.autograd.grad(ctx.block(leaf, ctx.edge_index), leaf, gradient)
        return None, None, found


class WithOwnFunction(Net):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.three(OwnReversible.apply(self.block, edge_index, x), edge_index)


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
@pytest.mark.parametrize("kind", [FrozenEncoder, WithOwnFunction])
@pytest.mark.parametrize("method", ["edge_gradients", "saliency", "gnn_explainer", "lrp"])
def test_layers_without_gradients_are_named(method: str, kind: type[Net]) -> None:
    with pytest.raises(NoGradientError, match="runs the layer one without gradients"):
        masks(kind(), method, graph())


class Attending(nn.Module):
    def __init__(self, run: Callable[..., Tensor] | None = None) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.one, self.two = GATConv(WIDTH, 4, heads=2), GATConv(8, 3)
        self.run = run or (lambda block, *args: block(*args))
        self.double().eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.run(self.one, x, edge_index).relu(), edge_index)


def test_a_checkpoint_of_one_module() -> None:
    for method in ("edge_gradients", "gnn_explainer", "lrp"):
        expected, found = (
            masks(Attending(run), method, graph()) for run in (None, plain_checkpoint)
        )
        for one, other in zip(expected, found, strict=True):
            torch.testing.assert_close(other, one)


class ChoosesOnly(Net):
    """A layer that turns others on and off has no gradient, and needs none."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        is_on = (self.one(x, edge_index).sum(1, keepdim=True) > 0).to(x.dtype)
        return self.three(self.two(x, edge_index).tanh() * is_on, edge_index)


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
@pytest.mark.parametrize("method", ["edge_gradients", "gnn_explainer", "integrated_gradients"])
def test_a_part_that_is_detached_is_named(method: str) -> None:
    """Its scores were those of the other layers, and zero for its own."""

    class Detaches(Net):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            h = self.one(x, edge_index).tanh().detach()
            return self.three(self.two(h, edge_index).tanh(), edge_index)

    with pytest.raises(NoGradientError, match=r"the layer one without .*or detaches"):
        masks(Detaches(), method, graph())


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
def test_a_layer_that_only_chooses_has_no_gradient_rightly() -> None:
    found = masks(ChoosesOnly(), "edge_gradients", graph())
    assert bool(found[0].any())
