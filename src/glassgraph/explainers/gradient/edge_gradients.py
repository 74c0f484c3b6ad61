"""Edge gradients: derivatives with respect to gates on messages."""

from __future__ import annotations

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.traits import Traits
from glassgraph.results.explanation import Attribution


class EdgeGradients(Explainer):
    """Would more of an edge's message raise the prediction, or lower it?

    Every message ``m`` along edge ``e`` at layer ``l`` becomes ``z[l, e] * m``. With ``y`` the
    explained score, one backward pass at ``z = 1`` gives::

        layer edge score  S[l, e] = dy / dz[l, e]
        edge score        S[e]    = sum_l S[l, e]     (that of one gate per edge for all layers)

    Scores are signed and have the unit of the model's output (``raw``: logits). For a model that is
    linear in its messages the layerwise score equals layerwise `Occlusion` exactly.

    He, Rafiey, Mishne and Wang, "Explaining GNN Explanations with Edge Gradients" (KDD 2025,
    https://arxiv.org/abs/2508.01048).

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> explanation = gg.EdgeGradients(GCN(3, 8, 2, 2), task="node").explain(data, [2])[0]
        >>> explanation.edge_mask.shape, explanation.layer_edge_mask.shape  # [E] and [L, E]
        (torch.Size([3]), torch.Size([2, 3]))
        >>> explanation.layer_edge_mask[1, 0].item()  # the last layer sends it to node 1, not to 2
        0.0
    """

    name = "edge_gradients"
    traits = Traits(
        family="gradient",
        scores=("edge", "layer edge"),
        is_signed=True,
        source="He, Rafiey, Mishne and Wang 2025, arXiv:2508.01048",
    )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One forward and one backward pass."""
        layer_edge = batch.gate_gradients(batch.ones(layerwise=True))
        return Attribution(edge=layer_edge.sum(dim=0), layer_edge=layer_edge)
