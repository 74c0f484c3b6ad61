"""Occlusion: one edge shut at a time, in many copies at once."""

from __future__ import annotations

import torch

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.copies import edge_copies
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.results.explanation import Attribution


class Occlusion(Explainer):
    """How far does the score fall when one edge is shut?

    With ``y`` the explained score and ``z[l, e]`` the gate on the message along edge ``e`` at layer
    ``l``::

        edge score        S[e]    = y(z = 1) - y(z = 1, but z[:, e] = 0)
        layer edge score  S[l, e] = y(z = 1) - y(z = 1, but z[l, e] = 0)    (with layerwise=True)

    Shutting an edge replaces its messages by zero at every layer (or one layer); the graph itself,
    its degrees and the messages of other edges stay as they are. Scores are ``[E]`` and ``[L, E]``,
    signed, in the unit of the model's output. Many copies, each with another edge shut, go through
    the model in one pass (`glassgraph.core.copies`).

    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (ECCV 2014,
    https://arxiv.org/abs/1311.2901), on edges as in Faber, Moghaddam and Wattenhofer, "When
    Comparing to Ground Truth is Wrong: On Evaluating GNN Explanation Methods" (KDD 2021,
    https://doi.org/10.1145/3447548.3467283).

    Raises:
        HyperParameterError: for values of another type.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import SimpleConv
        >>> x = torch.tensor([[0.0], [1.0], [3.0], [-1.0]])
        >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
        >>> explainer = gg.Occlusion(SimpleConv(), gg.Task("node", mode="regression"))
        >>> explainer.explain(data, [0])[0].edge_mask  # SimpleConv adds what neighbors have
        tensor([ 1.,  3., -1.])
    """

    name = "occlusion"
    traits = Traits(
        family="perturbation",
        scores=("edge", "layer edge"),
        is_black_box=True,
        is_signed=True,
        source="Zeiler and Fergus 2014, arXiv:1311.2901; Faber et al. 2021",
    )

    layerwise: bool = setting("also score every edge at every layer", default=False)

    @torch.no_grad()
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Shut one edge in every copy, until each has had its turn."""
        full = batch.score(batch.ones())
        edge = full.new_zeros(batch.num_edges)
        layer_edge = full.new_zeros((batch.num_layers, batch.num_edges))
        for turn in edge_copies(batch, self.memory_budget):
            before = full[turn.instance]
            gates = turn.batch.ones()
            gates[turn.shut] = 0
            edge[turn.edge] = before - turn.batch.score(gates)[turn.copy]
            for layer in range(batch.num_layers if self.layerwise else 0):
                gates = turn.batch.ones(layerwise=True)
                gates[layer, turn.shut] = 0
                layer_edge[layer, turn.edge] = before - turn.batch.score(gates)[turn.copy]
        return Attribution(edge=edge, layer_edge=layer_edge if self.layerwise else None)
