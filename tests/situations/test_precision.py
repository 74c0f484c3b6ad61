"""Models in half precision and under autocast: near the explanation in float32, stored in it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GCNConv, GINConv, GraphConv, global_mean_pool

import glassgraph as gg
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import ModelCallError, ModelOutputError
from glassgraph.explainers.registry import METHODS, find_method
from glassgraph.metrics import fidelity, mask_entropy, rdt_fidelity, sparsity

WIDTH, NODES, EDGES = 5, 13, 41
INDEX = [0, 4]


def graph(dtype: torch.dtype = torch.float32) -> Data:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(NODES, WIDTH, generator=generator).bfloat16().to(dtype)
    ends = torch.randint(NODES, (2, EDGES), generator=generator)
    y = torch.randint(3, (NODES,), generator=generator)
    return Data(x=x, edge_index=ends, y=y)


class Net(nn.Module):
    def __init__(self, layer: Callable[[int, int], nn.Module] = GCNConv) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.one, self.two = layer(WIDTH, 7), layer(7, 3)
        for parameter in self.parameters():  # the same numbers in every precision
            parameter.data = parameter.data.bfloat16().float()
        self.eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.one(x, edge_index).relu(), edge_index)


class Pools(Net):
    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        return global_mean_pool(super().forward(x, edge_index), batch)


def autocast() -> AbstractContextManager[Any]:
    return torch.autocast("cpu", dtype=torch.bfloat16)


#: How the model computes: the model, its data, and the context in which it is explained.
WAYS: dict[str, tuple[Callable[[nn.Module], nn.Module], torch.dtype, Callable[[], Any]]] = {
    "float32": (lambda model: model, torch.float32, nullcontext),
    "autocast": (lambda model: model, torch.float32, autocast),
    "bfloat16": (lambda model: model.bfloat16(), torch.bfloat16, nullcontext),
    "float16": (lambda model: model.half(), torch.float16, nullcontext),
}
HALF = ["autocast", "bfloat16", "float16"]
NODE_METHODS = [
    name
    for name, method in METHODS.items()
    if "node" in method.scope.levels and name != "attention"
]
#: Their scores are near those in float32; those of others are found by chance, or by a search.
SMOOTH = (
    "edge_gradients",
    "grad_cam",
    "guided_backprop",
    "integrated_gradients",
    "saliency",
    "occlusion",
    "gnn_explainer",
    "lrp",
    "gnn_lrp",
    "excitation_backprop",
)


def explain(way: str, method: str, kind: type[Net] = Net, **more: Any) -> gg.Explanations:
    change, dtype, context = WAYS[way]
    model, data = change(kind(**more)), graph(dtype)
    explainer_of = find_method(method)
    task = "graph" if kind is Pools else "node"
    with context(), warnings.catch_warnings():
        warnings.simplefilter("error", FallbackWarning)
        warnings.simplefilter("ignore")
        explainer = explainer_of(model, task, progress=False, **explainer_of.test_settings)
        if hasattr(explainer, "fit"):
            explainer.fit(data)
        return explainer.explain(data, INDEX if task == "node" else None, target=1)


expected = cache(lambda method: explain("float32", method))


def near(one: Tensor, other: Tensor, share: float = 0.1) -> bool:
    assert one.dtype == other.dtype == torch.float32
    return bool((one - other).norm() <= share * other.norm() + 1e-3)


@pytest.mark.parametrize("way", HALF)
@pytest.mark.parametrize("method", NODE_METHODS)
def test_every_method_runs_and_scores_are_float32(method: str, way: str, tmp_path: Path) -> None:
    """gnn_lrp, graphmask, information_bottleneck and relex raised; so did tables and files."""
    found = explain(way, method)
    for position in range(len(INDEX)):
        for name in ("edge_mask", "layer_edge_mask", "node_mask", "node_score"):
            if name not in found[position]:
                continue
            mask = found[position][name]
            assert mask.dtype == torch.float32
            assert bool(torch.isfinite(mask).all())
            if method in SMOOTH:
                assert near(mask, expected(method)[position][name]), name
    assert found[0].prediction.dtype == torch.float32
    assert len(found.to_frame()) > 0
    found.save(tmp_path / "saved")
    again = gg.Explanations.load(tmp_path / "saved")
    for position in range(len(INDEX)):
        for name in ("edge_mask", "node_mask"):
            if name in found[position]:
                assert torch.equal(again[position][name], found[position][name])


@pytest.mark.parametrize("way", HALF)
@pytest.mark.parametrize("layer", [GATConv, GraphConv, lambda a, b: GINConv(nn.Linear(a, b))])
def test_other_layers(layer: Any, way: str) -> None:
    for method in ("edge_gradients", "lrp", "occlusion", "information_bottleneck"):
        found, reference = (explain(each, method, layer=layer) for each in (way, "float32"))
        for one, other in zip(found, reference, strict=True):
            if method in SMOOTH:
                assert near(one.edge_mask, other.edge_mask)


@pytest.mark.parametrize("way", HALF)
@pytest.mark.parametrize("method", ["cam", "grad_cam", "pg_explainer", "subgraphx", "zorro"])
def test_graph_tasks(method: str, way: str) -> None:
    found, reference = (explain(each, method, Pools) for each in (way, "float32"))
    assert bool(torch.isfinite(found[0].edge_mask).all())
    if method in ("cam", "grad_cam"):
        assert near(found[0].edge_mask, reference[0].edge_mask)


@pytest.mark.parametrize("way", HALF)
def test_every_metric_runs(way: str) -> None:
    change, dtype, context = WAYS[way]
    model, data, explanations = change(Net()), graph(dtype), explain(way, "saliency")
    exact = fidelity(expected("saliency"), Net(), graph()).means()
    with context():
        found = fidelity(explanations, model, data).means()
        for removal in ("delete", "shut"):
            assert fidelity(explanations, model, data, removal=removal).means()
        assert 0 <= rdt_fidelity(explanations, model, data, samples=3).mean <= 1
        assert sparsity(explanations) is not None
        assert mask_entropy(explanations).mean_nodes >= 0
    for one, other in zip(found, exact, strict=True):
        assert one["fidelity_plus"] == pytest.approx(other["fidelity_plus"], abs=0.02)


def test_autocast_is_as_before_and_models_still_run_in_it() -> None:
    seen = []

    class Watches(Net):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            seen.append(torch.is_autocast_enabled("cpu"))
            return super().forward(x, edge_index)

    with autocast():
        gg.Occlusion(Watches(), progress=False).explain(graph(), INDEX)
        assert torch.is_autocast_enabled("cpu")
    assert seen
    assert all(seen)
    seen.clear()
    gg.Occlusion(Watches(), progress=False).explain(graph(), INDEX)
    assert not any(seen)


def test_double_precision_stays_under_autocast() -> None:
    data = graph(torch.float64)
    with autocast():
        found = gg.EdgeGradients(Net(GraphConv).double(), progress=False).explain(data, INDEX)
    assert found[0].edge_mask.dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_data_that_do_not_fit_the_model_are_named(dtype: torch.dtype) -> None:
    word = str(dtype).removeprefix("torch.").replace("bfloat16", "BFloat16").replace("float64", "d")
    with pytest.raises(ModelCallError, match=f"failed on the data: .*dtype.*{word}"):
        gg.Saliency(Net(), progress=False).explain(graph(dtype), INDEX)


class Returns(Net):
    def __init__(self, change: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: Tensor, edge_index: Tensor) -> Any:
        return self.change(super().forward(x, edge_index))


@pytest.mark.parametrize("method", ["saliency", "occlusion", "zorro", "gnn_explainer"])
@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda value: value.to(torch.complex64), "complex64"),
        (lambda value: value.argmax(1), "int64"),
        (lambda value: value > 0, "bool"),
    ],
)
def test_outputs_that_are_no_real_numbers_are_named(
    change: Callable[[Tensor], Any], name: str, method: str
) -> None:
    with pytest.raises(ModelOutputError, match=f"returned torch.{name}; .* floating-point"):
        gg.explain(Returns(change), graph(), method, index=INDEX, progress=False)


class HalfInside(Net):
    """A layer of the model computes in half precision by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.one.bfloat16()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.one(x.bfloat16(), edge_index).relu().float(), edge_index)


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
@pytest.mark.parametrize("method", SMOOTH)
def test_a_layer_in_half_precision(method: str) -> None:
    settings = find_method(method).test_settings
    found = gg.explain(
        HalfInside(), graph(), method, index=INDEX, target=1, progress=False, **settings
    )
    share = 0.3 if method == "gnn_lrp" else 0.1  # products of gradients, each of them rounded
    for one, other in zip(found, expected(method), strict=True):
        assert near(one.edge_mask, other.edge_mask, share)
