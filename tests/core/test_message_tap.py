"""Layers that are not PyG's are explained through a tap on their messages."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import SimpleConv

import glassgraph as gg
from glassgraph.errors import NoMessagePassingError
from glassgraph.testing.cases import Case
from glassgraph.testing.compare import scores

FEATURES = 5


class Own(nn.Module):
    """Sums what arrives, without PyG; the tap is called by position or by name."""

    def __init__(self, with_tap: bool = True) -> None:
        super().__init__()
        self.tap = gg.MessageTap() if with_tap else None

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        messages = x[edge_index[0]]
        if self.tap is not None:
            messages = self.tap(messages, edge_index=edge_index)
        return torch.zeros_like(x).index_add(0, edge_index[1], messages)


class Net(nn.Module):
    def __init__(self, layer: type[nn.Module] | None) -> None:
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(FEATURES, 7), nn.Linear(7, 3)
        make = layer or (lambda: SimpleConv(aggr="sum"))
        self.pass1, self.pass2 = make(), make()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = self.pass1(self.lin1(x), edge_index).tanh()
        return self.pass2(self.lin2(h), edge_index)


def test_a_tap_returns_its_messages() -> None:
    messages = torch.randn(3, 2)
    assert gg.MessageTap()(messages, torch.zeros(2, 3).long()) is messages


@pytest.mark.parametrize("method", [gg.Saliency, gg.EdgeGradients, gg.Occlusion, gg.GNNExplainer])
def test_a_tapped_layer_is_explained_as_pygs_layer_is(method: type[gg.Explainer]) -> None:
    data = Case("gin", "node").data()
    own, pyg = Net(Own).double().eval(), Net(None).double().eval()
    own.load_state_dict(pyg.state_dict())
    settings = {"epochs": 5} if method is gg.GNNExplainer else {}
    found = method(own, progress=False, **settings).explain(data, [4, 9])
    expected = method(pyg, progress=False, **settings).explain(data, [4, 9])
    for one, other in zip(found, expected, strict=True):
        for name, value in scores(one).items():
            torch.testing.assert_close(value, scores(other)[name], rtol=1e-9, atol=1e-12)


def test_without_a_tap_nothing_can_be_explained() -> None:
    with pytest.raises(NoMessagePassingError, match="MessageTap"):
        gg.Saliency(Net(lambda: Own(with_tap=False)), progress=False)
