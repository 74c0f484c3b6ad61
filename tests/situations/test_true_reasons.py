"""What a message says went wrong is what went wrong."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GraphConv, global_add_pool

import glassgraph as gg
from glassgraph.calling.out_of_memory import is_out_of_memory
from glassgraph.core.told import FallbackWarning
from glassgraph.explainers.constant import ConstantScoresWarning
from glassgraph.metrics import fidelity

METHODS: dict[str, dict[str, Any]] = {
    "edge_gradients": {},
    "integrated_gradients": {"steps": 3},
    "occlusion": {},
    "erasure_search": {"exact_up_to": 3},
    "causal_screening": {},
    "relex": {"num_samples": 16, "epochs": 2, "least_r2": None},
    "pgm_explainer": {"num_samples": 12},
    "zorro": {},
    "gnn_explainer": {"epochs": 2},
}
SIZES, EDGES = (5, 7, 4), (11, 13, 9)


def graph(seed: int) -> Data:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(SIZES[seed], 3, generator=generator).double()
    ends = torch.randint(SIZES[seed], (2, EDGES[seed]), generator=generator)
    return Data(x=x, edge_index=ends, u=torch.tensor([[2.0, 3.0 + seed]]).double())


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(6)
            self.one, self.two = GraphConv(3, 4), GraphConv(4, 2)
        self.double()

    def rows(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.two(self.one(x, edge_index).tanh(), edge_index)


class Pooled(Net):
    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor, u: Tensor) -> Tensor:
        return global_add_pool(self.rows(x, edge_index), batch) * u


class OneGraph(Net):
    """Knows no batch: one row for however many graphs there are."""

    def forward(self, x: Tensor, edge_index: Tensor, u: Tensor) -> Tensor:
        return self.rows(x, edge_index).sum(0, keepdim=True) * u[:1]


class FailsBesideOthers(Net):
    """Spreads the graph's own row over the nodes, of which there must be one."""

    def forward(self, data: Any) -> Tensor:
        h = self.rows(data.x, data.edge_index)
        return (h * data.u.expand(h.size(0), -1)).sum(0, keepdim=True)


def scores(model: nn.Module, data: Any, method: str) -> list[Tensor]:
    found = gg.explain(
        model, data, method, task="graph", target=1, progress=False, **METHODS[method]
    )
    names = ("edge_mask", "node_mask")
    return [each[name] for each in found for name in names if name in each]


@pytest.mark.parametrize("kind", [OneGraph, FailsBesideOthers])
@pytest.mark.parametrize("method", METHODS)
def test_a_model_for_one_graph_at_a_time(method: str, kind: type[Net]) -> None:
    """Its copies side by side used to raise that "16 rows" were needed, or a raw error."""
    expected = scores(Pooled(), graph(1), method)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConstantScoresWarning)  # is none of the model's doing
        found = scores(kind(), graph(1), method)
    assert len(found) == len(expected)
    if method in ("causal_screening", "pgm_explainer", "relex", "zorro"):
        return  # ties are broken by what data and model show
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("method", ["edge_gradients", "causal_screening"])
def test_several_graphs_and_one_row(method: str) -> None:
    expected = scores(Pooled(), [graph(0), graph(1)], method)
    with pytest.warns(FallbackWarning, match="several graphs at once .* it pools all nodes there"):
        found = scores(OneGraph(), [graph(0), graph(1)], method)
    if method == "edge_gradients":
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other)


# Out of memory

ERRORS = [
    MemoryError("no room for 5 GB"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
]


class Full(Net):
    """Runs out of memory after some calls."""

    def __init__(self, error: Exception, after: int) -> None:
        super().__init__()
        self.error, self.after, self.calls = error, after, 0

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        self.calls += 1
        if self.calls > self.after:
            raise self.error
        return self.rows(x, edge_index)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", METHODS)
def test_out_of_memory_passes_at_every_call(method: str, error: Exception) -> None:
    """Neither a `ModelCallError`, nor a reason to fall back to the full graph, which is larger."""
    data, after = graph(1), 0
    while True:
        model = Full(error, after)
        raised = _raised(model, data, method)
        if raised is None:
            break
        assert raised is error
        assert "memory_budget=" in "".join([*getattr(raised, "__notes__", ()), str(raised)])
        assert all(parameter.requires_grad for parameter in model.parameters())
        after = after + 1 if after < 12 else 2 * after
    assert after > 3


def _raised(model: nn.Module, data: Data, method: str) -> Exception | None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", FallbackWarning)
        try:
            gg.explain(model, data, method, index=[2], progress=False, **METHODS[method])
        except Exception as error:  # noqa: BLE001 - which one it is, is asked
            return error
    return None


def test_out_of_memory_passes_in_metrics() -> None:
    found = gg.EdgeGradients(Full(ERRORS[0], 99), progress=False).explain(graph(1), [2, 3])
    for after in range(4):
        with pytest.raises(MemoryError):
            fidelity(found, Full(ERRORS[0], after), graph(1), removal="delete")


def test_other_errors_are_no_want_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("size of tensor a must match"))
    assert not is_out_of_memory(ValueError("out of memory of what was said"))
