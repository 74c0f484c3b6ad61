"""Implementation invariance: two networks compute the same function; do they get the same scores?

Node 0 hears the message ``a`` of node 1 and the message ``b`` of node 2, both at least zero. Then

    plain       y = relu(a + b)
    roundabout  y = relu(a + 2 b) - relu(b)

are one function written down in two ways. A method that explains the function scores both alike; a
method that explains the way it is computed need not.

Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577), appendix H, make the point for LRP; the
property is that of Sundararajan, Taly and Yan (2017, https://arxiv.org/abs/1703.01365).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import SumAggregation

from glassgraph.core.sites import MessageTap
from glassgraph.explainers.registry import make_explainer
from glassgraph.inputs.task import Task

#: Methods and settings that are compared.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "edge_gradients": ("edge_gradients", {}),
    "integrated_gradients": ("integrated_gradients", {"steps": 16}),
    "occlusion": ("occlusion", {}),
    "LRP-0": ("lrp", {"rule": "zero"}),
    "LRP-epsilon": ("lrp", {"rule": "epsilon"}),
    "LRP-gamma": ("lrp", {"rule": "gamma"}),
    "LRP-alpha-beta": ("lrp", {"rule": "alpha_beta"}),
    "LRP-z+": ("lrp", {"rule": "z_plus"}),
    "excitation_backprop": ("excitation_backprop", {}),
    "guided_backprop": ("guided_backprop", {}),
}
#: Weights of the hidden layer and of the output.
_PLAIN = ([[1.0, 1.0]], [[1.0]])
_ROUNDABOUT = ([[1.0, 2.0], [0.0, 1.0]], [[1.0, -1.0]])


class Head(nn.Module):
    """Sums messages, then applies two matrices with a ReLU between them.

    Args:
        hidden: ``[H, 2]`` weights.
        output: ``[1, H]`` weights.
    """

    def __init__(self, hidden: list[list[float]], output: list[list[float]]) -> None:
        super().__init__()
        self.tap, self.sum = MessageTap(), SumAggregation()
        self.hidden = nn.Linear(2, len(hidden), bias=False, dtype=torch.double)
        self.output = nn.Linear(len(hidden), 1, bias=False, dtype=torch.double)
        with torch.no_grad():
            self.hidden.weight.copy_(torch.tensor(hidden))
            self.output.weight.copy_(torch.tensor(output))

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Value ``[N, 1]`` of each node from features ``[N, 2]``."""
        messages = self.tap(x[edge_index[0]], edge_index)
        heard = self.sum(messages, edge_index[1], dim_size=x.size(0))
        value: Tensor = self.output(self.hidden(heard).relu())
        return value


def networks() -> tuple[Head, Head]:
    """The plain and the roundabout network."""
    return Head(*_PLAIN), Head(*_ROUNDABOUT)


def graph(a: float = 1.0, b: float = 1.0) -> Data:
    """Nodes 1 and 2 send ``a`` and ``b`` to node 0."""
    x = torch.tensor([[0.0, 0.0], [a, 0.0], [0.0, b]], dtype=torch.double)
    return Data(x=x, edge_index=torch.tensor([[1, 2], [0, 0]]))


def run_invariance(a: float = 1.0, b: float = 1.0) -> list[dict[str, Any]]:
    """Edge scores of both networks by every method.

    Args:
        a: message of node 1, at least 0.
        b: message of node 2, at least 0.

    Returns:
        Rows ``{method, plain: [2], roundabout: [2], is_equal}``.
    """
    rows = []
    for name, (method, settings) in METHODS.items():
        scores = []
        for network in networks():
            explainer = make_explainer(method, network, Task("node", "regression"), **settings)
            local = explainer.explain(graph(a, b), index=[0]).local(0)
            assert local.edge_score is not None
            scores.append(local.edge_score)
        rows.append(
            {
                "method": name,
                "plain": scores[0].tolist(),
                "roundabout": scores[1].tolist(),
                "is_equal": bool(torch.allclose(scores[0], scores[1], atol=1e-5)),
            }
        )
    return rows
