"""Saliency, or sensitivity analysis (SA): how strongly does the score react to a small change?

With ``y`` the explained score, ``x`` the node features and ``z`` the gates on messages (one per
edge, shared by all layers, all equal to 1):

    feature score   S[n, f] = (dy / dx[n, f])^2
    node score      S[n]    = sum_f S[n, f]
    edge score      S[e]    = (dy / dz[e])^2

Baldassarre and Azizpour, "Explainability Techniques for Graph Convolutional Networks" (2019,
https://arxiv.org/abs/1905.13686). Squares tell sensitivity, not its direction; for signed edge
scores see `EdgeGradients`.
"""

from __future__ import annotations

from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.base import Explainer, Traits
from glassgraph.explainers.gradient.input_gradients import of_input_gradients
from glassgraph.results.explanation import Attribution


class Saliency(Explainer):
    """Squared gradients of the explained score."""

    name = "saliency"
    traits = Traits(
        family="gradient",
        scores=("edge", "node", "feature"),
        is_learned=False,
        is_amortized=False,
        is_black_box=False,
        is_signed=False,
        is_random=False,
        source="Baldassarre and Azizpour 2019, arXiv:1905.13686",
    )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One forward and one backward pass."""
        return of_input_gradients(batch, Tensor.square)
