"""Edge gradients: the derivative of the score with respect to each edge's gate.

Every message ``m`` along edge ``e`` at layer ``l`` becomes ``z[l, e] * m``. At ``z = 1``

    layerwise     phi[l, e] = dy / dz[l, e]
    input-level   phi[e]    = sum_l phi[l, e]   (the derivative with one gate for all layers)

A positive score means that more of the message would raise the explained score. For a model that
is linear in its messages the layerwise gradient equals layerwise occlusion exactly.

He, Rafiey, Mishne and Wang, "Explaining GNN Explanations with Edge Gradients" (KDD 2025,
https://arxiv.org/abs/2508.01048).
"""

from __future__ import annotations

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.traits import Traits
from glassgraph.results.explanation import Attribution


class EdgeGradients(Explainer):
    """Signed gradients of the explained score with respect to gates on messages."""

    name = "edge_gradients"
    traits = Traits(
        family="gradient",
        scores=("edge", "layer edge"),
        is_learned=False,
        is_amortized=False,
        is_black_box=False,
        is_signed=True,
        is_random=False,
        source="He, Rafiey, Mishne and Wang 2025, arXiv:2508.01048",
    )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One forward and one backward pass."""
        layer_edge = batch.gate_gradients(batch.ones(layerwise=True))
        return Attribution(edge=layer_edge.sum(dim=0), layer_edge=layer_edge)
