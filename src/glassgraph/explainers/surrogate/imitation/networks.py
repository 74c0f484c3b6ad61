r"""Graph networks that imitate one prediction each, many of them trained side by side.

For an instance with normalized features ``x`` and a subgraph with weights ``a`` on its edges,

.. code-block:: text

    h = [x, is explained, 1] W_0
    h = h + ReLU(A(a) h W_l + b_l)                         residual blocks l = 1 .. layers
    y = h[explained nodes] v + c                           (of a graph: the mean of all h)

``A(a)[v, u] = a_uv / sqrt((1 + in-degree of v) (1 + out-degree of u))`` with ``a = 1`` from each
node to itself. Degrees are those of the whole field: an edge that is missing takes its message with
it and changes nothing else, so that ``y`` is smooth in ``a``.

What the first block hears is linear in ``W_0``: without gates, ``(A [x, is explained, 1]) W_0``, of
which training changes the second factor alone.

Derivatives are written out: with ``g`` that of a state after a block and ``d = g [ReLU > 0]``,

.. code-block:: text

    g before the block  = g + A' (d W_l')
    g of W_l            = (A h)' d               of b_l = sum of d
    g of a_uv           = (d W_l')[v] . h[u] / sqrt(...)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgraph.core import random
from glassgraph.explainers.surrogate.imitation.layout import Layout
from glassgraph.learn.sparse_product import Sparse

#: Part of the addresses of weights.
_WEIGHT = 5


@dataclass(frozen=True)
class Run:
    """Predictions, and what their derivatives are made of.

    Attributes:
        output: ``[B, M]``.
        states: ``[B, Q, H]`` after each block.
        taken: ``[B, Q, H]`` what each block hears.
        added: ``[B, Q, H]`` what each block adds.
        heard: by which matrix each block hears.
    """

    output: Tensor
    states: list[Tensor]
    taken: list[Tensor]
    added: list[Tensor]
    heard: list[Sparse]


class Surrogates:
    """B networks with weights of their own.

    Args:
        key: ``[B]`` addresses of their initial weights.
        num_features: width F + 2 of their inputs, of which the last is 1.
        hidden: width H.
        layers: number of residual blocks.
        num_seeds: explained nodes S of an instance; 0 for graphs.
        dtype: floating type.

    Attributes:
        flat: all that is trained, side by side.
        weights: ``[B, rows, columns]`` views of it: of the inputs, of each block, of what is read.
        biases: ``[B, 1, columns]`` likewise, of each block and of what is read.
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
        sizes = [(num_features - 1, hidden), *[(hidden, hidden)] * layers]
        sizes.append((hidden * max(1, num_seeds), 1))
        weights = [_initial(key, number, size, dtype) for number, size in enumerate(sizes)]
        zeros = [torch.zeros_like(weight[:, :1]) for weight in weights]
        weights[0] = torch.cat([weights[0], zeros[0]], dim=1)
        parts = [*weights, *zeros[1:]]
        self.flat = torch.cat([part.flatten() for part in parts])
        pieces = self.flat.split([part.numel() for part in parts])
        views = [piece.view_as(part) for piece, part in zip(pieces, parts, strict=True)]
        self.weights, self.biases = views[: len(sizes)], views[len(sizes) :]

    def entered(self, layout: Layout) -> Tensor:
        """``[B, R, H]`` states before the first block, which no gate changes."""
        return torch.bmm(layout.x, self.weights[0])

    def run(self, layout: Layout) -> Run:
        """Predictions, all that is there having a weight of 1."""
        both = torch.bmm(layout.x_heard, self.weights[0])
        return self._run(layout, both, [block.heard for block in layout.blocks])

    def run_under(self, layout: Layout, gates: Tensor, entered: Tensor) -> Run:
        """Predictions under gates ``[e]`` on the edges, from the states before the first block."""
        gates = torch.cat([gates, gates.new_ones(1)])
        heard = [block.under(gates) for block in layout.blocks]
        return self._run(layout, _hear(heard[0], entered), heard)

    def _run(self, layout: Layout, both: Tensor, heard: list[Sparse]) -> Run:
        """From what the first block hears ``[B, 2 * Q, H]`` on."""
        states: list[Tensor] = []
        taken: list[Tensor] = []
        added: list[Tensor] = []
        for number, block in enumerate(layout.blocks, start=1):
            if number > 1:
                both = _hear(heard[number - 1], states[-1])
            before, there = both.split(block.num_rows, dim=1)
            into = torch.baddbmm(self.biases[number - 1], there, self.weights[number])
            taken.append(there)
            added.append(_relu(into))
            states.append(before + added[-1])
        said = torch.bmm(states[-1], self._readers().transpose(1, 2))
        read = (layout.read @ said.view(-1, 1)).view(-1, layout.num_samples)
        return Run(read.add_(self.biases[-1].view(-1, 1)), states, taken, added, heard)

    def of_weights(self, layout: Layout, run: Run, of_output: Tensor) -> Tensor:
        """The derivative by `flat`, from that by the predictions ``[B, M]`` of `run`."""
        of_said = self._of_said(layout, run, of_output)
        of_state = torch.bmm(of_said, self._readers())
        weights = [torch.bmm(of_said.transpose(1, 2), run.states[-1])]
        biases = [of_output.sum(dim=1)]
        for number in reversed(range(1, len(layout.blocks) + 1)):
            of_sum = _past(run.added[number - 1], of_state)
            weights.append(torch.bmm(run.taken[number - 1].transpose(1, 2), of_sum))
            biases.append(of_sum.sum(dim=1))
            of_both = self._of_heard(number, of_state, of_sum)
            if number > 1:
                of_state = _back(run.heard[number - 1], of_both)
        weights.append(torch.bmm(layout.x_heard.transpose(1, 2), of_both))
        return torch.cat([part.flatten() for part in (*weights[::-1], *biases[::-1])])

    def of_gates(
        self, layout: Layout, run: Run, entered: Tensor, of_output: Tensor, num_edges: int
    ) -> Tensor:
        """The derivative by gates ``[e]``, from that by the predictions of `run_under`."""
        of_state = torch.bmm(self._of_said(layout, run, of_output), self._readers())
        found, states = of_state.new_zeros(num_edges + 1), [entered, *run.states]
        for number in reversed(range(1, len(layout.blocks) + 1)):
            block, state = layout.blocks[number - 1], states[number - 1]
            of_both = self._of_heard(number, of_state, _past(run.added[number - 1], of_state))
            here = of_both.flatten(0, 1).index_select(0, block.receiver)
            there = state.flatten(0, 1).index_select(0, block.heard.pattern.columns)
            found.index_add_(0, block.gate, (here * there).sum(dim=1) * block.heard.by_row)
            if number > 1:
                of_state = _back(run.heard[number - 1], of_both)
        return found[:-1]

    def _of_heard(self, number: int, of_state: Tensor, of_sum: Tensor) -> Tensor:
        """``[B, 2 * Q, H]`` derivatives by what a block hears, from those after it."""
        return torch.cat([of_state, torch.bmm(of_sum, self.weights[number].transpose(1, 2))], dim=1)

    def _of_said(self, layout: Layout, run: Run, of_output: Tensor) -> Tensor:
        """``[B, Q, S]`` derivatives by what is read of the last rows."""
        found = layout.read.transposed_product(of_output.reshape(-1, 1))
        return found.view(*run.added[-1].shape[:2], -1)

    def _readers(self) -> Tensor:
        """``[B, S, H]`` what is read of the states of each explained node."""
        weight: Tensor = self.weights[-1]
        return weight.view(weight.size(0), -1, self.weights[1].size(2))


