"""GraphMask's gates and its measuring written out: what `glassgraph.GraphMask` does in fewer steps.

The scorer concatenates the states at both ends of a message with the message, and multiplies by its
weights once for each message. What is learned is measured sixty times, at every offset by a run of
the gates of its own, and always on both sets of predictions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgraph.explainers.perturbation import graphmask
from glassgraph.explainers.perturbation.graphmask_fit.fitting import Fitting
from glassgraph.explainers.perturbation.graphmask_fit.points import Constraint, Look, Point
from glassgraph.explainers.perturbation.message_gates import gates
from glassgraph.learn.message_scorer import MessageScorer
from glassgraph.learn.repeated_rows import SideBySide

#: How often solutions are measured, over a whole fit.
MEASUREMENTS = 60


class ConcatenatingScorer(MessageScorer):
    """``W2 relu(LayerNorm(W1 [h_u, h_v, m_uv] + r))``, message by message."""

    def __init__(self, in_channels: int, hidden_channels: int, num_relations: int = 1) -> None:
        super().__init__(in_channels, hidden_channels, num_relations)
        self._written_out: dict[int, tuple[SideBySide, Tensor]] = {}

    def forward(self, rows: SideBySide | Tensor) -> Tensor:
        """Scores ``[m]``."""
        inputs, kind = rows, None
        if not isinstance(rows, Tensor):
            inputs, kind = self._inputs(rows), rows.kind
        hidden: Tensor = self.inner(inputs)
        if self.relation is not None and kind is not None:
            hidden = hidden + self.relation[kind]
        scores: Tensor = self.outer(F.relu(self.norm(hidden)))
        return scores.squeeze(1)

    def _inputs(self, rows: SideBySide) -> Tensor:
        """The rows side by side; they are kept, with what they were made of."""
        if id(rows) not in self._written_out:
            parts = [part.written_out() for part in rows.parts]
            self._written_out[id(rows)] = rows, torch.cat(parts, dim=1)
        return self._written_out[id(rows)][1]


class _LiteralLook(Look):
    def measure(self, enough: Constraint | None = None) -> Point:
        self.__post_init__()  # forget the gates' scores
        return super().measure()


class _LiteralFitting(Fitting):
    def is_measured(self, step: int) -> bool:
        steps = self.settings.steps
        return step % max(1, steps // MEASUREMENTS) == 0 or step == steps - 1

    def look(self, step: int) -> Look:
        return _LiteralLook(self.network, self._measured, self.path.constraint.divergence, step)


@contextmanager
def written_out() -> Iterator[None]:
    """GraphMask is fitted like this inside the block."""
    with (
        mock.patch.object(gates, "MessageScorer", ConcatenatingScorer),
        mock.patch.object(graphmask, "Fitting", _LiteralFitting),
    ):
        yield
