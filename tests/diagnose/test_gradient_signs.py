"""Signs along the way: polynomials with known roots, and plain autograd edge by edge."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing, SGConv

import glassgraph as gg
from glassgraph.diagnose import gradient_signs
from glassgraph.errors import HyperParameterError
from glassgraph.testing.cases import CASES, Case
from tests.laws import literal

PATHS = ("together", "alone")


class Sum(MessagePassing):
    """What arrives, added up."""

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.propagate(edge_index, x=x)


class Polynomial(nn.Module):
    """A function of what two senders bring to node 0: their features are (1, 0) and (0, 1)."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.sum, self.function = Sum(), function

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        u, v = self.sum(x, edge_index).unbind(dim=1)
        return self.function(u, v).unsqueeze(1)


def two_edges() -> Data:
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).double()
    return Data(x=x, edge_index=torch.tensor([[1, 2], [0, 0]]))


def follow(function: Callable[[Tensor, Tensor], Tensor], path: str, **more: Any) -> Any:
    model = Polynomial(function)
    return gradient_signs(
        model, two_edges(), "node", [0], mode="regression", path=path, progress=False, **more
    )


def test_a_parabola_turns_where_it_is_lowest() -> None:
    """``u^2 - 0.86 u``: derivative 1.14 at 1, negative below 0.43; the nearest point is 0.4."""
    for path in PATHS:
        found = follow(lambda u, v: u**2 - 0.86 * u + 3 * v, path)
        torch.testing.assert_close(found.gradient, torch.tensor([[1.14, 3.0]]).double())
        assert found.sign.tolist() == [[1, 1]]
        assert found.flips.tolist() == [[True, False]]
        assert found.flip_at[0, 0] == 0.4
        assert found.share == 0.5
        assert found.shares.tolist() == [0.5]
        coarse = follow(lambda u, v: u**2 - 0.86 * u + 3 * v, path, steps=2)
        assert coarse.flip_at[0, 0] == 0
    assert not follow(lambda u, v: u**2 - 0.86 * u, "alone", steps=1).flip_at[0].isnan()[0]


def test_a_sign_that_changes_twice_is_told_where_it_first_does() -> None:
    """``d/du = (u - 0.72)(u - 0.31)``: positive at 1 and at 0, negative between."""
    found = follow(lambda u, v: u**3 / 3 - 1.03 * u**2 / 2 + 0.2232 * u + v, "alone")
    assert found.sign[0, 0] == 1
    assert found.flip_at[0, 0] == 0.7


def test_the_paths_differ_where_edges_act_together() -> None:
    """``u v - 0.6 u``: alone the derivative by u is 0.4; together it is w - 0.6."""
    alone = follow(lambda u, v: u * v - 0.6 * u, "alone")
    assert alone.flips.tolist() == [[False, False]]
    together = follow(lambda u, v: u * v - 0.6 * u, "together")
    assert together.flips.tolist() == [[True, False]]
    assert together.flip_at[0, 0] == 0.55


def test_a_gradient_of_zero_has_no_sign_to_keep() -> None:
    """``(u - 1)^2`` is flat at 1; a small slope counts as flat if epsilon says so."""
    found = follow(lambda u, v: (u - 1) ** 2 + 0 * v, "alone")
    assert found.sign.tolist() == [[0, 0]]
    assert found.num_signed.tolist() == [0]
    assert found.share != found.share
    assert found.shares.isnan().all()
    bent = follow(lambda u, v: u**2 - 1.99 * u + v, "alone")
    assert bent.num_flips.tolist() == [1]
    flat = follow(lambda u, v: u**2 - 1.99 * u + v, "alone", epsilon=0.02)
    assert (flat.num_signed.tolist(), flat.num_flips.tolist()) == ([1], [0])


def slopes(
    model: nn.Module,
    case: Case,
    data: Data,
    chosen: dict[int, tuple[int, int | None]],
    gates: Tensor,
) -> Tensor:
    """The gradient of the score at some gates, ``[1, E]`` for both layers or ``[2, E]``.

    The score is the sum over the explained rows, of which ``chosen`` has the classes.
    """
    leaf = gates.clone().requires_grad_()
    output = literal.gated(model, case, data, leaf.expand(2, -1))
    scores = [literal.score(case, output, row, classes) for row, classes in chosen.items()]
    return torch.autograd.grad(torch.stack(scores).sum(), leaf)[0]


@pytest.mark.parametrize("layerwise", [False, True])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("case", CASES[::3], ids=str)
def test_signs_are_those_of_plain_autograd(case: Case, path: str, layerwise: bool) -> None:
    """One gate vector at a time on the user's graph, instances and points in loops."""
    model, data = case.model(), case.data()
    found = gradient_signs(
        model,
        data,
        case.task(),
        case.index,
        case.target,
        path=path,
        layerwise=layerwise,
        steps=4,
        progress=False,
    )
    frame = found.frame()
    for position in range(2):
        one, row = literal.one_graph(case, data, position)
        plain = literal.predict_one(model, case, one).detach()
        rows = [row] if case.rows is None else range(len(plain))
        chosen = {each: literal.target(case, plain, one, each) for each in rows}
        slope = functools.partial(slopes, model, case, one, chosen)
        start = torch.ones(2 if layerwise else 1, one.num_edges).double()
        gradient = slope(start)
        own = frame[frame.position == position]
        assert len(own) > 1
        for entry in own.itertuples():
            at = (entry.layer if layerwise else 0, entry.edge_id)
            assert entry.gradient == pytest.approx(float(gradient[at]), abs=1e-10)
            assert entry.sign == gradient[at].sign()
            expected = float("nan")
            for point in (0.75, 0.5, 0.25, 0.0):
                gates = start * point if path == "together" else start.clone()
                gates[at] = point
                if float(slope(gates)[at] * gradient[at]) < 0:
                    expected = point
                    break
            assert entry.flip_at == pytest.approx(expected, nan_ok=True)
            assert entry.flips == (expected == expected)


