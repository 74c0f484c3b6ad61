"""GraphLIME: held against kernels and a descent written out, and asked what is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import SimpleConv

import glassgraph as gg
from glassgraph.errors import HyperParameterError, TaskError, UnsupportedModelError
from glassgraph.explainers.surrogate._hsic_lasso import solve
from glassgraph.explainers.surrogate.graph_lime import (
    ConstantPredictionWarning,
    GraphLIME,
)
from glassgraph.testing.cases import Case, graph
from tests.explainers.opaque import Opaque
from tests.laws import literal


def written_out(
    x: Tensor, y: Tensor, rho: float, widths: tuple[float, float], sweeps: int = 4000
) -> list[float]:
    """The HSIC Lasso entry by entry: kernels as matrices, one weight after the other."""
    n, num_features = x.shape
    center = torch.eye(n, dtype=x.dtype) - 1 / n

    def normed(kernel: list[list[float]]) -> Tensor:
        matrix = center @ torch.tensor(kernel, dtype=x.dtype) @ center
        return matrix / matrix.norm() if float(matrix.norm()) > 1e-12 else torch.zeros_like(matrix)

    def gauss(a: Tensor, b: Tensor, width: float) -> float:
        return math.exp(-float(((a - b) ** 2).sum()) / (2 * width * width))

    kernels = [
        normed([[gauss(x[i, k], x[j, k], widths[0]) for j in range(n)] for i in range(n)])
        for k in range(num_features)
    ]
    of_output = normed([[gauss(y[i], y[j], widths[1]) for j in range(n)] for i in range(n)])
    beta = [0.0] * num_features
    for _ in range(sweeps):
        for k in range(num_features):
            rest = of_output - sum(
                (beta[m] * kernels[m] for m in range(num_features) if m != k),
                torch.zeros_like(of_output),
            )
            size = float((kernels[k] ** 2).sum())
            beta[k] = max(0.0, float((kernels[k] * rest).sum()) - rho) / size if size else 0.0
    return beta


def scene(kind: str = "gin") -> tuple[Case, Any, Data]:
    case = Case(kind, "node")
    return case, case.model(), case.data()


@pytest.mark.parametrize("rho", [0.02, 0.2])
@pytest.mark.parametrize("widths", [None, (0.7, 0.3)])
def test_weights_are_those_of_the_formula(rho: float, widths: tuple[float, float] | None) -> None:
    case, model, data = scene()
    settings = {} if widths is None else {"feature_width": widths[0], "output_width": widths[1]}
    explainer = GraphLIME(model, rho=rho, progress=False, **settings)
    found = explainer.explain(data, [4, 17])
    with torch.no_grad():
        y = literal.predict(model, case, data).softmax(dim=-1)
    for place, node in enumerate((4, 17)):
        local = found.local(place)
        expected = written_out(
            data.x[local.node_id],
            y[local.node_id],
            rho,
            widths or (math.sqrt(5 / 10), math.sqrt(3 / 10)),
            sweeps=200,
        )
        assert max(expected) > 0
        assert found[place].node_mask[node].tolist() == pytest.approx(expected, abs=1e-7)
        elsewhere = found[place].node_mask.clone()
        elsewhere[node] = 0
        assert not elsewhere.any()


def test_the_model_runs_once_for_all_and_is_only_called() -> None:
    case, model, data = scene()
    opaque = Opaque(case.model(), lambda model, data: literal.predict_one(model, case, data))
    explainer = GraphLIME(opaque, progress=False)
    explainer.prepare(data)
    explainer.explain(data, [4, 17, 9])
    calls = opaque.calls
    found = explainer.explain(data, [2, 3, 5])
    # What prepares and checks instances is the same for any number; the run on the graph is kept.
    explainer.explain(data, [2, 3, 5])
    assert opaque.calls - calls <= 2 * calls
    plain = GraphLIME(model, progress=False).explain(data, [2, 3, 5])
    for one, other in zip(found, plain, strict=True):
        assert torch.equal(one.node_mask, other.node_mask)


def star(x: list[list[float]]) -> Data:
    ends = list(range(1, len(x)))
    return Data(x=torch.tensor(x), edge_index=torch.tensor([ends, [0] * len(ends)]))


def of_first(x: Tensor, edge_index: Tensor) -> Tensor:
    """Looks at feature 0 alone, and never at a neighbor."""
    return torch.stack([x[:, 0], 1 - x[:, 0]], dim=1) + 0 * edge_index.sum()


def test_equal_features_share_a_weight_and_constant_ones_have_none() -> None:
    values = [0.0, 1.0, 0.0, 1.0, 1.0]
    other = [1.0, 1.0, 0.0, 0.0, 1.0]
    alone = star([[a, b, 1.0] for a, b in zip(values, other, strict=True)])
    beta = GraphLIME(of_first, hops=1, rho=0.1, progress=False).explain(alone, [0])[0].node_mask[0]
    assert beta[0] == pytest.approx(0.9, abs=1e-6)  # 1 - rho: the kernels are the same
    assert beta[2] == 0.0
    # A twin, and one with its values exchanged: the same kernel three times.
    three = star([[a, b, a, 1 - a] for a, b in zip(values, other, strict=True)])
    found = GraphLIME(of_first, hops=1, rho=0.1, progress=False).explain(three, [0])[0].node_mask[0]
    assert found[[0, 2, 3]].tolist() == pytest.approx([float(beta[0]) / 3] * 3, abs=1e-6)


def test_where_predictions_do_not_differ_nothing_is_explained() -> None:
    data = star([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    with pytest.warns(ConstantPredictionWarning, match="2 of 2 nodes have no neighbors, or the"):
        found = GraphLIME(of_first, hops=1, progress=False).explain(data, [0, 2])
    assert not found[0].node_mask.any()
    assert not found[1].node_mask.any()


def test_the_target_counts_where_it_is_asked_for() -> None:
    _, model, data = scene()

    def beta(target: Any, **settings: Any) -> list[float]:
        explainer = GraphLIME(model, rho=0.02, progress=False, **settings)
        values: list[float] = explainer.explain(data, [4], target)[0].node_mask[4].tolist()
        return values

    assert beta(0) == beta(2)
    assert beta(0, response="target") != beta(2, response="target")
    assert beta((2, 0), response="target") != beta(2, response="target")


def test_numbers_are_explained_too() -> None:
    case = Case("gin", "node", "regression", columns=1)
    data = case.data()
    found = GraphLIME(case.model(), case.task(), rho=0.02, progress=False).explain(data, [4])
    assert found[0].node_mask[4].max() > 0


def test_neighbors_of_a_gcn_are_those_whose_features_it_reads() -> None:
    """Two layers, and a third hop for degrees, which is none of the neighborhood."""
    _, model, data = scene("gcn")
    one, two = (
        GraphLIME(model, rho=0.02, hops=hops, progress=False).explain(data, [4, 17])
        for hops in (None, 2)
    )
    for found, other in zip(one, two, strict=True):
        assert torch.equal(found.node_mask, other.node_mask)


def test_kernels_that_depend_on_each_other_are_solved_all_the_same() -> None:
    """Few kernels of low rank, many of them sums of others; the conditions of the minimum hold."""
    generator = np.random.default_rng(0)
    for rho in (0.01, 0.1, 0.3):
        vectors = generator.random((40, 6)) @ generator.random((6, 90))
        vectors /= np.linalg.norm(vectors, axis=0)
        response = vectors[:, :7].sum(axis=1)
        gram, product = vectors.T @ vectors, vectors.T @ response / np.linalg.norm(response)
        beta = solve(gram, product, rho)
        slope = gram @ beta - product + rho
        assert beta.min() >= 0
        assert slope.min() > -1e-5
        assert np.abs(slope * beta).max() < 1e-5
        assert beta.max() > 0


@pytest.mark.parametrize(
    "settings",
    [{"rho": 0.0}, {"rho": float("nan")}, {"hops": 0}, {"response": "all"},
     {"feature_width": 0.0}, {"output_width": -1.0}],
    ids=str,
)  # fmt: skip
def test_values_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(HyperParameterError, match=next(iter(settings))):
        GraphLIME(SimpleConv(), **settings)


@pytest.mark.parametrize("level", ["graph", "edge"])
def test_other_tasks_are_refused(level: str) -> None:
    with pytest.raises(TaskError, match="explains node tasks"):
        GraphLIME(SimpleConv(), level)


def test_nodes_without_numbers_or_of_several_types_are_refused() -> None:
    data = graph(7, 13)
    data.x = torch.arange(7)
    with pytest.raises(UnsupportedModelError, match="must be floating-point"):
        GraphLIME(lambda x: x.view(-1, 1).float().expand(-1, 2), progress=False).explain(data, [0])
    typed = HeteroData()
    typed["a"].x, typed["b"].x, typed["a"].y = torch.rand(3, 2), torch.rand(2, 2), torch.zeros(3)
    typed["b", "to", "a"].edge_index = torch.tensor([[0, 1], [0, 2]])
    with pytest.raises(UnsupportedModelError, match="one type of nodes"):
        gg.GraphLIME(lambda x_dict: x_dict["a"], progress=False).explain(typed, [0])