def _hear(heard: Sparse, state: Tensor) -> Tensor:
    """``[B, 2 * Q, H]`` what rows hear of states ``[B, R, H]``."""
    return (heard @ state.flatten(0, 1)).view(state.size(0), -1, state.size(2))


def _back(heard: Sparse, of_both: Tensor) -> Tensor:
    """``[B, R, H]`` derivatives by states, from those by what rows hear of them."""
    found = heard.transposed_product(of_both.flatten(0, 1))
    return found.view(of_both.size(0), -1, of_both.size(2))


def _relu(x: Tensor) -> Tensor:
    """ReLU that takes rounding for the 0 it stands for; in the place of what it is given.

    Biases start at 0, so that on a symmetric graph states cancel; whether what is left of them lies
    above or below the kink would go by the order in which messages are summed.
    """
    return F.threshold(x, 16 * torch.finfo(x.dtype).eps, 0.0, inplace=True)


def _past(added: Tensor, gradient: Tensor) -> Tensor:
    """The derivative before the ReLU."""
    found: Tensor = torch.ops.aten.threshold_backward(gradient, added, 0)
    return found


def _initial(key: Tensor, number: int, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Weights ``[B, rows, columns]`` by address, with variance 2 / rows (He et al. 2015)."""
    position = torch.arange(size[0] * size[1], device=key.device)
    draw = random.normal(_WEIGHT, key.view(-1, 1), number, position)
    return (draw * math.sqrt(2 / size[0])).to(dtype).view(-1, *size)
