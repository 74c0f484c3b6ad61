"""Attention weights as scores; a baseline, which is why it stands beside `Random`."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.reachability import reaching_messages
from glassgraph.errors import UnsupportedModelError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.constant import lowest
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.hidden.attention import read_attention
from glassgraph.results.records import Attribution, Reason


class Attention(Explainer):
    """Which edges does the model weigh most?

    With ``a[l, e, h]`` the weight that head ``h`` of layer ``l`` gives to the message along edge
    ``e``::

        layer edge score  S[l, e] = max_h a[l, e, h]
        edge score        S[e]    = max_l S[l, e]

    or means in the place of both maxima: ``[L, E]`` and ``[E]`` numbers from 0 to 1, as softmax
    gives them. Nothing is perturbed and no gradient is taken: the scores know neither the explained
    class nor what becomes of a message later. Layers without attention score 0 and have no part in
    the reduction over layers; nor has a layer at which the edge's message cannot reach the
    prediction. PyG's ``AttentionExplainer`` counts those, and gives edges weights that play no part
    in the prediction. Layers show their weights as `glassgraph.hidden.attention` says.

    Veličković et al., "Graph Attention Networks" (ICLR 2018, https://arxiv.org/abs/1710.10903); as
    a baseline in Ying et al., "GNNExplainer" (NeurIPS 2019, https://arxiv.org/abs/1903.03894).

    Raises:
        HyperParameterError: for another word than ``"max"`` or ``"mean"``.
        UnsupportedModelError: from `explain`, if no layer shows attention weights.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GAT
        >>> data = Data(x=torch.rand(3, 3), edge_index=torch.tensor([[0, 1], [1, 2]]))
        >>> explanation = gg.Attention(GAT(3, 8, 2, 2), task="node").explain(data, [2])[0]
        >>> (explanation.layer_edge_mask > 0).tolist()  # edge 0 comes too late in the last layer
        [[True, True], [False, True]]
    """

    name = "attention"
    traits = Traits(
        family="baseline",
        scores=("edge", "layer edge"),
        source="Veličković et al. 2018, arXiv:1710.10903",
    )
    scope = Scope(needs_attention=True)

    reduce: Literal["max", "mean"] = setting(
        "what is taken over heads, layers and parallel layers", default="max"
    )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One forward pass (and, on the full graph, a backward pass to see what reaches)."""
        found = read_attention(batch)
        if not found:
            layers = ", ".join(
                f"{channel.name} ({type(channel.module).__name__})"
                for channel in batch.wiring.channels
            )
            raise UnsupportedModelError(
                f"no layer shows attention weights; found {layers}. A layer shows them as an "
                "argument 'alpha' of message(), or if forward() takes return_attention_weights=True"
            )
        num_layers, num_edges = batch.num_layers, batch.num_edges
        reaches = reaching_messages(batch).flatten()
        slot = torch.cat([each.layer * num_edges + each.edge for each in found])
        weight = torch.cat([self._of_heads(each.weight) for each in found])
        kept = reaches[slot]
        layer_edge, is_scored = self._gather(slot[kept], weight[kept], num_layers * num_edges)
        edge, _ = self._gather(
            is_scored.nonzero().view(-1) % max(1, num_edges), layer_edge[is_scored], num_edges
        )
        is_one = lowest(batch, edge) > 1 - 100 * torch.finfo(edge.dtype).eps
        alone = Reason("each node hears one sender, which gets all attention", is_one)
        score = layer_edge.view(num_layers, num_edges)
        return Attribution(edge=edge, layer_edge=score, reasons=(alone,))

    def _of_heads(self, weight: Tensor) -> Tensor:
        return weight.amax(dim=1) if self.reduce == "max" else weight.mean(dim=1)

    def _gather(self, slot: Tensor, value: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Reduce the values of each slot; which slots have any, 0 elsewhere."""
        word = "amax" if self.reduce == "max" else "mean"
        result = value.new_zeros(size).scatter_reduce(0, slot, value, word, include_self=False)
        is_scored = torch.zeros(size, dtype=torch.bool, device=slot.device)
        is_scored[slot] = True
        return result, is_scored
