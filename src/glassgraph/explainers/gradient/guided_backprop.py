"""Guided backpropagation."""

from __future__ import annotations

from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.gradient._input_gradients import of_input_gradients
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.relevance.guided import Guided
from glassgraph.results.explanation import Attribution


class GuidedBackprop(Explainer):
    """Which features and edges raise neurons that raise the prediction, all the way back?

    On its way back through each ``ReLU(a)`` a gradient ``g`` is set to zero where it is negative,
    not only where the ReLU was off; with ``y`` the explained score, ``x`` the node features and
    ``z`` the gates on messages (one per edge, shared by all layers)::

        at each ReLU    g_in    = g_out * [a > 0] * [g_out > 0]
        edge score      S[e]    = max(0, dy / dz[e])
        feature score   S[n, f] = max(0, dy / dx[n, f])
        node score      S[n]    = sum_f S[n, f]           (dy of the guided backward pass)

    Scores are not negative and have the unit of the model's output per unit of a gate or a feature.
    ReLUs are found wherever they are called: as a module, as a function, as a method of a tensor. A
    model without ReLUs gives the positive part of its plain gradient.

    The result is close to the input in many models and says little about the class (Nie, Zhang and
    Patel 2018, https://arxiv.org/abs/1805.07039): read it beside others.

    Springenberg et al., "Striving for Simplicity" (2015, https://arxiv.org/abs/1412.6806).
    Baldassarre and Azizpour (2019, https://arxiv.org/abs/1905.13686) clamp after every operation of
    the backward pass, not at ReLUs alone: ``clamp_everywhere=True``.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> explanation = gg.GuidedBackprop(GCN(3, 8, 2, 2), task="node").explain(data, [2])[0]
        >>> explanation.edge_mask.shape, explanation.node_mask.shape  # [E] and [N, F]
        (torch.Size([3]), torch.Size([4, 3]))
        >>> bool((explanation.node_mask >= 0).all())
        True
    """

    name = "guided_backprop"
    traits = Traits(
        family="gradient",
        scores=("edge", "node", "feature"),
        source="Springenberg et al. 2015, arXiv:1412.6806",
    )

    clamp_everywhere: bool = setting(
        "set negative gradients to zero after every operation, not at ReLUs alone", default=False
    )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One forward and one guided backward pass."""
        guided = Guided(everywhere=self.clamp_everywhere)
        return of_input_gradients(batch, lambda gradient: gradient.clamp(min=0), guided)
