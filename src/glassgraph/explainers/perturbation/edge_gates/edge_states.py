"""A batch, and the hidden states that are read at the ends of its edges."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from glassgraph.core import random
from glassgraph.core.addresses import edge_address
from glassgraph.core.batch import InstanceBatch
from glassgraph.hidden.node_states import NodeStates
from glassgraph.learn.edge_scorer import EdgeScorer


@dataclass(frozen=True)
class EdgeStates:
    """What a network reads on a batch.

    Attributes:
        batch: the batch.
        states: ``[N, D]`` hidden states.
        source, destination: ``[e]`` their rows of each edge's ends.
        targets: ``[B, S]`` their rows of the explained nodes.
        address: ``[e]`` of each edge's noise.
    """

    batch: InstanceBatch
    states: Tensor
    source: Tensor
    destination: Tensor
    targets: Tensor
    address: Tensor

    @staticmethod
    def read(batch: InstanceBatch, states: NodeStates, *, with_noise: bool = True) -> EdgeStates:
        """Look up the states of a batch's nodes."""
        table, fields = states.read(batch), batch.fields
        address = fields.edge
        if with_noise:
            key = batch.key[batch.edge_instance]
            address = random.hash64(0, key, edge_address(batch))
        return EdgeStates(
            batch=batch,
            states=table.states,
            source=table.row[fields.source],
            destination=table.row[fields.destination],
            targets=table.row[fields.seed],
            address=address,
        )

    @property
    def num_messages(self) -> int:
        """Number of edges with a gate."""
        return self.batch.num_edges

    @property
    def num_bytes(self) -> int:
        """Memory that it takes besides the batch."""
        tensors = (self.states, self.source, self.destination, self.targets, self.address)
        return sum(each.numel() * each.element_size() for each in tensors)

    def location(self, scorer: EdgeScorer) -> Tensor:
        """Scores ``[e]`` of the edges."""
        return scorer(  # type: ignore[no-any-return]
            self.states, self.source, self.destination, self.targets, self.batch.edge_instance
        )
