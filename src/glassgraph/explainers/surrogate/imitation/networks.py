r"""Graph networks that imitate one prediction each, many of them trained side by side.

For an instance with normalized features ``x`` and a subgraph with weights ``a`` on its edges,

.. code-block:: text

    h = [x, is explained] W_0 + b_0
    h = h + ReLU(A(a) h W_l + b_l)                         residual blocks l = 1 .. layers
    y = h[explained nodes] v + c                           (of a graph: the mean of all h)

``A(a)[v, u] = a_uv / sqrt((1 + in-degree of v) (1 + out-degree of u))`` with ``a = 1`` from each
node to itself. Degrees are those of the whole field: an edge that is missing takes its message with
it and changes nothing else, so that ``y`` is smooth in ``a``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgraph.core import random
from glassgraph.explainers.surrogate.imitation.layout import Layout

#: Part of the addresses of weights.
_WEIGHT = 5


class Surrogates:
    """B networks with weights of their own.

    Args:
        key: ``[B]`` addresses of their initial weights.
        num_features: width of their inputs.
        hidden: width H.
        layers: number of residual blocks.
        num_seeds: explained nodes of an instance; 0 for graphs.
        dtype: floating type.
    """

    def __init__(
        self,
        key: Tensor,
        num_features: int,
        hidden: int,
        layers: int,
        num_seeds: int,
        dtype: torch.dtype,
    ) -> None:
        sizes = [(num_features, hidden), *[(hidden, hidden)] * layers]
        sizes.append((hidden * max(1, num_seeds), 1))
        self.weights = [_initial(key, number, size, dtype) for number, size in enumerate(sizes)]
        self.biases = [torch.zeros_like(weight[:, :1]).requires_grad_() for weight in self.weights]

    @property
    def parameters(self) -> list[Tensor]:
        """Everything that is trained."""
        return [*self.weights, *self.biases]

    def __call__(self, layout: Layout, gates: Tensor | None = None) -> Tensor:
        """Predictions ``[B, M]``, under gates ``[e]`` on the edges."""
        h, heard = self._entered(layout, gates)
        blocks = zip(layout.blocks, self.weights[1:-1], self.biases[1:-1], strict=True)
        for number, (messages, weight, bias) in enumerate(blocks):
            heard = heard if number == 0 else messages.heard(h, gates)
            h = h[:, : messages.num_rows] + _relu(torch.baddbmm(bias, heard, weight))
        if layout.read is not None:
            h = h.flatten(0, 1)[layout.read].view(h.size(0), -1, h.size(2))
        read = h if layout.mean is None else layout.mean @ h
        read = read.reshape(h.size(0), layout.num_samples, -1)
        return torch.baddbmm(self.biases[-1], read, self.weights[-1]).squeeze(2)

    def _entered(self, layout: Layout, gates: Tensor | None) -> tuple[Tensor, Tensor]:
        """The states that the first block begins with, and what it hears.

        Where edges are open, the sum over neighbors comes before the product with weights: it is
        the same in every step.
        """
        entry = torch.cat([self.weights[0], self.biases[0]], dim=1)
        first = layout.blocks[0]
        if gates is None:
            h, heard = (layout.first @ entry).split(first.num_rows, dim=1)
            return h, heard
        h = layout.x @ entry
        return h, first.heard(h, gates)


def _relu(x: Tensor) -> Tensor:
    """ReLU that takes rounding for the 0 it stands for.

    Biases start at 0, so that on a symmetric graph states cancel; whether what is left of them lies
    above or below the kink would go by the order in which messages are summed.
    """
    return F.threshold(x, 16 * torch.finfo(x.dtype).eps, 0.0)


def _initial(key: Tensor, number: int, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Weights ``[B, rows, columns]`` by address, with variance 2 / rows (He et al. 2015)."""
    position = torch.arange(size[0] * size[1], device=key.device)
    draw = random.normal(_WEIGHT, key.view(-1, 1), number, position)
    weight = (draw * math.sqrt(2 / size[0])).to(dtype).view(-1, *size)
    return weight.requires_grad_()
