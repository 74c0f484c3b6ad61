"""Gradients between the cuts of a run: which states depend on which, and on which nodes alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glassgraph.calling.recompute import naming_backward_errors
from glassgraph.relevance.walk_cuts import Cut, CutRun

#: Share of the largest gradient that may reach a wrong node by rounding.
_TOLERANCE, _TOLERANCE_OF_HALF = {torch.float64: 1e-9}, 6e-2


class Between:
    """Gradients of what comes before a cut with respect to what comes after earlier ones.

    A *source* is the number of a cut, or -1 for the features.

    Args:
        run: the run.
        num_nodes: nodes n of the batch.
    """

    def __init__(self, run: CutRun, num_nodes: int) -> None:
        self._run, self._num_nodes = run, num_nodes

    def sources(self, values: Sequence[Tensor]) -> set[int]:
        """What some tensors depend on."""
        found = self.backward(values, [torch.ones_like(value) for value in values], None)
        return {source for source, gradients in found.items() if gradients is not None}

    def backward(
        self, values: Sequence[Tensor], cotangents: Sequence[Tensor], sources: set[int] | None
    ) -> dict[int, Tensor | None]:
        """Gradients with respect to each source; None for those it does not depend on.

        Args:
            values: tensors of the run.
            cotangents: weights of their entries.
            sources: what to differentiate by, None for everything.

        Returns:
            For a cut ``[m, D]``, for the features ``[n, 1]``: gradient times features, summed.
        """
        wanted = range(-1, len(self._run.cuts)) if sources is None else sorted(sources)
        leaves = {key: self._run.inputs if key < 0 else self._run.cuts[key].after for key in wanted}
        flat = [leaf for key in wanted for leaf in leaves[key]]
        kept = [(v, c) for v, c in zip(values, cotangents, strict=True) if v.requires_grad]
        if not flat or not kept:
            return dict.fromkeys(wanted)
        with naming_backward_errors():
            gradients = torch.autograd.grad(
                [value for value, _ in kept],
                flat,
                [cotangent for _, cotangent in kept],
                retain_graph=True,
                allow_unused=True,
            )
        found: dict[int, Tensor | None] = {}
        start = 0
        for key in wanted:
            own = gradients[start : start + len(leaves[key])]
            start += len(leaves[key])
            found[key] = None if all(each is None for each in own) else self._join(key, own)
        return found

    def _join(self, key: int, gradients: Sequence[Tensor | None]) -> Tensor:
        if key >= 0:
            each = self._run.cuts[key]
            filled = [
                torch.zeros_like(leaf) if one is None else one
                for leaf, one in zip(each.after, gradients, strict=True)
            ]
            return torch.cat([each.rows(one) for one in filled], dim=1)
        # Features of all node types times their gradients, summed: what a node starts with.
        total = self._run.score.new_zeros((self._num_nodes, 1))
        for x, node, one in zip(self._run.inputs, self._run.input_nodes, gradients, strict=True):
            if one is not None:
                total[node] = (x.detach() * one).sum(1, keepdim=True).to(total.dtype)
        return total

    def is_local(self, each: Cut, values: list[Tensor], node: Tensor, sources: set[int]) -> bool:
        """Whether row r of ``values`` depends on earlier messages to ``node[r]`` alone.

        If rows are weighted by their node, so must be all gradients.
        """
        number = torch.arange(self._num_nodes, device=node.device)
        weight = 1.5 + torch.cos(2.4 * number.to(self._run.score.dtype))
        plain, weighted = [], []
        for value in values:
            direction = torch.linspace(0.5, 1.5, each.rows(value).size(1)).to(value)
            plain.append(each.shaped(direction.expand(node.numel(), -1), value))
            rows = weight[node].unsqueeze(1).to(value) * direction
            weighted.append(each.shaped(rows, value))
        one = self.backward(values, plain, sources)
        other = self.backward(values, weighted, sources)
        limit = _TOLERANCE.get(self._run.score.dtype, 1e-3)
        if self._run.is_half:
            limit = _TOLERANCE_OF_HALF
        for source, gradient in one.items():
            again = other[source]
            if gradient is None or again is None:
                continue
            owner = number if source < 0 else self._run.cuts[source].receiver
            if not gradient.numel():
                continue
            expected = gradient * weight[owner].unsqueeze(1)
            size = torch.maximum(expected.abs(), again.abs()).max()
            if bool((again - expected).abs().max() > limit * size):
                return False
        return True
