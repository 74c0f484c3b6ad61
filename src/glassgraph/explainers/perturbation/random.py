"""Random scores: the floor that every comparison needs.

Each edge and node gets a uniform number in (0, 1), addressed by seed, instance and the node or the
edge's endpoints. A method that does not beat this has found nothing.
"""

from __future__ import annotations

from glassgraph.core import random
from glassgraph.core.addresses import edge_address, node_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.traits import Traits
from glassgraph.results.explanation import Attribution


class Random(Explainer):
    """Uniform random scores on edges and nodes, blind to the model."""

    name = "random"
    traits = Traits(
        family="baseline",
        scores=("edge", "node"),
        is_learned=False,
        is_amortized=False,
        is_black_box=True,
        is_signed=False,
        is_random=True,
        source="",
    )

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Draw one number for each edge and node."""
        edge = random.uniform(self.seed, batch.key[batch.edge_instance], edge_address(batch))
        node = random.uniform(self.seed, batch.key[batch.node_instance], node_address(batch))
        return Attribution(edge=edge.to(batch.dtype), node=node.to(batch.dtype))
