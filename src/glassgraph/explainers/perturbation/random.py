"""Random scores: the floor that every comparison needs."""

from __future__ import annotations

from glassgraph.core import random
from glassgraph.core.addresses import edge_address, node_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.traits import Traits
from glassgraph.results.explanation import Attribution


class Random(Explainer):
    """What does an explanation look like that knows nothing of the model?

    Each edge ``e`` and each node ``n`` of an instance ``i`` gets a number that only depends on
    addresses, ``U`` being a hash to the interval (0, 1)::

        edge score  S[e] = U(seed, i, ends of e)
        node score  S[n] = U(seed, i, n)

    ``[E]`` and ``[N]`` numbers without unit, the same whatever else is explained beside them. A
    method that does not beat this has found nothing; as a baseline for instance in Amara et al.,
    "GraphFramEx: Towards Systematic Evaluation of Explainability Methods for Graph Neural Networks"
    (LoG 2022, https://arxiv.org/abs/2206.09677).

    Raises:
        HyperParameterError: for values out of range.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> explanation = gg.Random(GCN(3, 8, 2, 2), task="node", seed=5).explain(data, [2])[0]
        >>> (explanation.edge_mask > 0).tolist()  # the edge from 2 to 3 cannot reach node 2
        [True, True, False]
    """

    name = "random"
    traits = Traits(
        family="baseline", scores=("edge", "node"), is_black_box=True, is_random=True, source=""
    )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Draw one number for each edge and node."""
        edge = random.uniform(self.seed, batch.key[batch.edge_instance], edge_address(batch))
        node = random.uniform(self.seed, batch.key[batch.node_instance], node_address(batch))
        return Attribution(edge=edge.to(batch.dtype), node=node.to(batch.dtype))
