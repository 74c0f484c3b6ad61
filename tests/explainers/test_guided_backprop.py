"""Guided backpropagation: by hand, and through every way to write a ReLU."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Data

import glassgraph as gg


class Net(nn.Module):
    """Sums over neighbors between two matrices of weights."""

    def __init__(self, relu: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.relu, self.tap = relu, gg.MessageTap()
        self.one, self.two = nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False)
        with torch.no_grad():
            self.one.weight.copy_(torch.tensor([[1.0, -2.0], [1.0, 3.0]]))
            self.two.weight.copy_(torch.tensor([[2.0, -1.0]]))
        self.double()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        hidden = self.relu(self.one(x))
        sent = self.tap(hidden[edge_index[0]], edge_index)
        return self.two(torch.zeros_like(hidden).index_add(0, edge_index[1], sent))


def data() -> Data:
    x = torch.tensor([[0.0, 0.0], [3.0, 1.0], [1.0, 1.0]]).double()
    return Data(x=x, edge_index=torch.tensor([[1, 2], [0, 0]]))


def scores(relu: Callable[[Tensor], Tensor], **settings: bool) -> Tensor:
    task = gg.Task("node", "regression")
    (found,) = gg.GuidedBackprop(Net(relu), task, **settings).explain(data(), index=[0])
    mask: Tensor = found.node_mask
    return mask


#: Node 1: hidden (1, 6); the gradient (2, -1) becomes (2, 0), then 2 * (1, -2) is cut to (2, 0).
#: Node 2: hidden (0, 4) after the ReLU; only the second is open, and its gradient is negative.
BY_HAND = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 0.0]]).double()


@pytest.mark.parametrize(
    "relu",
    [
        nn.ReLU(),
        nn.ReLU(inplace=True),
        F.relu,
        torch.relu,
        Tensor.relu,
        lambda x: x.clamp(min=0),
        lambda x: torch.clamp_min(x, 0),
    ],
)
def test_every_relu_is_guided(relu: Callable[[Tensor], Tensor]) -> None:
    torch.testing.assert_close(scores(relu), BY_HAND)


def test_it_is_not_the_plain_gradient() -> None:
    x = data().x.requires_grad_()
    Net(F.relu)(x, data().edge_index)[0].sum().backward()
    # Node 1: 2 (1, -2) - (1, 3) = (1, -7).
    torch.testing.assert_close(x.grad[1], torch.tensor([1.0, -7.0]).double())


def test_clamping_everywhere_also_clamps_between_linear_operations() -> None:
    shifted = lambda x: -((-x).relu())  # noqa: E731  # hidden is not negative: gradients are zero
    assert torch.equal(scores(shifted, clamp_everywhere=True), torch.zeros(3, 2).double())

    def twice_negated(x: Tensor) -> Tensor:
        return F.relu(x).neg().neg()

    # The gradient (2, -1) is clamped to (2, 0); between the negations it is (-2, 0): clamped to 0.
    torch.testing.assert_close(scores(twice_negated), BY_HAND)
    assert torch.equal(scores(twice_negated, clamp_everywhere=True), torch.zeros(3, 2).double())


def test_without_a_relu_it_is_the_positive_gradient() -> None:
    found = scores(torch.tanh)
    x = data().x.requires_grad_()
    Net(torch.tanh)(x, data().edge_index)[0].sum().backward()
    torch.testing.assert_close(found, x.grad.clamp(min=0))
