"""Saliency, or sensitivity analysis."""

from __future__ import annotations

from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.gradient._input_gradients import of_input_gradients
from glassgraph.explainers.traits import Traits
from glassgraph.results.explanation import Attribution


class Saliency(Explainer):
    """How strongly does the prediction react to a small change of an edge or a feature?

    With ``y`` the explained score, ``x`` the node features and ``z`` the gates on messages (one
    per edge, shared by all layers, all equal to 1), one backward pass gives::

        edge score      S[e]    = (dy / dz[e])^2
        feature score   S[n, f] = (dy / dx[n, f])^2
        node score      S[n]    = sum_f S[n, f]

    Squares tell sensitivity, not its direction: scores are not negative, in squared units of the
    model's output (``raw``: squared logits). For signed edge scores see `EdgeGradients`. A model
    without floating-point features gets edge scores alone.

    Also called sensitivity analysis (SA): Baldassarre and Azizpour, "Explainability Techniques for
    Graph Convolutional Networks" (2019, https://arxiv.org/abs/1905.13686).

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> explanation = gg.Saliency(GCN(3, 8, 2, 2), task="node").explain(data, index=[2])[0]
        >>> explanation.edge_mask.shape, explanation.node_mask.shape  # [E] and [N, F]
        (torch.Size([3]), torch.Size([4, 3]))
        >>> float(explanation.edge_mask[2])  # the edge from 2 to 3 cannot reach node 2
        0.0
    """

    name = "saliency"
    traits = Traits(
        family="gradient",
        scores=("edge", "node", "feature"),
        source="Baldassarre and Azizpour 2019, arXiv:1905.13686",
    )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One forward and one backward pass."""
        return of_input_gradients(batch, Tensor.square)
