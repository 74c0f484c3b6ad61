r"""Graph networks that imitate one prediction each, many of them trained side by side.

For an instance with normalized features ``x`` and a subgraph with weights ``a`` on its edges,

.. code-block:: text

    h = [x, is explained] W_0 + b_0
    h = h + ReLU(A(a) h W_l + b_l)                         residual blocks l = 1 .. layers
    y = h[explained nodes] v + c                           (of a graph: the mean of all h)

``A(a)[v, u] = a_uv / sqrt((1 + in-degree of v) (1 + out-degree of u))`` with ``a = 1`` from each
node to itself. Degrees are those of the whole field: an edge that is missing takes its message with
it and changes nothing else, so that ``y`` is smooth in ``a``.

Derivatives are written out: with ``g`` that of a state after a block and ``d = g [ReLU > 0]``,

.. code-block:: text

    g before the block  = g + (A' d) W_l'
    g of W_l            = h' (A' d)              of b_l = sum of d
    g of a_uv           = d[v] . (h W_l)[u] / sqrt(...)
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
class Entered:
    """What no gate changes.

    Attributes:
        state: ``[B, R, H]`` before the first block.
        sent: ``[B, R, H]`` what nodes send into it.
    """

    state: Tensor
    sent: Tensor


@dataclass(frozen=True)
class Run:
    """Predictions, and what their derivatives are made of.

    Attributes:
        output: ``[B, M]``.
        states: ``[B, R, H]`` before each block, and after the last.
        sent: ``[B, R, H]`` what nodes send into each block.
        added: ``[B, Q, H]`` what each block adds.
        heard: by which matrix each block hears.
    """

    output: Tensor
    states: list[Tensor]
    sent: list[Tensor]
    added: list[Tensor]
    heard: list[Sparse]


class Surrogates:
    """B networks with weights of their own.

    Args:
        key: ``[B]`` addresses of their initial weights.
        num_features: width of their inputs.
        hidden: width H.
        layers: number of residual blocks.
        num_seeds: explained nodes S of an instance; 0 for graphs.
        dtype: floating type.

    Attributes:
        flat: all that is trained, side by side.
        weights: ``[B, rows, columns]`` views of it: of the inputs, of each block, of what is read.
        biases: ``[B, 1, columns]`` likewise.
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
        weights = [_initial(key, number, size, dtype) for number, size in enumerate(sizes)]
        parts = [*weights, *(torch.zeros_like(weight[:, :1]) for weight in weights)]
        self.flat = torch.cat([part.flatten() for part in parts])
        pieces = self.flat.split([part.numel() for part in parts])
        views = [piece.view_as(part) for piece, part in zip(pieces, parts, strict=True)]
        self.weights, self.biases = views[: len(sizes)], views[len(sizes) :]

    def entered(self, layout: Layout) -> Entered:
        """States before the first block, and what they send."""
        state = torch.baddbmm(self.biases[0], layout.x, self.weights[0])
        return Entered(state, torch.bmm(state, self.weights[1]))

    def run(
        self, layout: Layout, gates: Tensor | None = None, entered: Entered | None = None
    ) -> Run:
        """Predictions, under gates ``[e]`` on the edges."""
        gates = None if gates is None else torch.cat([gates, gates.new_ones(1)])
        entered = self.entered(layout) if entered is None else entered
        states, sent, added, heard = [entered.state], [entered.sent], [], []
        for number, block in enumerate(layout.blocks, start=1):
            if number > 1:
                sent.append(torch.bmm(states[-1], self.weights[number]))
            heard.append(block.under(gates))
            shape = (sent[-1].size(0), block.num_rows, sent[-1].size(2))
            into = (heard[-1] @ sent[-1].flatten(0, 1)).view(shape)
            added.append(_relu(into.add_(self.biases[number])))
            before = states[-1].flatten(0, 1).index_select(0, block.before).view(shape)
            states.append(before.add_(added[-1]))
        said = torch.bmm(states[-1], self._readers().transpose(1, 2))
        read = (layout.read @ said.view(-1, 1)).view(-1, layout.num_samples)
        return Run(read.add_(self.biases[-1].view(-1, 1)), states, sent, added, heard)

    def of_weights(self, layout: Layout, run: Run, of_output: Tensor) -> Tensor:
        """The derivative by `flat`, from that by the predictions ``[B, M]``."""
        of_said = self._of_said(layout, run, of_output)
        of_state = torch.bmm(of_said, self._readers())
        weights = [torch.bmm(of_said.transpose(1, 2), run.states[-1])]
        biases = [of_output.sum(dim=1)]
        for number in reversed(range(1, len(layout.blocks) + 1)):
            of_sum, of_sent, of_state = self._through(layout, run, number, of_state)
            weights.append(torch.bmm(run.states[number - 1].transpose(1, 2), of_sent))
            biases.append(of_sum.sum(dim=1))
        weights.append(torch.bmm(layout.x.transpose(1, 2), of_state))
        biases.append(of_state.sum(dim=1))
        return torch.cat([part.flatten() for part in (*weights[::-1], *biases[::-1])])

    def of_gates(self, layout: Layout, run: Run, of_output: Tensor, num_edges: int) -> Tensor:
        """The derivative by gates ``[e]``, from that by the predictions ``[B, M]``."""
        of_state = torch.bmm(self._of_said(layout, run, of_output), self._readers())
        found = of_state.new_zeros(num_edges + 1)
        for number in reversed(range(1, len(layout.blocks) + 1)):
            block, sent = layout.blocks[number - 1], run.sent[number - 1].flatten(0, 1)
            of_sum = _past(run.added[number - 1], of_state).flatten(0, 1)
            here = of_sum.index_select(0, block.receiver)
            there = sent.index_select(0, block.heard.pattern.columns)
            found.index_add_(0, block.gate, (here * there).sum(dim=1) * block.heard.by_row)
            if number > 1:
                _, _, of_state = self._through(layout, run, number, of_state)
        return found[:-1]

    def _through(
        self, layout: Layout, run: Run, number: int, of_state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Back through a block: derivatives by its sums, by what is sent, by the states before."""
        state = run.states[number - 1]
        of_sum = _past(run.added[number - 1], of_state)
        of_sent = run.heard[number - 1].transposed_product(of_sum.flatten(0, 1)).view_as(state)
        own = layout.blocks[number - 1].own.transposed_product(of_state.flatten(0, 1))
        weight = self.weights[number].transpose(1, 2)
        return of_sum, of_sent, torch.baddbmm(own.view_as(state), of_sent, weight)

    def _of_said(self, layout: Layout, run: Run, of_output: Tensor) -> Tensor:
        """``[B, Q, S]`` derivatives by what is read of the last rows."""
        found = layout.read.transposed_product(of_output.reshape(-1, 1))
        return found.view(*run.states[-1].shape[:2], -1)

    def _readers(self) -> Tensor:
        """``[B, S, H]`` what is read of the states of each explained node."""
        weight: Tensor = self.weights[-1]
        return weight.view(weight.size(0), -1, self.weights[1].size(2))


def _relu(x: Tensor) -> Tensor:
    """ReLU that takes rounding for the 0 it stands for; in the place of what it is given.

    Biases start at 0, so that on a symmetric graph states cancel; whether what is left of them lies
    above or below the kink would go by the order in which messages are summed.
    """
    return F.threshold(x, 16 * torch.finfo(x.dtype).eps, 0.0, inplace=True)


def _past(added: Tensor, gradient: Tensor) -> Tensor:
    """The derivative before the ReLU."""
    return torch.where(added > 0, gradient, 0.0)


def _initial(key: Tensor, number: int, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Weights ``[B, rows, columns]`` by address, with variance 2 / rows (He et al. 2015)."""
    position = torch.arange(size[0] * size[1], device=key.device)
    draw = random.normal(_WEIGHT, key.view(-1, 1), number, position)
    return (draw * math.sqrt(2 / size[0])).to(dtype).view(-1, *size)
