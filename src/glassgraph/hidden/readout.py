"""The pooling of a graph-level model: which node states it reads, and what it makes of them.

Models pool in many ways: PyG's functions and aggregation modules, ``h.mean(dim=0)``, a matrix
product. All of them compute, sooner or later, a tensor with one row per graph that equals the mean
or the sum of node states computed before. That is what is looked for, among everything that is
computed after the last layer; nothing depends on names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.hidden.recorder import record_run
from glassgraph.hidden.states import last_states, record_batch


@dataclass(frozen=True)
class Pooling:
    """A run, and the pooling in it.

    Attributes:
        batch: what was run.
        output: ``[B, C]`` the model's output, in autograd's graph.
        states: ``[n, ...]`` node states that the pooling reads.
        pooled: their mean or sum over each graph, in autograd's graph, shaped as in the model.
        kind: which of the two.
    """

    batch: InstanceBatch
    output: Tensor
    states: Tensor
    pooled: Tensor
    kind: Literal["mean", "sum"]
    _position: int
    _num_starts: int

    @torch.no_grad()
    def output_at(self, pooled: Tensor, gates: Tensor) -> Tensor:
        """The output ``[B, C]`` with something else in the place of what was pooled.

        Args:
            pooled: in the shape of `pooled`.
            gates: ``[e]`` gates on messages, which change all other paths to the output.
        """
        return record_run(
            self.batch.model_call.model,
            self.batch.wiring,
            lambda: self.batch.output(gates),
            replaced={self._position: pooled},
            num_starts=self._num_starts,
        ).output


def find_pooling(batch: InstanceBatch) -> Pooling | None:
    """Find the mean or sum over node states on which the output depends; None if there is none.

    Raises:
        UnsupportedModelError: on heterogeneous graphs.
    """
    recorded = record_batch(batch)
    position = last_states(batch, recorded)
    if position is None:
        return None
    states = recorded.tail[position]
    flat = states.detach().flatten(1)
    size = batch.nodes_per_instance.view(-1, 1).to(flat.dtype)
    total, scale = (
        flat.new_zeros((batch.num_instances, flat.size(1))).index_add(0, batch.node_instance, each)
        for each in (flat, flat.abs())
    )
    kinds: tuple[Literal["mean", "sum"], ...] = ("mean", "sum")  # most means are a sum first
    for kind in kinds:
        divisor = size if kind == "mean" else torch.ones_like(size)
        for later in reversed(range(position + 1, len(recorded.tail))):
            pooled = recorded.tail[later]
            if pooled.numel() != total.numel() or not _is_used(pooled, recorded.output):
                continue
            value = pooled.detach().reshape(total.shape)
            if is_close(value, total / divisor, scale / divisor):
                starts = recorded.num_starts
                return Pooling(batch, recorded.output, states, pooled, kind, later, starts)
    return None


def is_close(value: Tensor, expected: Tensor, scale: Tensor) -> bool:
    """Whether values are equal up to rounding, in sums of terms whose absolute sum is ``scale``."""
    precision = torch.finfo(value.dtype)
    relative = min(1e4 * precision.eps, 0.05)
    return bool(((value - expected).abs() <= relative * scale + precision.tiny).all())


def _is_used(value: Tensor, output: Tensor) -> bool:
    """Whether the output depends on a value."""
    if not value.requires_grad:
        return False
    found = torch.autograd.grad(output.sum(), [value], retain_graph=True, allow_unused=True)
    return found[0] is not None