def test_the_cases_have_flips_and_signs_that_stay() -> None:
    """Otherwise the loop above would prove nothing."""
    shares = []
    for case, path in itertools.product(CASES[::3], PATHS):
        found = gradient_signs(
            case.model(), case.data(), case.task(), case.index, case.target, path=path,
            layerwise=True, steps=4, progress=False,
        )  # fmt: skip
        shares.append(found.share)
    assert max(shares) > 0.1
    assert min(shares) < 0.5


def test_a_linear_model_never_flips_gate_by_gate() -> None:
    """Affine in a layerwise gate; with all gates at once it is a polynomial that may turn."""
    torch.manual_seed(3)
    model, data = SGConv(5, 3, K=3).double().eval(), Case("gin", "node").data()
    found = gradient_signs(model, data, path="alone", layerwise=True, progress=False)
    assert int(found.num_signed.sum()) > 100
    assert found.share == 0
    assert "0 of" in repr(found)
    together = gradient_signs(model, data, path="together", layerwise=True, progress=False)
    assert 0 < together.share < 0.5
    one = SGConv(5, 3, K=1).double().eval()
    assert gradient_signs(one, data, path="together", progress=False).share == 0


@pytest.mark.parametrize("path", PATHS)
def test_batches_are_irrelevant(path: str) -> None:
    case = Case("gat", "node")
    model, data = case.model(), case.data()
    one, other = (
        gradient_signs(
            model, data, index=[4, 17, 9], path=path, layerwise=True, steps=5,
            memory_budget=budget, progress=False,
        )
        for budget in (1, 1 << 30)
    )  # fmt: skip
    assert one.index.tolist() == [4, 17, 9]
    assert torch.equal(one.sign, other.sign)
    torch.testing.assert_close(one.flip_at, other.flip_at, equal_nan=True)
    (alone,) = gradient_signs(
        model, data, index=[17], path=path, layerwise=True, steps=5, progress=False
    ).shares
    assert alone == one.shares[1]


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
@pytest.mark.parametrize("layerwise", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_a_model_that_cannot_be_cut(path: str, layerwise: bool) -> None:
    """It looks at all nodes: on the full graph, one prediction and one edge at a time."""
    case = Case("gin", "node")
    inner, data = case.model(), case.data()

    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.inner(x + 0.01 * x.size(0), edge_index)

    found = gradient_signs(
        Wide(), data, index=[4, 9], path=path, layerwise=layerwise, steps=3, progress=False
    )
    shifted = data.clone()
    shifted.x = data.x + 0.01 * data.num_nodes
    plain = gradient_signs(
        inner, shifted, index=[4, 9], path=path, layerwise=layerwise, steps=3, progress=False
    )
    assert found.num_signed.tolist() == plain.num_signed.tolist()
    assert found.num_flips.tolist() == plain.num_flips.tolist()
    one, other = (each.frame().query("sign != 0") for each in (found, plain))
    columns = ["index", "edge_id", *(["layer"] if layerwise else []), "sign", "flip_at"]
    one, other = (
        each[columns].sort_values(columns[:-2]).fillna(-1).to_numpy().tolist()
        for each in (one, other)
    )
    assert one == other


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
def test_predictions_that_cannot_be_cut_stand_where_they_were_asked_for() -> None:
    """Nodes with a positive feature look at all nodes; they are followed after the others."""
    case = Case("gin", "node")
    inner, data = case.model(), case.data()

    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            wide = 0.1 * x.size(0) * (x[:, :1] > 0)
            return self.inner(x, edge_index) * (1 + wide)

    is_wide = data.x[:, 0] > 0
    index = [*is_wide.nonzero().view(-1)[:2].tolist(), *(~is_wide).nonzero().view(-1)[:2].tolist()]
    together = gradient_signs(Partly(), data, index=index, steps=3, progress=False).frame()
    for position, node in enumerate(index):
        own = together[together.position == position].reset_index(drop=True)
        assert (own["index"] == node).all()
        alone = gradient_signs(Partly(), data, index=[node], steps=3, progress=False).frame()
        merged = own.merge(alone, on="edge_id", suffixes=("", "_alone")).query("gradient != 0")
        assert len(merged)
        assert merged.gradient.tolist() == pytest.approx(merged.gradient_alone.tolist())
        assert merged.sign.tolist() == merged.sign_alone.tolist()


def test_nothing_to_follow() -> None:
    case = Case("gin", "node")
    found = gradient_signs(case.model(), case.data(), index=[], progress=False)
    assert found.index.numel() == 0
    assert found.share != found.share
    assert "0 of 0 edges flip, 0" in repr(found)


@pytest.mark.parametrize(
    "wrong",
    [{"path": "apart"}, {"steps": 0}, {"steps": True}, {"epsilon": -1.0}],
    ids=str,
)
def test_arguments_out_of_range(wrong: dict[str, Any]) -> None:
    case = Case("gin", "node")
    (name,) = wrong
    with pytest.raises(HyperParameterError, match=rf"{name} must.*got"):
        gradient_signs(case.model(), case.data(), **wrong)


def test_the_model_is_left_as_it_was() -> None:
    case = Case("gin", "node")
    model, data = case.model(), case.data()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gg.diagnose.gradient_signs(model, data, index=[4], path="alone", progress=False)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(value.grad is None for value in model.parameters())
